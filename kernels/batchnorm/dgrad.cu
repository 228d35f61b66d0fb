// The gradients of batch normalisation and of the ReLU behind it, where one follows: g[row,c] below is dy, or dy where
// bn(x)[row,c] > 0 and 0 elsewhere. A residual's gradient is dy itself.
#include "batchnorm/normalization.cuh"

// The two sums over a channel's rows that the gradient needs: of g * normalized x, and of g. Aligned, so that they go
// to shared memory in one access: two of four bytes, eight apart, would each use every second bank only.
struct alignas(8) GradientSums {
    float dgamma, dbeta;
};

__device__ __forceinline__ GradientSums merge(GradientSums a, GradientSums b) {
    return {a.dgamma + b.dgamma, a.dbeta + b.dbeta};
}

// g. The ReLU's mask is computed again: reading one would cost as much as reading x, which is read anyway.
template <bool RELU>
struct OutputGradient {
    float gamma, beta;

    __device__ __forceinline__ OutputGradient(int c, const float* __restrict__ gammas, const float* __restrict__ betas)
        : gamma(RELU ? gammas[c] : 0.0f), beta(RELU ? betas[c] : 0.0f) {}

    __device__ __forceinline__ float operator()(const Normalization& bn, float x, float dy) const {
        return !RELU || bn.apply(x, gamma, beta) > 0.0f ? dy : 0.0f;
    }
};

// batchnorm_gradient_sums: gradients of gamma and beta, over each span of rows.
//   dgamma[span,c] = sum_{row in span} g[row,c] * xhat[row,c];   dbeta[span,c] = sum_{row in span} g[row,c]
//   where xhat[row,c] = (x[row,c] - mean[c]) / sqrt(var[c] + eps), and with relu g = bn(x) > 0 ? dy : 0, else g = dy
// In        x, dy [rows,C] f32; mean, var, gamma, beta [C] f32
// Out       dgamma, dbeta [spans,C] f32, overwritten (=); with one span they are the gradients
// Requires  rows*C < 2^31                                                 (checked in src/ops/batchnorm/)
// Launch    common/columns.cuh; grid x: tiles of 32 channels, y: spans of rows_per_block rows
// Numerics  f32; every 8th row in a thread, then its block's 8 warps: bitwise repeatable
// Cost      reads x and dy once
// Source    derivation in kernels/README.md
template <bool RELU>
__device__ __forceinline__ void gradient_sums(const float* __restrict__ x, const float* __restrict__ dy,
                                              const float* __restrict__ mean, const float* __restrict__ var, float eps,
                                              const float* __restrict__ gamma, const float* __restrict__ beta,
                                              float* __restrict__ dgamma, float* __restrict__ dbeta, int rows, int C,
                                              int rows_per_block) {
    Column column = column_of_thread(rows, C, rows_per_block);
    GradientSums sums = {0.0f, 0.0f};
    if (column.row < column.end) {
        const Normalization bn = normalization_of(column.c, mean, var, eps);
        const OutputGradient<RELU> gradient(column.c, gamma, beta);
#pragma unroll 4
        for (; column.row < column.end; column.row += COLUMN_WARPS) {
            const int i = column.row * C + column.c;
            const float g = gradient(bn, x[i], dy[i]);
            sums.dgamma = fmaf(g, bn.normalized(x[i]), sums.dgamma);
            sums.dbeta += g;
        }
    }
    sums = merge_warps(sums);
    if (!writes_column(column, C)) return;
    dgamma[blockIdx.y * C + column.c] = sums.dgamma;
    dbeta[blockIdx.y * C + column.c] = sums.dbeta;
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
batchnorm_gradient_sums(const float* __restrict__ x, const float* __restrict__ dy, const float* __restrict__ mean,
                        const float* __restrict__ var, float eps, const float* __restrict__ gamma,
                        const float* __restrict__ beta, int relu, float* __restrict__ dgamma,
                        float* __restrict__ dbeta, int rows, int C, int rows_per_block) {
    if (relu) {
        gradient_sums<true>(x, dy, mean, var, eps, gamma, beta, dgamma, dbeta, rows, C, rows_per_block);
    } else {
        gradient_sums<false>(x, dy, mean, var, eps, gamma, beta, dgamma, dbeta, rows, C, rows_per_block);
    }
}

// batchnorm_gradient_total: the spans' gradients of gamma and beta, added.
//   dgamma[c] = sum_span span_dgamma[span,c];   dbeta[c] = sum_span span_dbeta[span,c]
// In        span_dgamma, span_dbeta [spans,C] f32, from batchnorm_gradient_sums
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

// batchnorm_dgrad: input gradient of batch normalisation, through the ReLU behind it where one follows.
//   dx[row,c] = gamma[c] / sqrt(var[c] + eps) * (g[row,c] - dbeta[c]/rows - xhat[row,c] * dgamma[c]/rows)
//   with the batch's own statistics; with running ones, which do not depend on x, the two means are absent;
//   g and xhat as in batchnorm_gradient_sums
// In        x, dy [rows,C] f32; mean, var, gamma, beta [C] f32; dgamma, dbeta [C] f32, from batchnorm_gradient_total
// Out       dx [rows,C] f32, overwritten (=), or added to (+=) to accumulate
// Requires  as batchnorm_gradient_sums
// Launch    as batchnorm_gradient_sums
// Numerics  f32
// Cost      reads x and dy once, writes dx once
// Source    derivation in kernels/README.md
template <bool RELU>
__device__ __forceinline__ void input_gradient(const float* __restrict__ x, const float* __restrict__ dy,
                                               const float* __restrict__ mean, const float* __restrict__ var, float eps,
                                               const float* __restrict__ gamma, const float* __restrict__ beta,
                                               const float* __restrict__ dgamma, const float* __restrict__ dbeta,
                                               int batch_statistics, float* __restrict__ dx, int accumulate, int rows,
                                               int C, int rows_per_block) {
    Column column = column_of_thread(rows, C, rows_per_block);
    if (column.row >= column.end) return;
    const Normalization bn = normalization_of(column.c, mean, var, eps);
    const OutputGradient<RELU> gradient(column.c, gamma, beta);
    const float scale = gamma[column.c] * bn.inverse_deviation;
    const float mean_dgamma = batch_statistics ? dgamma[column.c] / rows : 0.0f;
    const float mean_dbeta = batch_statistics ? dbeta[column.c] / rows : 0.0f;
#pragma unroll 4
    for (; column.row < column.end; column.row += COLUMN_WARPS) {
        const int i = column.row * C + column.c;
        const float g = gradient(bn, x[i], dy[i]);
        put_gradient(dx + i, scale * (g - mean_dbeta - bn.normalized(x[i]) * mean_dgamma), accumulate);
    }
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
batchnorm_dgrad(const float* __restrict__ x, const float* __restrict__ dy, const float* __restrict__ mean,
                const float* __restrict__ var, float eps, const float* __restrict__ gamma,
                const float* __restrict__ beta, int relu, const float* __restrict__ dgamma,
                const float* __restrict__ dbeta, int batch_statistics, float* __restrict__ dx, int accumulate, int rows,
                int C, int rows_per_block) {
    if (relu) {
        input_gradient<true>(x, dy, mean, var, eps, gamma, beta, dgamma, dbeta, batch_statistics, dx, accumulate, rows,
                             C, rows_per_block);
    } else {
        input_gradient<false>(x, dy, mean, var, eps, gamma, beta, dgamma, dbeta, batch_statistics, dx, accumulate, rows,
                              C, rows_per_block);
    }
}
