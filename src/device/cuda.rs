//! The CUDA driver, through cudarc, which loads libcuda when it is first called.
//!
//! One context and one stream. Kernels are loaded at their first launch from the embedded images: machine
//! code, or PTX if `CUGRAD_IMAGES=ptx` says so, for a driver that is to compile it, or to simulate it
//! (ptxsim-cuda).

mod launch;

use super::driver::{Arg, DeviceInfo, Driver, Event, Graph, Grid};
use super::kernels::{self, Entry, Image, ImageKind, Module};
use super::tensor_map::{TensorLayout, TensorMap};
use crate::error::{Error, Result};
use cudarc::driver::{
    CudaContext, CudaEvent, CudaFunction, CudaGraph, CudaModule, CudaStream, DriverError, result, sys,
};
use cudarc::nvrtc::Ptx;
use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The oldest CUDA version of which every function used here is part.
const OLDEST_DRIVER: i32 = 12000;

/// A GPU behind the CUDA driver.
pub struct CudaDriver {
    info: DeviceInfo,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    images: Images,
    loaded: Mutex<Loaded>,
    capturing: AtomicBool,
}

/// Which images are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Images {
    /// Those that fit the GPU best.
    Best,
    /// PTX only.
    Ptx,
}

impl Images {
    /// What the environment's `CUGRAD_IMAGES` says.
    fn read() -> Result<Images> {
        match std::env::var("CUGRAD_IMAGES").as_deref() {
            Err(_) | Ok("" | "best") => Ok(Images::Best),
            Ok("ptx") => Ok(Images::Ptx),
            Ok(other) => Err(no_device(
                format!("CUGRAD_IMAGES is `{other}`, expected `best` or `ptx`"),
                "leave it unset for the machine code that fits the GPU",
            )),
        }
    }

    /// The image of `module` to load on a GPU of this compute capability.
    fn choose(self, module: &Module, capability: (u32, u32)) -> Option<&'static Image> {
        match self {
            Images::Best => module.image_for(capability),
            Images::Ptx => module.ptx_for(capability),
        }
    }
}

/// The modules and kernels loaded so far, by file and by name.
#[derive(Default)]
struct Loaded {
    modules: HashMap<&'static str, Arc<CudaModule>>,
    functions: HashMap<&'static str, CudaFunction>,
}

impl CudaDriver {
    /// The GPU with the number `ordinal`.
    ///
    /// # Errors
    /// [`Error::NoDevice`] when this machine, its driver or this build cannot serve it.
    pub fn open(ordinal: usize) -> Result<CudaDriver> {
        let version = probe(ordinal)?;
        let images = Images::read()?;
        let context = CudaContext::new(ordinal).map_err(not_opened)?;
        // SAFETY: cudarc's memory objects, whose accesses the tracking would order between streams,
        // are not used here, and there is one stream.
        unsafe { context.disable_event_tracking() };
        let info = describe(&context, version).map_err(driver("asking what the GPU is"))?;
        expect_images(&info)?;
        let stream = context.new_stream().map_err(driver("creating a stream"))?;
        let (loaded, capturing) = (Mutex::default(), AtomicBool::new(false));
        Ok(CudaDriver { info, context, stream, images, loaded, capturing })
    }

    /// Makes the context current on this thread, as the calls of [`result`] need it.
    fn bind(&self) -> Result<()> {
        self.context.bind_to_thread().map_err(driver("entering the GPU's context"))
    }

    /// The kernel, loaded at its first use.
    fn function(&self, entry: &'static Entry) -> Result<CudaFunction> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = loaded.functions.get(entry.name) {
            return Ok(function.clone());
        }
        let module = match loaded.modules.get(entry.module.file) {
            Some(module) => Arc::clone(module),
            None => {
                let module = self.load(entry)?;
                loaded.modules.insert(entry.module.file, Arc::clone(&module));
                module
            }
        };
        let function = module.load_function(entry.name).map_err(not_launched(entry))?;
        loaded.functions.insert(entry.name, function.clone());
        Ok(function)
    }

    fn load(&self, entry: &'static Entry) -> Result<Arc<CudaModule>> {
        let capability = self.info.compute_capability;
        let image = self.images.choose(entry.module, capability);
        let image = image.ok_or_else(|| no_image(entry.module, capability))?;
        let mut bytes = image
            .unpack()
            .map_err(|error| Error::Launch { kernel: entry.name, why: format!("its image: {error}") })?;
        if matches!(image.kind, ImageKind::Ptx | ImageKind::SimulatorPtx) {
            // The driver reads PTX as a C string.
            bytes.push(0);
        }
        self.context.load_module(Ptx::from_binary(bytes)).map_err(not_launched(entry))
    }

    /// Fails while work is recorded: the recording would keep the host's address, not its bytes.
    fn expect_no_capture(&self, call: &'static str) -> Result<()> {
        if self.capturing.load(Ordering::Relaxed) {
            return Err(Error::Driver { call, why: "it is not possible while work is recorded".into() });
        }
        Ok(())
    }
}

impl Driver for CudaDriver {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn alloc(&self, bytes: usize) -> Result<u64> {
        self.bind()?;
        // SAFETY: the memory's first use is a write; kernels that read it before are checked for by
        // the simulator.
        let address = unsafe { result::malloc_sync(bytes) };
        address.map_err(|error| {
            let (free, total) = self.context.mem_get_info().unwrap_or_default();
            match error.0 {
                sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::OutOfMemory { bytes, free, total },
                _ => driver("allocating device memory")(error),
            }
        })
    }

    fn free(&self, address: u64) {
        // An error here is one of the work before it, which the next call reports again.
        if self.synchronize().is_ok() {
            // SAFETY: the caller hands back what `alloc` gave, once, and no work uses it any more.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    fn reuses_memory(&self) -> bool {
        true
    }

    fn write(&self, to: u64, from: &[u8]) -> Result<()> {
        const CALL: &str = "copying to the GPU";
        self.expect_no_capture(CALL)?;
        self.bind()?;
        // SAFETY: the buffer at `to` is as long as `from` (GpuBuffer checks it), and `from` outlives
        // the copy, which is waited for.
        unsafe { result::memcpy_htod_async(to, from, self.stream.cu_stream()) }.map_err(driver(CALL))?;
        self.synchronize()
    }

    fn read(&self, from: u64, to: &mut [u8]) -> Result<()> {
        const CALL: &str = "copying from the GPU";
        self.expect_no_capture(CALL)?;
        self.bind()?;
        // SAFETY: as in `write`.
        unsafe { result::memcpy_dtoh_async(to, from, self.stream.cu_stream()) }.map_err(driver(CALL))?;
        self.synchronize()
    }

    fn copy(&self, to: u64, from: u64, bytes: usize) -> Result<()> {
        self.bind()?;
        // SAFETY: both buffers have at least `bytes` bytes and live until the stream has done this.
        unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream.cu_stream()) }
            .map_err(driver("copying on the GPU"))
    }

    fn fill(&self, to: u64, value: u8, bytes: usize) -> Result<()> {
        self.bind()?;
        // SAFETY: the buffer has at least `bytes` bytes and lives until the stream has done this.
        unsafe { result::memset_d8_async(to, value, bytes, self.stream.cu_stream()) }
            .map_err(driver("filling GPU memory"))
    }

    fn fill_words(&self, to: u64, word: u32, words: usize) -> Result<()> {
        self.bind()?;
        // SAFETY: as in `fill`; device allocations are aligned to words.
        let status = unsafe { sys::cuMemsetD32Async(to, word, words, self.stream.cu_stream()) };
        status.result().map_err(driver("filling GPU memory"))
    }

    fn tensor_map(&self, layout: &TensorLayout) -> Result<TensorMap> {
        launch::tensor_map(layout).map_err(driver("encoding a tensor map"))
    }

    fn launch(&self, entry: &'static Entry, grid: Grid, args: &[Arg]) -> Result<()> {
        let function = self.function(entry)?;
        self.bind()?;
        launch::kernel(&function, grid, args, &self.stream).map_err(|error| Error::Launch {
            kernel: entry.name,
            why: format!("{} (grid {:?}, block {:?})", words(error), grid.blocks, grid.threads),
        })
    }

    fn synchronize(&self) -> Result<()> {
        self.stream.synchronize().map_err(driver("work on the GPU"))
    }

    fn begin_capture(&self) -> Result<()> {
        // Relaxed: memory may be allocated and kernels loaded meanwhile, which is no work of the
        // stream.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        self.stream.begin_capture(mode).map_err(driver("starting to record work"))?;
        self.capturing.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn end_capture(&self) -> Result<Box<dyn Graph>> {
        const CALL: &str = "recording work";
        self.capturing.store(false, Ordering::Relaxed);
        let graph = self.stream.end_capture(sys::CUgraphInstantiate_flags(0)).map_err(driver(CALL))?;
        let graph = graph.ok_or(Error::Driver { call: CALL, why: "nothing was recorded".into() })?;
        Ok(Box::new(RecordedGraph(graph)))
    }

    fn record_event(&self) -> Result<Box<dyn Event>> {
        let event = self.stream.record_event(Some(sys::CUevent_flags::CU_EVENT_DEFAULT));
        Ok(Box::new(RecordedEvent(event.map_err(driver("recording an event"))?)))
    }
}

struct RecordedGraph(CudaGraph);

// SAFETY: a CUDA graph is bound to no thread; it only must not be used by two at once, and it is not
// `Sync`.
unsafe impl Send for RecordedGraph {}

impl Graph for RecordedGraph {
    fn launch(&self) -> Result<()> {
        self.0.launch().map_err(driver("launching recorded work"))
    }
}

struct RecordedEvent(CudaEvent);

impl Event for RecordedEvent {
    fn ms_since(&self, earlier: &dyn Event) -> Result<f64> {
        const CALL: &str = "measuring the time between events";
        let earlier = earlier.as_any().downcast_ref::<RecordedEvent>();
        let earlier = earlier.ok_or(Error::Driver { call: CALL, why: "they are of two devices".into() })?;
        earlier.0.elapsed_ms(&self.0).map(f64::from).map_err(driver(CALL))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Finds out whether there is a driver new enough with a GPU `ordinal`; returns its CUDA version.
/// cudarc panics where libcuda or a function of it is missing, so this comes before anything else.
fn probe(ordinal: usize) -> Result<i32> {
    let install = "install NVIDIA's driver (in a container: run it with --gpus all), or use --device cpu";
    if let Some(remedy) = kernels::NVRTC_MISSING {
        return Err(no_device("this build has no CUDA kernels", remedy));
    }
    // SAFETY: loading libcuda runs its initialisers, which have no requirement of the caller.
    if !unsafe { sys::is_culib_present() } {
        return Err(no_device("the library libcuda is not on this machine", install));
    }
    let mut version = 0;
    // SAFETY: the pointer is to a live integer; every libcuda has this function.
    let status = unsafe { sys::cuDriverGetVersion(&mut version) };
    status.result().map_err(|error| no_device(format!("libcuda says {}", words(error)), install))?;
    if version < OLDEST_DRIVER {
        return Err(no_device(
            format!(
                "the driver speaks CUDA {}, expected {} or newer",
                dotted(version),
                dotted(OLDEST_DRIVER)
            ),
            "update NVIDIA's driver to 525 or newer, or use --device cpu",
        ));
    }
    let count = CudaContext::device_count()
        .map_err(|error| no_device(format!("the driver says {}", words(error)), install))?;
    if usize::try_from(count).is_ok_and(|count| ordinal < count) {
        return Ok(version);
    }
    Err(no_device(
        format!("the driver shows {count} GPUs, asked for number {ordinal}"),
        "CUDA_VISIBLE_DEVICES says which are shown; or use --device cpu",
    ))
}

/// A GPU that other programs keep to themselves, or whose memory they fill, is none to be had.
fn not_opened(error: DriverError) -> Error {
    match error.0 {
        sys::CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE | sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => no_device(
            format!("the GPU is taken: the driver says {}", words(error)),
            "wait for what uses it (nvidia-smi shows it), choose another by CUDA_VISIBLE_DEVICES, or use \
             --device cpu",
        ),
        _ => driver("opening the GPU")(error),
    }
}

fn describe(context: &CudaContext, version: i32) -> std::result::Result<DeviceInfo, DriverError> {
    let (major, minor) = context.compute_capability()?;
    let multiprocessors =
        context.attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
    Ok(DeviceInfo {
        name: context.name()?,
        compute_capability: (major.unsigned_abs(), minor.unsigned_abs()),
        multiprocessors: multiprocessors.unsigned_abs(),
        memory_bytes: context.total_mem()?,
        driver_version: dotted(version),
    })
}

/// Checks that the GPU can run the kernels. Those for one architecture alone are not asked of it.
fn expect_images(info: &DeviceInfo) -> Result<()> {
    let capability = info.compute_capability;
    let unserved = |module: &Module| {
        let is_general = module.images.iter().any(|image| image.kind == ImageKind::Ptx);
        is_general && module.image_for(capability).is_none()
    };
    match kernels::ALL.iter().find(|entry| unserved(entry.module)) {
        Some(entry) => Err(no_image(entry.module, capability)),
        None => Ok(()),
    }
}

fn no_image(module: &Module, (major, minor): (u32, u32)) -> Error {
    let images = module.images.iter().filter(|image| image.kind != ImageKind::SimulatorPtx);
    let images: Vec<String> = images.map(ToString::to_string).collect();
    no_device(
        format!(
            "the GPU is sm_{major}{minor}, and kernels/{} is built for {}",
            module.file,
            images.join(", ")
        ),
        "use a GPU of compute capability 8.0 or newer, or --device cpu",
    )
}

fn no_device(why: impl Into<String>, help: &str) -> Error {
    Error::NoDevice { device: "cuda", why: why.into(), help: help.into() }
}

/// 12090 is 12.9.
fn dotted(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

fn driver(call: &'static str) -> impl FnOnce(DriverError) -> Error {
    move |error| Error::Driver { call, why: words(error) }
}

fn not_launched(entry: &'static Entry) -> impl FnOnce(DriverError) -> Error {
    move |error| Error::Launch { kernel: entry.name, why: words(error) }
}

/// The driver's name for the error, and what it says about it.
fn words(error: DriverError) -> String {
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let name = error.error_name().map_or_else(|_| format!("{:?}", error.0), text);
    error.error_string().map_or(name.clone(), |reason| format!("{name}: {}", text(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_no_image_fits_is_told_what_there_is() {
        let info = DeviceInfo {
            name: "old".into(),
            compute_capability: (7, 5),
            multiprocessors: 1,
            memory_bytes: 1,
            driver_version: "12.0".into(),
        };
        match expect_images(&info) {
            Err(error) => {
                let said = error.to_string();
                for part in ["sm_75", "sm_80", "PTX for sm_80 and newer", "--device cpu"] {
                    assert!(said.contains(part), "{part} is missing in: {said}");
                }
            }
            Ok(()) => assert!(kernels::NVRTC_MISSING.is_some(), "a build with kernels has none for sm_75"),
        }
    }
}
