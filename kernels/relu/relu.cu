// relu_fprop: rectified linear unit.
//   y[i] = max(x[i], 0)
// In        x [count] f32
// Out       y [count] f32, overwritten (=)
// Requires  count < 2^31                                                (checked in src/ops/relu/)
// Launch    grid x: blocks of BLOCK_THREADS threads, one element a thread
// Numerics  exact; NaN passes through
// Cost      reads x once, writes y once
// Source    definition
constexpr int BLOCK_THREADS = 256;  // host

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
relu_fprop(const float* __restrict__ x, float* __restrict__ y, int count) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= count) return;
    const float v = x[i];
    y[i] = v <= 0.0f ? 0.0f : v;
}

// relu_dgrad: input gradient of the rectified linear unit.
//   dx[i] = y[i] > 0 ? dy[i] : 0
// In        y [count] f32, the output of relu_fprop; dy [count] f32
// Out       dx [count] f32, overwritten (=)
// Requires, Launch, Numerics, Source: as relu_fprop
// Cost      reads y and dy once, writes dx once
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
relu_dgrad(const float* __restrict__ y, const float* __restrict__ dy, float* __restrict__ dx, int count) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= count) return;
    dx[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}
