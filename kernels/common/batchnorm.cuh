// Batch normalisation of one channel: what its kernels share, and the fused ones (bn_relu_add) with them.
#pragma once

#include "common/columns.cuh"

// Count, mean and sum of squared distances from the mean, of some values.
struct Moments {
    float count, mean, m2;
};

// The moments of two sets of values together (Chan, Golub, LeVeque 1979): no cancellation, unlike E[x^2] - E[x]^2.
__device__ __forceinline__ Moments merge(Moments a, Moments b) {
    if (b.count == 0.0f) return a;
    if (a.count == 0.0f) return b;
    const float count = a.count + b.count, part_b = b.count / count, distance = b.mean - a.mean;
    return {count, fmaf(distance, part_b, a.mean), a.m2 + b.m2 + distance * distance * a.count * part_b};
}

// A channel's normalisation, in a thread's registers.
struct Normalization {
    float mean, inverse_deviation;

    __device__ __forceinline__ float normalized(float x) const { return (x - mean) * inverse_deviation; }

    // Written with fmaf, so that every kernel rounds the same way and finds the same sign for ReLU's mask.
    __device__ __forceinline__ float apply(float x, float gamma, float beta) const {
        return fmaf(normalized(x), gamma, beta);
    }
};

__device__ __forceinline__ Normalization normalization_of(int c, const float* __restrict__ mean,
                                                          const float* __restrict__ var, float eps) {
    return {mean[c], 1.0f / sqrtf(var[c] + eps)};
}

// The two sums over a channel's rows that the gradient needs: of dy * normalized x, and of dy. Aligned, so that they
// go to shared memory in one access: two of four bytes, eight apart, would each use every second bank only.
struct alignas(8) GradientSums {
    float dgamma, dbeta;
};

__device__ __forceinline__ GradientSums merge(GradientSums a, GradientSums b) {
    return {a.dgamma + b.dgamma, a.dbeta + b.dbeta};
}

// The output's gradient as batch normalisation sees it: dy, or where a ReLU follows, dy masked by the sign of what
// the ReLU was given. That is computed again: reading a mask would cost as much as reading x, which is read anyway.
template <bool RELU>
struct OutputGradient {
    float gamma, beta;

    __device__ __forceinline__ OutputGradient(int c, const float* __restrict__ gammas, const float* __restrict__ betas)
        : gamma(RELU ? gammas[c] : 0.0f), beta(RELU ? betas[c] : 0.0f) {}

    __device__ __forceinline__ float operator()(const Normalization& bn, float x, float dy) const {
        return !RELU || bn.apply(x, gamma, beta) > 0.0f ? dy : 0.0f;
    }
};

// dgamma[span,c], dbeta[span,c] = the sums over the block's span of rows. Without a ReLU gamma and beta may be null.
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

// dx over the block's span of rows. The batch's own statistics depend on x, which subtracts two means; running
// statistics do not. Without a ReLU beta may be null.
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
