// 16-byte accesses: four neighbouring floats in one instruction. The address must be a multiple of 16 bytes; device
// allocations are, so `tensor + i` is for every i that is a multiple of 4.
#pragma once

__device__ __forceinline__ float4 load4(const float* from) { return *reinterpret_cast<const float4*>(from); }

__device__ __forceinline__ void store4(float* to, float4 value) { *reinterpret_cast<float4*>(to) = value; }
