//! Starting the driver, its version, and its functions by name.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use cudarc::driver::sys::{CUdriverProcAddressQueryResult as Found, CUresult};

use crate::call::{Out, anytime, offer, put};
use crate::driver;
use crate::error::{Error, Result};
use crate::settings::Settings;

/// Starts the driver. The environment is read now.
#[unsafe(no_mangle)]
pub extern "C" fn cuInit(flags: c_uint) -> CUresult {
    anytime("cuInit", || {
        if flags != 0 {
            return Err(Error::value(format!("the flags are {flags}; they must be 0")));
        }
        driver::start().map(drop)
    })
}

/// The CUDA version that the driver speaks: 12090 is 12.9. `PTXSIM_DRIVER_VERSION` sets it.
#[unsafe(no_mangle)]
pub extern "C" fn cuDriverGetVersion(version: Out<'_, c_int>) -> CUresult {
    anytime("cuDriverGetVersion", || {
        let settings =
            Settings::read().map_err(|why| Error::new(CUresult::CUDA_ERROR_SYSTEM_NOT_READY, why))?;
        put(version, settings.driver_version)
    })
}

/// A function by its name without version, as it was in `cuda_version`.
///
/// # Safety
/// `symbol` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetProcAddress_v2(
    symbol: *const c_char,
    function: Out<'_, *mut c_void>,
    cuda_version: c_int,
    flags: u64,
    found: Out<'_, Found>,
) -> CUresult {
    anytime("cuGetProcAddress_v2", || {
        // SAFETY: as this function's.
        let address = unsafe { find(symbol, cuda_version, flags) }?;
        offer(
            found,
            match address {
                Some(_) => Found::CU_GET_PROC_ADDRESS_SUCCESS,
                None => Found::CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND,
            },
        );
        put(function, address.unwrap_or(std::ptr::null_mut()))?;
        match address {
            Some(_) => Ok(()),
            None => Err(CUresult::CUDA_ERROR_NOT_FOUND.into()),
        }
    })
}

/// The same, as it was before CUDA 12.
///
/// # Safety
/// `symbol` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetProcAddress(
    symbol: *const c_char,
    function: Out<'_, *mut c_void>,
    cuda_version: c_int,
    flags: u64,
) -> CUresult {
    // SAFETY: as this function's.
    unsafe { cuGetProcAddress_v2(symbol, function, cuda_version, flags, None) }
}

/// Flag of `cuGetProcAddress`: the function whose null stream is the thread's own.
const PER_THREAD: u64 = 2;

/// Versions of functions that came with a CUDA version which programs may not have been compiled for;
/// others have been there since before all that are.
const NEWER: &[(&str, c_int)] = &[
    ("cuCtxCreate_v3", 11040),
    ("cuCtxCreate_v4", 12050),
    ("cuCtxGetDevice_v2", 13000),
    ("cuCtxSynchronize_v2", 13000),
    ("cuDeviceGetUuid_v2", 11040),
    ("cuEventElapsedTime_v2", 12080),
    ("cuGetProcAddress_v2", 12000),
    ("cuGraphAddKernelNode_v2", 12000),
    ("cuGraphExecKernelNodeSetParams_v2", 12000),
    ("cuGraphExecUpdate_v2", 12000),
    ("cuGraphKernelNodeGetParams_v2", 12000),
    ("cuGraphKernelNodeSetParams_v2", 12000),
    ("cuLaunchHostFunc_v2", 13020),
    ("cuMemAdvise_v2", 12020),
    ("cuMemPrefetchAsync_v2", 12020),
    ("cuStreamGetCaptureInfo_v2", 11030),
    ("cuStreamGetCaptureInfo_v3", 12030),
    ("cuStreamGetCtx_v2", 12050),
];

/// The newest version of the function `symbol` that `cuda_version` has.
///
/// # Safety
/// `symbol` is a C string.
unsafe fn find(symbol: *const c_char, cuda_version: c_int, flags: u64) -> Result<Option<*mut c_void>> {
    if symbol.is_null() {
        return Err(Error::value("the name is null"));
    }
    // SAFETY: as this function's.
    let base = unsafe { CStr::from_ptr(symbol) }.to_string_lossy();
    let version = cuda_version.min(Settings::read().map_or(i32::MAX, |settings| settings.driver_version));
    let is_there = |name: &str| NEWER.iter().all(|(newer, since)| *newer != name || *since <= version);
    let versions = ["_v4", "_v3", "_v2", ""].map(|version| format!("{base}{version}"));
    let names = versions.iter().filter(|name| is_there(name)).flat_map(|name| {
        let suffixes: &[&str] = if flags & PER_THREAD != 0 { &["_ptsz", "_ptds", ""] } else { &[""] };
        suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
    });
    Ok(names.filter_map(|name| exported(&name)).next())
}

/// The function that this library exports under `name`.
fn exported(name: &str) -> Option<*mut c_void> {
    let name = std::ffi::CString::new(name).ok()?;
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address is of a function, and `info` takes the answer. Zeros are a valid `Dl_info`.
    let (known, info) =
        unsafe { (libc::dladdr(cuInit as *const c_void, info.as_mut_ptr()), info.assume_init()) };
    if known == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: `dladdr` gives a C string. The library is loaded already, so nothing is run; the handle that
    // is leaked only counts its users.
    let library = unsafe { libc::dlopen(info.dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    if library.is_null() {
        return None;
    }
    // SAFETY: the handle is of a loaded library, and the name a C string.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    // SAFETY: the handle is closed once; this library stays loaded by whoever loaded it.
    unsafe { libc::dlclose(library) };
    (!address.is_null()).then_some(address)
}
