//! NVIDIA's runtime compiler, loaded by hand so that neither a toolkit nor a linker flag is needed.

use libloading::Library;
use std::error::Error;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

type Program = *mut c_void;
type Status = c_int;
type SizeOf = unsafe extern "C" fn(Program, *mut usize) -> Status;
type TextOf = unsafe extern "C" fn(Program, *mut c_char) -> Status;

/// The loaded library and the functions used of it.
pub struct Nvrtc {
    pub path: PathBuf,
    pub version: (c_int, c_int),
    /// The numbers of the architectures it can compile for.
    pub archs: Vec<u32>,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> Status,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Status,
    destroy: unsafe extern "C" fn(*mut Program) -> Status,
    error_string: unsafe extern "C" fn(Status) -> *const c_char,
    log: (SizeOf, TextOf),
    ptx: (SizeOf, TextOf),
    cubin: (SizeOf, TextOf),
    // The functions above are valid as long as these are open.
    _library: Library,
    _builtins: Vec<Library>,
}

/// What to compile.
pub struct Source<'a> {
    /// The file's name, as messages and line tables give it.
    pub name: &'a str,
    pub text: &'a str,
    /// What `#include "name"` finds: names and texts.
    pub headers: &'a [(&'a str, &'a str)],
    pub options: &'a [String],
}

/// What came of it.
pub struct Product {
    pub ptx: Vec<u8>,
    /// Machine code; empty when the options ask for a virtual architecture.
    pub cubin: Vec<u8>,
    /// Warnings and the assembler's report.
    pub log: String,
}

impl Nvrtc {
    /// Loads the library at `path`, a file or a name for the loader to search.
    ///
    /// # Errors
    /// The loader's reason, or what the library lacks.
    pub fn open(path: &Path) -> Result<Nvrtc, String> {
        let builtins = open_builtins(path);
        // SAFETY: loading runs the library's initialisers; NVRTC's have no requirement of the caller.
        let library = unsafe { Library::new(path) }.map_err(reason)?;
        /// Looks a function up by its name, with the type of the place it is stored in.
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the field or variable it is stored in has the function's type by
                // nvrtc.h, and the library stays open as long as the structure that holds it.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }.map_err(reason)?
            };
        }
        let version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> Status = function!("nvrtcVersion");
        let arch_count: unsafe extern "C" fn(*mut c_int) -> Status = function!("nvrtcGetNumSupportedArchs");
        let arch_list: unsafe extern "C" fn(*mut c_int) -> Status = function!("nvrtcGetSupportedArchs");
        let mut nvrtc = Nvrtc {
            path: path.into(),
            version: (0, 0),
            archs: Vec::new(),
            create: function!("nvrtcCreateProgram"),
            compile: function!("nvrtcCompileProgram"),
            destroy: function!("nvrtcDestroyProgram"),
            error_string: function!("nvrtcGetErrorString"),
            log: (function!("nvrtcGetProgramLogSize"), function!("nvrtcGetProgramLog")),
            ptx: (function!("nvrtcGetPTXSize"), function!("nvrtcGetPTX")),
            cubin: (function!("nvrtcGetCUBINSize"), function!("nvrtcGetCUBIN")),
            _library: library,
            _builtins: builtins,
        };
        let (mut major, mut minor, mut count) = (0, 0, 0);
        // SAFETY: the pointers are to live integers of the right type.
        nvrtc.check(unsafe { version(&mut major, &mut minor) })?;
        nvrtc.version = (major, minor);
        // SAFETY: as above.
        nvrtc.check(unsafe { arch_count(&mut count) })?;
        let mut archs = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: the list has room for as many numbers as the library said it has.
        nvrtc.check(unsafe { arch_list(archs.as_mut_ptr()) })?;
        nvrtc.archs = archs.into_iter().map(c_int::unsigned_abs).collect();
        Ok(nvrtc)
    }

    /// Compiles `source`.
    ///
    /// # Errors
    /// The compiler's log.
    pub fn compile(&self, source: &Source<'_>) -> Result<Product, String> {
        let program = self.create(source)?;
        let result = self.run(program, source.options);
        let mut program = program;
        // SAFETY: the program was made by `create` and is not used again.
        unsafe { (self.destroy)(&mut program) };
        result
    }

    fn create(&self, source: &Source<'_>) -> Result<Program, String> {
        let text = c_string(source.text)?;
        let name = c_string(source.name)?;
        let names = c_strings(source.headers.iter().map(|header| header.0))?;
        let texts = c_strings(source.headers.iter().map(|header| header.1))?;
        let mut program = null_mut();
        // SAFETY: all strings end in a zero and outlive the call, which copies them; both lists have
        // as many as is said.
        self.check(unsafe {
            (self.create)(
                &mut program,
                text.as_ptr(),
                name.as_ptr(),
                source.headers.len() as c_int,
                pointers(&texts).as_ptr(),
                pointers(&names).as_ptr(),
            )
        })?;
        Ok(program)
    }

    fn run(&self, program: Program, options: &[String]) -> Result<Product, String> {
        let options = c_strings(options.iter().map(String::as_str))?;
        // SAFETY: the program is live; the options end in a zero and outlive the call.
        let status = unsafe { (self.compile)(program, options.len() as c_int, pointers(&options).as_ptr()) };
        let log =
            String::from_utf8_lossy(&self.get(program, self.log)?).trim_matches(['\0', '\n']).to_string();
        self.check(status).map_err(|error| if log.is_empty() { error } else { log.clone() })?;
        let mut ptx = self.get(program, self.ptx)?;
        // NVRTC counts a terminating zero.
        ptx.pop_if(|last| *last == 0);
        Ok(Product { ptx, cubin: self.get(program, self.cubin)?, log })
    }

    fn get(&self, program: Program, (size_of, text_of): (SizeOf, TextOf)) -> Result<Vec<u8>, String> {
        let mut size = 0;
        // SAFETY: the program is live, the size a live integer.
        self.check(unsafe { size_of(program, &mut size) })?;
        let mut bytes = vec![0; size];
        if size > 0 {
            // SAFETY: the library writes as many bytes as it said.
            self.check(unsafe { text_of(program, bytes.as_mut_ptr().cast()) })?;
        }
        Ok(bytes)
    }

    fn check(&self, status: Status) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the library returns a static string for any number.
        let reason = unsafe { CStr::from_ptr((self.error_string)(status)) };
        Err(reason.to_string_lossy().into_owned())
    }
}

/// The loader's own words, which `libloading` keeps in the error's source.
fn reason(error: libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Loads the libraries of built-in functions beside `path`: some releases do not find them there
/// themselves, but take one that is already loaded.
fn open_builtins(path: &Path) -> Vec<Library> {
    let Some(folder) = path.parent() else { return Vec::new() };
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let builtins = files.filter(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("libnvrtc-builtins.so")
    });
    // SAFETY: loading runs the library's initialisers, which have no requirement of the caller.
    builtins.filter_map(|file| unsafe { Library::new(file) }.ok()).collect()
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| "the text has a zero byte".to_string())
}

fn c_strings<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<CString>, String> {
    texts.map(c_string).collect()
}

/// The strings' addresses, with one null after them, so that an empty list has an address, too.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([null()]).collect()
}
