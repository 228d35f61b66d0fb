#include "common/gradient.cuh"
#include "common/reduce.cuh"

constexpr int BLOCK_THREADS = 256;  // host
constexpr int ROWS = 8;             // host
static_assert(ROWS * WARP == BLOCK_THREADS, "one warp a row");

// The probability that the smoothed label gives class k: 1 on the label, less `smoothing`, which all classes share.
__device__ __forceinline__ float target(int k, int label, float smoothing, int K) {
    return (k == label ? 1.0f - smoothing : 0.0f) + smoothing / K;
}

// softmax_nll_fprop: log-softmax and the negative log-likelihood of each row's label.
//   log_probs[n,k] = logits[n,k] - max_j logits[n,j] - log sum_j exp(logits[n,j] - max_j logits[n,j])
//   losses[n] = -sum_k target[n,k] * log_probs[n,k],   target[n,k] = (1-smoothing)*[k == labels[n]] + smoothing/K
// In        logits [N,K] f32; labels [N] i32; smoothing in [0,1]
// Out       log_probs [N,K] f32, losses [N] f32, both overwritten (=)
// Requires  0 <= labels[n] < K, by whoever reads the labels; N*K < 2^31   (checked in src/ops/softmax_nll/)
// Launch    one warp owns one row, its lanes share out k; grid x: blocks of ROWS rows
// Numerics  the maximum is subtracted first, so that no exp overflows; a lane's k ascending, then a butterfly
// Cost      reads logits three times, twice from cache; writes log_probs once
// Source    torch.nn.CrossEntropyLoss
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
softmax_nll_fprop(const float* __restrict__ logits, const int* __restrict__ labels, float smoothing,
                  float* __restrict__ log_probs, float* __restrict__ losses, int N, int K) {
    const int n = blockIdx.x * ROWS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (n >= N) return;
    const float* logits_n = logits + n * K;
    float* log_probs_n = log_probs + n * K;

    float largest = logits_n[0];
    for (int k = lane; k < K; k += WARP) largest = fmaxf(largest, logits_n[k]);
    largest = warp_max(largest);

    float sum = 0.0f;
    for (int k = lane; k < K; k += WARP) sum += expf(logits_n[k] - largest);
    const float log_sum = logf(warp_sum(sum));

    float likelihood = 0.0f;
    for (int k = lane; k < K; k += WARP) {
        const float log_prob = logits_n[k] - largest - log_sum;
        const float weight = target(k, labels[n], smoothing, K);
        log_probs_n[k] = log_prob;
        // A class without weight adds nothing, also where its log-probability is -infinity.
        if (weight != 0.0f) likelihood = fmaf(weight, log_prob, likelihood);
    }
    likelihood = warp_sum(likelihood);
    if (lane == 0) losses[n] = -likelihood;
}

// softmax_nll_mean: the batch's loss.
//   loss[0] = sum_n losses[n] / N
// In        losses [N] f32
// Out       loss [1] f32, overwritten (=)
// Requires  N > 0                                                         (checked in src/ops/softmax_nll/)
// Launch    one block of BLOCK_THREADS threads
// Numerics  f32; every 256th row in a thread, then its block: bitwise repeatable
// Cost      reads losses once
// Source    definition
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
softmax_nll_mean(const float* __restrict__ losses, float* __restrict__ loss, int N) {
    float sum = 0.0f;
    for (int n = threadIdx.x; n < N; n += BLOCK_THREADS) sum += losses[n];
    sum = block_sum<BLOCK_THREADS>(sum);
    if (threadIdx.x == 0) loss[0] = sum / N;
}

// softmax_nll_dgrad: gradient of the logits: what the network believes, less what it should.
//   dlogits[n,k] = dloss[0] / N * (exp(log_probs[n,k]) - target[n,k])
// In        log_probs [N,K] f32; labels [N] i32; dloss [1] f32, the gradient of the mean loss
// Out       dlogits [N,K] f32, overwritten (=), or added to (+=) to accumulate
// Requires  as softmax_nll_fprop
// Launch    grid x: blocks of BLOCK_THREADS threads, one element a thread
// Numerics  f32
// Cost      reads log_probs once, writes dlogits once
// Source    derivation in kernels/README.md
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
softmax_nll_dgrad(const float* __restrict__ log_probs, const int* __restrict__ labels, float smoothing,
                  const float* __restrict__ dloss, float* __restrict__ dlogits, int accumulate, int N, int K) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= N * K) return;
    const int n = i / K, k = i % K;
    const float gradient = dloss[0] / N * (expf(log_probs[i]) - target(k, labels[n], smoothing, K));
    put_gradient(dlogits + i, gradient, accumulate);
}
