// conv3x3_wgrad: filter gradient of the 3x3 cross-correlation, stride 1, padding 1, over each span of pixels.
//   partial[span,k,r,s,c] = sum_{n,p,q in span} dy[n,p,q,k] * x[n,p+r-1,q+s-1,c]    (terms outside x are zero)
// In        x [N,H,W,C] f32; dy [N,P,Q,K] f32 (P=H, Q=W)
// Out       partial [spans,K,3,3,C] f32, overwritten (=); with one span it is dfilter itself
// Requires  N*H*W*max(C,K) < 2^31, spans*9*C*K < 2^31                     (checked in src/ops/conv3x3/)
// Launch    one block of BLOCK_THREADS threads owns BLOCK_CHANNELS x BLOCK_COLUMNS of [K, 9*C] for one span of
//           pixels_per_span pixels; grid x: channels k, y: columns (r,s,c), z: spans
// Numerics  f32 accumulation, pixels ascending: bitwise repeatable
// Cost      18*N*H*W*C*K flop in all; reads dy once for each column tile, x's taps once for each channel tile
// Source    implicit GEMM: gemm_m = K, gemm_n = 9*C, gemm_k = pixels; derivation in kernels/README.md
//
// The result is small and the sum long, so pixels are shared out among blocks (split-K). No block waits for another:
// each writes a sum of its own, and conv3x3_wgrad_sum adds them in order, which an atomicAdd would not.
#include "conv3x3/implicit_gemm.cuh"

constexpr int BLOCK_THREADS = 128;   // host
constexpr int BLOCK_CHANNELS = 128;  // host
constexpr int BLOCK_COLUMNS = 64;    // host
constexpr int SLAB_PIXELS = 16;      // host
static_assert(BLOCK_THREADS == TILE_THREADS && BLOCK_CHANNELS == TILE_M && BLOCK_COLUMNS == TILE_N &&
              SLAB_PIXELS == TILE_K, "the host launches one block a tile");

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 3)
conv3x3_wgrad(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ partial, int N, int H,
              int W, int C, int K, int pixels_per_span) {
    __shared__ Slab<TILE_M, BY_ROWS> dy_slab;
    __shared__ Slab<TILE_N, BY_ROWS> x_slab;

    const int columns = TAPS * C;
    const int k0 = blockIdx.x * TILE_M, column0 = blockIdx.y * TILE_N;
    const int begin = blockIdx.z * pixels_per_span, end = min(begin + pixels_per_span, N * H * W);

    Accumulator sums;
    sums.clear();

    // Loading dy, a thread keeps its channel k. Loading x, it keeps its column (r,s,c) and walks down every second
    // pixel, whose coordinates h, w go with it.
    const int k = k0 + threadIdx.x;
    const int column = column0 + threadIdx.x % TILE_N;
    const int tap = column / C, r = tap / 3, s = tap % 3;
    const int distance = tap_distance(tap, W) * C + column % C;
    constexpr int PIXELS_AT_ONCE = TILE_THREADS / TILE_N;
    int pixel = begin + threadIdx.x / TILE_N;
    int w = pixel % W, h = pixel / W % H;

    for (int slab = begin; slab < end; slab += TILE_K) {
        __syncthreads();  // the slabs before are no longer read
#pragma unroll
        for (int i = 0; i < TILE_K; ++i) {
            *dy_slab.at(i, threadIdx.x) = slab + i < end && k < K ? dy[(slab + i) * K + k] : 0.0f;
        }
#pragma unroll
        for (int i = 0; i < TILE_K; i += PIXELS_AT_ONCE) {
            const bool row = static_cast<unsigned>(h + r - 1) < static_cast<unsigned>(H);
            const bool read = row && static_cast<unsigned>(w + s - 1) < static_cast<unsigned>(W) && pixel < end &&
                              column < columns;
            *x_slab.at(i + threadIdx.x / TILE_N, threadIdx.x % TILE_N) = read ? x[pixel * C + distance] : 0.0f;

            pixel += PIXELS_AT_ONCE;
            for (w += PIXELS_AT_ONCE; w >= W; w -= W) h = h + 1 == H ? 0 : h + 1;
        }
        __syncthreads();  // the slabs are written
        sums.multiply(dy_slab, x_slab);
    }
    sums.store(partial + blockIdx.z * K * columns, K, columns, k0, column0);
}

// conv3x3_wgrad_sum: the spans' filter gradients, added.
//   dfilter[i] = sum_span partial[span,i]
// In        partial [spans,count] f32, from conv3x3_wgrad
// Out       dfilter [count] f32, overwritten (=), or added to (+=) to accumulate; count = 9*C*K
// Requires  spans*count < 2^31                                            (checked in src/ops/conv3x3/)
// Launch    grid x: blocks of BLOCK_THREADS threads, one element a thread
// Numerics  f32, spans ascending: bitwise repeatable
// Cost      reads partial once, writes dfilter once
// Source    definition
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
conv3x3_wgrad_sum(const float* __restrict__ partial, float* __restrict__ dfilter, int accumulate, int count, int spans) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= count) return;
    float sum = 0.0f;
#pragma unroll 8
    for (int span = 0; span < spans; ++span) sum += partial[span * count + i];
    put_gradient(dfilter + i, sum, accumulate);
}
