// conv3x3_fprop: 3x3 cross-correlation, stride 1, padding 1.
//   y[n,p,q,k] = bias[k] + sum_{r,s,c} x[n,p+r-1,q+s-1,c] * filter[k,r,s,c]     (terms outside x are zero; P=H, Q=W)
// In        x [N,H,W,C] f32; filter [K,3,3,C] f32; bias [K] f32 or null
// Out       y [N,P,Q,K] f32, overwritten (=)
// Requires  N*H*W*max(C,K) < 2^31, 9*C*K < 2^31                          (checked in src/ops/conv3x3/)
// Launch    one block of BLOCK_THREADS threads owns BLOCK_PIXELS x BLOCK_CHANNELS of y; grid x: pixels, y: channels
// Numerics  f32 accumulation in the order bias, then (r,s,c): bitwise repeatable
// Cost      18*N*H*W*C*K flop; each block reads its pixels' 9 taps (8 of 9 from cache) and its channels' filters
// Source    implicit GEMM: gemm_m = pixels, gemm_n = K, gemm_k = 9*C; derivation in kernels/README.md
#include "conv3x3/implicit_gemm.cuh"

constexpr int BLOCK_THREADS = 128;  // host
constexpr int BLOCK_PIXELS = 128;   // host
constexpr int BLOCK_CHANNELS = 64;  // host
static_assert(BLOCK_THREADS == TILE_THREADS && BLOCK_PIXELS == TILE_M && BLOCK_CHANNELS == TILE_N,
              "the host launches one block a tile");

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 3)
conv3x3_fprop(const float* __restrict__ x, const float* __restrict__ filter, const float* __restrict__ bias,
              float* __restrict__ y, int N, int H, int W, int C, int K) {
    __shared__ Slab<TILE_M, BY_COLUMNS> x_slab;
    __shared__ Slab<TILE_N, BY_COLUMNS> filter_slab;
    __shared__ unsigned inside[TILE_M];

    const int pixels = N * H * W, gemm_k = TAPS * C;
    const int pixel0 = blockIdx.x * TILE_M, k0 = blockIdx.y * TILE_N;
    inside[threadIdx.x] = taps_inside(pixel0 + threadIdx.x, pixels, H, W);

    Accumulator y_tile;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        const int k = k0 + Accumulator::n(j);
        const float start = bias != nullptr && k < K ? bias[k] : 0.0f;
#pragma unroll
        for (int i = 0; i < 8; ++i) y_tile.sum[i][j] = start;
    }

    TapChannel at = {0, 0};
    at.advance(threadIdx.x % TILE_K, C);
    float* filter_to = filter_slab.at(threadIdx.x % TILE_K, threadIdx.x / TILE_K);
    for (int slab = 0; slab < gemm_k; slab += TILE_K) {
        __syncthreads();  // `inside` is written; the slabs before are no longer read
        gather_slab(x_slab, x, inside, at, pixel0, W, C);
        at.advance(TILE_K, C);

        // filter_slab = filter[k0..k0+63, slab..slab+15], transposed: filter is a matrix [K, 9*C] as it lies.
        const int column = slab + threadIdx.x % TILE_K;
#pragma unroll
        for (int i = 0; i < TILE_N; i += TILE_THREADS / TILE_K) {
            const int k = i + threadIdx.x / TILE_K;
            const bool read = k0 + k < K && column < gemm_k;
            filter_to[i] = read ? filter[(k0 + k) * gemm_k + column] : 0.0f;
        }
        __syncthreads();  // the slabs are written
        y_tile.multiply(x_slab, filter_slab);
    }
    y_tile.store(y, pixels, K, pixel0, k0);
}
