//! Launches: what a program says of one, checked as the driver does it.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::CUresult;

use crate::error::{Error, Result};
use crate::gpu::{DEFAULT_SHARED_BYTES, Model};
use crate::host;
use crate::module::Function;
use crate::work::Launch;

/// How a kernel is launched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub shared_bytes: u32,
    pub cluster: Option<[u32; 3]>,
}

/// Keys of the list that `extra` is, when a launch's parameters come in a buffer.
const END: usize = 0;
const BUFFER: usize = 1;
const BUFFER_SIZE: usize = 2;

/// A launch of `function` with the arguments that `params` or `extra` point to.
pub(crate) fn prepare(
    function: &Function,
    model: &Model,
    shape: Shape,
    params: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Result<Arc<Launch>> {
    check(function, model, &shape)?;
    let params = match (params.is_null(), extra.is_null()) {
        (false, false) => {
            return Err(Error::value("the parameters are given twice, as pointers and in `extra`"));
        }
        (true, false) => packed(function, extra as u64)?,
        _ => gathered(function, params as u64)?,
    };
    Ok(Arc::new(Launch {
        module: function.module,
        code: function.code.clone(),
        kernel: function.name.clone(),
        shape: ptxsim::Launch {
            grid: shape.grid,
            block: shape.block,
            shared_bytes: shape.shared_bytes,
            cluster: shape.cluster,
        },
        params,
    }))
}

/// The limits of the GPU and of the kernel.
fn check(function: &Function, model: &Model, shape: &Shape) -> Result {
    let Shape { grid, block, shared_bytes, .. } = *shape;
    let name = &function.name;
    if grid.contains(&0) || grid[0] > i32::MAX as u32 || grid[1] > 65535 || grid[2] > 65535 {
        return Err(Error::value(format!(
            "`{name}` on a grid of {grid:?} blocks; each must be at least 1, and at most 2147483647, 65535, 65535"
        )));
    }
    let threads: u64 = block.iter().map(|&n| u64::from(n)).product();
    if block.contains(&0) || threads > 1024 || block[2] > 64 {
        return Err(Error::value(format!(
            "`{name}` with blocks of {block:?} threads; there can be 1 to 1024 in all, and 64 in z"
        )));
    }
    let fixed = function.code.0.entry(name).map_or(0, |entry| entry.static_shared_bytes());
    let opted = function.max_dynamic_shared;
    if shared_bytes > opted {
        let most = model.shared_opt_in.saturating_sub(fixed);
        return Err(Error::value(format!(
            "`{name}` with {shared_bytes} bytes of dynamic shared memory, of which it may have {opted}; more \
             than {DEFAULT_SHARED_BYTES} in all, up to {most}, need \
             CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"
        )));
    }
    Ok(())
}

/// The parameters from an array of pointers to them.
fn gathered(function: &Function, pointers: u64) -> Result<Vec<u8>> {
    let name = &function.name;
    let entry = entry(function)?;
    let mut buffer = vec![0; entry.param_bytes() as usize];
    if entry.params().is_empty() {
        return Ok(buffer);
    }
    if pointers == 0 {
        return Err(Error::value(format!(
            "`{name}` takes {} parameters, and none are given",
            entry.params().len()
        )));
    }
    for (number, param) in entry.params().iter().enumerate() {
        let wrong = |why: String| {
            let count = entry.params().len();
            Error::value(format!("parameter {number} of the {count} of `{name}` (`{}`): {why}", param.name))
        };
        let pointer = word(pointers + 8 * number as u64).map_err(wrong)?;
        let place = &mut buffer[param.offset as usize..][..param.bytes as usize];
        host::read(pointer, place).map_err(wrong)?;
    }
    Ok(buffer)
}

/// The parameters from the buffer that the list at `extra` names.
fn packed(function: &Function, extra: u64) -> Result<Vec<u8>> {
    let (mut buffer, mut size) = (0, None);
    let mut at = extra;
    loop {
        let key = word(at).map_err(Error::value)? as usize;
        if key == END {
            break;
        }
        let value = word(at + 8).map_err(Error::value)?;
        match key {
            BUFFER => buffer = value,
            BUFFER_SIZE => size = Some(word(value).map_err(Error::value)? as usize),
            _ => return Err(Error::value(format!("{key} is no key of `extra`"))),
        }
        at += 16;
    }
    let wanted = entry(function)?.param_bytes() as usize;
    let Some(size) = size else { return Err(Error::value("`extra` does not say how large its buffer is")) };
    if size < wanted {
        return Err(Error::value(format!(
            "`{}` takes {wanted} bytes of parameters, and the buffer in `extra` has {size}",
            function.name
        )));
    }
    let mut params = vec![0; wanted];
    host::read(buffer, &mut params).map_err(Error::value)?;
    Ok(params)
}

fn entry(function: &Function) -> Result<ptxsim::Entry<'_>> {
    let found = function.code.0.entry(&function.name);
    found.map_err(|error| Error::new(CUresult::CUDA_ERROR_NOT_FOUND, error.to_string()))
}

/// The eight bytes of the program's memory at `address`.
fn word(address: u64) -> std::result::Result<u64, String> {
    let mut bytes = [0; 8];
    host::read(address, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
