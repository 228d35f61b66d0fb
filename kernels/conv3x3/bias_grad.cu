// conv3x3_bias_grad: gradient of a convolution's bias, over each span of pixels.
//   dbias[span,k] = sum_{pixels in span} dy[pixel,k]
// In        dy [pixels,K] f32, pixels = N*P*Q
// Out       dbias [spans,K] f32, overwritten (=), or added to (+=) to accumulate. Launched again with it as dy and one
//           span, it gives dbias [K].
// Requires  pixels*K < 2^31                                               (checked in src/ops/conv3x3/)
// Launch    common/columns.cuh; grid x: tiles of 32 channels, y: spans of rows_per_block pixels
// Numerics  f32; every 8th row in a thread, then its block's 8 warps: bitwise repeatable
// Cost      reads dy once
// Source    definition
#include "common/columns.cuh"

extern "C" __global__ void __launch_bounds__(COLUMN_THREADS)
conv3x3_bias_grad(const float* __restrict__ dy, float* __restrict__ dbias, int accumulate, int pixels, int K,
                  int rows_per_block) {
    column_sums(dy, dbias, accumulate, pixels, K, rows_per_block);
}
