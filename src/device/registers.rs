//! The vector registers of CPUs, for loops whose sums must stay in them: there the compiler's own
//! vectorisation is too easily lost.

use super::cpu::Real;

/// A register that holds several elements of type T.
///
/// # Safety
/// The methods may be called only in functions that are compiled for a processor that has the register
/// and run on one.
pub unsafe trait Register<T>: Copy {
    /// Elements that it holds.
    const LEN: usize;

    /// The same element everywhere.
    unsafe fn splat(x: T) -> Self;
    /// The first elements of `from`, which has at least as many.
    unsafe fn load(from: &[T]) -> Self;
    /// Writes the first elements of `to`, which has at least as many.
    unsafe fn store(self, to: &mut [T]);
    /// self + other
    unsafe fn add(self, other: Self) -> Self;
    /// self + a b, rounded once where the processor can.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

/// The registers for elements of one type.
pub trait Registers: Sized {
    /// 512 bits of AVX-512F.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Register<Self>;
    /// 256 bits of AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Register<Self>;
}

/// Elements in an array, which is left to the compiler: for processors that have no implementation here.
#[derive(Clone, Copy)]
pub struct Array<T>([T; 4]);

// SAFETY: every processor has it.
unsafe impl<T: Real> Register<T> for Array<T> {
    const LEN: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Array([x; 4])
    }

    #[inline(always)]
    unsafe fn load(from: &[T]) -> Self {
        Array(*from.first_chunk().expect("a register's elements"))
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [T]) {
        to[..4].copy_from_slice(&self.0);
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Array([a + e, b + f, c + g, d + h])
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        let mut sums = self.0;
        for ((sum, a), b) in sums.iter_mut().zip(a.0).zip(b.0) {
            // On ARM this is an instruction of its own, elsewhere a slow function.
            *sum = if cfg!(target_arch = "aarch64") { a.mul_add(b, *sum) } else { *sum + a * b };
        }
        Array(sums)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Register, Registers};
    use std::arch::x86_64::*;

    macro_rules! register {
        ($register:ty, $t:ty, $splat:ident, $load:ident, $store:ident, $add:ident, $fmadd:ident) => {
            // SAFETY: the intrinsics need what the trait asks callers for.
            unsafe impl Register<$t> for $register {
                const LEN: usize = size_of::<$register>() / size_of::<$t>();

                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    // SAFETY: the caller's.
                    unsafe { $splat(x) }
                }

                #[inline(always)]
                unsafe fn load(from: &[$t]) -> Self {
                    assert!(from.len() >= Self::LEN);
                    // SAFETY: so many elements can be read; the processor is the caller's.
                    unsafe { $load(from.as_ptr()) }
                }

                #[inline(always)]
                unsafe fn store(self, to: &mut [$t]) {
                    assert!(to.len() >= Self::LEN);
                    // SAFETY: so many elements can be written; the processor is the caller's.
                    unsafe { $store(to.as_mut_ptr(), self) }
                }

                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: the caller's.
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                unsafe fn add_product(self, a: Self, b: Self) -> Self {
                    // SAFETY: the caller's.
                    unsafe { $fmadd(a, b, self) }
                }
            }
        };
    }

    register!(__m512, f32, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps);
    register!(
        __m512d,
        f64,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        _mm512_fmadd_pd
    );
    register!(__m256, f32, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_fmadd_ps);
    register!(
        __m256d,
        f64,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_add_pd,
        _mm256_fmadd_pd
    );

    impl Registers for f32 {
        type Avx512 = __m512;
        type Avx2 = __m256;
    }

    impl Registers for f64 {
        type Avx512 = __m512d;
        type Avx2 = __m256d;
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Registers for f32 {}
#[cfg(not(target_arch = "x86_64"))]
impl Registers for f64 {}
