//! What a caller says of a launch, checked against the kernel and against what a GPU takes.

use crate::error::Error;
use crate::machine::kernel::{Kernel, Param};
use crate::module::LoadedEntry;

/// The shape of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Blocks in the grid.
    pub grid: [u32; 3],
    /// Threads in a block.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block, in bytes.
    pub shared_bytes: u32,
    /// Blocks in a cluster; what the kernel asks for, if it does.
    pub cluster: Option<[u32; 3]>,
}

impl Launch {
    /// A one-dimensional launch without dynamic shared memory.
    pub fn linear(blocks: u32, threads: u32) -> Self {
        Self { grid: [blocks, 1, 1], block: [threads, 1, 1], shared_bytes: 0, cluster: None }
    }
}

/// One argument of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A 32-bit integer.
    U32(u32),
    /// A signed 32-bit integer.
    I32(i32),
    /// A 64-bit integer, or a device address.
    U64(u64),
    /// A signed 64-bit integer.
    I64(i64),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
    /// A struct, as its bytes.
    Bytes(Vec<u8>),
}

impl Arg {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Arg::U32(v) => v.to_le_bytes().to_vec(),
            Arg::I32(v) => v.to_le_bytes().to_vec(),
            Arg::U64(v) => v.to_le_bytes().to_vec(),
            Arg::I64(v) => v.to_le_bytes().to_vec(),
            Arg::F32(v) => v.to_le_bytes().to_vec(),
            Arg::F64(v) => v.to_le_bytes().to_vec(),
            Arg::Bytes(v) => v.clone(),
        }
    }
}

/// Lay out arguments as the kernel declares its parameters.
pub(crate) fn pack(entry: &LoadedEntry, args: &[Arg]) -> Result<Vec<u8>, Error> {
    if args.len() != entry.params.len() {
        return Err(Error::Params(format!(
            "`{}` takes {} parameters, not {}",
            entry.name,
            entry.params.len(),
            args.len()
        )));
    }
    let mut out = vec![0; entry.param_bytes as usize];
    for (number, (param, arg)) in entry.params.iter().zip(args).enumerate() {
        let bytes = arg.bytes();
        let fits = bytes.len() == param.bytes as usize && is_float(arg) != Some(!param.ty.is_float());
        if !fits {
            return Err(Error::Params(mismatch(&entry.name, number, param, arg)));
        }
        out[param.offset as usize..][..bytes.len()].copy_from_slice(&bytes);
    }
    Ok(out)
}

/// Whether an argument is a float or an integer; bytes are neither.
fn is_float(arg: &Arg) -> Option<bool> {
    match arg {
        Arg::F32(_) | Arg::F64(_) => Some(true),
        Arg::Bytes(_) => None,
        _ => Some(false),
    }
}

fn mismatch(kernel: &str, number: usize, param: &Param, arg: &Arg) -> String {
    format!(
        "parameter {number} of `{}` (`{}`) is {} bytes of type .{}; the argument is {arg:?}",
        kernel,
        param.name,
        param.bytes,
        param.ty.name()
    )
}

/// Check a launch against what a GPU takes and the kernel asks for; returns the cluster's shape.
pub(crate) fn check_shape(kernel: &Kernel, launch: &Launch) -> Result<[u32; 3], Error> {
    let fail = |message: String| Err(Error::Launch(format!("`{}`: {message}", kernel.name)));
    let Launch { grid, block, shared_bytes, .. } = *launch;
    if grid.contains(&0) || grid[0] > i32::MAX as u32 || grid[1] > 65535 || grid[2] > 65535 {
        return fail(format!(
            "a grid of {grid:?} blocks; each must be at least 1, at most 2147483647, 65535, 65535"
        ));
    }
    let threads: u64 = block.iter().map(|&n| u64::from(n)).product();
    if block.contains(&0) || threads > 1024 || block[2] > 64 {
        return fail(format!("a block of {block:?} threads; at most 1024 in all, 64 in z"));
    }
    if let Some(max) = kernel.max_threads
        && threads > max.iter().map(|&n| u64::from(n)).product()
    {
        return fail(format!("a block of {threads} threads; the kernel is compiled for at most {max:?}"));
    }
    if let Some(required) = kernel.required_threads
        && block != required
    {
        return fail(format!("a block of {block:?} threads; the kernel requires {required:?}"));
    }
    let shared = kernel.packed_shared.total(shared_bytes.into());
    if shared > 227 * 1024 {
        return fail(format!("{shared} bytes of shared memory; a block has at most {}", 227 * 1024));
    }
    let cluster = launch.cluster.or(kernel.cluster).unwrap_or([1; 3]);
    let size: u64 = cluster.iter().map(|&n| u64::from(n)).product();
    if size == 0 || size > 16 || (0..3).any(|i| grid[i] % cluster[i] != 0) {
        return fail(format!(
            "clusters of {cluster:?} blocks in a grid of {grid:?}; at most 16, dividing the grid"
        ));
    }
    Ok(cluster)
}
