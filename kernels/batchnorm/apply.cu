// batchnorm_apply: batch normalisation with given statistics, and what follows it in the same pass over memory.
//   y[row,c] = bn(x)[row,c]                          or, with relu,   max(bn(x)[row,c], 0) + residual[row,c]
//   where bn(x)[row,c] = (x[row,c] - mean[c]) / sqrt(var[c] + eps) * gamma[c] + beta[c]
// In        x [rows,C] f32; mean, var [C] f32: the batch's own (training) or the running ones (evaluation);
//           gamma, beta [C] f32; residual [rows,C] f32 or null
// Out       y [rows,C] f32, overwritten (=)
// Requires  rows*C < 2^31; a residual goes with relu                      (checked in src/ops/batchnorm/)
// Launch    common/columns.cuh; grid x: tiles of 32 channels, y: spans of rows_per_block rows
// Numerics  f32; x - mean first, which loses nothing where x is close to a large mean; with relu and residual the same
//           bits as this kernel without them, relu_fprop and residual_add_fprop in turn
// Cost      reads x and residual once, writes y once
// Source    Ioffe, Szegedy 2015
#include "batchnorm/normalization.cuh"

// All kernels that work by columns are launched with these.
constexpr int BLOCK_THREADS = 256;  // host: threads of a block of any kernel that works by columns
constexpr int BLOCK_CHANNELS = 32;  // host: channels that such a block owns
static_assert(BLOCK_THREADS == COLUMN_THREADS && BLOCK_CHANNELS == COLUMN_LANES, "the host launches one block a tile");

template <bool RELU>
__device__ __forceinline__ void apply(const float* __restrict__ x, const float* __restrict__ mean,
                                      const float* __restrict__ var, float eps, const float* __restrict__ gamma,
                                      const float* __restrict__ beta, const float* __restrict__ residual,
                                      float* __restrict__ y, int rows, int C, int rows_per_block) {
    Column column = column_of_thread(rows, C, rows_per_block);
    if (column.row >= column.end) return;
    const Normalization bn = normalization_of(column.c, mean, var, eps);
    const float gamma_c = gamma[column.c], beta_c = beta[column.c];
#pragma unroll 4
    for (; column.row < column.end; column.row += COLUMN_WARPS) {
        const int i = column.row * C + column.c;
        const float v = bn.apply(x[i], gamma_c, beta_c);
        const float rectified = RELU && v <= 0.0f ? 0.0f : v;  // NaN passes through
        y[i] = RELU && residual != nullptr ? rectified + residual[i] : rectified;
    }
}

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
batchnorm_apply(const float* __restrict__ x, const float* __restrict__ mean, const float* __restrict__ var, float eps,
                const float* __restrict__ gamma, const float* __restrict__ beta, int relu,
                const float* __restrict__ residual, float* __restrict__ y, int rows, int C, int rows_per_block) {
    if (relu) {
        apply<true>(x, mean, var, eps, gamma, beta, residual, y, rows, C, rows_per_block);
    } else {
        apply<false>(x, mean, var, eps, gamma, beta, nullptr, y, rows, C, rows_per_block);
    }
}
