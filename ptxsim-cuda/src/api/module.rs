//! Modules, and the functions and variables in them.

use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt as _;

use cudarc::driver::sys::{CUdeviceptr, CUfunction, CUfunction_attribute as Attribute, CUmodule, CUresult};

use crate::call::{Call, Out, inside, offer, put};
use crate::error::{Error, Result};
use crate::gpu::DEFAULT_SHARED_BYTES;
use crate::module::{self, Code, Function, Module};
use crate::occupancy;
use crate::report;

impl Call {
    /// Notes a module; its handle.
    fn insert_module(&self, code: Code) -> CUmodule {
        let module = Module { context: self.context, code, functions: Default::default() };
        let id = self.driver.state().modules.insert(module);
        std::ptr::without_provenance_mut(id as usize)
    }
}

/// A name that a program gives.
///
/// # Safety
/// `name` is null or a C string.
unsafe fn text<'a>(name: *const c_char) -> Result<&'a CStr> {
    if name.is_null() {
        return Err(Error::value("the name is null"));
    }
    // SAFETY: as this function's.
    Ok(unsafe { CStr::from_ptr(name) })
}

/// Loads a module from PTX.
///
/// # Safety
/// `image` is a whole image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadData(module: Out<'_, CUmodule>, image: *const c_void) -> CUresult {
    inside("cuModuleLoadData", |call| {
        // SAFETY: as this function's.
        let code = unsafe { module::load(image.cast(), call.driver.model()) }?;
        put(module, call.insert_module(code))
    })
}

/// Loads a module from PTX; options of the compiler that it does not have change nothing.
///
/// # Safety
/// `image` is a whole image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadDataEx(
    module: Out<'_, CUmodule>,
    image: *const c_void,
    _count: c_uint,
    _options: *mut c_uint,
    _values: *mut *mut c_void,
) -> CUresult {
    inside("cuModuleLoadDataEx", |call| {
        // SAFETY: as this function's.
        let code = unsafe { module::load(image.cast(), call.driver.model()) }?;
        put(module, call.insert_module(code))
    })
}

/// Loads a module from a file of PTX.
///
/// # Safety
/// `path` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoad(module: Out<'_, CUmodule>, path: *const c_char) -> CUresult {
    inside("cuModuleLoad", |call| {
        // SAFETY: as this function's.
        let path = OsStr::from_bytes(unsafe { text(path) }?.to_bytes());
        let mut image = std::fs::read(path).map_err(|error| {
            Error::new(CUresult::CUDA_ERROR_FILE_NOT_FOUND, format!("{}: {error}", path.display()))
        })?;
        image.push(0);
        // SAFETY: the file is there whole, and ends in a zero byte.
        let code = unsafe { module::load(image.as_ptr(), call.driver.model()) }?;
        put(module, call.insert_module(code))
    })
}

/// Ends a module.
#[unsafe(no_mangle)]
pub extern "C" fn cuModuleUnload(module: CUmodule) -> CUresult {
    inside("cuModuleUnload", |call| {
        let mut state = call.driver.state();
        let id = module as u64;
        if let Some(kernel) = state.queue.launch_of(id) {
            let what = format!("`{kernel}` of the module is still queued, and may not find its code");
            report::misuse(call.name, &what);
        }
        let module = state.modules.remove(id, call.name)?;
        for id in module.functions.into_values() {
            state.functions.remove(id, call.name)?;
        }
        Ok(())
    })
}

/// A function of a module by its name.
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetFunction(
    function: Out<'_, CUfunction>,
    module: CUmodule,
    name: *const c_char,
) -> CUresult {
    inside("cuModuleGetFunction", |call| {
        // SAFETY: as this function's.
        let name = unsafe { text(name) }?.to_string_lossy().into_owned();
        let mut state = call.driver.state();
        let module_id = module as u64;
        let module = state.modules.get(module_id)?;
        if let Some(&id) = module.functions.get(&name) {
            return put(function, std::ptr::without_provenance_mut(id as usize));
        }
        let entry = module.code.module.entry(&name).map_err(not_found)?;
        let new = Function {
            context: module.context,
            module: module_id,
            max_dynamic_shared: DEFAULT_SHARED_BYTES.saturating_sub(entry.static_shared_bytes()),
            name: name.clone(),
            code: module.code.clone(),
            preferences: Default::default(),
        };
        let id = state.functions.insert(new);
        state.modules.get_mut(module_id)?.functions.insert(name, id);
        put(function, std::ptr::without_provenance_mut(id as usize))
    })
}

fn not_found(error: ptxsim::Error) -> Error {
    Error::new(CUresult::CUDA_ERROR_NOT_FOUND, error.to_string())
}

/// The address and size of a module's variable.
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetGlobal_v2(
    address: Out<'_, CUdeviceptr>,
    bytes: Out<'_, usize>,
    module: CUmodule,
    name: *const c_char,
) -> CUresult {
    inside("cuModuleGetGlobal_v2", |call| {
        // SAFETY: as this function's.
        let name = unsafe { text(name) }?.to_string_lossy();
        let code = call.driver.state().modules.get(module as u64)?.code.clone();
        offer(address, call.driver.simulator.symbol(&code.module, &name).map_err(not_found)?);
        offer(bytes, code.module.variable_bytes(&name).unwrap_or(0) as usize);
        Ok(())
    })
}

/// A module's way of loading: as a whole.
#[unsafe(no_mangle)]
pub extern "C" fn cuModuleGetLoadingMode(mode: Out<'_, c_uint>) -> CUresult {
    const EAGER: c_uint = 1;
    crate::call::started("cuModuleGetLoadingMode", |_| put(mode, EAGER))
}

/// An attribute of a function by its number, a `CUfunction_attribute`.
#[unsafe(no_mangle)]
pub extern "C" fn cuFuncGetAttribute(
    value: Out<'_, c_int>,
    attribute: c_uint,
    function: CUfunction,
) -> CUresult {
    inside("cuFuncGetAttribute", |call| {
        let state = call.driver.state();
        let function = state.functions.get(function as u64)?;
        put(value, attribute_of(function, attribute, call.driver.model().capability)?)
    })
}

fn attribute_of(function: &Function, attribute: c_uint, (major, minor): (u32, u32)) -> Result<c_int> {
    let is = |known: Attribute| attribute == known as c_uint;
    if let Some(&value) = function.preferences.get(&attribute) {
        return Ok(value);
    }
    let entry = function.code.module.entry(&function.name).map_err(not_found)?;
    if is(Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES) {
        return Ok(entry.static_shared_bytes() as c_int);
    }
    if is(Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
        return Ok(function.max_dynamic_shared as c_int);
    }
    if is(Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK) {
        let compiled = entry.max_threads().map_or(1024, |most| most.iter().product());
        return Ok(occupancy::most_threads(function).min(compiled) as c_int);
    }
    if is(Attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES) {
        return Ok(entry.local_bytes() as c_int);
    }
    if is(Attribute::CU_FUNC_ATTRIBUTE_NUM_REGS) {
        return Ok(function.registers() as c_int);
    }
    if is(Attribute::CU_FUNC_ATTRIBUTE_PTX_VERSION) || is(Attribute::CU_FUNC_ATTRIBUTE_BINARY_VERSION) {
        return Ok((major * 10 + minor) as c_int);
    }
    if attribute < Attribute::CU_FUNC_ATTRIBUTE_MAX as c_uint {
        return Ok(0);
    }
    Err(Error::value(format!("{attribute} is no attribute of functions")))
}

/// Sets an attribute of a function.
#[unsafe(no_mangle)]
pub extern "C" fn cuFuncSetAttribute(function: CUfunction, attribute: c_uint, value: c_int) -> CUresult {
    inside("cuFuncSetAttribute", |call| {
        let mut state = call.driver.state();
        let function = state.functions.get_mut(function as u64)?;
        if attribute != Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as c_uint {
            if attribute < Attribute::CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT as c_uint
                || attribute >= Attribute::CU_FUNC_ATTRIBUTE_MAX as c_uint
            {
                return Err(Error::value(format!("{attribute} is no attribute that can be set")));
            }
            function.preferences.insert(attribute, value);
            return Ok(());
        }
        let fixed = function.code.module.entry(&function.name).map_err(not_found)?.static_shared_bytes();
        let most = call.driver.model().shared_opt_in.saturating_sub(fixed);
        let asked = u32::try_from(value).ok().filter(|asked| *asked <= most);
        function.max_dynamic_shared = asked.ok_or_else(|| {
            Error::value(format!(
                "{value} bytes of dynamic shared memory; `{}` may have {most}",
                function.name
            ))
        })?;
        Ok(())
    })
}

/// Sets the cache preference of a function, which changes nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn cuFuncSetCacheConfig(function: CUfunction, config: c_uint) -> CUresult {
    inside("cuFuncSetCacheConfig", |call| {
        if config > 3 {
            return Err(Error::value(format!("{config} is no cache preference")));
        }
        call.driver.state().functions.get(function as u64).map(drop)
    })
}

/// The module of a function.
#[unsafe(no_mangle)]
pub extern "C" fn cuFuncGetModule(module: Out<'_, CUmodule>, function: CUfunction) -> CUresult {
    inside("cuFuncGetModule", |call| {
        let id = call.driver.state().functions.get(function as u64)?.module;
        put(module, std::ptr::without_provenance_mut(id as usize))
    })
}
