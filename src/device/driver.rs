//! What the GPU host code needs of a driver. `cuda` (the real one) and `sim` (the PTX simulator)
//! implement it, so every launch the host code makes can be run, and checked, without a GPU.

use super::kernels::Entry;
use super::tensor_map::{TensorLayout, TensorMap};
use crate::error::Result;
use std::fmt;
use std::marker::PhantomData;

/// A GPU's driver. All work goes to one stream, in order; every address is in device memory.
pub trait Driver: Send + Sync {
    /// What the device is.
    fn info(&self) -> &DeviceInfo;

    /// Takes `bytes` bytes of device memory.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`] with what is free.
    fn alloc(&self, bytes: usize) -> Result<u64>;

    /// Gives memory from [`Driver::alloc`] back, once the work queued so far is done with it.
    fn free(&self, address: u64);

    /// Whether freed memory may be kept for the next allocation of its size. The simulator says no,
    /// so that it sees a use after free and a read of memory never written.
    fn reuses_memory(&self) -> bool;

    /// Copies from the host; `from` may be reused as soon as this returns.
    fn write(&self, to: u64, from: &[u8]) -> Result<()>;

    /// Copies to the host, after all work queued so far.
    fn read(&self, from: u64, to: &mut [u8]) -> Result<()>;

    /// Copies within the device.
    fn copy(&self, to: u64, from: u64, bytes: usize) -> Result<()>;

    /// Sets every byte to `value`.
    fn fill(&self, to: u64, value: u8, bytes: usize) -> Result<()>;

    /// Sets `words` times four bytes to `word`.
    fn fill_words(&self, to: u64, word: u32, words: usize) -> Result<()>;

    /// Encodes a map of a tensor, for kernels that copy by TMA. The tensor outlives the map's uses.
    ///
    /// # Errors
    /// [`crate::Error::Driver`] when the device has no TMA or the layout breaks a rule of it.
    fn tensor_map(&self, layout: &TensorLayout) -> Result<TensorMap>;

    /// Queues a kernel, loading its module at the first use.
    ///
    /// # Errors
    /// [`crate::Error::NoDevice`] when no embedded image fits the device, [`crate::Error::Launch`]
    /// with the driver's reason otherwise.
    fn launch(&self, entry: &'static Entry, grid: Grid, args: &[Arg]) -> Result<()>;

    /// Waits for all work queued so far, and reports what failed in it.
    fn synchronize(&self) -> Result<()>;

    /// Starts recording the work queued from here on, instead of doing it. [`Gpu::record`] calls
    /// this, and keeps the memory that the work needs.
    ///
    /// [`Gpu::record`]: super::Gpu::record
    fn begin_capture(&self) -> Result<()>;

    /// Ends the recording; the graph repeats the recorded work at each [`Graph::launch`].
    fn end_capture(&self) -> Result<Box<dyn Graph>>;

    /// Marks the present point of the stream, for [`Event::ms_since`].
    fn record_event(&self) -> Result<Box<dyn Event>>;
}

/// Recorded device work.
pub trait Graph: Send {
    /// Queues the recorded work once more.
    fn launch(&self) -> Result<()>;
}

/// A point in the stream's time.
pub trait Event: Send {
    /// Milliseconds of device time from `earlier` to this event; waits for both.
    fn ms_since(&self, earlier: &dyn Event) -> Result<f64>;

    /// The event's driver-specific self, for [`Event::ms_since`].
    fn as_any(&self) -> &dyn std::any::Any;
}

/// What a GPU is, as its driver says.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// `NVIDIA H200`, or the simulator's name.
    pub name: String,
    /// Compute capability: (9, 0) for sm_90.
    pub compute_capability: (u32, u32),
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of device memory.
    pub memory_bytes: usize,
    /// The driver's version as it prints it (12.9), or the simulator's.
    pub driver_version: String,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.compute_capability;
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        write!(f, "{} (sm_{major}{minor}, {gib:.0} GiB, driver {})", self.name, self.driver_version)
    }
}

/// How many blocks of how many threads a kernel is launched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Blocks in x, y, z.
    pub blocks: [u32; 3],
    /// Threads of a block in x, y, z.
    pub threads: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
    /// Blocks of a cluster in x, y, z; it divides `blocks`. More than one needs sm_90.
    pub cluster: [u32; 3],
    /// Programmatic dependent launch: the kernel may start before the one queued before it has ended,
    /// and waits for it itself, by `griddepcontrol.wait`. Needs sm_90.
    pub overlaps_previous: bool,
}

impl Grid {
    /// Blocks along x alone, of `threads` threads.
    pub fn linear(blocks: usize, threads: i32) -> Grid {
        Grid::new([blocks, 1, 1], threads)
    }

    /// One block of `threads` threads for every tile.
    pub fn new(blocks: [usize; 3], threads: i32) -> Grid {
        Grid {
            blocks: blocks.map(|b| u32::try_from(b).unwrap_or(u32::MAX)),
            threads: [threads.unsigned_abs(), 1, 1],
            shared_bytes: 0,
            cluster: [1; 3],
            overlaps_previous: false,
        }
    }

    /// The same with `bytes` bytes of dynamic shared memory a block.
    pub fn with_shared(self, bytes: i32) -> Grid {
        Grid { shared_bytes: bytes.unsigned_abs(), ..self }
    }

    /// The same in clusters of `blocks` blocks in x, y, z.
    pub fn with_cluster(self, blocks: [u32; 3]) -> Grid {
        Grid { cluster: blocks, ..self }
    }

    /// The same, allowed to start before the kernel before it has ended.
    pub fn overlapping_previous(self) -> Grid {
        Grid { overlaps_previous: true, ..self }
    }
}

/// The address of `T`s in device memory that a kernel reads.
#[derive(Debug)]
pub struct Ptr<T> {
    address: u64,
    element: PhantomData<T>,
}

/// The address of `T`s in device memory that a kernel writes.
#[derive(Debug)]
pub struct PtrMut<T> {
    address: u64,
    element: PhantomData<T>,
}

macro_rules! pointer {
    ($name:ident) => {
        impl<T> $name<T> {
            /// The pointer to `address`; 0 is the null pointer, for an absent optional argument.
            pub fn new(address: u64) -> Self {
                $name { address, element: PhantomData }
            }
        }
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $name<T> {}
        impl<T> From<$name<T>> for Arg {
            fn from(p: $name<T>) -> Arg {
                Arg::Pointer(p.address)
            }
        }
    };
}

pointer!(Ptr);
pointer!(PtrMut);

/// One kernel argument. The generated [`Launch`](super::kernels::Launch) structures make them, in the kernel's order.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    /// An address in device memory.
    Pointer(u64),
    /// `int`.
    I32(i32),
    /// `unsigned`.
    U32(u32),
    /// `unsigned long long`.
    U64(u64),
    /// `float`.
    F32(f32),
    /// `TensorMap`, by value.
    TensorMap(TensorMap),
}

impl Arg {
    /// The argument's bytes, as the kernel's parameter space holds them.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Arg::Pointer(x) | Arg::U64(x) => bytemuck::bytes_of(x),
            Arg::I32(x) => bytemuck::bytes_of(x),
            Arg::U32(x) => bytemuck::bytes_of(x),
            Arg::F32(x) => bytemuck::bytes_of(x),
            Arg::TensorMap(map) => map.bytes(),
        }
    }

    /// The device memory that the kernel reaches through the argument, if it is a way to some.
    pub fn address(&self) -> Option<u64> {
        match self {
            Arg::Pointer(address) => Some(*address),
            Arg::TensorMap(map) => Some(map.address()),
            Arg::I32(_) | Arg::U32(_) | Arg::U64(_) | Arg::F32(_) => None,
        }
    }
}

macro_rules! arg_from {
    ($($t:ty => $variant:ident),*) => {
        $(impl From<$t> for Arg {
            fn from(x: $t) -> Arg {
                Arg::$variant(x)
            }
        })*
    };
}

arg_from!(i32 => I32, u32 => U32, u64 => U64, f32 => F32, TensorMap => TensorMap);
