// PTX instructions that CUDA C++ has no name for, one function each. The section named is that of NVIDIA's PTX ISA.
#pragma once

__device__ __forceinline__ unsigned shared_address(const void* shared) {
    return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

// cp.async: starts a copy of 16 bytes from global to shared memory, past the registers; or of 16 zeros, if not `read`.
// Either address must be a multiple of 16 bytes.                                     (PTX ISA, "Non-bulk copy")
__device__ __forceinline__ void copy_async(float* shared, const float* global, bool read) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(shared)), "l"(global), "r"(read ? 16 : 0)
                 : "memory");
}

// The copies that this thread has started since the last commit become one group.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" : : : "memory"); }

// Waits until at most `NEWEST` of this thread's groups are still on their way. Others' copies need a barrier on top.
template <int NEWEST>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" : : "n"(NEWEST) : "memory");
}

// ldmatrix: four 8 x 4 matrices of 32-bit words. Lane l gives the address of row l%8 (16 bytes) of matrix l/8, and
// receives in word[i] element [l/4][l%4] of matrix i: what mma wants of it.               (PTX ISA, "ldmatrix")
__device__ __forceinline__ void load_matrices(unsigned (&word)[4], const float* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// stmatrix, transposed: four 8 x 8 matrices of 16-bit elements. Lane l holds in word[i] the elements [l/4][2*(l%4)] and
// the next of matrix i, as tensor cores leave them, and gives the address to put column l%8 (16 bytes) of matrix l/8.
//                                                                                       (PTX ISA, "stmatrix"), sm_90
__device__ __forceinline__ void store_columns(void* column, const unsigned (&word)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};"
                 :
                 : "r"(shared_address(column)), "r"(word[0]), "r"(word[1]), "r"(word[2]), "r"(word[3])
                 : "memory");
}

// Two neighbours in one store, which the compiler otherwise takes apart. `to` is a multiple of 8 bytes.
__device__ __forceinline__ void store_pair(float* to, float first, float second) {
    asm volatile("st.global.v2.f32 [%0], {%1, %2};" : : "l"(to), "f"(first), "f"(second) : "memory");
}

// The nearest tf32, ties away from zero: f32's exponent, 10 bits of mantissa. Tensor cores would cut the rest off.
__device__ __forceinline__ unsigned to_tf32(unsigned f32) {
    unsigned tf32;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(tf32) : "f"(__uint_as_float(f32)));
    return tf32;
}

// mma: sum[16][8] += a[16][8] * b[8][8], by the whole warp on the tensor cores. With g = lane/4 and t = lane%4 a lane
// holds a[g][t], a[g+8][t], a[g][t+4], a[g+8][t+4]; b[t][g], b[t+4][g]; and of sum the neighbours [g][2t], [g][2t+1],
// [g+8][2t], [g+8][2t+1].                                       (PTX ISA, "Matrix fragments for mma.m16n8k8")
__device__ __forceinline__ void mma_tf32(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
