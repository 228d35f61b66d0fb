// residual_add_fprop: sum of a block's input and its residual branch.
//   y[i] = a[i] + b[i]
// In        a, b [count] f32
// Out       y [count] f32, overwritten (=)
// Requires  count < 2^31                                        (checked in src/ops/residual_add/)
// Launch    grid x: blocks of BLOCK_THREADS threads, one element a thread
// Numerics  one rounding an element
// Cost      reads a and b once, writes y once
// Source    definition
constexpr int BLOCK_THREADS = 256;  // host

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
residual_add_fprop(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ y, int count) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= count) return;
    y[i] = a[i] + b[i];
}
