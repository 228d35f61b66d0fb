// Rung 5 of the ladder, the filter's gradient: what 5_wgmma.cu does, with pixels as the axis that is summed over. Both
// operands lie across it, as they come from memory; wgmma reads either way.
// Arch      sm_90a
#include "common/bf16.cuh"
#include "common/tma.cuh"
#include "common/wgmma.cuh"
#include "conv3x3/patches.cuh"

constexpr int BLOCK_THREADS = 384;    // host
constexpr int SHARED_BYTES = 206848;  // host
constexpr int TILE_CHANNELS = 128;    // host: of k
constexpr int WIDE = 6;               // host: columns of a tile, in 64 channels of one tap, where they divide 9*C
constexpr int NARROW = 3;             // host: the same, otherwise
constexpr int CONSUMERS = 2;

// The columns (r,s,c) of the filter in pieces of 64 c of one tap. A tile has COLUMNS of them, and 128 k, of which each
// consumer takes 64. A step is one patch of 64 pixels.
template <int COLUMNS>
struct WgradTile {
    static constexpr int STAGES = COLUMNS == WIDE ? 3 : 5;
    static constexpr int STAGE_BYTES = (CONSUMERS + COLUMNS) * BOX * 2;
    static constexpr int AT_ONCE = 3;  // pieces of one product, whose sums then fit three instructions' registers

    using Stages = Pipeline<STAGES, CONSUMERS * 4>;
    struct alignas(1024) Memory {
        bf16 dy[STAGES][CONSUMERS][BOX];
        bf16 x[STAGES][COLUMNS][BOX];
        Stages pipeline;
    };
    using Sums = float[COLUMNS / AT_ONCE][AT_ONCE * SIDE / 2];
};
static_assert(sizeof(WgradTile<WIDE>::Memory) <= SHARED_BYTES && sizeof(WgradTile<NARROW>::Memory) <= SHARED_BYTES,
              "tiles fit");

// A piece of the columns: 64 c of one tap; past the last, nothing of tap 0.
struct Piece {
    int tap, c;

    __device__ __forceinline__ Piece(int index, int C) {
        const int of_tap = (C + SIDE - 1) / SIDE;
        tap = index / of_tap < TAPS ? index / of_tap : 0;
        c = index / of_tap < TAPS ? index % of_tap * SIDE : of_tap * SIDE;
    }
};

// The producer, one thread: for each patch of the span its dy, and its x under each tap of the tile.
template <int COLUMNS>
__device__ __forceinline__ void produce(typename WgradTile<COLUMNS>::Memory& memory, const Patches& patches,
                                        const TensorMap& x, const TensorMap& dy, int k0, int piece0, int begin, int end,
                                        int C) {
    prefetch(x);
    prefetch(dy);
    typename WgradTile<COLUMNS>::Stages::Place at{0, 0};
    for (int patch = begin; patch < end; ++patch) {
        const auto [n, h, w] = patches.first(patch);
        Barrier& landed = memory.pipeline.fill(at, WgradTile<COLUMNS>::STAGE_BYTES);
#pragma unroll
        for (int i = 0; i < CONSUMERS; ++i) load_box(memory.dy[at.stage][i], dy, landed, k0 + i * SIDE, w, h, n);
#pragma unroll
        for (int i = 0; i < COLUMNS; ++i) {
            const Piece piece(piece0 + i, C);
            load_box(memory.x[at.stage][i], x, landed, piece.c, w + piece.tap % 3 - 1, h + piece.tap / 3 - 1, n);
        }
        at.advance();
    }
}

// A consumer's main loop, as that of fprop.
template <int COLUMNS>
__device__ __forceinline__ void multiply_span(typename WgradTile<COLUMNS>::Sums& sums,
                                              typename WgradTile<COLUMNS>::Memory& memory, int consumer, int steps) {
    using Tile = WgradTile<COLUMNS>;
    constexpr int GROUPS = COLUMNS / Tile::AT_ONCE, N = Tile::AT_ONCE * SIDE;
    const bool releases = threadIdx.x % 32 == 0;
    typename Tile::Stages::Place at{0, 0};
    int before = 0;
    for (int step = 0; step < steps; ++step) {
        memory.pipeline.wait_until_full(at);
        const unsigned long long a = operand_at(memory.dy[at.stage][consumer]);
        begin_products();
#pragma unroll
        for (int k = 0; k < SIDE / WGMMA_K; ++k) {
#pragma unroll
            for (int group = 0; group < GROUPS; ++group) {
                const unsigned long long b = operand_at(memory.x[at.stage][group * Tile::AT_ONCE], BOX * 2);
                multiply<N, MN_MAJOR, MN_MAJOR>(sums[group], a + k * NEXT_K<MN_MAJOR>, b + k * NEXT_K<MN_MAJOR>,
                                                step > 0 || k > 0);
            }
        }
        commit_products();
#pragma unroll
        for (int group = 0; group < GROUPS; ++group) wait_for_products<1>(sums[group]);
        if (step > 0 && releases) memory.pipeline.release(before);
        before = at.stage;
        at.advance();
    }
#pragma unroll
    for (int group = 0; group < GROUPS; ++group) wait_for_products<0>(sums[group]);
}

// A consumer's epilogue: 64 rows k from `k0`, pieces of columns from `piece0`. Four lanes have 8 columns of a row, which
// are one sector.
template <int COLUMNS>
__device__ __forceinline__ void store_sums(const typename WgradTile<COLUMNS>::Sums& sums, float* partial, int k0,
                                           int piece0, int C, int K) {
    const int lane = threadIdx.x % 32, row = k0 + threadIdx.x / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int i = 0; i < COLUMNS; ++i) {
        const Piece piece(piece0 + i, C);
        const float* sum = sums[i / WgradTile<COLUMNS>::AT_ONCE] + i % WgradTile<COLUMNS>::AT_ONCE * (SIDE / 2);
#pragma unroll
        for (int j = 0; j < SIDE / 2; j += 2) {
            const int k = row + j / 2 % 2 * 8, c = piece.c + j / 4 * 8 + lane % 4 * 2;
            if (k >= K || c >= C) continue;
            store_pair(partial + (k * TAPS + piece.tap) * C + c, sum[j], sum[j + 1]);
        }
    }
}

template <int COLUMNS>
__device__ __forceinline__ void sum_span(void* shared, const Patches& patches, const TensorMap& x, const TensorMap& dy,
                                         float* partial, int begin, int end, int C, int K) {
    auto& memory = *static_cast<typename WgradTile<COLUMNS>::Memory*>(shared);
    const int k0 = blockIdx.x * TILE_CHANNELS, piece0 = blockIdx.y * COLUMNS;
    if (threadIdx.x == 0) memory.pipeline.init();
    __syncthreads();  // the pipeline is ready

    if (threadIdx.x < WARPGROUP) {
        give_registers<40>();
        if (threadIdx.x == 0) produce<COLUMNS>(memory, patches, x, dy, k0, piece0, begin, end, C);
        return;
    }
    take_registers<232>();
    const int consumer = threadIdx.x / WARPGROUP - 1;
    typename WgradTile<COLUMNS>::Sums sums;
    multiply_span<COLUMNS>(sums, memory, consumer, end - begin);
    store_sums<COLUMNS>(sums, partial, k0 + consumer * SIDE, piece0, C, K);
}

extern __shared__ __align__(1024) unsigned char tile_memory[];

// conv3x3_wgrad_wgmma: filter gradient of the 3x3 cross-correlation, stride 1, padding 1, over each span of pixels.
//   partial[span,k,r,s,c] = sum_{n,p,q in span} dy[n,p,q,k] * x[n,p+r-1,q+s-1,c]    (terms outside x are zero)
// In        x_map of x [N,H,W,C] bf16, dy_map of dy [N,P,Q,K] bf16 (P=H, Q=W): maps as for conv3x3_fprop_wgmma
// Out       partial [spans,K,3,3,C] f32, overwritten (=); conv3x3_wgrad_sum adds the spans
// Requires  C and K multiples of 8, 16-byte addresses; patch_side 8 or 4; no span empty; columns WIDE or NARROW;
//           spans*9*C*K < 2^31                                (checked in src/ops/conv3x3/gpu/wgmma.rs)
// Launch    one block of BLOCK_THREADS threads, with SHARED_BYTES of dynamic shared memory, owns TILE_CHANNELS k and
//           64*columns of the columns (r,s,c) for one span of patches_per_span patches; grid x: k, y: columns, z: spans
// Numerics  products exact, f32 accumulation from 0 by patches, 16 pixels at a time inside the tensor core: bitwise
//           repeatable
// Cost      18*N*H*W*C*K flop in all; reads dy once for each column tile, x's taps once for each channel tile
// Source    implicit GEMM: gemm_m = K, gemm_n = 9*C, gemm_k = pixels; derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 1)
conv3x3_wgrad_wgmma(const __grid_constant__ TensorMap x_map, const __grid_constant__ TensorMap dy_map,
                    float* __restrict__ partial, int patch_side, int columns, int patches_per_span, int N, int H, int W,
                    int C, int K) {
    const Patches patches(patch_side, H, W);
    const int begin = blockIdx.z * patches_per_span, end = min(begin + patches_per_span, patches.count(N));
    partial += static_cast<long long>(blockIdx.z) * K * TAPS * C;
    if (columns == WIDE) {
        sum_span<WIDE>(tile_memory, patches, x_map, dy_map, partial, begin, end, C, K);
    } else {
        sum_span<NARROW>(tile_memory, patches, x_map, dy_map, partial, begin, end, C, K);
    }
}
