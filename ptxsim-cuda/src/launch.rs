//! Launches: what a program says of one, checked as the driver does it.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::CUresult;

use crate::error::{Error, Result};
use crate::gpu::{DEFAULT_SHARED_BYTES, Model};
use crate::host;
use crate::module::Function;
use crate::occupancy;
use crate::work::Launch;

/// How a kernel is launched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub shared_bytes: u32,
    pub cluster: Option<[u32; 3]>,
    /// Whether its blocks wait for one another, and must all run at once.
    pub is_cooperative: bool,
}

impl Shape {
    fn simulated(&self) -> ptxsim::Launch {
        let Shape { grid, block, shared_bytes, cluster, .. } = *self;
        ptxsim::Launch { grid, block, shared_bytes, cluster }
    }
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
        shape: shape.simulated(),
        params,
    }))
}

/// The limits of the GPU and of the kernel.
fn check(function: &Function, model: &Model, shape: &Shape) -> Result {
    let name = &function.name;
    let entry = entry(function)?;
    expect_cluster(function, model, shape)?;
    let threads: u64 = shape.block.iter().map(|&n| u64::from(n)).product();
    let most = entry.max_threads().map_or(1024, |most| most.iter().map(|&n| u64::from(n)).product());
    if threads > most && threads <= 1024 {
        return Err(Error::new(
            CUresult::CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
            format!("`{name}` with blocks of {threads} threads; it is compiled for at most {most}"),
        ));
    }
    let (fixed, opted) = (entry.static_shared_bytes(), function.max_dynamic_shared);
    if shape.shared_bytes > opted {
        let most = model.shared_opt_in.saturating_sub(fixed);
        return Err(Error::value(format!(
            "`{name}` with {} bytes of dynamic shared memory, of which it may have {opted}; more than \
             {DEFAULT_SHARED_BYTES} in all, up to {most}, need CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES",
            shape.shared_bytes
        )));
    }
    entry.check(&shape.simulated()).map_err(|error| Error::value(error.to_string()))?;
    let blocks: u64 = shape.grid.iter().map(|&n| u64::from(n)).product();
    let at_once = occupancy::blocks(function, model, threads as u32, shape.shared_bytes)?;
    let at_once = u64::from(at_once) * u64::from(model.multiprocessors);
    if shape.is_cooperative && blocks > at_once {
        return Err(Error::new(
            CUresult::CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
            format!(
                "`{name}` with {blocks} blocks that wait for one another, of which {at_once} fit the GPU"
            ),
        ));
    }
    Ok(())
}

/// Blocks of a cluster on every GPU that has them, and of one that a function must be allowed to have.
const PORTABLE_CLUSTER: u64 = 8;
const LARGEST_CLUSTER: u64 = 16;

/// The rules of clusters.
fn expect_cluster(function: &Function, model: &Model, shape: &Shape) -> Result {
    let (name, required) = (&function.name, entry(function)?.required_cluster());
    let Some(cluster) = shape.cluster.or(required) else { return Ok(()) };
    let fail = |why: String| {
        Err(Error::new(
            CUresult::CUDA_ERROR_INVALID_CLUSTER_SIZE,
            format!("`{name}` in clusters of {cluster:?} blocks: {why}"),
        ))
    };
    let blocks: u64 = cluster.iter().map(|&n| u64::from(n)).product();
    let most = if function.allows_large_clusters() { LARGEST_CLUSTER } else { PORTABLE_CLUSTER };
    if !model.has_clusters() && blocks > 1 {
        return fail(format!("{} has no clusters", model.full_name));
    }
    if blocks == 0 || blocks > most {
        return fail(format!(
            "there can be 1 to {PORTABLE_CLUSTER}, and {LARGEST_CLUSTER} with \
             CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED"
        ));
    }
    if required.is_some_and(|required| required != cluster) {
        return fail(format!("it is compiled for {required:?}"));
    }
    if (0..3).any(|axis| !shape.grid[axis].is_multiple_of(cluster[axis].max(1))) {
        return fail(format!("they do not divide the grid of {:?}", shape.grid));
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
    let found = function.code.module.entry(&function.name);
    found.map_err(|error| Error::new(CUresult::CUDA_ERROR_NOT_FOUND, error.to_string()))
}

/// The eight bytes of the program's memory at `address`.
fn word(address: u64) -> std::result::Result<u64, String> {
    let mut bytes = [0; 8];
    host::read(address, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
