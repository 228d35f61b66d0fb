//! The GPUs that can be simulated: their names, attributes and limits, as their driver tells them.

use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;

/// A model of GPU.
#[derive(Debug)]
pub(crate) struct Model {
    /// What `PTXSIM_GPU` calls it.
    pub name: &'static str,
    /// What the driver calls it.
    pub full_name: &'static str,
    pub capability: (u32, u32),
    /// Device memory that programs can have, rounded down to half a GiB.
    pub memory_bytes: u64,
    pub multiprocessors: u32,
    pub clock_khz: u32,
    pub memory_clock_khz: u32,
    pub bus_bits: u32,
    pub l2_bytes: u32,
    /// Threads and blocks that a multiprocessor holds.
    pub threads_per_multiprocessor: u32,
    pub blocks_per_multiprocessor: u32,
    /// Shared memory of a multiprocessor, and what a block may ask of it.
    pub shared_per_multiprocessor: u32,
    pub shared_opt_in: u32,
    /// f32 operations for each f64 operation.
    pub single_to_double: u32,
    /// Copy engines.
    pub copy_engines: u32,
}

/// Shared memory that a block may have without asking for more.
pub(crate) const DEFAULT_SHARED_BYTES: u32 = 48 * 1024;
/// Shared memory of each block that the system keeps, since compute capability 8.0.
pub(crate) const RESERVED_SHARED_BYTES: u32 = 1024;
/// 32-bit registers of a multiprocessor, and of a block at most.
pub(crate) const REGISTERS: u32 = 65536;
/// Threads of a warp.
pub(crate) const WARP: u32 = 32;
/// Rows of pitched memory start at multiples of this.
pub(crate) const PITCH: usize = 512;
/// The longest row of pitched memory.
pub(crate) const MAX_PITCH: usize = i32::MAX as usize;

const GIB: u64 = 1 << 30;

const H100: Model = Model {
    name: "h100",
    full_name: "NVIDIA H100 80GB HBM3",
    capability: (9, 0),
    memory_bytes: 79 * GIB,
    multiprocessors: 132,
    clock_khz: 1_980_000,
    memory_clock_khz: 2_619_000,
    bus_bits: 5120,
    l2_bytes: 50 << 20,
    threads_per_multiprocessor: 2048,
    blocks_per_multiprocessor: 32,
    shared_per_multiprocessor: 228 * 1024,
    shared_opt_in: 227 * 1024,
    single_to_double: 2,
    copy_engines: 3,
};

const H200: Model = Model {
    name: "h200",
    full_name: "NVIDIA H200",
    memory_bytes: 139 * GIB + GIB / 2,
    memory_clock_khz: 3_201_000,
    bus_bits: 6144,
    ..H100
};

const A100: Model = Model {
    name: "a100",
    full_name: "NVIDIA A100-SXM4-80GB",
    capability: (8, 0),
    multiprocessors: 108,
    clock_khz: 1_410_000,
    memory_clock_khz: 1_593_000,
    l2_bytes: 40 << 20,
    shared_per_multiprocessor: 164 * 1024,
    shared_opt_in: 163 * 1024,
    ..H100
};

const RTX_4090: Model = Model {
    name: "rtx4090",
    full_name: "NVIDIA GeForce RTX 4090",
    capability: (8, 9),
    memory_bytes: 23 * GIB + GIB / 2,
    multiprocessors: 128,
    clock_khz: 2_520_000,
    memory_clock_khz: 10_501_000,
    bus_bits: 384,
    l2_bytes: 72 << 20,
    threads_per_multiprocessor: 1536,
    blocks_per_multiprocessor: 24,
    shared_per_multiprocessor: 100 * 1024,
    shared_opt_in: 99 * 1024,
    single_to_double: 64,
    copy_engines: 2,
};

impl Model {
    /// The models that are known.
    pub const ALL: &[Model] = &[H100, H200, A100, RTX_4090];

    /// The model of that name.
    pub fn find(name: &str) -> Option<&'static Model> {
        Self::ALL.iter().find(|model| model.name.eq_ignore_ascii_case(name))
    }

    /// Whether blocks can form clusters and use TMA.
    pub fn has_clusters(&self) -> bool {
        self.capability.0 >= 9
    }

    /// The value of a device attribute by its number. What is not listed is a texture, a surface or a way
    /// of sharing with other processes and devices, of which there is none: 0.
    pub fn attribute(&self, number: u32, ordinal: usize) -> i32 {
        let hopper = i32::from(self.has_clusters());
        let has = |attribute: Attribute| attribute as u32 == number;
        let found = self.limits().into_iter().find(|&(attribute, _)| has(attribute));
        if let Some((_, value)) = found {
            return i32::try_from(value).unwrap_or(i32::MAX);
        }
        if has(Attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID) {
            return ordinal as i32 + 1;
        }
        if has(Attribute::CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH)
            || has(Attribute::CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED)
        {
            return hopper;
        }
        i32::from(ABILITIES.iter().copied().any(has))
    }

    fn limits(&self) -> [(Attribute, u32); 36] {
        use Attribute::*;
        [
            (CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024),
            (CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024),
            (CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024),
            (CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64),
            (CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, i32::MAX as u32),
            (CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535),
            (CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535),
            (CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, DEFAULT_SHARED_BYTES),
            (CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY, 65536),
            (CU_DEVICE_ATTRIBUTE_WARP_SIZE, WARP),
            (CU_DEVICE_ATTRIBUTE_MAX_PITCH, MAX_PITCH as u32),
            (CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, REGISTERS),
            (CU_DEVICE_ATTRIBUTE_CLOCK_RATE, self.clock_khz),
            (CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT, 512),
            (CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, self.multiprocessors),
            (CU_DEVICE_ATTRIBUTE_SURFACE_ALIGNMENT, 512),
            (CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, self.memory_clock_khz),
            (CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, self.bus_bits),
            (CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, self.l2_bytes),
            (CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, self.threads_per_multiprocessor),
            (CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, self.copy_engines),
            (CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT, 32),
            (CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, self.capability.0),
            (CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, self.capability.1),
            (CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, self.shared_per_multiprocessor),
            (CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, REGISTERS),
            (CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO, self.single_to_double),
            (CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, self.shared_opt_in),
            (CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, self.blocks_per_multiprocessor),
            (CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, RESERVED_SHARED_BYTES),
            (CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_WIDTH, 131_072),
            (CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_WIDTH, 131_072),
            (CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE2D_HEIGHT, 65536),
            (CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_WIDTH, 16384),
            (CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_HEIGHT, 16384),
            (CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE3D_DEPTH, 16384),
        ]
    }
}

/// What every model can do.
const ABILITIES: &[Attribute] = &[
    Attribute::CU_DEVICE_ATTRIBUTE_GPU_OVERLAP,
    Attribute::CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY,
    Attribute::CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS,
    Attribute::CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING,
    Attribute::CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED,
    Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED,
    Attribute::CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED,
    Attribute::CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY,
    Attribute::CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS,
    Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED,
    Attribute::CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
    Attribute::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH,
    Attribute::CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED,
    Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED,
];
