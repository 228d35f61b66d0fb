// The last layer: N images, C = 512 features, K = 10 classes. At 10 classes a matrix product is four sums: what
// counts is that neighbouring lanes read neighbouring addresses.
#include "common/columns.cuh"
#include "common/reduce.cuh"

constexpr int BLOCK_THREADS = 256;  // host
constexpr int WARPS = 8;            // host
constexpr int COLUMNS = 32;         // host
static_assert(WARPS * WARP == BLOCK_THREADS && COLUMNS == COLUMN_LANES && BLOCK_THREADS == COLUMN_THREADS,
              "the host counts blocks with these");

// linear_fprop: y = x * weight^T + bias.
//   y[n,k] = bias[k] + sum_c x[n,c] * weight[k,c]
// In        x [N,C] f32; weight [K,C] f32; bias [K] f32
// Out       y [N,K] f32, overwritten (=)
// Requires  N*C, K*C, N*K < 2^31                                          (checked in src/ops/linear/)
// Launch    one warp owns one y[n,k], its lanes share out c; grid x: blocks of WARPS warps
// Numerics  f32; every 32nd c in a lane, then a butterfly over the lanes: bitwise repeatable
// Cost      2*N*C*K flop; each row of x and of weight is contiguous and stays in cache
// Source    definition
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
linear_fprop(const float* __restrict__ x, const float* __restrict__ weight, const float* __restrict__ bias,
             float* __restrict__ y, int N, int C, int K) {
    const int output = blockIdx.x * WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (output >= N * K) return;
    const int n = output / K, k = output % K;
    const float* x_n = x + n * C;
    const float* weight_k = weight + k * C;
    float sum = 0.0f;
#pragma unroll 4
    for (int c = lane; c < C; c += WARP) sum = fmaf(x_n[c], weight_k[c], sum);
    sum = warp_sum(sum);
    if (lane == 0) y[output] = sum + bias[k];
}

// linear_dgrad: input gradient, dx = dy * weight.
//   dx[n,c] = sum_k dy[n,k] * weight[k,c]
// In        dy [N,K] f32; weight [K,C] f32
// Out       dx [N,C] f32, overwritten (=), or added to (+=) to accumulate
// Launch    one thread owns one dx[n,c], so a warp reads 32 neighbouring c of a row of weight; grid x: blocks
// Numerics  f32, k ascending: bitwise repeatable
// Requires, Cost, Source: as linear_fprop
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
linear_dgrad(const float* __restrict__ dy, const float* __restrict__ weight, float* __restrict__ dx, int accumulate,
             int N, int C, int K) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= N * C) return;
    const int n = i / C, c = i % C;
    float sum = 0.0f;
#pragma unroll 4
    for (int k = 0; k < K; ++k) sum = fmaf(dy[n * K + k], weight[k * C + c], sum);
    put_gradient(dx + i, sum, accumulate);
}

// linear_wgrad: weight gradient, dweight = dy^T * x.
//   dweight[k,c] = sum_n dy[n,k] * x[n,c]
// In        x [N,C] f32; dy [N,K] f32
// Out       dweight [K,C] f32, overwritten (=), or added to (+=) to accumulate
// Launch    one block owns 32 neighbouring c of one k, its 8 warps share out n; grid x: tiles of COLUMNS c, y: k
// Numerics  f32; every 8th n in a thread, then the block's 8 warps: bitwise repeatable
// Requires, Cost, Source: as linear_fprop
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
linear_wgrad(const float* __restrict__ x, const float* __restrict__ dy, float* __restrict__ dweight, int accumulate,
             int N, int C, int K) {
    const int c = blockIdx.x * COLUMNS + threadIdx.x % COLUMNS, k = blockIdx.y;
    float sum = 0.0f;
    if (c < C) {
#pragma unroll 4
        for (int n = threadIdx.x / COLUMNS; n < N; n += WARPS) sum = fmaf(dy[n * K + k], x[n * C + c], sum);
    }
    sum = merge_warps(sum);
    if (threadIdx.x < COLUMNS && c < C) put_gradient(dweight + k * C + c, sum, accumulate);
}

// linear_bias_grad: bias gradient.
//   dbias[k] = sum_n dy[n,k]
// In        dy [N,K] f32
// Out       dbias [K] f32, overwritten (=), or added to (+=) to accumulate
// Launch    common/columns.cuh, one span of all rows; grid x: tiles of COLUMNS channels
// Numerics  as linear_wgrad
// Requires, Source: as linear_fprop
// Cost      reads dy once
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
linear_bias_grad(const float* __restrict__ dy, float* __restrict__ dbias, int accumulate, int N, int K) {
    column_sums(dy, dbias, accumulate, N, K, N);
}
