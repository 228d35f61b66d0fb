// sgd_step: one step of stochastic gradient descent with momentum.
//   g = grad + weight_decay * param + l1 * sign(param)
//   velocity = momentum * velocity + g
//   param = param - lr * (nesterov ? g + momentum * velocity : velocity)
// In        lr [1] f32, in device memory so that a recorded graph of steps sees it change; grad [count] f32
// Out       param, velocity [count] f32, updated in place; velocity starts at zero
// Requires  count < 2^31                                                  (checked in src/ops/sgd/)
// Launch    grid x: blocks of BLOCK_THREADS threads, one element a thread
// Numerics  f32; sign(0) = 0
// Cost      reads grad, param and velocity once, writes param and velocity once
// Source    torch.optim.SGD
constexpr int BLOCK_THREADS = 256;  // host

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
sgd_step(const float* __restrict__ lr, const float* __restrict__ grad, float* __restrict__ param,
         float* __restrict__ velocity, float momentum, float weight_decay, float l1, int nesterov, int count) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= count) return;
    const float p = param[i];
    const float sign = p > 0.0f ? 1.0f : p < 0.0f ? -1.0f : 0.0f;
    const float g = grad[i] + weight_decay * p + l1 * sign;
    const float v = momentum * velocity[i] + g;
    velocity[i] = v;
    param[i] = p - lr[0] * (nesterov ? g + momentum * v : v);
}
