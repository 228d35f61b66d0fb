// Barriers in shared memory, by which a block's threads and its asynchronous copies wait for one another, and the
// pipeline of stages that is made of them. sm_90.
#pragma once

#include "common/ptx.cuh"

// An mbarrier. It counts arrivals and, on top, bytes that copies have announced; when both have come, its phase ends
// and the next begins. A waiting thread says the parity of the phase it waits for.      (PTX ISA, "mbarrier")
struct Barrier {
    unsigned long long state;

    // By one thread, before any other uses it: a phase ends after `arrivals` arrivals.
    __device__ __forceinline__ void init(int arrivals) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" : : "r"(shared_address(this)), "r"(arrivals) : "memory");
    }

    __device__ __forceinline__ void arrive() {
        asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" : : "r"(shared_address(this)) : "memory");
    }

    // Arrives, and announces copies of `bytes` bytes that will complete on this barrier.
    __device__ __forceinline__ void arrive_expecting(int bytes) {
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
                     :
                     : "r"(shared_address(this)), "r"(bytes)
                     : "memory");
    }

    // Waits until the phase of this parity has ended. A new barrier is in a phase of parity 0, so the phase "before"
    // it, of parity 1, counts as ended.
    __device__ __forceinline__ void wait(unsigned parity) {
        asm volatile(
            "{\n"
            ".reg .pred ended;\n"
            "again:\n"
            "mbarrier.try_wait.parity.shared::cta.b64 ended, [%0], %1;\n"
            "@!ended bra again;\n"
            "}\n"
            :
            : "r"(shared_address(this)), "r"(parity)
            : "memory");
    }
};

// Makes barriers that this thread has initialised known to copies.
__device__ __forceinline__ void publish_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;" : : : "memory");
}

// A ring of STAGES buffers between one producer and CONSUMERS warps that consume. The producer waits until a stage is
// empty and has it filled; the consumers wait until it is full, and release it.
//
//   stage      0     1     2     3     0     1   ..       `full` ends a phase when a filling has landed, `empty` when
//   phase      0     0     0     0     1     1   ..       all consumers have released the stage.
template <int STAGES, int CONSUMERS>
struct Pipeline {
    Barrier full[STAGES], empty[STAGES];

    // A place in the ring: which stage, and the parity of how often the ring has been round.
    struct Place {
        int stage;
        unsigned phase;

        __device__ __forceinline__ void advance() {
            if (++stage == STAGES) stage = 0, phase ^= 1;
        }
    };

    // By one thread; the others need a barrier behind it.
    __device__ __forceinline__ void init() {
        for (int stage = 0; stage < STAGES; ++stage) full[stage].init(1), empty[stage].init(CONSUMERS);
        publish_barriers();
    }

    // The producer: waits for the stage, announces the `bytes` bytes that it is going to be filled with, and returns
    // the barrier that their copies complete on.
    __device__ __forceinline__ Barrier& fill(Place at, int bytes) {
        empty[at.stage].wait(at.phase ^ 1);
        full[at.stage].arrive_expecting(bytes);
        return full[at.stage];
    }

    // A consumer: waits until the stage is full.
    __device__ __forceinline__ void wait_until_full(Place at) { full[at.stage].wait(at.phase); }

    // A consumer, by one thread of each warp: the stage may be filled again.
    __device__ __forceinline__ void release(int stage) { empty[stage].arrive(); }
};
