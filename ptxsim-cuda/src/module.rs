//! Modules: code that was loaded, and the functions in it.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;

use cudarc::driver::sys::{CUfunction_attribute as Attribute, CUresult};

use crate::error::{Error, Result};
use crate::gpu::Model;
use crate::handle::Id;
use crate::registers;

/// A loaded module.
#[derive(Debug)]
pub(crate) struct Module {
    pub context: Id,
    pub code: Code,
    /// The handles of its functions, by name.
    pub functions: BTreeMap<String, Id>,
}

/// Parsed PTX.
#[derive(Clone)]
pub(crate) struct Code {
    pub module: ptxsim::Module,
    /// An estimate of the registers a thread of each function, by name.
    pub registers: Arc<BTreeMap<String, u32>>,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Code").field(&self.module.target()).finish()
    }
}

/// A function of a module.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub context: Id,
    pub module: Id,
    pub name: String,
    pub code: Code,
    /// Dynamic shared memory that a launch may ask for.
    pub max_dynamic_shared: u32,
    /// Attributes that were set and change nothing, by their number.
    pub preferences: BTreeMap<u32, i32>,
}

impl Function {
    /// An estimate of its registers a thread.
    pub fn registers(&self) -> u32 {
        self.code.registers.get(&self.name).copied().unwrap_or(registers::LEAST)
    }

    /// Whether it may have clusters that not every GPU can have.
    pub fn allows_large_clusters(&self) -> bool {
        let attribute = Attribute::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED as u32;
        self.preferences.get(&attribute).is_some_and(|&allowed| allowed != 0)
    }
}

const ELF: &[u8] = b"\x7fELF";
const FATBIN: u32 = 0xba55_ed50;
const FATBIN_WRAPPER: u32 = 0x4662_43b1;

/// Loads the image at `image`, as `cuModuleLoadData` takes it.
///
/// # Safety
/// `image` is a whole image: PTX that ends in a zero byte, or one that says how long it is.
pub(crate) unsafe fn load(image: *const u8, model: &Model) -> Result<Code> {
    if image.is_null() {
        return Err(Error::value("the image is null"));
    }
    // SAFETY: the shortest image, an empty text, has a byte; each further one is read only if those before
    // it are those of a longer image.
    let begins_with = |magic: &[u8]| (0..magic.len()).all(|i| unsafe { *image.add(i) } == magic[i]);
    if begins_with(ELF) {
        return Err(Error::new(
            CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU,
            "the image is machine code alone (a cubin), which cannot be simulated; load PTX, or a fatbin with PTX",
        ));
    }
    if begins_with(&FATBIN.to_le_bytes()) || begins_with(&FATBIN_WRAPPER.to_le_bytes()) {
        return Err(Error::not_supported("fatbins cannot be read yet"));
    }
    // SAFETY: the image is none of the others, so it is a text that ends in a zero byte.
    let text = unsafe { CStr::from_ptr(image.cast()) };
    let text = text.to_str().map_err(|_| {
        Error::new(CUresult::CUDA_ERROR_INVALID_IMAGE, "the image is neither PTX nor any other known kind")
    })?;
    parse(text, model)
}

/// Loads PTX.
pub(crate) fn parse(ptx: &str, model: &Model) -> Result<Code> {
    let module = ptxsim::Module::parse(ptx)
        .map_err(|error| Error::new(CUresult::CUDA_ERROR_INVALID_PTX, error.to_string()))?;
    expect_target(module.target(), model)?;
    Ok(Code { module, registers: Arc::new(registers::estimate(ptx)) })
}

/// Checks that the GPU runs code for `target`: what is older than it, or exactly what it is.
fn expect_target(target: &str, model: &Model) -> Result {
    let (major, minor) = model.capability;
    let own = major * 10 + minor;
    let name = target.split(',').next().unwrap_or(target).trim();
    let digits = name.trim_start_matches("sm_");
    let number: u32 = digits.trim_end_matches(char::is_alphabetic).parse().unwrap_or(0);
    let is_exact = digits.ends_with('a');
    let is_family = digits.ends_with('f');
    let runs = if is_exact {
        number == own
    } else if is_family {
        number / 10 == major && number <= own
    } else {
        number <= own
    };
    if runs {
        return Ok(());
    }
    Err(Error::new(
        CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU,
        format!("the PTX is for {name}; the simulated GPU is sm_{own} (PTXSIM_GPU chooses another)"),
    ))
}

#[cfg(test)]
mod tests {
    use super::expect_target;
    use crate::gpu::Model;

    #[test]
    fn targets_are_those_that_the_gpu_runs() {
        let h100 = Model::find("h100").unwrap();
        for target in ["sm_50", "sm_90", "sm_90a", "sm_80, texmode_independent"] {
            assert!(expect_target(target, h100).is_ok(), "{target}");
        }
        for target in ["sm_100", "sm_100a", "sm_80a", "sm_120f"] {
            assert!(expect_target(target, h100).unwrap_err().why.contains("sm_90"), "{target}");
        }
    }
}
