//! Real kernels, garbled: what the fuzzer and the bounded test of `tests/garbled.rs` load and launch.

use ptxsim::{Arg, Config, Device, ElementType, Launch, Limits, Module, Param, Swizzle, Tensor, TensorMap};

/// PTX to start from.
const KERNELS: [&str; 10] = [
    include_str!("../tests/fixtures/libm.sm80.ptx"),
    include_str!("../tests/fixtures/gemm.sm80.ptx"),
    include_str!("../tests/fixtures/histogram.sm80.ptx"),
    include_str!("../tests/fixtures/scan.sm80.ptx"),
    include_str!("../tests/fixtures/spinlock.sm80.ptx"),
    include_str!("../tests/fixtures/layernorm.sm80.ptx"),
    include_str!("../tests/fixtures/mma_gemm.sm80.ptx"),
    include_str!("../tests/fixtures/wgmma_gemm.sm90a.ptx"),
    include_str!("../tests/fixtures/wmma_gemm.sm80.ptx"),
    include_str!("../tests/fixtures/triton/matmul.sm90.ptx"),
];

/// Pieces that PTX is made of, and some that it is not.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    "@",
    "!",
    ":",
    "<",
    ">",
    "\"",
    "/*",
    "//",
    "-",
    "0",
    "1",
    "-1",
    "4294967295",
    "99999999999999999999",
    "0f7fc00000",
    "0x8000000000000000",
    "%p1",
    "%r1",
    "%rd1",
    "%f1",
    ".v4",
    ".loc",
    ".reg",
    ".b128",
    ".pred",
    ".shared",
    ".align",
    "call",
    "bra",
    "ret",
    "bar.sync",
    "%tid.x",
];

/// A kernel of [`KERNELS`] with edits: four words choose each, at most eight of them.
pub fn module(choices: &[u32]) -> String {
    let first = choices.first().copied().unwrap_or(0);
    let mut pieces = split(KERNELS[first as usize % KERNELS.len()]);
    for choice in choices.get(1..).unwrap_or_default().chunks_exact(4).take(8) {
        let [at, from, length] = [choice[1], choice[2], choice[3]].map(|word| word as usize);
        let (at, from) = (word(&pieces, at), word(&pieces, from));
        let end = (at + length % 24).min(pieces.len());
        let copied = pieces[from..(from + length % 24).min(pieces.len())].to_vec();
        match choice[0] % 7 {
            // One piece for another of the same file, which most often still parses.
            0..=2 => pieces[at] = pieces[from],
            3 => pieces[at] = PIECES[choice[2] as usize % PIECES.len()],
            4 => drop(pieces.drain(at..end)),
            // A file that ends too early.
            5 => pieces.truncate(at),
            _ => drop(pieces.splice(at..at, copied)),
        }
        if pieces.is_empty() {
            break;
        }
    }
    pieces.concat()
}

/// The first piece from `at` on, wrapping around, that is no space; `at` itself if all are.
fn word(pieces: &[&str], at: usize) -> usize {
    let at = at % pieces.len();
    let mut candidates = (at..pieces.len()).chain(0..at);
    candidates.find(|&i| !pieces[i].trim().is_empty()).unwrap_or(at)
}

/// Words, numbers with their signs, spaces and single characters of `text`.
fn split(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '%' | '$');
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let length = word.max(first.len_utf8());
        pieces.push(&rest[..length]);
        rest = &rest[length..];
    }
    pieces
}

/// Load `ptx` and launch its entries on small buffers, with every check on.
pub fn run(ptx: &str) {
    let Ok(module) = Module::parse(ptx) else { return };
    // A garbled loop may change memory without end.
    let limits = Limits { max_steps: Some(48_000), ..Limits::default() };
    for entry in module.entries().take(2) {
        let device = Device::new(Config { threads: 1, limits, ..Config::default() }).expect("a device");
        let args: Vec<Arg> = entry.params().iter().map(|param| argument(&device, param)).collect();
        for (grid, block) in [(2, 64), (1, 384)] {
            let launch = Launch { shared_bytes: 32 << 10, ..Launch::linear(grid, block) };
            let _ = device.launch(&module, entry.name(), &launch, &args);
        }
    }
}

/// A value for a parameter: small numbers, buffers of 16 KiB for pointers, a tensor map for structures.
fn argument(device: &Device, param: &Param) -> Arg {
    match (param.bytes, param.ty.is_float()) {
        (4, true) => Arg::F32(1.5),
        (8, true) => Arg::F64(1.5),
        (4, false) => Arg::U32(64),
        (8, false) => Arg::U64(buffer(device)),
        (128, _) => {
            let tensor = Tensor {
                ty: ElementType::Bf16,
                address: buffer(device),
                dims: vec![64, 128],
                strides: vec![128],
                element_strides: vec![1, 1],
                swizzle: Swizzle::B128,
            };
            let map = TensorMap::tiled(&tensor, &[64, 128]).expect("a map");
            Arg::Bytes(map.to_bytes().to_vec())
        }
        (bytes, _) => Arg::Bytes(vec![0; bytes as usize]),
    }
}

fn buffer(device: &Device) -> u64 {
    let address = device.alloc(16 << 10).expect("memory");
    device.fill(address, 1, 16 << 10).expect("a write");
    address
}
