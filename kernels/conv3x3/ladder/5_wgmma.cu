// Rung 5 of the ladder: bf16 on Hopper. Against rung 3, the multiplying warps no longer load anything: a thread of its
// own has TMA copy the operands, whose taps are shifted boxes and need no address arithmetic; wgmma reads them straight
// from shared memory; and blocks stay, so that one tile's loads run on during the epilogue of the tile before.
// Arch      sm_90a
#include "conv3x3/wgmma_tile.cuh"

constexpr int BLOCK_THREADS = 384;    // host
constexpr int SHARED_BYTES = 230400;  // host
constexpr int TILE_PIXELS = 256;      // host
static_assert(BLOCK_THREADS == TILE_THREADS && TILE_PIXELS == PATCHES * SIDE, "the host launches these");
static_assert(sizeof(Tile<128>::Memory) <= SHARED_BYTES && sizeof(Tile<64>::Memory) <= SHARED_BYTES, "tiles fit");

// Adds each channel's bias to its row of the sums.
template <int CHANNELS>
struct AddBias {
    const float* bias;
    int channels;

    __device__ __forceinline__ void operator()(typename Tile<CHANNELS>::Sums& sums, const Tile<CHANNELS>& own) const {
        if (bias == nullptr) return;
        const int channel = own.channel + threadIdx.x / 32 % 4 * 16 + threadIdx.x % 32 / 4;
        const float upper = channel < channels ? bias[channel] : 0.0f;
        const float lower = channel + 8 < channels ? bias[channel + 8] : 0.0f;
#pragma unroll
        for (int i = 0; i < Tile<CHANNELS>::OWN_PATCHES * SIDE / 2; ++i) sums[i] += i % 4 < 2 ? upper : lower;
    }
};

extern __shared__ __align__(1024) unsigned char tile_memory[];

// conv3x3_fprop_wgmma: 3x3 cross-correlation, stride 1, padding 1.
//   y[n,p,q,k] = bias[k] + sum_{r,s,c} x[n,p+r-1,q+s-1,c] * filter[k,r,s,c]     (terms outside x are zero; P=H, Q=W)
// In        x_map of x [N,H,W,C] bf16, filter_map of filter [K,3,3,C] bf16; bias [K] f32 or null
// Out       y_map of y [N,P,Q,K] bf16, overwritten (=). All maps: boxes of 64 channels x 64, swizzled over 128 bytes;
//           those of x and y one patch of patch_side x patch_side pixels and 64/patch_side^2 images
// Requires  C and K multiples of 8, 16-byte addresses; patch_side 8 or 4    (checked in src/ops/conv3x3/gpu/wgmma.rs)
// Launch    as many blocks of BLOCK_THREADS threads, with SHARED_BYTES of dynamic shared memory, as there are
//           multiprocessors; each takes tiles of 128 channels (K <= 64: 64) x TILE_PIXELS pixels, gridDim.x apart
// Numerics  products exact, f32 accumulation in the order (r,s,c), 16 at a time inside the tensor core, then bias, then
//           rounded to bf16: bitwise repeatable, whatever the grid
// Cost      18*N*H*W*C*K flop; a tile reads its pixels' 9 taps and its channels' filters, from L2 but for the first time
// Source    implicit GEMM: gemm_m = K, gemm_n = pixels, gemm_k = 9*C; derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 1)
conv3x3_fprop_wgmma(const __grid_constant__ TensorMap x_map, const __grid_constant__ TensorMap filter_map,
                    const __grid_constant__ TensorMap y_map, const float* __restrict__ bias, int patch_side, int N,
                    int H, int W, int C, int K) {
    const TileProduct product{Patches(patch_side, H, W), N, C, K};
    if (K <= 64) {
        run_tiles<64, K_MAJOR>(tile_memory, product, x_map, filter_map, y_map, AddBias<64>{bias, K});
    } else {
        run_tiles<128, K_MAJOR>(tile_memory, product, x_map, filter_map, y_map, AddBias<128>{bias, K});
    }
}

struct Nothing {
    template <class Sums, class Tile>
    __device__ __forceinline__ void operator()(Sums&, const Tile&) const {}
};

// conv3x3_dgrad_wgmma: input gradient of the 3x3 cross-correlation, stride 1, padding 1.
//   dx[n,h,w,c] = sum_{k,r,s} dy[n,h+1-r,w+1-s,k] * filter[k,r,s,c]            (terms outside dy are zero; P=H, Q=W)
// In        dy_map of dy [N,P,Q,K] bf16, filter_map of filter [K,3,3,C] bf16
// Out       dx_map of dx [N,H,W,C] bf16, overwritten (=). Maps as for conv3x3_fprop_wgmma
// Launch    as conv3x3_fprop_wgmma, with C for K
// Numerics  as conv3x3_fprop_wgmma, from 0 in the order (2-r,2-s,k)
// Source    implicit GEMM: gemm_m = C, gemm_n = pixels, gemm_k = 9*K; the filter is read as it lies, across its rows
// Requires, Cost: as conv3x3_fprop_wgmma
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, 1)
conv3x3_dgrad_wgmma(const __grid_constant__ TensorMap dy_map, const __grid_constant__ TensorMap filter_map,
                    const __grid_constant__ TensorMap dx_map, int patch_side, int N, int H, int W, int C, int K) {
    const TileProduct product{Patches(patch_side, H, W), N, K, C};
    if (C <= 64) {
        run_tiles<64, MN_MAJOR>(tile_memory, product, dy_map, filter_map, dx_map, Nothing{});
    } else {
        run_tiles<128, MN_MAJOR>(tile_memory, product, dy_map, filter_map, dx_map, Nothing{});
    }
}
