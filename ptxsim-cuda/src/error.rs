//! Why a driver function refuses: the driver's code, and a sentence for the programmer.

use std::borrow::Cow;

use cudarc::driver::sys::CUresult;

/// A refusal.
#[derive(Debug)]
pub(crate) struct Error {
    /// What the function returns.
    pub code: CUresult,
    /// What is said on stderr; nothing is, if it is empty.
    pub why: Cow<'static, str>,
    /// Whether a GPU's driver would not tell, but crash or go wrong.
    pub is_misuse: bool,
}

/// What the inside of a driver function gives.
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: CUresult, why: impl Into<Cow<'static, str>>) -> Self {
        Self { code, why: why.into(), is_misuse: false }
    }

    /// A mistake of which a GPU's driver says nothing.
    pub fn misuse(code: CUresult, why: impl Into<Cow<'static, str>>) -> Self {
        Self { is_misuse: true, ..Self::new(code, why) }
    }

    /// An argument that the function does not take.
    pub fn value(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CUresult::CUDA_ERROR_INVALID_VALUE, why)
    }

    /// What a real driver can do and this one cannot.
    pub fn not_supported(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CUresult::CUDA_ERROR_NOT_SUPPORTED, why)
    }
}

/// An answer that is expected in a program without mistakes, so that nothing is said of it.
impl From<CUresult> for Error {
    fn from(code: CUresult) -> Self {
        Self::new(code, "")
    }
}
