//! What the tests share: buffers on a device, and kernels written as a few lines of PTX.
#![allow(dead_code)]

use ptxsim::{Arg, Checks, Config, Device, Error, FaultKind, Launch, LaunchReport, Module};

/// A device with every check on.
pub fn device() -> Device {
    Device::new(Config::default()).expect("a device")
}

/// A device with every check on and so many CPU threads.
pub fn device_with(threads: usize, checks: Checks) -> Device {
    Device::new(Config { threads, checks, ..Config::default() }).expect("a device")
}

/// An allocation that holds `words`.
pub fn upload(device: &Device, words: &[u32]) -> u64 {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let address = device.alloc(bytes.len()).expect("memory");
    device.write(address, &bytes).expect("a write");
    address
}

/// `count` words from `address`.
pub fn download(device: &Device, address: u64, count: usize) -> Vec<u32> {
    let mut bytes = vec![0; count * 4];
    device.read(address, &mut bytes).expect("a read");
    bytes.chunks(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

/// An allocation that holds floats.
pub fn upload_f32(device: &Device, values: &[f32]) -> u64 {
    upload(device, &values.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
}

/// `count` floats from `address`.
pub fn download_f32(device: &Device, address: u64, count: usize) -> Vec<f32> {
    download(device, address, count).into_iter().map(f32::from_bits).collect()
}

/// A module with one entry `test(.param .u64 out, .param .u64 in)` around `body`. On entry `%in` and
/// `%out` point to this thread's 16 bytes (by linear thread index in the block, `%tid`), and there are registers
/// `%r`, `%s` (b32), `%rd` (b64), `%f` (f32), `%d` (f64), `%h` (b16), `%p` (pred), 30 of each.
pub fn module(body: &str) -> Result<Module, ptxsim::ParseError> {
    Module::parse(&format!(
        ".version 8.8
.target sm_90a
.address_size 64
.visible .entry test(.param .u64 out, .param .u64 in)
{{
    .reg .pred %p<30>;
    .reg .b16 %h<30>;
    .reg .b32 %r<30>;
    .reg .b64 %rd<30>;
    .reg .f32 %f<30>;
    .reg .f64 %d<30>;
    .reg .b64 %in, %out, %base;
    .reg .b32 %t;
    mov.u32 %t, %tid.x;
    ld.param.u64 %out, [out];
    ld.param.u64 %in, [in];
    mul.wide.u32 %base, %t, 16;
    add.s64 %in, %in, %base;
    add.s64 %out, %out, %base;
{body}
    ret;
}}
"
    ))
}

/// Run [`module`] with one block over `inputs`, four words a thread; returns four words a thread.
pub fn try_run(body: &str, inputs: &[[u32; 4]]) -> Result<Vec<[u32; 4]>, Error> {
    let device = device();
    let module = module(body)?;
    let flat: Vec<u32> = inputs.iter().flatten().copied().collect();
    let (input, output) = (upload(&device, &flat), upload(&device, &vec![0xdead_beef; flat.len()]));
    let launch = Launch::linear(1, inputs.len() as u32);
    device.launch(&module, "test", &launch, &[Arg::U64(output), Arg::U64(input)])?;
    let out = download(&device, output, flat.len());
    Ok(out.chunks(4).map(|c| [c[0], c[1], c[2], c[3]]).collect())
}

/// As [`try_run`], for kernels that must run.
pub fn run(body: &str, inputs: &[[u32; 4]]) -> Vec<[u32; 4]> {
    try_run(body, inputs).unwrap_or_else(|e| panic!("{e}\nin{body}"))
}

/// The fault of a kernel that must have one.
pub fn fault(body: &str, inputs: &[[u32; 4]]) -> ptxsim::Fault {
    match try_run(body, inputs) {
        Err(Error::Fault(fault)) => *fault,
        other => panic!("expected a fault, found {other:?}"),
    }
}

/// The kind of fault of a kernel that must have one.
pub fn fault_kind(body: &str, inputs: &[[u32; 4]]) -> FaultKind {
    fault(body, inputs).kind
}

/// Load and launch a fixture.
pub fn launch_fixture(
    device: &Device,
    name: &str,
    entry: &str,
    launch: &Launch,
    args: &[Arg],
) -> LaunchReport {
    let path = format!("{}/tests/fixtures/{name}.ptx", env!("CARGO_MANIFEST_DIR"));
    let ptx = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let module = Module::parse(&ptx).unwrap_or_else(|e| panic!("{name}: {e}"));
    device.launch(&module, entry, launch, args).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Words that look random and are the same each time.
pub fn random_words(seed: u64, count: usize) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 32) as u32
        })
        .collect()
}

/// Floats in -1..1 that look random and are the same each time.
pub fn random_floats(seed: u64, count: usize) -> Vec<f32> {
    random_words(seed, count).into_iter().map(|w| w as f32 / 2147483648.0 - 1.0).collect()
}
