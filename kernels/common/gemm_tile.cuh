// The inner part of a tiled matrix product in f32, from shared memory and registers:
//   out[m,n] = sum_k a[k,m] * b[k,n]            m, n, k: the axes gemm_m, gemm_n, gemm_k
//
// A block of 128 threads owns a tile of 128 x 64 outputs and takes gemm_k in slabs of 16. Each slab of a and b is
// put into shared memory once by the whole block, and each thread multiplies its 8 x 8 share of the tile from there:
//
//        b_slab  [16][64]                     Thread (tm, tn), 16 x 8 of them, owns rows 4tm..4tm+3 and
//            tn=0  1 .. 7 | 0  1 .. 7         64+4tm..64+4tm+3, columns 4tn..4tn+3 and 32+4tn..32+4tn+3: two
//           +-------------+-----------+       runs of four instead of one of eight, so that the 8 threads of
//   tm= 0   | #           | #         |       neighbouring tn read 128 contiguous bytes of b_slab, each bank
//       1   |             |           |       once, and the 4 values of tm in a warp are broadcasts.
//      ..   |             |           |
//      15   |             |           |       For each k a thread reads 8 + 8 floats and does 64
//           +-------------+-----------+       multiply-adds: shared memory keeps up with arithmetic.
//   tm= 0   | #           | #         |
//      ..   |             |           |       Traffic from global memory: a tile loads 128 + 64 values a k for
//      15   |             |           |       128 * 64 multiply-adds, 43 times less than one thread an output.
//           +-------------+-----------+
//   a_slab [16][128], transposed beside the tile
#pragma once

#include "common/gradient.cuh"

constexpr int TILE_M = 128;
constexpr int TILE_N = 64;
constexpr int TILE_K = 16;
constexpr int TILE_THREADS = 128;

constexpr int THREADS_M = 16;
constexpr int THREADS_N = 8;
static_assert(THREADS_M * THREADS_N == TILE_THREADS && THREADS_M * 8 == TILE_M && THREADS_N * 8 == TILE_N,
              "each thread owns 8 x 8 outputs of the tile");

// How a slab gets into shared memory: along gemm_m or gemm_n, as it lies there, or, where what is read from global
// memory is contiguous in gemm_k, transposed on its way.
enum Writing { BY_ROWS, BY_COLUMNS };

// A slab of an operand in shared memory: 16 rows of gemm_k, EXTENT elements of gemm_m or gemm_n each.
//
// Written by columns, lanes 0..15 of a warp write element m of rows 0..15, lanes 16..31 element m + 1. Two measures put
// these 32 words into 32 different banks:
//   - four floats of padding (they keep rows 16-byte aligned) move row k by 4k banks, so rows k and k + 8 still meet;
//   - rows 8..15 hold the two halves of each four elements in the other order: 2 3 0 1.
// A read of four elements puts them right again by the names of its registers, which costs nothing, since the rows are
// known when the loop over gemm_k is unrolled.
template <int EXTENT, Writing WRITING>
struct alignas(16) Slab {
    float rows[TILE_K][EXTENT + 4];

    static __device__ __forceinline__ bool halves_swapped(int k) { return WRITING == BY_COLUMNS && k >= TILE_K / 2; }

    // Element m of row k. Elements m + 4, m + 8, .. are 4, 8, .. floats further, in either order of the halves.
    __device__ __forceinline__ float* at(int k, int m) { return &rows[k][halves_swapped(k) ? m ^ 2 : m]; }

    // Elements m .. m + 3, where m is a multiple of 4.
    __device__ __forceinline__ float4 four(int k, int m) const {
        const float4 v = load4(&rows[k][m]);
        return halves_swapped(k) ? make_float4(v.z, v.w, v.x, v.y) : v;
    }
};

// A thread's 8 x 8 sums, and which outputs they are.
struct Accumulator {
    float sum[8][8];

    static __device__ __forceinline__ int m(int i) {
        return i / 4 * (TILE_M / 2) + threadIdx.x / THREADS_N * 4 + i % 4;
    }
    static __device__ __forceinline__ int n(int j) {
        return j / 4 * (TILE_N / 2) + threadIdx.x % THREADS_N * 4 + j % 4;
    }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
#pragma unroll
            for (int j = 0; j < 8; ++j) sum[i][j] = 0.0f;
        }
    }

    // Adds one slab's products, gemm_k ascending.
    template <Writing A, Writing B>
    __device__ __forceinline__ void multiply(const Slab<TILE_M, A>& a_slab, const Slab<TILE_N, B>& b_slab) {
#pragma unroll
        for (int k = 0; k < TILE_K; ++k) {
            const float4 a0 = a_slab.four(k, m(0)), a1 = a_slab.four(k, m(4));
            const float4 b0 = b_slab.four(k, n(0)), b1 = b_slab.four(k, n(4));
            const float a[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
            const float b[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
            for (int i = 0; i < 8; ++i) {
#pragma unroll
                for (int j = 0; j < 8; ++j) sum[i][j] = fmaf(a[i], b[j], sum[i][j]);
            }
        }
    }

    // Writes the tile whose first output is out[m0,n0] of the row-major matrix out [M,N], or adds it to what is there.
    __device__ __forceinline__ void store(float* out, int M, int N, int m0, int n0, int accumulate = 0) const {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            if (m0 + m(i) >= M) continue;
            float* row = out + (m0 + m(i)) * N;
#pragma unroll
            for (int j = 0; j < 8; j += 4) {
                const int first = n0 + n(j);
                if (N % 4 == 0) {
                    const float* four = &sum[i][j];
                    if (first < N) put_gradient4(row + first, make_float4(four[0], four[1], four[2], four[3]), accumulate);
                } else {
#pragma unroll
                    for (int l = 0; l < 4; ++l) {
                        if (first + l < N) put_gradient(row + first + l, sum[i][j + l], accumulate);
                    }
                }
            }
        }
    }
};
