#include "batchnorm/normalization.cuh"

// batchnorm_moments: mean and spread of each channel, over each span of rows.
//   mean[span,c] = mean over the span of x[row,c];   m2[span,c] = sum over the span of (x[row,c] - mean[span,c])^2
// In        x [rows,C] f32
// Out       mean, m2 [spans,C] f32, overwritten (=)
// Requires  rows*C < 2^31                                                 (checked in src/ops/batchnorm/)
// Launch    common/columns.cuh; grid x: tiles of 32 channels, y: spans of rows_per_block rows
// Numerics  a thread sums x and x^2 relative to its first row, which keeps both small; threads' moments are merged
//           exactly (Chan) in a fixed order: bitwise repeatable, and good for channels whose mean is far from zero
// Cost      reads x once
// Source    Chan, Golub, LeVeque 1979
extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
batchnorm_moments(const float* __restrict__ x, float* __restrict__ mean, float* __restrict__ m2, int rows, int C,
                  int rows_per_block) {
    Column column = column_of_thread(rows, C, rows_per_block);
    Moments moments = {0.0f, 0.0f, 0.0f};
    if (column.row < column.end) {
        const float origin = x[column.row * C + column.c];
        float count = 0.0f, sum = 0.0f, squares = 0.0f;
#pragma unroll 4
        for (; column.row < column.end; column.row += COLUMN_WARPS) {
            const float distance = x[column.row * C + column.c] - origin;
            count += 1.0f;
            sum += distance;
            squares = fmaf(distance, distance, squares);
        }
        moments = {count, origin + sum / count, fmaxf(squares - sum * (sum / count), 0.0f)};
    }
    moments = merge_warps(moments);
    if (!writes_column(column, C)) return;
    mean[blockIdx.y * C + column.c] = moments.mean;
    m2[blockIdx.y * C + column.c] = moments.m2;
}

// batchnorm_statistics: mean and biased variance of each channel, from its spans' moments.
//   mean[c] = mean over all rows;   var[c] = mean over all rows of (x[row,c] - mean[c])^2
// In        span_mean, span_m2 [spans,C] f32, from batchnorm_moments
// Out       mean, var [C] f32, overwritten (=)
// Requires  the rows and rows_per_block that batchnorm_moments was launched with
// Launch    common/columns.cuh, with spans for rows; grid x: tiles of 32 channels
// Numerics  as batchnorm_moments
// Cost      reads 2*spans*C values
// Source    as batchnorm_moments
extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
batchnorm_statistics(const float* __restrict__ span_mean, const float* __restrict__ span_m2, float* __restrict__ mean,
                     float* __restrict__ var, int spans, int rows, int C, int rows_per_block) {
    Column column = column_of_thread(spans, C, spans);
    Moments moments = {0.0f, 0.0f, 0.0f};
#pragma unroll 4
    for (; column.row < column.end; column.row += COLUMN_WARPS) {
        const int count = min(rows_per_block, rows - column.row * rows_per_block);
        const int i = column.row * C + column.c;
        moments = merge(moments, Moments{static_cast<float>(count), span_mean[i], span_m2[i]});
    }
    moments = merge_warps(moments);
    if (!writes_column(column, C)) return;
    mean[column.c] = moments.mean;
    var[column.c] = moments.m2 / moments.count;
}

constexpr int UPDATE_THREADS = 256;  // host

// batchnorm_update_running: moves the running statistics towards a batch's.
//   running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c]
//   running_var[c]  = (1 - momentum) * running_var[c]  + momentum * var[c] * rows / (rows - 1)
// In        mean, var [C] f32, var biased; unbias = rows / (rows - 1)
// Out       running_mean, running_var [C] f32, updated in place
// Requires  rows > 1                                                      (checked in src/ops/batchnorm/)
// Launch    grid x: blocks of UPDATE_THREADS threads, one channel a thread
// Numerics  f32
// Cost      reads 4*C values, writes 2*C
// Source    torch.nn.BatchNorm2d: the running variance is the unbiased one
extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
batchnorm_update_running(const float* __restrict__ mean, const float* __restrict__ var, float* __restrict__ running_mean,
                         float* __restrict__ running_var, float momentum, float unbias, int C) {
    const int c = blockIdx.x * UPDATE_THREADS + threadIdx.x;
    if (c >= C) return;
    running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (1.0f - momentum) * running_var[c] + momentum * (var[c] * unbias);
}
