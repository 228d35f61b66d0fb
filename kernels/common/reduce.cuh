// Reductions inside a warp and inside a block. The order of every sum is fixed by the thread indices alone, so the
// same input gives the same bits, on any GPU.
#pragma once

constexpr int WARP = 32;

// The sum of `value` over the warp's lanes, in every lane. A butterfly: in round r lane l adds lane l^r.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    }
    return value;
}

// The largest `value` of the warp's lanes, in every lane.
__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
    }
    return value;
}

// The sum of `value` over a block of THREADS threads, in every thread. One call a kernel: the shared parts are not
// guarded against a second one.
template <int THREADS, class T>
__device__ __forceinline__ T block_sum(T value) {
    constexpr int WARPS = THREADS / WARP;
    __shared__ T parts[WARPS];
    value = warp_sum(value);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = value;
    __syncthreads();  // every warp's part is written
    T total = parts[0];
#pragma unroll
    for (int warp = 1; warp < WARPS; ++warp) total += parts[warp];
    return total;
}
