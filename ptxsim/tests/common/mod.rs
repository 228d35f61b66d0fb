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

/// A module none of whose entries is refused.
pub fn load(ptx: &str) -> Result<Module, ptxsim::ParseError> {
    let module = Module::parse(ptx)?;
    let refusal = module.entries().find_map(|entry| entry.refusal().cloned());
    refusal.map_or(Ok(module), Err)
}

/// A module with one entry `test(.param .u64 out, .param .u64 in)` around `body`. On entry `%in` and
/// `%out` point to this thread's 16 bytes (by linear thread index in the block, `%tid`), and there are registers
/// `%r`, `%s` (b32), `%rd` (b64), `%f` (f32), `%d` (f64), `%h` (b16), `%p` (pred), 30 of each.
pub fn module(body: &str) -> Result<Module, ptxsim::ParseError> {
    load(&format!(
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

/// Inputs for 32-bit instructions: edge values in all pairs, then words that look random.
pub fn inputs32() -> Vec<[u32; 4]> {
    const EDGES: [u32; 8] = [0, 1, 2, 31, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
    let random = random_words(77, 4 * 192);
    let mut out: Vec<[u32; 4]> = random.chunks(4).map(|c| [c[0], c[1], c[2], c[3]]).collect();
    for (i, a) in EDGES.into_iter().enumerate() {
        for (j, b) in EDGES.into_iter().enumerate() {
            out.push([a, b, EDGES[(i + j) % 8], EDGES[(i * 3 + j) % 8]]);
        }
    }
    out
}

/// Check an instruction on `%r1`…`%r4` that writes `%r5`.
pub fn check32(instruction: &str, wanted: impl Fn([u32; 4]) -> u32) {
    check32_on(instruction, &inputs32(), wanted);
}

/// As [`check32`], on given inputs.
pub fn check32_on(instruction: &str, inputs: &[[u32; 4]], wanted: impl Fn([u32; 4]) -> u32) {
    let body = format!(
        "ld.global.v4.u32 {{%r1, %r2, %r3, %r4}}, [%in];
         {instruction}
         st.global.u32 [%out], %r5;"
    );
    for (input, found) in inputs.iter().zip(run(&body, inputs)) {
        let wanted = wanted(*input);
        assert_eq!(found[0], wanted, "{instruction} of {input:x?}: found {:#x}, not {wanted:#x}", found[0]);
    }
}

/// Check an instruction on `%rd1` and `%rd2` that writes `%rd3`.
pub fn check64(instruction: &str, wanted: impl Fn(u64, u64) -> u64) {
    let body = format!(
        "ld.global.v2.u64 {{%rd1, %rd2}}, [%in];
         cvt.u32.u64 %r2, %rd2;
         {instruction}
         st.global.u64 [%out], %rd3;"
    );
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    let inputs = inputs32();
    for (input, found) in inputs.iter().zip(run(&body, &inputs)) {
        let (a, b) = (join(input[0], input[1]), join(input[2], input[3]));
        let (found, wanted) = (join(found[0], found[1]), wanted(a, b));
        assert_eq!(found, wanted, "{instruction} of {a:#x}, {b:#x}: found {found:#x}, not {wanted:#x}");
    }
}

/// Floats for f32 instructions, three a thread: special values in all pairs, then all magnitudes.
pub fn inputs_f32() -> Vec<[u32; 4]> {
    const SPECIAL: [u32; 12] = [
        0,
        0x8000_0000,
        0x3f80_0000,
        0xbf80_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0001,
        0x7f7f_ffff,
        0x0080_0000,
        0x0000_0001,
        0x807f_ffff,
        0x3f7f_ffff,
    ];
    let mut out = Vec::new();
    for (i, a) in SPECIAL.into_iter().enumerate() {
        for (j, b) in SPECIAL.into_iter().enumerate() {
            out.push([a, b, SPECIAL[(i * 5 + j) % 12], 0]);
        }
    }
    let near = |w: u32| (w & 0x807f_ffff) | (120 + (w >> 24 & 15)) << 23;
    out.extend(random_words(78, 4 * 400).chunks(4).map(|c| [near(c[0]), near(c[1]), near(c[2]), 0]));
    out.extend(random_words(79, 4 * 400).chunks(4).map(|c| [c[0], c[1], c[2], 0]));
    out
}

/// Check an instruction on `%f1`…`%f3` that writes `%f4`. Any NaN matches the canonical one only.
pub fn check_f32(instruction: &str, wanted: impl Fn(f32, f32, f32) -> f32) {
    let body = format!(
        "ld.global.v4.f32 {{%f1, %f2, %f3, %f5}}, [%in];
         {instruction}
         st.global.f32 [%out], %f4;"
    );
    let inputs = inputs_f32();
    for part in inputs.chunks(512) {
        for (input, found) in part.iter().zip(run(&body, part)) {
            let [a, b, c, _] = input.map(f32::from_bits);
            let wanted = wanted(a, b, c);
            let bits = if wanted.is_nan() { 0x7fff_ffff } else { wanted.to_bits() };
            assert_eq!(
                found[0],
                bits,
                "{instruction} of {a:e} {b:e} {c:e}: {:e}, not {wanted:e}",
                f32::from_bits(found[0])
            );
        }
    }
}

/// As [`check_f32`] for instructions on `%d1`…`%d3` (the f32 inputs, spread over f64's range) to `%d4`.
pub fn check_f64(instruction: &str, wanted: impl Fn(f64, f64, f64) -> f64) {
    let body = format!(
        "ld.global.v2.f64 {{%d1, %d2}}, [%in];
         add.rn.f64 %d3, %d1, 0d3FF0000000000000;
         {instruction}
         st.global.f64 [%out], %d4;"
    );
    let split = |x: f64| [x.to_bits() as u32, (x.to_bits() >> 32) as u32];
    let pairs: Vec<(f64, f64)> = inputs_f32()
        .iter()
        .map(|w| {
            let [a, b, c, _] = w.map(|w| f64::from(f32::from_bits(w)));
            (a * (1.0 + 1e-12 * c.clamp(-1.0, 1.0)), b * 1.000_000_123_456_789)
        })
        .collect();
    for part in pairs.chunks(512) {
        let inputs: Vec<[u32; 4]> =
            part.iter().map(|(a, b)| [split(*a)[0], split(*a)[1], split(*b)[0], split(*b)[1]]).collect();
        for ((a, b), found) in part.iter().zip(run(&body, &inputs)) {
            let found = f64::from_bits(u64::from(found[1]) << 32 | u64::from(found[0]));
            let wanted = wanted(*a, *b, a + 1.0);
            let same = found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan());
            assert!(same, "{instruction} of {a:e} {b:e}: {found:e}, not {wanted:e}");
        }
    }
}

/// An element of the named type as bits; `value` is one that every type here but `u8` holds.
pub fn encode(ty: &str, value: i32) -> u64 {
    let value32 = (value as f32).to_bits();
    match ty {
        "bf16" => u64::from(value32 >> 16),
        "f16" if value == 0 => 0,
        // Small integers: the exponent moves to the smaller bias, the mantissa loses zeros.
        "f16" => {
            u64::from((value32 >> 31) << 15 | ((value32 >> 23 & 255) - 112) << 10 | value32 >> 13 & 0x3ff)
        }
        "e4m3" | "e5m2" if value == 0 => 0,
        // As for f16; integers up to 8 fit both.
        "e4m3" => u64::from((value32 >> 31) << 7 | ((value32 >> 23 & 255) - 120) << 3 | value32 >> 20 & 7),
        "e5m2" => u64::from((value32 >> 31) << 7 | ((value32 >> 23 & 255) - 112) << 2 | value32 >> 21 & 3),
        "f32" | "tf32" => value32.into(),
        "f64" => f64::from(value).to_bits(),
        "s8" | "u8" => u64::from(value as u8),
        "s32" => u64::from(value as u32),
        other => panic!("{other}"),
    }
}

/// A matrix of integers from `low` to `high` that look random.
pub fn integers(seed: u64, rows: usize, columns: usize, low: i32, high: i32) -> Vec<Vec<i32>> {
    let words = random_words(seed, rows * columns);
    let value = |w: &u32| low + (*w % (high - low + 1) as u32) as i32;
    words.chunks(columns).map(|row| row.iter().map(value).collect()).collect()
}
