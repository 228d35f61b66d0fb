// Work by channel on a row-major matrix [rows, C], such as an NHWC tensor with rows = N*H*W.
//
//              c0 .. c0+31
//            +-------------+
//   row      | warp 0      |   A block has 8 warps. It owns 32 neighbouring channels, one a lane, and a span of
//   row + 1  | warp 1      |   rows_per_block rows that its warps take in turn. So each warp reads 128 contiguous
//     ..     |  ..         |   bytes of a row, and what a thread knows about its channel (mean, scale, a running
//   row + 7  | warp 7      |   sum) stays in registers from row to row.
//   row + 8  | warp 0      |
//     ..     |  ..         |   Grid x: tiles of 32 channels; y: spans of rows.
//            +-------------+
#pragma once

#include "common/gradient.cuh"

constexpr int COLUMN_LANES = 32;
constexpr int COLUMN_WARPS = 8;
constexpr int COLUMN_THREADS = COLUMN_LANES * COLUMN_WARPS;

// What one thread walks: channel c, rows `row`, row + 8, ... below `end`. Empty for a lane beyond the last channel.
struct Column {
    int c, row, end;
};

__device__ __forceinline__ Column column_of_thread(int rows, int C, int rows_per_block) {
    const int begin = blockIdx.y * rows_per_block;
    Column column;
    column.c = blockIdx.x * COLUMN_LANES + threadIdx.x % COLUMN_LANES;
    column.row = begin + threadIdx.x / COLUMN_LANES;
    column.end = column.c < C ? min(begin + rows_per_block, rows) : 0;
    return column;
}

// Whether this thread writes its channel's result: the lanes of warp 0 that have a channel.
__device__ __forceinline__ bool writes_column(const Column& column, int C) {
    return threadIdx.x < COLUMN_LANES && column.c < C;
}

__device__ __forceinline__ float merge(float a, float b) { return a + b; }

// Merges the warps' values of each channel, warp 0 first, with merge(T, T). Complete in warp 0.
template <class T>
__device__ __forceinline__ T merge_warps(T value) {
    __shared__ T parts[COLUMN_WARPS][COLUMN_LANES];
    const int lane = threadIdx.x % COLUMN_LANES, warp = threadIdx.x / COLUMN_LANES;
    parts[warp][lane] = value;
    __syncthreads();  // every warp's part is written
    if (warp == 0) {
        for (int other = 1; other < COLUMN_WARPS; ++other) value = merge(value, parts[other][lane]);
    }
    return value;
}

// sums[span,c] = sum of x[row,c] over the block's span of rows, or added to what is there. Launched on x and then on
// its own output it sums any number of rows in a fixed order.
__device__ __forceinline__ void column_sums(const float* __restrict__ x, float* __restrict__ sums, int accumulate,
                                            int rows, int C, int rows_per_block) {
    Column column = column_of_thread(rows, C, rows_per_block);
    float sum = 0.0f;
#pragma unroll 4
    for (; column.row < column.end; column.row += COLUMN_WARPS) sum += x[column.row * C + column.c];
    sum = merge_warps(sum);
    if (writes_column(column, C)) put_gradient(sums + blockIdx.y * C + column.c, sum, accumulate);
}
