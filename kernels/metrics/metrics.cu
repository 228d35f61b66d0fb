// metrics_correct: how many rows have their largest logit at their label.
//   count[0] = number of n with labels[n] == argmax_k logits[n,k]
// In        logits [N,K] f32; labels [N] i32
// Out       count [1] i32, overwritten (=)
// Requires  N*K < 2^31                                                    (checked in src/ops/metrics/)
// Launch    one block of BLOCK_THREADS threads, every 256th row a thread
// Numerics  exact; of equal logits the first wins, a NaN wins over every number
// Cost      reads logits once
// Source    torch.argmax
#include "common/reduce.cuh"

constexpr int BLOCK_THREADS = 256;  // host

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
metrics_correct(const float* __restrict__ logits, const int* __restrict__ labels, int* __restrict__ count, int N,
                int K) {
    int correct = 0;
    for (int n = threadIdx.x; n < N; n += BLOCK_THREADS) {
        const float* logits_n = logits + n * K;
        int best = 0;
        for (int k = 1; k < K; ++k) {
            // Not "greater", so that a NaN is taken; and none is given up once taken.
            if (!(logits_n[k] <= logits_n[best]) && logits_n[best] == logits_n[best]) best = k;
        }
        correct += best == labels[n];
    }
    correct = block_sum<BLOCK_THREADS>(correct);
    if (threadIdx.x == 0) count[0] = correct;
}
