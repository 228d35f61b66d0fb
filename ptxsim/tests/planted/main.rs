//! Planted faults: for every kind at least one kernel that has it, and the same kernel mended.
//!
//! A planted kernel must fault with exactly the words in its row, whatever the number of CPU threads;
//! mended by one change, it must run clean with the right result. The rows are in `memory.rs`,
//! `threads.rs` and `tensor.rs`.

#[path = "../common/mod.rs"]
mod common;
mod memory;
mod tensor;
mod threads;

use common::{download, upload};
use ptxsim::{Arg, Config, Device, ElementType, Error, Launch, Limits, Module, Swizzle, Tensor, TensorMap};

/// Faulty loops end soon.
const LIMITS: Limits = Limits { patience: 100_000, max_steps: None, deadline: None };

/// One fault and how to mend it.
struct Plant {
    /// Variant of `FaultKind`.
    kind: &'static str,
    /// Blocks, threads of each, blocks of a cluster.
    launch: [u32; 3],
    /// The body of the kernel; its lines are the source lines of the fault. See [`ptx`] for what it
    /// starts from.
    kernel: &'static str,
    /// The text in the kernel that is wrong, and what it should be.
    mend: (&'static str, &'static str),
    /// What the fault says.
    says: &'static str,
    /// What the mended kernel stores for thread `i` of the grid.
    result: fn(u32) -> u32,
}

/// A whole module. On entry `%t` is the thread in its block, `%b` the block, `%g` the thread in the grid;
/// `%in` and `%out` point to that thread's word of the input (its number + 1) and the output, `%raw` to
/// a word that nothing has written, `%freed` to memory that was freed, `%map` to the map of a tensor
/// that is the input, in boxes of 32 words, and `%junk` to 128 bytes that are no map.
fn ptx(body: &str) -> String {
    let lines: String =
        body.trim().lines().enumerate().map(|(i, line)| format!(".loc 1 {} 1\n{line}\n", i + 1)).collect();
    format!(
        r#".version 8.8
.target sm_90a
.address_size 64
.file 1 "/kernels/planted.cu"
.extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);
.extern .func (.param .b32 r) __nv_missing(.param .b32 x);
.global .b8 text[6] = {{102, 32, 62, 32, 48, 0}};
.visible .entry planted(.param .u64 in, .param .u64 out, .param .u64 raw, .param .u64 freed,
    .param .align 64 .b8 map[128], .param .align 64 .b8 junk[128])
{{
    .reg .pred %p<9>;
    .reg .b32 %r<9>, %t, %b, %g, %n;
    .reg .b64 %rd<9>, %in, %out, %raw, %freed, %map, %junk;
    .reg .f32 %f<9>;
    ld.param.u64 %in, [in];
    ld.param.u64 %out, [out];
    ld.param.u64 %raw, [raw];
    ld.param.u64 %freed, [freed];
    mov.b64 %map, map;
    mov.b64 %junk, junk;
    cvta.param.u64 %map, %map;
    cvta.param.u64 %junk, %junk;
    mov.u32 %t, %tid.x;
    mov.u32 %b, %ctaid.x;
    mov.u32 %n, %ntid.x;
    mad.lo.u32 %g, %b, %n, %t;
    mul.wide.u32 %rd0, %g, 4;
    add.s64 %in, %in, %rd0;
    add.s64 %out, %out, %rd0;
{lines}
    ret;
}}
"#
    )
}

impl Plant {
    /// Run a kernel body over the row's launch; gives the output.
    fn run(&self, body: &str, cpus: usize) -> Result<Vec<u32>, Error> {
        let [blocks, threads, cluster] = self.launch;
        let device = Device::new(Config { threads: cpus, limits: LIMITS, ..Config::default() })?;
        let count = blocks * threads;
        let input = upload(&device, &(1..=count).collect::<Vec<_>>());
        let output = upload(&device, &vec![0; count as usize]);
        let (raw, freed) = (device.alloc(4)?, device.alloc(4)?);
        device.free(freed)?;
        let tensor = Tensor {
            ty: ElementType::U32,
            address: input,
            dims: vec![count.into()],
            strides: Vec::new(),
            element_strides: vec![1],
            swizzle: Swizzle::None,
        };
        let map = TensorMap::tiled(&tensor, &[32])?.to_bytes().to_vec();
        let mut args: Vec<Arg> = [input, output, raw, freed].map(Arg::U64).to_vec();
        args.extend([Arg::Bytes(map), Arg::Bytes(vec![0; 128])]);
        let launch = Launch { cluster: Some([cluster, 1, 1]), ..Launch::linear(blocks, threads) };
        device.launch(&Module::parse(&ptx(body))?, "planted", &launch, &args)?;
        Ok(download(&device, output, count as usize))
    }

    fn check(&self) {
        let (wrong, right) = self.mend;
        assert_eq!(self.kernel.matches(wrong).count(), 1, "`{wrong}` in{}", self.kernel);
        let mended = self.kernel.replace(wrong, right);
        for cpus in [1, 4] {
            let fault = match self.run(self.kernel, cpus) {
                Err(Error::Fault(fault)) => fault,
                other => panic!("{} is not found: {other:?}\nin{}", self.kind, self.kernel),
            };
            assert_eq!(fault.to_string(), format!("planted: kernels/planted.cu:{}", self.says));
            assert!(
                format!("{:?}", fault.kind).starts_with(self.kind),
                "{:?}, not {}",
                fault.kind,
                self.kind
            );
            let found = self.run(&mended, cpus).unwrap_or_else(|e| panic!("mended, {e}\nin{mended}"));
            let wanted: Vec<u32> = (0..found.len() as u32).map(self.result).collect();
            assert_eq!(found, wanted, "mended{mended}");
        }
    }
}

#[test]
fn faults_of_memory() {
    memory::PLANTS.iter().for_each(Plant::check);
}

#[test]
fn faults_of_threads() {
    threads::PLANTS.iter().for_each(Plant::check);
}

#[test]
fn faults_of_asynchronous_copies_and_tensor_cores() {
    tensor::PLANTS.iter().for_each(Plant::check);
}

#[test]
fn every_kind_is_planted() {
    let source = include_str!("../../src/fault.rs");
    let (_, kinds) = source.split_once("pub enum FaultKind {").unwrap();
    let (kinds, _) = kinds.split_once("\n}").unwrap();
    let variants = kinds.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?;
        name.starts_with(char::is_uppercase).then(|| name.trim_end_matches([' ', '{', ',']))
    });
    let plants = [memory::PLANTS, threads::PLANTS, tensor::PLANTS].into_iter().flatten();
    let planted: Vec<&str> = plants.map(|plant| plant.kind).collect();
    let missing: Vec<&str> = variants.clone().filter(|kind| !planted.contains(kind)).collect();
    assert!(variants.count() > 20 && missing.is_empty(), "no kernel is planted for {missing:?}");
}
