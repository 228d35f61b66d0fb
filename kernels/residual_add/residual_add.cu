// residual_add_fprop: sum of a block's input and its residual branch. Its gradient is dy, for both.
//   y[i] = a[i] + b[i]
// In        a, b [count] f32
// Out       y [count] f32, overwritten (=)
// Requires  count < 2^31, 16-byte pointers                                (checked in src/ops/residual_add/)
// Launch    grid x: blocks of BLOCK_THREADS threads, THREAD_ELEMENTS neighbouring elements a thread, in one 16-byte
//           access each
// Numerics  one rounding an element
// Cost      reads a and b once, writes y once
// Source    definition
#include "common/vec4.cuh"

constexpr int BLOCK_THREADS = 256;  // host
constexpr int THREAD_ELEMENTS = 4;  // host

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
residual_add_fprop(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ y, int count) {
    const int i = (blockIdx.x * BLOCK_THREADS + threadIdx.x) * THREAD_ELEMENTS;
    if (i + 3 < count) {
        const float4 v = load4(a + i), u = load4(b + i);
        store4(y + i, make_float4(v.x + u.x, v.y + u.y, v.z + u.z, v.w + u.w));
    } else {
        for (int tail = i; tail < count; ++tail) y[tail] = a[tail] + b[tail];
    }
}
