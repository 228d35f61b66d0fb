// relu_fprop: rectified linear unit.
//   y[i] = max(x[i], 0)
// In        x [count] f32
// Out       y [count] f32, overwritten (=)
// Requires  count < 2^31, 16-byte pointers                                 (checked in src/ops/relu/)
// Launch    grid x: blocks of BLOCK_THREADS threads, THREAD_ELEMENTS neighbouring elements a thread, in one 16-byte
//           access: four times the bytes in flight, which a kernel without arithmetic needs to fill the memory's pipe
// Numerics  exact; NaN passes through
// Cost      reads x once, writes y once
// Source    definition
#include "common/gradient.cuh"

constexpr int BLOCK_THREADS = 256;  // host
constexpr int THREAD_ELEMENTS = 4;  // host

__device__ __forceinline__ float relu(float x) { return x <= 0.0f ? 0.0f : x; }

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
relu_fprop(const float* __restrict__ x, float* __restrict__ y, int count) {
    const int i = (blockIdx.x * BLOCK_THREADS + threadIdx.x) * THREAD_ELEMENTS;
    if (i + 3 < count) {
        const float4 v = load4(x + i);
        store4(y + i, make_float4(relu(v.x), relu(v.y), relu(v.z), relu(v.w)));
    } else {
        for (int tail = i; tail < count; ++tail) y[tail] = relu(x[tail]);
    }
}

// relu_dgrad: input gradient of the rectified linear unit.
//   dx[i] = y[i] > 0 ? dy[i] : 0
// In        y [count] f32, the output of relu_fprop; dy [count] f32
// Out       dx [count] f32, overwritten (=), or added to (+=) to accumulate
// Requires, Launch, Numerics, Source: as relu_fprop
// Cost      reads y and dy once, writes dx once
__device__ __forceinline__ float relu_gradient(float y, float dy) { return y > 0.0f ? dy : 0.0f; }

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
relu_dgrad(const float* __restrict__ y, const float* __restrict__ dy, float* __restrict__ dx, int accumulate, int count) {
    const int i = (blockIdx.x * BLOCK_THREADS + threadIdx.x) * THREAD_ELEMENTS;
    if (i + 3 < count) {
        const float4 v = load4(y + i), g = load4(dy + i);
        const float4 gradient = make_float4(relu_gradient(v.x, g.x), relu_gradient(v.y, g.y),
                                            relu_gradient(v.z, g.z), relu_gradient(v.w, g.w));
        put_gradient4(dx + i, gradient, accumulate);
    } else {
        for (int tail = i; tail < count; ++tail) {
            put_gradient(dx + tail, relu_gradient(y[tail], dy[tail]), accumulate);
        }
    }
}
