//! `wmma`: fragments loaded, multiplied and stored in every shape, type, layout and state space.

mod common;

use common::*;
use ptxsim::{Arg, Error, FaultKind, Launch, LaunchReport, Module};

struct Case {
    shape: &'static str,
    size: [usize; 3],
    /// Types of A and B, of C and of D.
    types: [&'static str; 3],
}

const fn case(shape: &'static str, size: [usize; 3], types: [&'static str; 3]) -> Case {
    Case { shape, size, types }
}

const SQUARE: [usize; 3] = [16, 16, 16];
const TALL: [usize; 3] = [32, 8, 16];
const WIDE: [usize; 3] = [8, 32, 16];

const CASES: [Case; 17] = [
    case("m16n16k16", SQUARE, ["f16", "f32", "f32"]),
    case("m16n16k16", SQUARE, ["f16", "f16", "f16"]),
    case("m16n16k16", SQUARE, ["f16", "f32", "f16"]),
    case("m16n16k16", SQUARE, ["f16", "f16", "f32"]),
    case("m32n8k16", TALL, ["f16", "f32", "f32"]),
    case("m8n32k16", WIDE, ["f16", "f16", "f16"]),
    case("m16n16k16", SQUARE, ["bf16", "f32", "f32"]),
    case("m32n8k16", TALL, ["bf16", "f32", "f32"]),
    case("m8n32k16", WIDE, ["bf16", "f32", "f32"]),
    case("m16n16k8", [16, 16, 8], ["tf32", "f32", "f32"]),
    case("m8n8k4", [8, 8, 4], ["f64", "f64", "f64"]),
    case("m16n16k16", SQUARE, ["s8", "s32", "s32"]),
    case("m32n8k16", TALL, ["s8", "s32", "s32"]),
    case("m8n32k16", WIDE, ["s8", "s32", "s32"]),
    case("m16n16k16", SQUARE, ["u8", "s32", "s32"]),
    case("m32n8k16", TALL, ["u8", "s32", "s32"]),
    case("m8n32k16", WIDE, ["u8", "s32", "s32"]),
];

fn bytes(ty: &str) -> usize {
    match ty {
        "f16" | "bf16" => 2,
        "f64" => 8,
        "s8" | "u8" => 1,
        _ => 4,
    }
}

/// Registers of a fragment of `elements` elements of A or B.
fn input_registers(ty: &str, elements: usize) -> usize {
    if ty == "f16" { 8 } else { sum_registers(ty, elements) }
}

fn sum_registers(ty: &str, elements: usize) -> usize {
    elements / 32 * bytes(ty) / bytes(ty).max(4)
}

/// A matrix in memory: rows (or columns) of `stride` elements, with a gap between them.
struct Memory {
    by_columns: bool,
    stride: usize,
    lines: usize,
}

impl Memory {
    fn new(rows: usize, columns: usize, by_columns: bool) -> Self {
        let (lines, length) = if by_columns { (columns, rows) } else { (rows, columns) };
        Self { by_columns, stride: length + 16, lines }
    }

    fn index(&self, row: usize, column: usize) -> usize {
        if self.by_columns { column * self.stride + row } else { row * self.stride + column }
    }

    /// The bytes of a matrix of small integers; the gaps hold a value that would be seen.
    fn image(&self, ty: &str, matrix: &[Vec<i32>]) -> Vec<u8> {
        let size = bytes(ty);
        let mut out = vec![0x55; self.lines * self.stride * size];
        for (row, line) in matrix.iter().enumerate() {
            for (column, &value) in line.iter().enumerate() {
                let at = self.index(row, column) * size;
                out[at..at + size].copy_from_slice(&encode(ty, value).to_le_bytes()[..size]);
            }
        }
        out
    }

    fn layout(&self) -> &'static str {
        if self.by_columns { "col" } else { "row" }
    }
}

impl Case {
    /// The kernel: loads A, B and C from global memory, or through shared memory, multiplies, stores.
    fn ptx(&self, [a, b, c, d]: [&Memory; 4], shared: bool, modifier: &str) -> String {
        let [m, n, k] = self.size;
        let [input, c_type, d_type] = self.types;
        let register = |ty: &str| if ty == "f64" { "%d" } else { "%r" };
        let mut next = 0;
        let mut list = |ty: &str, count: usize| {
            let names: Vec<String> = (next..next + count).map(|i| format!("{}{i}", register(ty))).collect();
            next += count;
            format!("{{{}}}", names.join(", "))
        };
        let fragments = [
            list(input, input_registers(input, m * k)),
            list(input, input_registers(input, k * n)),
            list(c_type, sum_registers(c_type, m * n)),
            list(d_type, sum_registers(d_type, m * n)),
        ];
        let [fa, fb, fc, fd] = &fragments;
        let size = |memory: &Memory, ty: &str| memory.lines * memory.stride * bytes(ty);
        let sizes = [size(a, input), size(b, input), size(c, c_type)];
        let offsets = [0, sizes[0], sizes[0] + sizes[1]];
        let space = if shared { ".shared" } else { ".global" };
        let copies: String = (0..3)
            .map(|i| {
                format!(
                    "mov.u32 %t1, %tid.x; L{i}: cvt.u64.u32 %rd8, %t1; add.s64 %rd8, %rd{i}, %rd8;
                    ld.global.u8 %t2, [%rd8]; add.u32 %t3, %t1, {}; mov.u32 %t4, tile; add.u32 %t3, %t3, %t4;
                    st.shared.u8 [%t3], %t2; add.u32 %t1, %t1, 32; setp.lt.u32 %p1, %t1, {}; @%p1 bra L{i};\n",
                    offsets[i], sizes[i]
                )
            })
            .collect();
        let into_shared: String = (0..3)
            .map(|i| format!("mov.u64 %rd{i}, tile; add.s64 %rd{i}, %rd{i}, {};\n", offsets[i]))
            .collect();
        let through = if shared { format!("{copies} bar.sync 0; {into_shared}") } else { String::new() };
        let types = match input {
            "f16" => format!("{d_type}.{c_type}"),
            _ => format!("{d_type}.{input}.{input}.{c_type}"),
        };
        let shape = self.shape;
        format!(
            ".version 8.8\n.target sm_90a\n.address_size 64
            .visible .entry test(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d) {{
            .reg .b32 %r<40>, %t<9>; .reg .f64 %d<8>; .reg .b64 %rd<9>; .reg .pred %p<2>;
            .shared .align 32 .b8 tile[{total}];
            ld.param.u64 %rd0, [a]; ld.param.u64 %rd1, [b]; ld.param.u64 %rd2, [c]; ld.param.u64 %rd3, [d];
            {through}
            wmma.load.a.sync.aligned.{la}.{shape}{space}.{input} {fa}, [%rd0], {sa};
            wmma.load.b.sync.aligned.{lb}.{shape}{space}.{input} {fb}, [%rd1], {sb};
            wmma.load.c.sync.aligned.{lc}.{shape}{space}.{c_type} {fc}, [%rd2], {sc};
            wmma.mma.sync.aligned.{la}.{lb}.{shape}.{types}{modifier} {fd}, {fa}, {fb}, {fc};
            wmma.store.d.sync.aligned.{ld}.{shape}.{d_type} [%rd3], {fd}, {sd};
            ret; }}",
            total = sizes.iter().sum::<usize>(),
            la = a.layout(),
            lb = b.layout(),
            lc = c.layout(),
            ld = d.layout(),
            sa = a.stride,
            sb = b.stride,
            sc = c.stride,
            sd = d.stride,
        )
    }

    /// Run it on matrices of small integers; gives the bytes of D.
    fn run(
        &self,
        memories: [&Memory; 4],
        matrices: [&[Vec<i32>]; 3],
        shared: bool,
        modifier: &str,
    ) -> Result<(Vec<u8>, LaunchReport), Error> {
        let [input, c_type, d_type] = self.types;
        let device = device();
        let put = |bytes: &[u8]| {
            let address = device.alloc(bytes.len()).expect("memory");
            device.write(address, bytes).expect("a write");
            address
        };
        let types = [input, input, c_type];
        let mut args: Vec<Arg> =
            (0..3).map(|i| Arg::U64(put(&memories[i].image(types[i], matrices[i])))).collect();
        let mut out = vec![0x55; memories[3].lines * memories[3].stride * bytes(d_type)];
        let address = put(&out);
        args.push(Arg::U64(address));
        let module = Module::parse(&self.ptx(memories, shared, modifier))?;
        let report = device.launch(&module, "test", &Launch::linear(1, 32), &args)?;
        device.read(address, &mut out)?;
        Ok((out, report))
    }
}

#[test]
fn every_shape_type_and_layout() {
    for (number, case) in CASES.iter().enumerate() {
        let [m, n, k] = case.size;
        let [input, c_type, d_type] = case.types;
        let seed = 700 + 4 * number as u64;
        let (low, high) = match (input, d_type == "f16" || c_type == "f16") {
            ("u8", _) => (0, 255),
            ("s8", _) => (-128, 127),
            (_, true) => (-9, 9),
            _ => (-200, 200),
        };
        let (a, b) = (integers(seed, m, k, low, high), integers(seed + 1, k, n, low, high));
        let c = integers(seed + 2, m, n, -500, 500);
        for layouts in 0..16 {
            let by_columns = |bit: usize| layouts >> bit & 1 == 1;
            let memories = [
                Memory::new(m, k, by_columns(0)),
                Memory::new(k, n, by_columns(1)),
                Memory::new(m, n, by_columns(2)),
                Memory::new(m, n, by_columns(3)),
            ];
            let product: Vec<Vec<i32>> = (0..m)
                .map(|i| (0..n).map(|j| c[i][j] + (0..k).map(|p| a[i][p] * b[p][j]).sum::<i32>()).collect())
                .collect();
            let memories = memories.each_ref();
            let (found, report) = case
                .run(memories, [&a, &b, &c], layouts % 3 == 0, "")
                .unwrap_or_else(|e| panic!("{} {:?}: {e}", case.shape, case.types));
            let wanted = memories[3].image(d_type, &product);
            assert!(found == wanted, "{} {:?}, layouts {layouts:#06b}", case.shape, case.types);
            assert_eq!(report.total.tensor_flop, (2 * m * n * k) as u64);
        }
    }
}

#[test]
fn integer_sums_saturate_when_asked() {
    let case = &CASES[14];
    let (a, c) = (vec![vec![255; 16]; 16], vec![vec![i32::MAX - 100; 16]; 16]);
    let memory = || Memory::new(16, 16, false);
    let memories = [memory(), memory(), memory(), memory()];
    for (modifier, wanted) in [("", (i32::MAX - 100).wrapping_add(16 * 255 * 255)), (".satfinite", i32::MAX)]
    {
        let (found, _) = case.run(memories.each_ref(), [&a, &a, &c], false, modifier).unwrap();
        assert_eq!(found[..4], wanted.to_le_bytes(), "{modifier}");
    }
}

/// What a body of [`module`] does wrong when a whole warp runs it.
fn wrong(body: &str) -> FaultKind {
    fault_kind(body, &[[0; 4]; 32])
}

const OWN: &str = "mul.wide.u32 %base, %t, -16; add.s64 %out, %out, %base;";

#[test]
fn rules_are_faults() {
    let load = |address: &str, stride: &str| {
        let list = "{%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}";
        format!(
            ".shared .align 32 .b8 tile[2048]; mov.u32 %r9, tile; mad.lo.u32 %r10, %t, 4, %r9; mov.u32 %r11, 0;
            L: st.shared.u32 [%r10], 0; add.u32 %r10, %r10, 128; add.u32 %r11, %r11, 1;
            setp.lt.u32 %p1, %r11, 16; @%p1 bra L;
            wmma.load.c.sync.aligned.row.m16n16k16.shared.f32 {list}, [{address}], {stride};"
        )
    };
    run(&load("%r9", "24"), &[[0; 4]; 32]);
    let found = wrong(&load("%r9+16", "24"));
    assert!(matches!(found, FaultKind::Misaligned { address: 48, bytes: 32, .. }), "{found}");
    for (address, stride, part) in [
        ("%r9", "18", "72 bytes apart"),
        ("%r9", "%t", "same in all lanes"),
        ("%r10", "16", "same in all lanes"),
    ] {
        let FaultKind::Misuse { detail } = wrong(&load(address, stride)) else {
            panic!("{address} {stride}")
        };
        assert!(detail.contains(part), "{detail}");
    }
    let found = wrong(&load("%r9", "512"));
    assert!(matches!(found, FaultKind::OutOfBounds { .. }), "{found}");
    let body = format!("{OWN} setp.lt.u32 %p1, %t, 9; @%p1 bra END; {} END:", load("%r9", "16"));
    assert!(matches!(wrong(&body), FaultKind::Misuse { .. } | FaultKind::BarrierDivergence { .. }));
}

#[test]
fn wrong_forms_are_refused_at_load_time() {
    for (form, wanted) in [
        ("load.a.sync.aligned.row.m16n16k16.f16 {%r1, %r2}, [%in], 16;", "takes 8 registers, not 2"),
        ("load.a.sync.aligned.row.m16n16k8.f16 {%r1, %r2}, [%in], 16;", "no `.m16n16k8` of f16"),
        ("load.c.sync.aligned.row.m8n8k4.f32 {%f1}, [%in], 16;", "no sums of f32"),
        ("load.a.sync.aligned.m16n16k16.f16 {%r1}, [%in];", "needs a layout"),
        ("mma.sync.aligned.row.col.m16n16k16.f32.bf16.f16.f32 {%r1}, {%r1}, {%r1}, {%r1};", "no product"),
        ("mma.sync.aligned.row.col.m16n16k16.f16.bf16.bf16.f16 {%r1}, {%r1}, {%r1}, {%r1};", "no product"),
        ("mma.sync.aligned.row.col.m16n16k16.f32.f32.satfinite {%r1}, {%r1}, {%r1}, {%r1};", "for integers"),
        ("store.a.sync.aligned.row.m16n16k16.f32 [%in], {%r1};", "stores `.d`"),
        ("mma.row.col.m16n16k16.f32.f32 {%r1}, {%r1}, {%r1}, {%r1};", "`.sync.aligned`"),
    ] {
        let error = module(&format!("wmma.{form}")).err().expect("an error").to_string();
        assert!(error.contains(wanted), "{form}: {error}");
    }
}
