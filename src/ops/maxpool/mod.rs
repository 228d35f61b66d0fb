//! Max pooling with a window of 2 or 4 and a stride of as much.

pub mod cpu;
mod gpu;
pub mod spec;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::check::{Operands, expect_dtype, expect_shape, extents, with_real};
use crate::ops::gradient::Gradient;
use crate::ops::on_cpu::{Target, read, write};
use crate::tape::{Destination, Tape};
use crate::tensor::{DType, Tensor};

const OP: &str = "maxpool";

/// The extents of pooling `x [n,h,w,c]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPoolShape {
    /// Images.
    pub n: usize,
    /// Rows of the input, a multiple of the window.
    pub h: usize,
    /// Columns of the input, a multiple of the window.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// The window's extent in both directions, and the stride: 2 or 4.
    pub window: usize,
}

impl MaxPoolShape {
    fn of(n: usize, h: usize, w: usize, c: usize, window: usize) -> Result<MaxPoolShape> {
        if ![2, 4].contains(&window) {
            return Err(Error::Config(format!("{OP}: a window is 2 or 4, not {window}")));
        }
        if !h.is_multiple_of(window) || !w.is_multiple_of(window) {
            return Err(Error::Shape {
                op: OP,
                expected: format!("x [N,H,W,C] with H and W multiples of the window {window}"),
                found: format!("{:?}", [n, h, w, c]),
            });
        }
        Ok(MaxPoolShape { n, h, w, c, window })
    }

    fn x(&self) -> [usize; 4] {
        [self.n, self.h, self.w, self.c]
    }

    fn y(&self) -> [usize; 4] {
        [self.n, self.h / self.window, self.w / self.window, self.c]
    }
}

/// Max pooling: `y[n,p,q,c]` is the largest `x[n,h,w,c]` with `h / window = p`, `w / window = q`.
///
/// `x [N,H,W,C]` gives `y [N,H/window,W/window,C]`.
///
/// # Gradient
/// `dy` goes to the largest element, the first of equals in row-major order, as in PyTorch; see
/// [`dgrad`].
///
/// # Errors
/// [`Error::Config`] when the window is neither 2 nor 4; [`Error::Shape`] when it does not divide H
/// and W; [`Error::Operand`] when the elements are no floats; [`Error::Launch`] names the kernel.
///
/// Source: `kernels/maxpool/`.
pub fn maxpool(tape: &mut Tape, x: &Tensor, window: usize) -> Result<Tensor> {
    let (y, argmax) = fprop(x, window)?;
    let saved = x.clone();
    Ok(tape.record(&[x], y, move |dy, gradients| gradients.add(&saved, |dx| dgrad(dy, &argmax, window, dx))))
}

/// [`maxpool`] without a tape, and with it `argmax`: the place of each largest element in its
/// window, counted row by row, U8.
///
/// # Errors
/// As [`maxpool`].
pub fn fprop(x: &Tensor, window: usize) -> Result<(Tensor, Tensor)> {
    Operands::stored_as(OP, "x", x)?;
    let [n, h, w, c] = extents(OP, "x [N,H,W,C]", x)?;
    let s = MaxPoolShape::of(n, h, w, c, window)?;
    let mut y = x.empty_like(&s.y())?;
    let mut argmax = Tensor::empty(&x.device(), DType::U8, &s.y())?;
    match x.device() {
        Device::Cpu => with_real!(OP, x.dtype(), T => {
            let (x, argmax) = (read(x)?, argmax.cpu_mut()?);
            write([Target::over(&mut y)], |[y]| cpu::fprop::<T>(&s, &x, y, argmax))
        })?,
        Device::Gpu(_) => gpu::fprop(&s, x, &mut y, &mut argmax)?,
    }
    Ok((y, argmax))
}

/// The gradient of [`maxpool`]'s input, `[N,P·window,Q·window,C]`, put into `dx`, from `dy [N,P,Q,C]` and
/// the places `argmax` that [`fprop`] found.
///
/// # Errors
/// As [`maxpool`].
pub fn dgrad(dy: &Tensor, argmax: &Tensor, window: usize, dx: Destination) -> Result<Tensor> {
    Operands::stored_as(OP, "dy", dy)?;
    expect_dtype(OP, "argmax", argmax, DType::U8, &dy.device())?;
    let [n, p, q, c] = extents(OP, "dy [N,P,Q,C]", dy)?;
    expect_shape(OP, "argmax as dy is:", argmax, dy.shape())?;
    let s = MaxPoolShape::of(n, p * window, q * window, c, window)?;
    if let Device::Cpu = argmax.device() {
        let places = window * window;
        if let Some(&place) = argmax.cpu::<u8>()?.iter().max().filter(|&&place| usize::from(place) >= places)
        {
            return Err(Error::Operand {
                op: OP,
                expected: format!("argmax in 0..{places}"),
                found: format!("{place}"),
            });
        }
    }
    let mut dx = Gradient::new(OP, "dx [N,H,W,C] =", dx, dy, &s.x())?;
    match dy.device() {
        Device::Cpu => with_real!(OP, dy.dtype(), T => {
            let (dy, argmax) = (read(dy)?, argmax.cpu()?);
            write([dx.target()], |[dx]| cpu::dgrad::<T>(&s, &dy, argmax, dx))
        })?,
        Device::Gpu(_) => gpu::dgrad(&s, dy, argmax, &mut dx)?,
    }
    Ok(dx.into_tensor())
}
