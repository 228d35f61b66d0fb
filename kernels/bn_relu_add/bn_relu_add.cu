// Batch normalisation, ReLU and a residual's addition in one pass over memory instead of three. Statistics and the
// totals of the gradients are batchnorm's own kernels.
#include "common/batchnorm.cuh"

// bn_relu_add_apply: normalisation with given statistics, rectified, plus an optional residual.
//   y[row,c] = max(bn(x)[row,c], 0) + residual[row,c]
//   where bn(x)[row,c] = (x[row,c] - mean[c]) / sqrt(var[c] + eps) * gamma[c] + beta[c]
// In        x [rows,C] f32; mean, var, gamma, beta [C] f32; residual [rows,C] f32 or null
// Out       y [rows,C] f32, overwritten (=)
// Requires  rows*C < 2^31                                                 (checked in src/ops/bn_relu_add/)
// Launch    common/columns.cuh; grid x: tiles of 32 channels, y: spans of rows_per_block rows
// Numerics  the same bits as batchnorm_apply, relu_fprop and residual_add_fprop in turn
// Cost      reads x and residual once, writes y once
// Source    definition
extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
bn_relu_add_apply(const float* __restrict__ x, const float* __restrict__ mean, const float* __restrict__ var, float eps,
                  const float* __restrict__ gamma, const float* __restrict__ beta, const float* __restrict__ residual,
                  float* __restrict__ y, int rows, int C, int rows_per_block) {
    Column column = column_of_thread(rows, C, rows_per_block);
    if (column.row >= column.end) return;
    const Normalization bn = normalization_of(column.c, mean, var, eps);
    const float gamma_c = gamma[column.c], beta_c = beta[column.c];
#pragma unroll 4
    for (; column.row < column.end; column.row += COLUMN_WARPS) {
        const int i = column.row * C + column.c;
        const float v = bn.apply(x[i], gamma_c, beta_c);
        const float rectified = v <= 0.0f ? 0.0f : v;  // NaN passes through
        y[i] = residual != nullptr ? rectified + residual[i] : rectified;
    }
}

// bn_relu_add_gradient_sums: gradients of gamma and beta, over each span of rows.
//   dgamma[span,c] = sum_{row in span} g[row,c] * xhat[row,c];   dbeta[span,c] = sum_{row in span} g[row,c]
//   where g = dy where bn(x) > 0, else 0: ReLU's mask, computed again instead of kept
// In        x, dy [rows,C] f32; mean, var, gamma, beta [C] f32
// Out       dgamma, dbeta [spans,C] f32, overwritten (=); summed by batchnorm_gradient_total
// Requires, Launch: as bn_relu_add_apply
// Numerics  f32; every 8th row in a thread, then its block's 8 warps: bitwise repeatable
// Cost      reads x and dy once
// Source    derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
bn_relu_add_gradient_sums(const float* __restrict__ x, const float* __restrict__ dy, const float* __restrict__ mean,
                          const float* __restrict__ var, float eps, const float* __restrict__ gamma,
                          const float* __restrict__ beta, float* __restrict__ dgamma, float* __restrict__ dbeta,
                          int rows, int C, int rows_per_block) {
    gradient_sums<true>(x, dy, mean, var, eps, gamma, beta, dgamma, dbeta, rows, C, rows_per_block);
}

// bn_relu_add_dgrad: input gradient. The residual's gradient is dy itself.
//   dx[row,c] = gamma[c] / sqrt(var[c] + eps) * (g[row,c] - dbeta[c]/rows - xhat[row,c] * dgamma[c]/rows)
//   with the batch's own statistics; with running ones the two means are absent; g as above
// In        x, dy [rows,C] f32; mean, var, gamma, beta [C] f32; dgamma, dbeta [C] f32, from batchnorm_gradient_total
// Out       dx [rows,C] f32, overwritten (=), or added to (+=) to accumulate
// Requires, Launch: as bn_relu_add_apply
// Numerics  f32
// Cost      reads x and dy once, writes dx once
// Source    derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
bn_relu_add_dgrad(const float* __restrict__ x, const float* __restrict__ dy, const float* __restrict__ mean,
                  const float* __restrict__ var, float eps, const float* __restrict__ gamma,
                  const float* __restrict__ beta, const float* __restrict__ dgamma, const float* __restrict__ dbeta,
                  int batch_statistics, float* __restrict__ dx, int accumulate, int rows, int C,
                  int rows_per_block) {
    input_gradient<true>(x, dy, mean, var, eps, gamma, beta, dgamma, dbeta, batch_statistics, dx, accumulate, rows, C,
                         rows_per_block);
}
