// The tensor memory accelerator of sm_90: one thread asks for a box of a tensor, and the copy runs on its own. The
// map, made by the host, knows the tensor's extents and strides, the box and the swizzle; the kernel names the box's
// first element, innermost axis first. What lies outside the tensor is read as zero and not written.
//                                                        (PTX ISA, "cp.async.bulk.tensor")
#pragma once

#include "common/mbarrier.cuh"

// The driver's CUtensorMap. A parameter of this type is `const __grid_constant__`: copies need its address.
struct alignas(64) TensorMap {
    unsigned long long words[16];
};

__device__ __forceinline__ void prefetch(const TensorMap& map) {
    asm volatile("prefetch.tensormap [%0];" : : "l"(&map) : "memory");
}

// Starts a copy to shared memory; its bytes complete on `landed`.
__device__ __forceinline__ void load_box(void* shared, const TensorMap& from, Barrier& landed, int i0, int i1, int i2) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], "
        "[%2];"
        :
        : "r"(shared_address(shared)), "l"(&from), "r"(shared_address(&landed)), "r"(i0), "r"(i1), "r"(i2)
        : "memory");
}

__device__ __forceinline__ void load_box(void* shared, const TensorMap& from, Barrier& landed, int i0, int i1, int i2,
                                         int i3) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, "
        "%6}], [%2];"
        :
        : "r"(shared_address(shared)), "l"(&from), "r"(shared_address(&landed)), "r"(i0), "r"(i1), "r"(i2), "r"(i3)
        : "memory");
}

// Starts a copy from shared memory, in this thread's open group of stores.
__device__ __forceinline__ void store_box(const TensorMap& to, const void* shared, int i0, int i1, int i2, int i3) {
    asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], [%1];"
                 :
                 : "l"(&to), "r"(shared_address(shared)), "r"(i0), "r"(i1), "r"(i2), "r"(i3)
                 : "memory");
}

// The stores that this thread has started since the last commit become one group.
__device__ __forceinline__ void commit_stores() { asm volatile("cp.async.bulk.commit_group;" : : : "memory"); }

// Waits until at most NEWEST of this thread's groups still read shared memory, which may then be overwritten.
template <int NEWEST>
__device__ __forceinline__ void wait_for_stores_to_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" : : "n"(NEWEST) : "memory");
}

// Makes this thread's ordinary stores to shared memory visible to copies and tensor cores that start behind a barrier.
__device__ __forceinline__ void publish_to_async_proxy() {
    asm volatile("fence.proxy.async.shared::cta;" : : : "memory");
}
