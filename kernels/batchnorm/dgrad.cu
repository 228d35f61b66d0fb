#include "common/batchnorm.cuh"

// batchnorm_gradient_sums: gradients of gamma and beta, over each span of rows.
//   dgamma[span,c] = sum_{row in span} dy[row,c] * xhat[row,c];   dbeta[span,c] = sum_{row in span} dy[row,c]
//   where xhat[row,c] = (x[row,c] - mean[c]) / sqrt(var[c] + eps)
// In        x, dy [rows,C] f32; mean, var [C] f32
// Out       dgamma, dbeta [spans,C] f32, overwritten (=); with one span they are the gradients
// Requires  rows*C < 2^31                                                 (checked in src/ops/batchnorm/)
// Launch    common/columns.cuh; grid x: tiles of 32 channels, y: spans of rows_per_block rows
// Numerics  f32; every 8th row in a thread, then its block's 8 warps: bitwise repeatable
// Cost      reads x and dy once
// Source    derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
batchnorm_gradient_sums(const float* __restrict__ x, const float* __restrict__ dy, const float* __restrict__ mean,
                        const float* __restrict__ var, float eps, float* __restrict__ dgamma, float* __restrict__ dbeta,
                        int rows, int C, int rows_per_block) {
    gradient_sums<false>(x, dy, mean, var, eps, nullptr, nullptr, dgamma, dbeta, rows, C, rows_per_block);
}

// batchnorm_gradient_total: the spans' gradients of gamma and beta, added.
//   dgamma[c] = sum_span span_dgamma[span,c];   dbeta[c] = sum_span span_dbeta[span,c]
// In        span_dgamma, span_dbeta [spans,C] f32, from batchnorm_gradient_sums or bn_relu_add_gradient_sums
// Out       dgamma, dbeta [C] f32, overwritten (=)
// Requires  as batchnorm_gradient_sums
// Launch    common/columns.cuh, with spans for rows; grid x: tiles of 32 channels
// Numerics  f32 in a fixed order: bitwise repeatable
// Cost      reads 2*spans*C values
// Source    definition
extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
batchnorm_gradient_total(const float* __restrict__ span_dgamma, const float* __restrict__ span_dbeta,
                         float* __restrict__ dgamma, float* __restrict__ dbeta, int spans, int C) {
    Column column = column_of_thread(spans, C, spans);
    GradientSums sums = {0.0f, 0.0f};
#pragma unroll 4
    for (; column.row < column.end; column.row += COLUMN_WARPS) {
        const int i = column.row * C + column.c;
        sums = merge(sums, GradientSums{span_dgamma[i], span_dbeta[i]});
    }
    sums = merge_warps(sums);
    if (!writes_column(column, C)) return;
    dgamma[column.c] = sums.dgamma;
    dbeta[column.c] = sums.dbeta;
}

// batchnorm_dgrad: input gradient of batch normalisation.
//   dx[row,c] = gamma[c] / sqrt(var[c] + eps) * (dy[row,c] - dbeta[c]/rows - xhat[row,c] * dgamma[c]/rows)
//   with the batch's own statistics; with running ones, which do not depend on x, the two means are absent
// In        x, dy [rows,C] f32; mean, var, gamma [C] f32; dgamma, dbeta [C] f32, from batchnorm_gradient_total
// Out       dx [rows,C] f32, overwritten (=), or added to (+=) to accumulate
// Requires  as batchnorm_gradient_sums
// Launch    as batchnorm_gradient_sums
// Numerics  f32
// Cost      reads x and dy once, writes dx once
// Source    derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
batchnorm_dgrad(const float* __restrict__ x, const float* __restrict__ dy, const float* __restrict__ mean,
                const float* __restrict__ var, float eps, const float* __restrict__ gamma,
                const float* __restrict__ dgamma, const float* __restrict__ dbeta, int batch_statistics,
                float* __restrict__ dx, int accumulate, int rows, int C, int rows_per_block) {
    input_gradient<false>(x, dy, mean, var, eps, gamma, nullptr, dgamma, dbeta, batch_statistics, dx, accumulate, rows, C,
                          rows_per_block);
}
