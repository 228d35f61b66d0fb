// The inner part of a tiled matrix product on tensor cores, from shared memory:
//   out[m,n] = sum_k a[m,k] * b[k,n]            m, n, k: the axes gemm_m, gemm_n, gemm_k; factors rounded to tf32
//
// A block of 256 threads owns a tile of 128 x 128 outputs, each of its 8 warps a part of 64 x 32, and takes gemm_k in
// slabs of 16. Two slabs are on their way from global memory (cp.async) while the third is multiplied:
//
//   slab            0    1    2    3    4  ..                A slab lives in stage slab % 3. One barrier a slab says
//   stage 0        load .. mul  load .. mul                  both that it has landed for all threads, and that the
//   stage 1             load .. mul  load ..                 stage of the slab before may be filled again.
//   stage 2                  load .. mul
//
// An operand is put into shared memory as it is read from global memory, in chunks of 4 floats: along gemm_k (RowTile)
// or across it (ColumnTile). Where a chunk goes is swizzled, so that neither writing nor reading meets a bank twice.
#pragma once

#include "common/ptx.cuh"

constexpr int MMA_THREADS = 256;
constexpr int MMA_M = 128;
constexpr int MMA_N = 128;
constexpr int MMA_K = 16;
constexpr int MMA_STAGES = 3;
constexpr int CHUNK = 4;

// 128 rows of an operand whose memory runs along gemm_k: at[row][k]. ldmatrix reads 8 rows of one chunk; rows are half
// of the 32 banks long, so the chunks of rows 0 and 1, 2 and 3, .. change places: chunk ^ row/2 % 4.
struct alignas(16) RowTile {
    float at[MMA_M * MMA_K];

    // A thread copies one chunk of rows row(0) and row(1), at k() of each slab.
    static constexpr int COPIES = 2;
    static __device__ __forceinline__ int row(int copy) { return threadIdx.x / 4 + 64 * copy; }
    static __device__ __forceinline__ int k() { return threadIdx.x % 4 * CHUNK; }

    __device__ __forceinline__ float* chunk(int row, int chunk) {
        return at + row * MMA_K + (chunk ^ (row / 2 % 4)) * CHUNK;
    }
    __device__ __forceinline__ void copy(int copy, const float* from, bool read) {
        copy_async(chunk(row(copy), threadIdx.x % 4), from, read);
    }

    // a[m0..+15][k0..+7]
    __device__ __forceinline__ void load_a(unsigned (&a)[4], int m0, int k0) {
        const int lane = threadIdx.x % 32;
        load_matrices(a, chunk(m0 + lane % 16, k0 / CHUNK + lane / 16));
    }
    // b[k0..+7][n0..+15], as two operands of 8 columns
    __device__ __forceinline__ void load_b(unsigned (&b)[2][2], int n0, int k0) {
        const int lane = threadIdx.x % 32;
        unsigned word[4];
        load_matrices(word, chunk(n0 + lane / 16 * 8 + lane % 8, k0 / CHUNK + lane / 8 % 2));
        b[0][0] = word[0], b[0][1] = word[1], b[1][0] = word[2], b[1][1] = word[3];
    }
};

// 128 columns of an operand whose memory runs across gemm_k: at[k][column]. A warp reads 4 neighbours in k times 8 in
// column; rows are a multiple of 32 banks long, so each is shifted against the next by 8: column ^ 8 * (k % 4).
struct alignas(16) ColumnTile {
    float at[MMA_K * MMA_N];

    // A thread copies one chunk, column() .. +3, of each slab's rows k(0) and k(1).
    static constexpr int COPIES = 2;
    static __device__ __forceinline__ int column() { return threadIdx.x % 32 * CHUNK; }
    static __device__ __forceinline__ int k(int copy) { return threadIdx.x / 32 + 8 * copy; }

    __device__ __forceinline__ float* element(int k, int column) {
        return at + k * MMA_N + (column ^ (k % 4 * 8));
    }
    __device__ __forceinline__ void copy(int copy, const float* from, bool read) {
        copy_async(element(k(copy), column()), from, read);
    }

    // a[m0..+15][k0..+7]; the columns are a's rows
    __device__ __forceinline__ void load_a(unsigned (&a)[4], int m0, int k0) {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int i = 0; i < 4; ++i) a[i] = __float_as_uint(*element(k0 + t + i / 2 * 4, m0 + g + i % 2 * 8));
    }
    // b[k0..+7][n0..+15], as two operands of 8 columns
    __device__ __forceinline__ void load_b(unsigned (&b)[2][2], int n0, int k0) {
        const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            b[i / 2][i % 2] = __float_as_uint(*element(k0 + t + i % 2 * 4, n0 + g + i / 2 * 8));
        }
    }
};

// A thread's share of its warp's 64 x 32 sums: 4 x 4 results of mma, 4 sums each.
struct MmaAccumulator {
    float sum[4][4][4];

    // The row and column of sum[i][j][e] in the block's tile.
    static __device__ __forceinline__ int m(int i, int e) {
        return threadIdx.x / 128 * 64 + i * 16 + e / 2 * 8 + threadIdx.x % 32 / 4;
    }
    static __device__ __forceinline__ int n(int j, int e) {
        return threadIdx.x / 32 % 4 * 32 + j * 8 + threadIdx.x % 4 * 2 + e % 2;
    }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < 64; ++i) sum[i / 16][i / 4 % 4][i % 4] = 0.0f;
    }

    // Adds one slab's products, gemm_k ascending by 8.
    template <class ATile, class BTile>
    __device__ __forceinline__ void multiply(ATile& a_tile, BTile& b_tile) {
        const int m0 = threadIdx.x / 128 * 64, n0 = threadIdx.x / 32 % 4 * 32;
#pragma unroll
        for (int k = 0; k < MMA_K; k += 8) {
            unsigned a[4][4], b[4][2];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                a_tile.load_a(a[i], m0 + i * 16, k);
#pragma unroll
                for (int e = 0; e < 4; ++e) a[i][e] = to_tf32(a[i][e]);
            }
#pragma unroll
            for (int j = 0; j < 4; j += 2) {
                unsigned pair[2][2];
                b_tile.load_b(pair, n0 + j * 8, k);
#pragma unroll
                for (int e = 0; e < 4; ++e) b[j + e / 2][e % 2] = to_tf32(pair[e / 2][e % 2]);
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
                for (int j = 0; j < 4; ++j) mma_tf32(sum[i][j], a[i], b[j]);
            }
        }
    }

    // Writes the tile whose first output is out[m0,n0] of the row-major matrix out [M,N], or adds it to what is there;
    // N is even.
    __device__ __forceinline__ void store(float* out, int M, int N, int m0, int n0, int accumulate = 0) const {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int j = 0; j < 4; ++j) {
#pragma unroll
                for (int e = 0; e < 4; e += 2) {
                    const int row = m0 + m(i, e), column = n0 + n(j, e);
                    if (row >= M || column >= N) continue;
                    float2* two = reinterpret_cast<float2*>(out + row * N + column);
                    const float2 new_two = make_float2(sum[i][j][e], sum[i][j][e + 1]);
                    *two = accumulate ? make_float2(two->x + new_two.x, two->y + new_two.y) : new_two;
                }
            }
        }
    }
};

// Multiplies `slabs` slabs: fill(a_tile, b_tile) starts the copies of the next one each time it is called.
template <class ATile, class BTile, class Fill>
__device__ __forceinline__ void multiply_slabs(MmaAccumulator& out, int slabs, Fill fill) {
    __shared__ ATile a_tile[MMA_STAGES];
    __shared__ BTile b_tile[MMA_STAGES];

#pragma unroll
    for (int slab = 0; slab < MMA_STAGES - 1; ++slab) {
        if (slab < slabs) fill(a_tile[slab], b_tile[slab]);
        commit_copies();
    }
    int mul = 0, load = MMA_STAGES - 1;
    for (int slab = 0; slab < slabs; ++slab) {
        wait_for_copies<MMA_STAGES - 2>();
        __syncthreads();  // this slab has landed for all; nobody reads the slab before any more
        if (slab + MMA_STAGES - 1 < slabs) fill(a_tile[load], b_tile[load]);
        commit_copies();  // an empty group at the end keeps the count of groups that the wait relies on
        out.multiply(a_tile[mul], b_tile[mul]);
        mul = mul + 1 == MMA_STAGES ? 0 : mul + 1;
        load = load + 1 == MMA_STAGES ? 0 : load + 1;
    }
}
