// Where a gradient goes: over what is there, or onto it.
#pragma once

#include "common/vec4.cuh"

__device__ __forceinline__ void put_gradient(float* to, float gradient, int accumulate) {
    *to = accumulate ? *to + gradient : gradient;
}

// Four neighbouring elements; `to` is a multiple of 16 bytes.
__device__ __forceinline__ void put_gradient4(float* to, float4 gradient, int accumulate) {
    if (accumulate) {
        const float4 sum = load4(to);
        gradient = make_float4(sum.x + gradient.x, sum.y + gradient.y, sum.z + gradient.z, sum.w + gradient.w);
    }
    store4(to, gradient);
}
