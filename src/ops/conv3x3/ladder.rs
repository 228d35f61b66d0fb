//! The rungs of the convolution's ladder, each by its name: for tests, benchmarks and the profiler. Training
//! uses the functions of the parent module, which choose one. GPU only.

use super::{Conv3x3Shape, OP, gpu};
use crate::error::{Error, Result};
use crate::ops::gradient::Gradient;
use crate::ops::math::MathMode;
use crate::ops::spec::Arguments;
use crate::tensor::Tensor;

/// A way to compute a convolution and its gradients on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// One thread an output, all from global memory: `kernels/conv3x3/ladder/1_naive.cu`.
    Naive,
    /// Implicit GEMM from shared memory and registers: `kernels/conv3x3/{fprop,dgrad,wgrad}.cu`.
    Tiled,
    /// Implicit GEMM on tensor cores, factors rounded to tf32: `kernels/conv3x3/ladder/3_mma.cu`.
    Mma,
}

impl Rung {
    /// The rung that training uses.
    pub(super) fn of(math: MathMode, s: &Conv3x3Shape) -> Rung {
        match math {
            MathMode::Tf32 if Rung::Mma.takes(s) => Rung::Mma,
            MathMode::F32 | MathMode::Tf32 => Rung::Tiled,
        }
    }

    /// Its name, as kernels and benchmarks end in it.
    pub const fn name(self) -> &'static str {
        match self {
            Rung::Naive => "naive",
            Rung::Tiled => "tiled",
            Rung::Mma => "mma",
        }
    }

    /// How it multiplies.
    pub const fn math(self) -> MathMode {
        match self {
            Rung::Naive | Rung::Tiled => MathMode::F32,
            Rung::Mma => MathMode::Tf32,
        }
    }

    /// Whether it is made for the shape.
    pub fn takes(self, s: &Conv3x3Shape) -> bool {
        self != Rung::Mma || gpu::mma::takes(s)
    }

    /// Runs `operation`, a row of the registry, on this rung.
    ///
    /// # Errors
    /// As [`super::conv3x3`]; [`Error::Operand`] when the operands are not on a GPU, the rung does
    /// not take their shape, or the operation is no pass of the convolution.
    pub fn run(self, operation: &str, a: &mut Arguments) -> Result<Tensor> {
        match operation {
            "conv3x3_fprop" => {
                let (x, filter, bias) = (a.tensor("x")?, a.tensor("filter")?, a.optional("bias"));
                let s = Conv3x3Shape::of_fprop(x, filter, bias)?;
                let mut y = x.empty_like(&self.checked(&s)?.y())?;
                gpu::fprop(self, &s, x, filter, bias, &mut y)?;
                Ok(y)
            }
            "conv3x3_dgrad" => {
                let dx = a.destination("dx");
                let (dy, filter) = (a.tensor("dy")?, a.tensor("filter")?);
                let s = Conv3x3Shape::of_dgrad(dy, filter)?;
                let mut dx =
                    Gradient::new(OP, "dx [N,H,W,C] =", dx, dy, &self.checked(&s)?.x())?;
                gpu::dgrad(self, &s, dy, filter, &mut dx)?;
                Ok(dx.into_tensor())
            }
            "conv3x3_wgrad" => {
                let dfilter = a.destination("dfilter");
                let (x, dy) = (a.tensor("x")?, a.tensor("dy")?);
                let s = Conv3x3Shape::of_wgrad(x, dy)?;
                let shape = self.checked(&s)?.filter();
                let mut dfilter =
                    Gradient::of_parameter(OP, "dfilter [K,3,3,C] =", dfilter, x, &shape)?;
                gpu::wgrad(self, &s, x, dy, &mut dfilter)?;
                Ok(dfilter.into_tensor())
            }
            other => Err(Error::Operand {
                op: OP,
                expected: "conv3x3_fprop, conv3x3_dgrad or conv3x3_wgrad, which have a ladder".into(),
                found: other.into(),
            }),
        }
    }

    fn checked(self, s: &Conv3x3Shape) -> Result<&Conv3x3Shape> {
        match self.takes(s) {
            true => Ok(s),
            false => Err(Error::Operand {
                op: OP,
                expected: format!("C and K that are multiples of 4, for the rung `{}`", self.name()),
                found: format!("C = {}, K = {}", s.c, s.k),
            }),
        }
    }
}
