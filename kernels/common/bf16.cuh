// bfloat16: the upper half of an f32, 8 bits of exponent and 7 of mantissa. Memory and tensor cores hold it;
// everything else is computed in f32.
#pragma once

struct bf16 {
    unsigned short bits;
};

__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

// The nearest bf16, ties to even.
__device__ __forceinline__ bf16 to_bf16(float x) {
    bf16 rounded;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded.bits) : "f"(x));
    return rounded;
}

// Two neighbours in one register, `first` in the lower half.
__device__ __forceinline__ unsigned pack_bf16(float first, float second) {
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}
