//! Pieces of queued work, and how they are done.

use std::sync::Arc;

use cudarc::driver::sys::CUresult;
use ptxsim::{Device, LaunchReport};

use crate::handle::Id;
use crate::host;
use crate::module::Code;

/// One piece of a stream's work.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Launch(Arc<Launch>),
    Copy(Copy),
    Fill(Fill),
    /// Device memory is freed.
    Free {
        address: u64,
    },
    /// An event is reached.
    Record {
        event: Id,
    },
    /// Nothing is done: what comes after this comes after all that this waits for.
    Join,
    Host(HostCall),
}

/// A kernel with its arguments.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The module's handle, by which one sees whether it is still loaded.
    pub module: Id,
    pub code: Code,
    pub kernel: String,
    pub shape: ptxsim::Launch,
    /// The parameter buffer.
    pub params: Vec<u8>,
}

/// A place of a copy: a box of bytes, of which the rows are `pitch` bytes apart and the layers `layer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub side: Side,
    pub address: u64,
    pub pitch: usize,
    pub layer: usize,
}

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Host,
    Device,
}

impl Place {
    /// Bytes in one row.
    pub fn line(side: Side, address: u64) -> Self {
        Self { side, address, pitch: 0, layer: 0 }
    }

    /// Where a row of a layer starts.
    pub fn row(&self, row: usize, layer: usize) -> u64 {
        self.address.wrapping_add((row * self.pitch + layer * self.layer) as u64)
    }
}

/// A copy of `rows` rows of `bytes` bytes in each of `layers` layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub from: Place,
    pub to: Place,
    pub bytes: usize,
    pub rows: usize,
    pub layers: usize,
}

/// `rows` rows of device memory are filled with `count` repetitions of a value of `width` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    pub to: u64,
    pub pitch: usize,
    pub value: u32,
    pub width: usize,
    pub count: usize,
    pub rows: usize,
}

/// A function of the program that is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostCall {
    pub function: HostFunction,
    /// What it is given.
    pub data: usize,
}

/// The two kinds of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HostFunction {
    /// Of `cuLaunchHostFunc`.
    Plain(unsafe extern "C" fn(*mut std::ffi::c_void)),
    /// Of `cuStreamAddCallback`, which takes the stream and its status, too.
    Callback(unsafe extern "C" fn(cudarc::driver::sys::CUstream, CUresult, *mut std::ffi::c_void), Id),
}

/// What went wrong in a piece of work: the error that the context has from then on, and the report.
#[derive(Debug)]
pub(crate) struct Failure {
    pub code: CUresult,
    pub what: String,
    /// The fault of a kernel, if it is one.
    pub fault: Option<Box<ptxsim::Fault>>,
}

impl Failure {
    /// An access to memory that is not there.
    pub fn memory(what: impl Into<String>) -> Self {
        Self { code: CUresult::CUDA_ERROR_ILLEGAL_ADDRESS, what: what.into(), fault: None }
    }
}

impl Launch {
    pub fn run(&self, device: &Device) -> Result<LaunchReport, Failure> {
        let done = device.launch_packed(&self.code.module, &self.kernel, &self.shape, &self.params);
        done.map_err(|error| {
            let code = match &error {
                ptxsim::Error::Fault(fault) => code_of(&fault.kind),
                _ => CUresult::CUDA_ERROR_LAUNCH_FAILED,
            };
            let what = error.to_string();
            let fault = if let ptxsim::Error::Fault(fault) = error { Some(fault) } else { None };
            Failure { code, what, fault }
        })
    }
}

/// The error that a GPU has after such a fault. Those that no GPU sees are launches that failed.
fn code_of(fault: &ptxsim::FaultKind) -> CUresult {
    use ptxsim::{FaultKind, Space};
    match fault {
        FaultKind::OutOfBounds { space: Space::Shared | Space::Local, .. } => {
            CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
        }
        FaultKind::OutOfBounds { .. } | FaultKind::UseAfterFree { .. } | FaultKind::ReadOnly { .. } => {
            CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        }
        FaultKind::Misaligned { .. } => CUresult::CUDA_ERROR_MISALIGNED_ADDRESS,
        FaultKind::Deadlock { .. } | FaultKind::Hang { .. } => CUresult::CUDA_ERROR_LAUNCH_TIMEOUT,
        FaultKind::BadTarget { .. } => CUresult::CUDA_ERROR_INVALID_PC,
        FaultKind::BadDescriptor { .. } | FaultKind::BadTensorMap { .. } => {
            CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
        }
        _ => CUresult::CUDA_ERROR_LAUNCH_FAILED,
    }
}

impl Copy {
    /// A copy of `bytes` bytes in one row.
    pub fn line(from: Place, to: Place, bytes: usize) -> Self {
        Self { from, to, bytes, rows: 1, layers: 1 }
    }

    /// The number of every row and its layer.
    pub fn each_row(&self) -> impl Iterator<Item = (usize, usize)> {
        let rows = self.rows;
        (0..self.layers).flat_map(move |layer| (0..rows).map(move |row| (row, layer)))
    }

    pub fn run(&self, device: &Device) -> Result<(), Failure> {
        for (row, layer) in self.each_row() {
            self.run_row(device, self.from.row(row, layer), self.to.row(row, layer))?;
        }
        Ok(())
    }

    /// The first row of device memory that is to be copied to the host, and has bytes never written.
    pub fn first_unwritten(&self, device: &Device) -> Option<u64> {
        if (self.from.side, self.to.side) != (Side::Device, Side::Host) {
            return None;
        }
        let mut rows = self.each_row().map(|(row, layer)| self.from.row(row, layer));
        // What is not there at all fails in the copy.
        rows.find(|&row| !device.is_written(row, self.bytes).unwrap_or(true))
    }

    /// Where the device memory of the copy starts, on each side that is such.
    pub fn device_addresses(&self) -> impl Iterator<Item = u64> {
        let on_device = [self.from, self.to].into_iter().filter(|place| place.side == Side::Device);
        on_device.map(|place| place.address)
    }

    fn run_row(&self, device: &Device, from: u64, to: u64) -> Result<(), Failure> {
        let simulated = |error: ptxsim::Error| Failure::memory(error.to_string());
        if (self.from.side, self.to.side) == (Side::Device, Side::Device) {
            return device.copy(to, from, self.bytes).map_err(simulated);
        }
        let mut bytes = vec![0; self.bytes];
        match self.from.side {
            Side::Host => host::read(from, &mut bytes).map_err(Failure::memory)?,
            Side::Device => device.read(from, &mut bytes).map_err(simulated)?,
        }
        match self.to.side {
            Side::Host => host::write(to, &bytes).map_err(Failure::memory),
            Side::Device => device.write(to, &bytes).map_err(simulated),
        }
    }
}

impl Fill {
    pub fn run(&self, device: &Device) -> Result<(), Failure> {
        let bytes = self.value.to_le_bytes()[..self.width].repeat(self.count);
        for row in 0..self.rows {
            let to = self.to.wrapping_add((row * self.pitch) as u64);
            device.write(to, &bytes).map_err(|error| Failure::memory(error.to_string()))?;
        }
        Ok(())
    }
}

impl HostCall {
    pub fn run(&self) {
        let data = std::ptr::with_exposed_provenance_mut(self.data);
        match self.function {
            // SAFETY: the program gave the function for this, with the data that it takes.
            HostFunction::Plain(function) => unsafe { function(data) },
            HostFunction::Callback(function, stream) => {
                let stream = std::ptr::with_exposed_provenance_mut(stream as usize);
                // SAFETY: as above.
                unsafe { function(stream, CUresult::CUDA_SUCCESS, data) }
            }
        }
    }
}
