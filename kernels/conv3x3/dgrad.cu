// conv3x3_dgrad: input gradient of the 3x3 cross-correlation, stride 1, padding 1.
//   dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] * filter[k,r,s,c]            (terms outside dy are zero; P=H, Q=W)
// In        dy [N,P,Q,K] f32; filter [K,3,3,C] f32
// Out       dx [N,H,W,C] f32, overwritten (=), or added to (+=) to accumulate
// Requires  N*H*W*max(C,K) < 2^31, 9*C*K < 2^31                          (checked in src/ops/conv3x3/)
// Launch    one block of BLOCK_THREADS threads owns BLOCK_PIXELS x BLOCK_CHANNELS of dx; grid x: pixels, y: channels
// Numerics  f32 accumulation in the order (2-r,2-s,k): bitwise repeatable
// Cost      18*N*H*W*C*K flop; each block reads its pixels' 9 taps (8 of 9 from cache) and its channels' filters
// Source    implicit GEMM: gemm_m = pixels, gemm_n = C, gemm_k = 9*K; derivation in kernels/README.md
//
// Counting taps from the other end, r' = 2-r and s' = 2-s, dy is read at n,h+r'-1,w+s'-1: gathered exactly as fprop
// gathers x. What remains is to read the filter's taps in reverse, tap = 8 - tap', and across K instead of C.
#include "conv3x3/implicit_gemm.cuh"

constexpr int BLOCK_THREADS = 128;  // host
constexpr int BLOCK_PIXELS = 128;   // host
constexpr int BLOCK_CHANNELS = 64;  // host
static_assert(BLOCK_THREADS == TILE_THREADS && BLOCK_PIXELS == TILE_M && BLOCK_CHANNELS == TILE_N,
              "the host launches one block a tile");

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 3)
conv3x3_dgrad(const float* __restrict__ dy, const float* __restrict__ filter, float* __restrict__ dx, int accumulate,
              int N, int H, int W, int C, int K) {
    __shared__ Slab<TILE_M, BY_COLUMNS> dy_slab;
    __shared__ Slab<TILE_N, BY_ROWS> filter_slab;
    __shared__ unsigned inside[TILE_M];

    const int pixels = N * H * W, gemm_k = TAPS * K;
    const int pixel0 = blockIdx.x * TILE_M, c0 = blockIdx.y * TILE_N;
    inside[threadIdx.x] = taps_inside(pixel0 + threadIdx.x, pixels, H, W);

    Accumulator dx_tile;
    dx_tile.clear();

    // Loading the filter, a thread keeps its channel c and walks down every second row of gemm_k.
    constexpr int ROWS_AT_ONCE = TILE_THREADS / TILE_N;
    const int c = c0 + threadIdx.x % TILE_N;
    TapChannel dy_at = {0, 0}, filter_at = {0, 0};
    dy_at.advance(threadIdx.x % TILE_K, K);
    filter_at.advance(threadIdx.x / TILE_N, K);
    for (int slab = 0; slab < gemm_k; slab += TILE_K) {
        __syncthreads();  // `inside` is written; the slabs before are no longer read
        gather_slab(dy_slab, dy, inside, dy_at, pixel0, W, K);
        dy_at.advance(TILE_K, K);

#pragma unroll
        for (int i = 0; i < TILE_K; i += ROWS_AT_ONCE) {
            const int k = filter_at.channel, tap = TAPS - 1 - filter_at.tap;
            const bool read = tap >= 0 && c < C;
            const float value = read ? filter[(k * TAPS + tap) * C + c] : 0.0f;
            *filter_slab.at(i + threadIdx.x / TILE_N, threadIdx.x % TILE_N) = value;
            filter_at.advance(ROWS_AT_ONCE, K);
        }
        __syncthreads();  // the slabs are written
        dx_tile.multiply(dy_slab, filter_slab);
    }
    dx_tile.store(dx, pixels, C, pixel0, c0, accumulate);
}
