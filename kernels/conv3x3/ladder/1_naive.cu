// Rung 1 of the ladder: the equations as they stand, one thread an output, everything from global memory.
// Each input value is read 9*K times and each filter value N*H*W times; only the caches stand between that and DRAM.
#include "common/gradient.cuh"

constexpr int BLOCK_THREADS = 256;  // host

// conv3x3_fprop_naive: 3x3 cross-correlation, stride 1, padding 1.
//   y[n,p,q,k] = bias[k] + sum_{r,s,c} x[n,p+r-1,q+s-1,c] * filter[k,r,s,c]     (terms outside x are zero; P=H, Q=W)
// In        x [N,H,W,C] f32; filter [K,3,3,C] f32; bias [K] f32 or null
// Out       y [N,P,Q,K] f32, overwritten (=)
// Requires  N*H*W*max(C,K) < 2^31, 9*C*K < 2^31                          (checked in src/ops/conv3x3/)
// Launch    grid x: blocks of BLOCK_THREADS threads, one element of y a thread
// Numerics  f32 accumulation in the order bias, then (r,s,c): bitwise repeatable
// Cost      18*N*H*W*C*K flop; 4 bytes loaded a flop
// Source    definition
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
conv3x3_fprop_naive(const float* __restrict__ x, const float* __restrict__ filter, const float* __restrict__ bias,
                    float* __restrict__ y, int N, int H, int W, int C, int K) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= N * H * W * K) return;
    const int k = i % K, q = i / K % W, p = i / (K * W) % H, n = i / (K * W * H);
    float sum = bias != nullptr ? bias[k] : 0.0f;
    for (int r = 0; r < 3; ++r) {
        for (int s = 0; s < 3; ++s) {
            const int h = p + r - 1, w = q + s - 1;
            if (h < 0 || h >= H || w < 0 || w >= W) continue;
            const float* x_nhw = x + ((n * H + h) * W + w) * C;
            const float* filter_krs = filter + ((k * 3 + r) * 3 + s) * C;
            for (int c = 0; c < C; ++c) sum = fmaf(x_nhw[c], filter_krs[c], sum);
        }
    }
    y[i] = sum;
}

// conv3x3_dgrad_naive: input gradient of the 3x3 cross-correlation, stride 1, padding 1.
//   dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] * filter[k,r,s,c]            (terms outside dy are zero; P=H, Q=W)
// In        dy [N,P,Q,K] f32; filter [K,3,3,C] f32
// Out       dx [N,H,W,C] f32, overwritten (=), or added to (+=) to accumulate
// Launch    grid x: blocks of BLOCK_THREADS threads, one element of dx a thread
// Numerics  f32 accumulation in the order (r,s,k): bitwise repeatable
// Requires, Cost, Source: as conv3x3_fprop_naive
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
conv3x3_dgrad_naive(const float* __restrict__ dy, const float* __restrict__ filter, float* __restrict__ dx,
                    int accumulate, int N, int H, int W, int C, int K) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= N * H * W * C) return;
    const int c = i % C, w = i / C % W, h = i / (C * W) % H, n = i / (C * W * H);
    float sum = 0.0f;
    for (int r = 0; r < 3; ++r) {
        for (int s = 0; s < 3; ++s) {
            const int p = h + 1 - r, q = w + 1 - s;
            if (p < 0 || p >= H || q < 0 || q >= W) continue;
            const float* dy_npq = dy + ((n * H + p) * W + q) * K;
            for (int k = 0; k < K; ++k) sum = fmaf(dy_npq[k], filter[((k * 3 + r) * 3 + s) * C + c], sum);
        }
    }
    put_gradient(dx + i, sum, accumulate);
}

// conv3x3_wgrad_naive: filter gradient of the 3x3 cross-correlation, stride 1, padding 1.
//   dfilter[k,r,s,c] = sum_{n,p,q} dy[n,p,q,k] * x[n,p+r-1,q+s-1,c]            (terms outside x are zero; P=H, Q=W)
// In        x [N,H,W,C] f32; dy [N,P,Q,K] f32
// Out       dfilter [K,3,3,C] f32, overwritten (=), or added to (+=) to accumulate
// Launch    grid x: blocks of BLOCK_THREADS threads, one element of dfilter a thread
// Numerics  f32: a sum for each image, pixels ascending, then the images' sums: bitwise repeatable
// Requires, Cost, Source: as conv3x3_fprop_naive
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
conv3x3_wgrad_naive(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dfilter,
                    int accumulate, int N, int H, int W, int C, int K) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= K * 9 * C) return;
    const int c = i % C, s = i / C % 3, r = i / (C * 3) % 3, k = i / (C * 9);
    float sum = 0.0f;
    for (int n = 0; n < N; ++n) {
        float image = 0.0f;
        for (int p = max(0, 1 - r); p < min(H, H + 1 - r); ++p) {
            for (int q = max(0, 1 - s); q < min(W, W + 1 - s); ++q) {
                const int h = p + r - 1, w = q + s - 1;
                image = fmaf(dy[((n * H + p) * W + q) * K + k], x[((n * H + h) * W + w) * C + c], image);
            }
        }
        sum += image;
    }
    put_gradient(dfilter + i, sum, accumulate);
}
