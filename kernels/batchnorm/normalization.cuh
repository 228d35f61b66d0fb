// Batch normalisation of one channel: what its kernels share.
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
