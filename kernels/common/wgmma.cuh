// Products on Hopper's tensor cores: wgmma multiplies from shared memory, asynchronously, by a warpgroup of four warps.
// sm_90a.                                              (PTX ISA, "Asynchronous warpgroup level matrix instructions")
//
// Operands lie in shared memory in rows of 128 bytes (64 bf16), as TMA writes a box under its 128-byte swizzle: eight
// rows are one kilobyte, in which chunk c of row r lies at place c ^ r. Which axis runs along a row is the operand's
// major axis:
//   K_MAJOR    a row is 64 values of k, and the rows are m (or n)
//   MN_MAJOR   a row is 64 values of m (or n), and the rows are k
#pragma once

#include "common/ptx.cuh"

enum Major { K_MAJOR = 0, MN_MAJOR = 1 };

constexpr int SWIZZLE_ROW = 128;                  // bytes
constexpr int SWIZZLE_BLOCK = 8 * SWIZZLE_ROW;    // bytes until the swizzle repeats; tiles start at multiples
constexpr int WGMMA_K = 16;                       // of k, in one instruction
constexpr int WARPGROUP = 128;                    // threads

// Where an operand is: its rows lie densely. Where it is MN_MAJOR and wider than the 64 values of a row, the next 64 are
// `wide` bytes further.
__device__ __forceinline__ unsigned long long operand_at(const void* shared, int wide = 16) {
    constexpr unsigned long long SWIZZLE_128 = 1ull << 62;
    return SWIZZLE_128 | static_cast<unsigned long long>(SWIZZLE_BLOCK / 16) << 32 |
           static_cast<unsigned long long>(wide / 16) << 16 | shared_address(shared) / 16;
}

// How much further the operand of the next 16 values of k is, in the 16 bytes that an operand's place counts in: along
// its rows, or 16 rows down.
template <Major MAJOR>
constexpr int NEXT_K = (MAJOR == K_MAJOR ? WGMMA_K * 2 : WGMMA_K * SWIZZLE_ROW) / 16;

// Before the first product of a series: accumulators and operands are what the threads have made them.
__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" : : : "memory"); }

// The products started since the last commit become one group.
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" : : : "memory"); }

// Waits until at most NEWEST groups are still being multiplied. Before that, nobody may touch `sum`: that the compiler
// moves nothing across the wait, each sum passes through it.
template <int NEWEST, int COUNT>
__device__ __forceinline__ void wait_for_products(float (&sum)[COUNT]) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(NEWEST) : "memory");
#pragma unroll
    for (int i = 0; i < COUNT; ++i) asm volatile("" : "+f"(sum[i]) : : "memory");
}

// Waits for the other threads of this warpgroup; a block's warpgroups are numbered from 0, barrier 0 is __syncthreads'.
__device__ __forceinline__ void sync_warpgroup(int group) {
    asm volatile("bar.sync %0, %1;" : : "r"(1 + group), "n"(WARPGROUP) : "memory");
}

// A warpgroup's threads give registers back, or take of those given back, until each has COUNT.
template <int COUNT>
__device__ __forceinline__ void give_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" : : "n"(COUNT));
}
template <int COUNT>
__device__ __forceinline__ void take_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" : : "n"(COUNT));
}

// The names of registers in the instruction's text, and the accumulators that they stand for.
#define REGISTERS_0_31 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define REGISTERS_32_63 \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define REGISTERS_64_95 \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define REGISTERS_96_127 \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define ACCUMULATORS_8(d, i) \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
        "+f"(d[i + 7])
#define ACCUMULATORS_32(d, i) \
    ACCUMULATORS_8(d, i), ACCUMULATORS_8(d, i + 8), ACCUMULATORS_8(d, i + 16), ACCUMULATORS_8(d, i + 24)

// Starts sum[64][N] (+)= a[64][16] * b[16][N] in bf16; without `add` the sum starts from 0. A thread holds, for each
// eight columns j, sum[4j..4j+3] = rows lane/4 (first two) and lane/4 + 8 of its warp's 16, columns 8j + 2*(lane%4)
// and the next.                                          (PTX ISA, "Register fragments for wgmma.mma_async.m64nNk16")
template <int N, Major A, Major B>
__device__ __forceinline__ void multiply(float (&sum)[N / 2], unsigned long long a, unsigned long long b, bool add) {
    static_assert(N == 128 || N == 192 || N == 256, "the widths that kernels use");
    if constexpr (N == 128) {
        asm volatile(
            "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" REGISTERS_0_31 ", " REGISTERS_32_63
            "}, %64, %65, add, 1, 1, %67, %68;\n}\n"
            : ACCUMULATORS_32(sum, 0), ACCUMULATORS_32(sum, 32)
            : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(static_cast<int>(A)), "n"(static_cast<int>(B)));
    } else if constexpr (N == 192) {
        asm volatile(
            "{\n.reg .pred add;\nsetp.ne.b32 add, %98, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 {" REGISTERS_0_31 ", " REGISTERS_32_63
            ", " REGISTERS_64_95 "}, %96, %97, add, 1, 1, %99, %100;\n}\n"
            : ACCUMULATORS_32(sum, 0), ACCUMULATORS_32(sum, 32), ACCUMULATORS_32(sum, 64)
            : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(static_cast<int>(A)), "n"(static_cast<int>(B)));
    } else {
        asm volatile(
            "{\n.reg .pred add;\nsetp.ne.b32 add, %130, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" REGISTERS_0_31 ", " REGISTERS_32_63
            ", " REGISTERS_64_95 ", " REGISTERS_96_127 "}, %128, %129, add, 1, 1, %131, %132;\n}\n"
            : ACCUMULATORS_32(sum, 0), ACCUMULATORS_32(sum, 32), ACCUMULATORS_32(sum, 64), ACCUMULATORS_32(sum, 96)
            : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(static_cast<int>(A)), "n"(static_cast<int>(B)));
    }
}

#undef REGISTERS_0_31
#undef REGISTERS_32_63
#undef REGISTERS_64_95
#undef REGISTERS_96_127
#undef ACCUMULATORS_8
#undef ACCUMULATORS_32
