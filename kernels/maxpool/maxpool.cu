#include "common/gradient.cuh"

constexpr int BLOCK_THREADS = 256;  // host

// maxpool_fprop: maximum over non-overlapping windows of 2x2 or 4x4.
//   y[n,p,q,c] = max over i,j < window of x[n, p*window+i, q*window+j, c];   argmax[n,p,q,c] = i*window + j there
// In        x [N,H,W,C] f32
// Out       y [N,P,Q,C] f32, argmax [N,P,Q,C] u8, both overwritten (=); P = H/window, Q = W/window
// Requires  window 2 or 4, which divides H and W; N*H*W*C < 2^31          (checked in src/ops/maxpool/)
// Launch    one block owns BLOCK_THREADS neighbouring (q,c) of one output row n,p, one a thread;
//           grid x: rows, y: pieces of a row
// Numerics  exact; of equal values the first in row-major order wins, a NaN wins over every number
// Cost      reads x once, writes y and argmax once
// Source    torch.nn.MaxPool2d
template <int WINDOW>
__device__ __forceinline__ void pool(const float* __restrict__ x, float* __restrict__ y,
                                     unsigned char* __restrict__ argmax, int W, int C) {
    const int Q = W / WINDOW;
    const int qc = blockIdx.y * BLOCK_THREADS + threadIdx.x, q = qc / C, c = qc % C;
    if (q >= Q) return;
    // Windows tile the image, so row n,p of y is made from rows n*H + p*window ... of x: blockIdx.x*window ...
    const float* x_window = x + (blockIdx.x * WINDOW * W + q * WINDOW) * C + c;
    float best = x_window[0];
    int winner = 0;
#pragma unroll
    for (int tap = 1; tap < WINDOW * WINDOW; ++tap) {
        const float v = x_window[(tap / WINDOW * W + tap % WINDOW) * C];
        if (v > best || v != v) {
            best = v;
            winner = tap;
        }
    }
    y[blockIdx.x * Q * C + qc] = best;
    argmax[blockIdx.x * Q * C + qc] = static_cast<unsigned char>(winner);
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
maxpool_fprop(const float* __restrict__ x, float* __restrict__ y, unsigned char* __restrict__ argmax, int W, int C,
              int window) {
    if (window == 2) {
        pool<2>(x, y, argmax, W, C);
    } else {
        pool<4>(x, y, argmax, W, C);
    }
}

// maxpool_dgrad: input gradient of the max pool: each window's dy goes to the element that won it.
//   dx[n, p*window+i, q*window+j, c] = argmax[n,p,q,c] == i*window + j ? dy[n,p,q,c] : 0
// In        dy [N,P,Q,C] f32; argmax [N,P,Q,C] u8, from maxpool_fprop
// Out       dx [N,H,W,C] f32, overwritten (=), or added to (+=) to accumulate
// Requires, Launch: as maxpool_fprop; a thread writes the window^2 elements of its window
// Numerics  exact
// Cost      reads dy and argmax once, writes dx once
// Source    torch.nn.MaxPool2d
template <int WINDOW>
__device__ __forceinline__ void unpool(const float* __restrict__ dy, const unsigned char* __restrict__ argmax,
                                       float* __restrict__ dx, int accumulate, int W, int C) {
    const int Q = W / WINDOW;
    const int qc = blockIdx.y * BLOCK_THREADS + threadIdx.x, q = qc / C, c = qc % C;
    if (q >= Q) return;
    float* dx_window = dx + (blockIdx.x * WINDOW * W + q * WINDOW) * C + c;
    const float gradient = dy[blockIdx.x * Q * C + qc];
    const int winner = argmax[blockIdx.x * Q * C + qc];
#pragma unroll
    for (int tap = 0; tap < WINDOW * WINDOW; ++tap) {
        put_gradient(dx_window + (tap / WINDOW * W + tap % WINDOW) * C, tap == winner ? gradient : 0.0f, accumulate);
    }
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
maxpool_dgrad(const float* __restrict__ dy, const unsigned char* __restrict__ argmax, float* __restrict__ dx,
              int accumulate, int W, int C, int window) {
    if (window == 2) {
        unpool<2>(dy, argmax, dx, accumulate, W, C);
    } else {
        unpool<4>(dy, argmax, dx, accumulate, W, C);
    }
}
