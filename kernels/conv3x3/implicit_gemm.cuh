// The operand that makes a 3x3 convolution a matrix product: row `pixel`, column (tap, channel) of
//   gathered[pixel, tap, channel] = source[pixel moved by the tap, channel],   0 where that leaves the image
// It is never stored ("implicit" GEMM): its slabs are gathered from the NHWC tensor straight into shared memory.
//
// Two facts make the gathering cheap. Stride 1 and padding 1 give x and y the same pixels, so tap (r,s) of pixel
// n,p,q is pixel n,p+r-1,q+s-1, which is (r-1)*W + (s-1) further in memory: one addition, no division. And whether
// it lies inside the image is one of nine bits that depend on the pixel alone.
#pragma once

#include "common/gemm_tile.cuh"

constexpr int TAPS = 9;  // tap = 3*r + s

// Bit `tap` says whether that neighbour of `pixel` is inside its image. None is, for a pixel beyond the last.
__device__ __forceinline__ unsigned taps_inside(int pixel, int pixels, int H, int W) {
    if (pixel >= pixels) return 0;
    const int w = pixel % W, h = pixel / W % H;
    unsigned inside = 0;
#pragma unroll
    for (int tap = 0; tap < TAPS; ++tap) {
        const bool row = static_cast<unsigned>(h + tap / 3 - 1) < static_cast<unsigned>(H);
        const bool column = static_cast<unsigned>(w + tap % 3 - 1) < static_cast<unsigned>(W);
        inside |= (row && column ? 1u : 0u) << tap;
    }
    return inside;
}

// How far in memory, in pixels, tap is from the pixel it is a neighbour of.
__device__ __forceinline__ int tap_distance(int tap, int W) { return (tap / 3 - 1) * W + tap % 3 - 1; }

// A place on the axis gemm_k = tap*channels + channel. It walks forward without a division.
struct TapChannel {
    int tap, channel;

    __device__ __forceinline__ void advance(int steps, int channels) {
        for (channel += steps; channel >= channels; channel -= channels) ++tap;
    }
};

// Fills a_slab with 16 columns of `gathered` for the 128 pixels from pixel0 on. Lanes are neighbours in gemm_k, so 16
// of them read 64 contiguous bytes. `at` is this thread's column: threadIdx.x % TILE_K further than the slab's first.
// Beyond the last tap no bit of `inside` is set, which pads gemm_k with zeros.
__device__ __forceinline__ void gather_slab(Slab<TILE_M, BY_COLUMNS>& a_slab,
                                            const float* __restrict__ source, const unsigned (&inside)[TILE_M],
                                            TapChannel at, int pixel0, int W, int channels) {
    constexpr int PIXELS_AT_ONCE = TILE_THREADS / TILE_K;
    const int distance = tap_distance(at.tap, W) * channels + at.channel;
    float* to = a_slab.at(threadIdx.x % TILE_K, threadIdx.x / TILE_K);
#pragma unroll
    for (int i = 0; i < TILE_M; i += PIXELS_AT_ONCE) {
        const int pixel = i + threadIdx.x / TILE_K;
        const bool read = inside[pixel] >> at.tap & 1;
        to[i] = read ? source[(pixel0 + pixel) * channels + distance] : 0.0f;
    }
}
