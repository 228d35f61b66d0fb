//! Small matrix products, as the tensor cores' instructions define them here.
//!
//! Every element of the result is a chain of fused multiply-adds over k, from 0 upwards, that starts
//! from the accumulator: `d = fma(a[k-1], b[k-1], … fma(a[0], b[0], c))`. In f32 the products of
//! f16, bf16, tf32 and fp8 elements are exact, so each step rounds once, to nearest even. Hardware
//! sums several products before it rounds, in an order NVIDIA does not tell; this order is fixed.

/// Most rows, columns and depth of one `mma`.
const ROWS: usize = 16;
pub(crate) const COLUMNS: usize = 8;
const DEPTH: usize = 32;

/// The operands of `d = a * b + d` for elements of type `T`; unused rows are zero.
#[derive(Clone)]
pub(crate) struct Tiles<T> {
    /// `a[row][k]`
    pub a: [[T; DEPTH]; ROWS],
    /// `b[k][column]`
    pub b: [[T; COLUMNS]; DEPTH],
    /// `d[row][column]`
    pub d: [[T; COLUMNS]; ROWS],
}

impl<T: Copy + Default> Default for Tiles<T> {
    fn default() -> Self {
        let zero = T::default();
        Self { a: [[zero; DEPTH]; ROWS], b: [[zero; COLUMNS]; DEPTH], d: [[zero; COLUMNS]; ROWS] }
    }
}

/// A number that tiles are multiplied in.
pub(crate) trait Element: Copy + Default + 'static {
    /// `self * b + c`, rounded once.
    fn multiply_add(self, b: Self, c: Self) -> Self;
    /// The product for this CPU.
    fn best() -> fn(&mut Tiles<Self>, usize);
}

/// `d += a * b` over `rows` rows and `k` products.
#[inline(always)]
fn multiply<T: Element>(tiles: &mut Tiles<T>, k: usize) {
    for (a, d) in tiles.a.iter().zip(&mut tiles.d) {
        for (&a, b) in a[..k].iter().zip(&tiles.b) {
            for (d, &b) in d.iter_mut().zip(b) {
                *d = a.multiply_add(b, *d);
            }
        }
    }
}

macro_rules! element {
    ($ty:ty) => {
        impl Element for $ty {
            #[inline(always)]
            fn multiply_add(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }
            fn best() -> fn(&mut Tiles<Self>, usize) {
                #[cfg(target_arch = "x86_64")]
                {
                    #[target_feature(enable = "avx2,fma")]
                    fn with_fma(tiles: &mut Tiles<$ty>, k: usize) {
                        multiply(tiles, k);
                    }
                    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                        // SAFETY: the CPU has both features, as just asked.
                        return |tiles, k| unsafe { with_fma(tiles, k) };
                    }
                }
                multiply
            }
        }
    };
}

element!(f32);
element!(f64);

/// Sums of products of 8-bit integers, which 64 bits hold exactly.
impl Element for i64 {
    fn multiply_add(self, b: Self, c: Self) -> Self {
        self * b + c
    }
    fn best() -> fn(&mut Tiles<Self>, usize) {
        multiply
    }
}
