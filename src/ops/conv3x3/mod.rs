//! 3x3 convolution: cross-correlation with stride 1 and padding 1.

pub mod cpu;
mod gpu;
pub mod ladder;
pub mod spec;

pub use gpu::wgmma;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::check::{Operands, expect_shape, extents, with_real};
use crate::ops::math::MathMode;
use crate::ops::gradient::Gradient;
use crate::ops::on_cpu::{Target, read, write};
use crate::tape::{Destination, Tape};
use crate::tensor::Tensor;
use ladder::Rung;

const OP: &str = "conv3x3";

/// The extents of a convolution of `x [n,h,w,c]` with `filter [k,3,3,c]` to `y [n,h,w,k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv3x3Shape {
    /// Images.
    pub n: usize,
    /// Rows of an image.
    pub h: usize,
    /// Columns of an image.
    pub w: usize,
    /// Channels of the input.
    pub c: usize,
    /// Channels of the output.
    pub k: usize,
}

/// Checks that the CPU can multiply as `math` says.
fn expect_on_cpu(math: MathMode) -> Result<()> {
    match math {
        MathMode::F32 => Ok(()),
        MathMode::Tf32 => Err(Error::Operand {
            op: OP,
            expected: "tensors on a GPU, for products in tf32".into(),
            found: "tensors on the CPU".into(),
        }),
    }
}

impl Conv3x3Shape {
    fn of_filter(pixels: [usize; 3], filter: &Tensor) -> Result<Conv3x3Shape> {
        let [k, _, _, c] = extents(OP, "filter [K,3,3,C]", filter)?;
        expect_shape(OP, "filter [K,3,3,C] =", filter, &[k, 3, 3, c])?;
        let [n, h, w] = pixels;
        Ok(Conv3x3Shape { n, h, w, c, k })
    }

    fn of_fprop(x: &Tensor, filter: &Tensor, bias: Option<&Tensor>) -> Result<Conv3x3Shape> {
        let operands = Operands::stored_as(OP, "x", x)?.stored("filter", filter)?;
        let [n, h, w, _] = extents(OP, "x [N,H,W,C]", x)?;
        let s = Conv3x3Shape::of_filter([n, h, w], filter)?;
        expect_shape(OP, "x [N,H,W,C] with the filter's C:", x, &s.x())?;
        if let Some(bias) = bias {
            operands.wide("bias", bias)?;
            expect_shape(OP, "bias [K] =", bias, &[s.k])?;
        }
        Ok(s)
    }

    fn of_dgrad(dy: &Tensor, filter: &Tensor) -> Result<Conv3x3Shape> {
        Operands::stored_as(OP, "dy", dy)?.stored("filter", filter)?;
        let [n, h, w, _] = extents(OP, "dy [N,H,W,K]", dy)?;
        let s = Conv3x3Shape::of_filter([n, h, w], filter)?;
        expect_shape(OP, "dy [N,H,W,K] with the filter's K:", dy, &s.y())?;
        Ok(s)
    }

    fn of_wgrad(x: &Tensor, dy: &Tensor) -> Result<Conv3x3Shape> {
        Operands::stored_as(OP, "x", x)?.stored("dy", dy)?;
        let [n, h, w, c] = extents(OP, "x [N,H,W,C]", x)?;
        let [.., k] = extents::<4>(OP, "dy [N,H,W,K]", dy)?;
        let s = Conv3x3Shape { n, h, w, c, k };
        expect_shape(OP, "dy [N,H,W,K] with the N, H and W of x:", dy, &s.y())?;
        Ok(s)
    }

    fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }

    fn x(&self) -> [usize; 4] {
        [self.n, self.h, self.w, self.c]
    }

    fn filter(&self) -> [usize; 4] {
        [self.k, 3, 3, self.c]
    }

    fn y(&self) -> [usize; 4] {
        [self.n, self.h, self.w, self.k]
    }
}

/// 3x3 cross-correlation, stride 1, padding 1.
///
/// `x [N,H,W,C]` and `filter [K,3,3,C]` give `y [N,H,W,K]`; NHWC. `bias [K]` is added if given.
/// All have one type, but for bf16 the bias and the gradients of filter and bias are f32.
///
/// # Gradient
/// `dx` by [`dgrad`], `dfilter` by [`wgrad`], `dbias` by [`bias_grad`]; each only if its tensor wants
/// one.
///
/// # Errors
/// [`Error::Shape`] names both shapes; [`Error::Operand`] when types or devices differ, or a CPU is
/// asked for tf32; [`Error::Launch`] names the kernel.
///
/// Source: `kernels/conv3x3/`.
pub fn conv3x3(
    tape: &mut Tape,
    x: &Tensor,
    filter: &Tensor,
    bias: Option<&Tensor>,
    math: MathMode,
) -> Result<Tensor> {
    let s = Conv3x3Shape::of_fprop(x, filter, bias)?;
    let mut y = x.empty_like(&s.y())?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            expect_on_cpu(math)?;
            let (x, filter, bias) = (read(x)?, read(filter)?, bias.map(read).transpose()?);
            write([Target::over(&mut y)], |[y]| cpu::fprop::<T>(&s, &x, &filter, bias.as_deref(), y))
        })?,
        Device::Gpu(_) => gpu::fprop(Rung::of(math, &s), &s, x, filter, bias, &mut y)?,
    }

    let inputs: Vec<&Tensor> = [x, filter].into_iter().chain(bias).collect();
    let (x, filter, bias) = (x.clone(), filter.clone(), bias.cloned());
    Ok(tape.record(&inputs, y, move |dy, gradients| {
        gradients.add(&x, |dx| dgrad(dy, &filter, math, dx))?;
        gradients.add(&filter, |dfilter| wgrad(&x, dy, math, dfilter))?;
        match bias {
            Some(bias) => gradients.add(&bias, |dbias| bias_grad(dy, dbias)),
            None => Ok(()),
        }
    }))
}

/// The gradient of [`conv3x3`]'s input, put into `dx [N,H,W,C]`, from `dy [N,H,W,K]` and `filter [K,3,3,C]`.
///
/// # Errors
/// As [`conv3x3`].
pub fn dgrad(dy: &Tensor, filter: &Tensor, math: MathMode, dx: Destination) -> Result<Tensor> {
    let s = Conv3x3Shape::of_dgrad(dy, filter)?;
    let mut dx = Gradient::new(OP, "dx [N,H,W,C] =", dx, dy, &s.x())?;
    match dy.device() {
        Device::Cpu => with_real!(OP, dy.dtype(), T => {
            expect_on_cpu(math)?;
            let (dy, filter) = (read(dy)?, read(filter)?);
            write([dx.target()], |[dx]| cpu::dgrad::<T>(&s, &dy, &filter, dx))
        })?,
        Device::Gpu(_) => gpu::dgrad(Rung::of(math, &s), &s, dy, filter, &mut dx)?,
    }
    Ok(dx.into_tensor())
}

/// The gradient of [`conv3x3`]'s filter, put into `dfilter [K,3,3,C]`, from `x [N,H,W,C]` and `dy [N,H,W,K]`.
///
/// # Errors
/// As [`conv3x3`].
pub fn wgrad(x: &Tensor, dy: &Tensor, math: MathMode, dfilter: Destination) -> Result<Tensor> {
    let s = Conv3x3Shape::of_wgrad(x, dy)?;
    let mut dfilter = Gradient::of_parameter(OP, "dfilter [K,3,3,C] =", dfilter, x, &s.filter())?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            expect_on_cpu(math)?;
            let (x, dy) = (read(x)?, read(dy)?);
            write([dfilter.target()], |[dfilter]| cpu::wgrad::<T>(&s, &x, &dy, dfilter))
        })?,
        Device::Gpu(_) => gpu::wgrad(Rung::of(math, &s), &s, x, dy, &mut dfilter)?,
    }
    Ok(dfilter.into_tensor())
}

/// The gradient of [`conv3x3`]'s bias, put into `dbias [K]`: the sum of `dy [N,H,W,K]` over N, H and W.
///
/// # Errors
/// As [`conv3x3`].
pub fn bias_grad(dy: &Tensor, dbias: Destination) -> Result<Tensor> {
    Operands::stored_as(OP, "dy", dy)?;
    let [n, h, w, k] = extents(OP, "dy [N,H,W,K]", dy)?;
    // The sum does not depend on the input's channels.
    let s = Conv3x3Shape { n, h, w, c: 1, k };
    let mut dbias = Gradient::of_parameter(OP, "dbias [K] =", dbias, dy, &[k])?;
    match dy.device() {
        Device::Cpu => with_real!(OP, dy.dtype(), T => {
            let dy = read(dy)?;
            write([dbias.target()], |[dbias]| cpu::bias_grad::<T>(&s, &dy, dbias))
        })?,
        Device::Gpu(_) => gpu::bias_grad(&s, dy, &mut dbias)?,
    }
    Ok(dbias.into_tensor())
}
