// Rung 3 of the ladder: the implicit GEMM of rung 2 on tensor cores (mma.sync), fed by asynchronous copies. Factors are
// rounded to tf32 on their way from shared memory, which is what limits the precision; sums stay f32. Copies are of 16
// bytes, so C and K must be multiples of 4; others (prep, with its 3 channels) stay on rung 2.
#include "common/mma_tile.cuh"
#include "conv3x3/implicit_gemm.cuh"

constexpr int BLOCK_THREADS = 256;   // host
constexpr int BLOCK_ROWS = 128;      // host
constexpr int BLOCK_COLUMNS = 128;   // host
constexpr int SLAB_PIXELS = 16;      // host
static_assert(BLOCK_THREADS == MMA_THREADS && BLOCK_ROWS == MMA_M && BLOCK_COLUMNS == MMA_N && SLAB_PIXELS == MMA_K,
              "the host launches one block a tile");

// This thread's chunks of gathered(source), slab by slab: two pixels, one place on gemm_k.
struct GatheredRows {
    const float* source;
    TapChannel at;
    unsigned inside[RowTile::COPIES];
    int pixel0, W, channels;

    __device__ __forceinline__ GatheredRows(const float* source, int pixel0, int pixels, int H, int W, int channels)
        : source(source), at{0, 0}, pixel0(pixel0), W(W), channels(channels) {
#pragma unroll
        for (int i = 0; i < RowTile::COPIES; ++i) inside[i] = taps_inside(pixel0 + RowTile::row(i), pixels, H, W);
        at.advance(RowTile::k(), channels);
    }

    __device__ __forceinline__ void fill(RowTile& tile) {
        const int distance = tap_distance(at.tap, W) * channels + at.channel;
#pragma unroll
        for (int i = 0; i < RowTile::COPIES; ++i) {
            const bool read = inside[i] >> at.tap & 1;
            const int from = (pixel0 + RowTile::row(i)) * channels + distance;
            tile.copy(i, source + (read ? from : 0), read);
        }
        at.advance(MMA_K, channels);
    }
};

// conv3x3_fprop_mma: 3x3 cross-correlation, stride 1, padding 1.
//   y[n,p,q,k] = bias[k] + sum_{r,s,c} x[n,p+r-1,q+s-1,c] * filter[k,r,s,c]     (terms outside x are zero; P=H, Q=W)
// In        x [N,H,W,C] f32; filter [K,3,3,C] f32; bias [K] f32 or null
// Out       y [N,P,Q,K] f32, overwritten (=)
// Requires  C and K multiples of 4; N*H*W*max(C,K) < 2^31, 9*C*K < 2^31  (checked in src/ops/conv3x3/)
// Launch    one block of BLOCK_THREADS threads owns BLOCK_ROWS x BLOCK_COLUMNS of y; grid x: pixels, y: channels
// Numerics  x and filter rounded to tf32, products exact, f32 accumulation from bias in the order (r,s,c), 8 at a
//           time inside the tensor core: bitwise repeatable on one architecture
// Cost      18*N*H*W*C*K flop; each block reads its pixels' 9 taps (8 of 9 from cache) and its channels' filters
// Source    implicit GEMM: gemm_m = pixels, gemm_n = K, gemm_k = 9*C; derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 2)
conv3x3_fprop_mma(const float* __restrict__ x, const float* __restrict__ filter, const float* __restrict__ bias,
                  float* __restrict__ y, int N, int H, int W, int C, int K) {
    const int pixels = N * H * W, gemm_k = TAPS * C;
    const int pixel0 = blockIdx.x * MMA_M, k0 = blockIdx.y * MMA_N;

    MmaAccumulator y_tile;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int k = k0 + MmaAccumulator::n(j, e);
            const float start = bias != nullptr && k < K ? bias[k] : 0.0f;
#pragma unroll
            for (int i = 0; i < 4; ++i) y_tile.sum[i][j][e] = start;
        }
    }

    // filter is a matrix [K, 9*C] as it lies, whose rows are gemm_n.
    GatheredRows gathered(x, pixel0, pixels, H, W, C);
    int column = RowTile::k();
    multiply_slabs<RowTile, RowTile>(y_tile, (gemm_k + MMA_K - 1) / MMA_K, [&](RowTile& x_tile, RowTile& filter_tile) {
        gathered.fill(x_tile);
#pragma unroll
        for (int i = 0; i < RowTile::COPIES; ++i) {
            const int k = k0 + RowTile::row(i);
            const bool read = k < K && column < gemm_k;
            filter_tile.copy(i, filter + (read ? k * gemm_k + column : 0), read);
        }
        column += MMA_K;
    });
    y_tile.store(y, pixels, K, pixel0, k0);
}

// conv3x3_dgrad_mma: input gradient of the 3x3 cross-correlation, stride 1, padding 1.
//   dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] * filter[k,r,s,c]            (terms outside dy are zero; P=H, Q=W)
// In        dy [N,P,Q,K] f32; filter [K,3,3,C] f32
// Out       dx [N,H,W,C] f32, overwritten (=), or added to (+=) to accumulate
// Launch    one block of BLOCK_THREADS threads owns BLOCK_ROWS x BLOCK_COLUMNS of dx; grid x: pixels, y: channels
// Numerics  as conv3x3_fprop_mma, from 0 in the order (2-r,2-s,k)
// Source    implicit GEMM: gemm_m = pixels, gemm_n = C, gemm_k = 9*K; taps in reverse, as in conv3x3/dgrad.cu
// Requires, Cost: as conv3x3_fprop_mma
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 2)
conv3x3_dgrad_mma(const float* __restrict__ dy, const float* __restrict__ filter, float* __restrict__ dx, int accumulate,
                  int N, int H, int W, int C, int K) {
    const int pixels = N * H * W, gemm_k = TAPS * K;
    const int pixel0 = blockIdx.x * MMA_M, c0 = blockIdx.y * MMA_N;

    MmaAccumulator dx_tile;
    dx_tile.clear();
    GatheredRows gathered(dy, pixel0, pixels, H, W, K);
    const int c = c0 + ColumnTile::column();
    TapChannel filter_at[ColumnTile::COPIES] = {};
#pragma unroll
    for (int i = 0; i < ColumnTile::COPIES; ++i) filter_at[i].advance(ColumnTile::k(i), K);
    multiply_slabs<RowTile, ColumnTile>(
        dx_tile, (gemm_k + MMA_K - 1) / MMA_K, [&](RowTile& dy_tile, ColumnTile& filter_tile) {
            gathered.fill(dy_tile);
#pragma unroll
            for (int i = 0; i < ColumnTile::COPIES; ++i) {
                const int k = filter_at[i].channel, tap = TAPS - 1 - filter_at[i].tap;
                const bool read = tap >= 0 && c < C;
                filter_tile.copy(i, filter + (read ? (k * TAPS + tap) * C + c : 0), read);
                filter_at[i].advance(MMA_K, K);
            }
        });
    dx_tile.store(dx, pixels, C, pixel0, c0, accumulate);
}

// conv3x3_wgrad_mma: filter gradient of the 3x3 cross-correlation, stride 1, padding 1, over each span of pixels.
//   partial[span,k,r,s,c] = sum_{n,p,q in span} dy[n,p,q,k] * x[n,p+r-1,q+s-1,c]    (terms outside x are zero)
// In        x [N,H,W,C] f32; dy [N,P,Q,K] f32 (P=H, Q=W)
// Out       partial [spans,K,3,3,C] f32, overwritten (=); conv3x3_wgrad_sum adds the spans
// Requires  C and K multiples of 4; N*H*W*max(C,K) < 2^31, spans*9*C*K < 2^31  (checked in src/ops/conv3x3/)
// Launch    one block of BLOCK_THREADS threads owns BLOCK_ROWS x BLOCK_COLUMNS of [K, 9*C] for one span of
//           pixels_per_span pixels, a multiple of SLAB_PIXELS; grid x: channels k, y: columns (r,s,c), z: spans
// Numerics  as conv3x3_fprop_mma, from 0, pixels ascending
// Cost      18*N*H*W*C*K flop in all; reads dy once for each column tile, x's taps once for each channel tile
// Source    implicit GEMM: gemm_m = K, gemm_n = 9*C, gemm_k = pixels; derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 2)
conv3x3_wgrad_mma(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ partial, int N, int H,
                  int W, int C, int K, int pixels_per_span) {
    const int columns = TAPS * C;
    const int k0 = blockIdx.x * MMA_M, column0 = blockIdx.y * MMA_N;
    const int begin = blockIdx.z * pixels_per_span, end = min(begin + pixels_per_span, N * H * W);

    MmaAccumulator sums;
    sums.clear();

    // A thread keeps its chunk of channels k and its chunk of columns (r,s,c), and walks down every eighth pixel,
    // whose coordinates h, w go with it.
    const int k = k0 + ColumnTile::column(), column = column0 + ColumnTile::column();
    const int tap = column / C, r = tap / 3, s = tap % 3;
    const int distance = tap_distance(tap, W) * C + column % C;
    int pixel = begin + ColumnTile::k(0);
    int w = pixel % W, h = pixel / W % H;
    constexpr int PIXELS_AT_ONCE = MMA_K / ColumnTile::COPIES;
    multiply_slabs<ColumnTile, ColumnTile>(
        sums, (end - begin + MMA_K - 1) / MMA_K, [&](ColumnTile& dy_tile, ColumnTile& x_tile) {
#pragma unroll
            for (int i = 0; i < ColumnTile::COPIES; ++i) {
                const bool read_dy = pixel < end && k < K;
                dy_tile.copy(i, dy + (read_dy ? pixel * K + k : 0), read_dy);

                const bool row = static_cast<unsigned>(h + r - 1) < static_cast<unsigned>(H);
                const bool read_x = row && static_cast<unsigned>(w + s - 1) < static_cast<unsigned>(W) &&
                                    pixel < end && column < columns;
                x_tile.copy(i, x + (read_x ? pixel * C + distance : 0), read_x);

                pixel += PIXELS_AT_ONCE;
                for (w += PIXELS_AT_ONCE; w >= W; w -= W) h = h + 1 == H ? 0 : h + 1;
            }
        });
    sums.store(partial + blockIdx.z * K * columns, K, columns, k0, column0);
}
