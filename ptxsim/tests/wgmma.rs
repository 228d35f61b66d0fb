//! wgmma: every swizzle, both majors, operands from registers, shapes and types, and its rules.

mod common;

use common::*;
use ptxsim::{Arg, Error, FaultKind, Launch, Module};

/// Where operand element (`row`, `k`) of 16-bit elements lies in shared memory, from the definition.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Bytes of a swizzle row; 16 for none.
    row: usize,
    mn_major: bool,
}

impl Layout {
    /// Byte of the element in a matrix whose core matrices lie one behind the other.
    fn place(self, rows: usize, row: usize, k: usize) -> usize {
        let pitch = self.row;
        let dense = match (self.mn_major, pitch) {
            // Core matrices of 8 rows by 16 bytes: those along k adjacent, then along the rows.
            (false, 16) => row / 8 * 256 + k / 8 * 128 + row % 8 * 16 + k % 8 * 2,
            (false, _) => row / 8 * 8 * pitch + row % 8 * pitch + k * 2,
            (true, 16) => k / 8 * (rows / 8 * 128) + row / 8 * 128 + k % 8 * 16 + row % 8 * 2,
            (true, _) => row * 2 / pitch * (16 * pitch) + k * pitch + row * 2 % pitch,
        };
        let mask = pitch / 16 - 1;
        dense ^ (dense >> 7 & mask) << 4
    }

    /// The descriptor's fields but the address.
    fn descriptor(self, rows: usize) -> u64 {
        let (leading, stride) = match (self.mn_major, self.row) {
            (false, 16) => (128, 256),
            (false, row) => (16, 8 * row),
            (true, 16) => (rows / 8 * 128, 128),
            (true, row) => (16 * row, 8 * row),
        };
        let swizzle = match self.row {
            16 => 0u64,
            32 => 3,
            64 => 2,
            _ => 1,
        };
        (leading as u64 / 16) << 16 | (stride as u64 / 16) << 32 | swizzle << 62
    }

    fn bytes(self, rows: usize) -> usize {
        (0..rows * 16).map(|i| self.place(rows, i / 16, i % 16) + 2).max().unwrap_or(0).next_multiple_of(1024)
    }
}

/// The kernel: copies the operands to shared memory word by word, multiplies, stores the registers.
fn kernel(n: usize, types: &str, a: Layout, b: Layout, tail: &str, registers: usize) -> String {
    let list: Vec<String> = (0..registers).map(|i| format!("%acc{i}")).collect();
    let (bytes_a, bytes_b) = (a.bytes(64), b.bytes(n));
    let zero: String = list.iter().map(|r| format!("mov.b32 {r}, 0;\n")).collect();
    let stores: String =
        list.iter().enumerate().map(|(i, r)| format!("st.global.b32 [%out+{}], {r};\n", i * 4)).collect();
    format!(
        ".version 8.8\n.target sm_90a\n.address_size 64
        .visible .entry test(.param .u64 out, .param .u64 in) {{
        .reg .b32 %acc<{registers}>; .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .b64 %out; .reg .pred %p<3>;
        .shared .align 1024 .b8 memory[{total}];
        ld.param.u64 %out, [out]; ld.param.u64 %rd1, [in];
        mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, {size}; add.s64 %out, %out, %rd2;
        mul.lo.u32 %r2, %r1, 4;
        L: cvt.u64.u32 %rd3, %r2; add.s64 %rd4, %rd1, %rd3; ld.global.u32 %r3, [%rd4];
        mov.u32 %r4, memory; add.u32 %r4, %r4, %r2; st.shared.u32 [%r4], %r3;
        add.u32 %r2, %r2, 512; setp.lt.u32 %p1, %r2, {total}; @%p1 bra L;
        fence.proxy.async.shared::cta;
        bar.sync 0;
        mov.u32 %r5, memory; shr.u32 %r5, %r5, 4; cvt.u64.u32 %rd5, %r5;
        or.b64 %rd6, %rd5, {da}; add.s64 %rd7, %rd5, {offset}; or.b64 %rd7, %rd7, {db};
        setp.eq.u32 %p2, 0, 0;
        {zero}
        wgmma.fence.sync.aligned;
        wgmma.mma_async.sync.aligned.m64n{n}k16.{types} {{{regs}}}, %rd6, %rd7, %p2, 1, {tail};
        wgmma.commit_group.sync.aligned;
        wgmma.wait_group.sync.aligned 0;
        {stores}
        ret; }}",
        total = bytes_a + bytes_b,
        size = registers * 4,
        da = a.descriptor(64) as i64,
        db = b.descriptor(n) as i64,
        offset = bytes_a / 16,
        regs = list.join(", "),
    )
}

/// The high half of a small integer's f32, which is exact in bf16.
fn small(word: u32) -> (u16, f32) {
    let value = (word % 17) as f32 - 8.0;
    ((value.to_bits() >> 16) as u16, value)
}

struct Case {
    image: Vec<u32>,
    product: Vec<f32>,
}

fn case(n: usize, a: Layout, b: Layout) -> Case {
    let words = random_words(n as u64, (64 + n) * 16);
    let base = a.bytes(64);
    let mut image = vec![0u16; (base + b.bytes(n)) / 2];
    let mut values = Vec::new();
    for (i, &word) in words.iter().enumerate() {
        let (row, k) = (i / 16, i % 16);
        let (bits, value) = small(word);
        let at = if row < 64 { a.place(64, row, k) } else { base + b.place(n, row - 64, k) };
        image[at / 2] = bits;
        values.push(value);
    }
    let product = (0..64 * n)
        .map(|i| (0..16).map(|k| values[i / n * 16 + k] * values[(64 + i % n) * 16 + k]).sum())
        .collect();
    let image = image.chunks(2).map(|c| u32::from(c[0]) | u32::from(c[1]) << 16).collect();
    Case { image, product }
}

fn launch(ptx: &str, image: &[u32], registers: usize) -> Result<Vec<u32>, Error> {
    let device = device();
    let input = upload(&device, image);
    let out = upload(&device, &vec![0; 128 * registers]);
    let module = Module::parse(ptx).unwrap_or_else(|e| panic!("{e}"));
    device.launch(&module, "test", &Launch::linear(1, 128), &[Arg::U64(out), Arg::U64(input)])?;
    Ok(download(&device, out, 128 * registers))
}

/// Row and column of accumulator register `i` of thread `t`.
fn position(t: usize, i: usize) -> (usize, usize) {
    (t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, i / 4 * 8 + t % 4 * 2 + i % 2)
}

fn check(n: usize, a: Layout, b: Layout, sign: f32) {
    let case = case(n, a, b);
    let flags = format!("{}, {}, {}", sign as i32, u8::from(a.mn_major), u8::from(b.mn_major));
    let ptx = kernel(n, "f32.bf16.bf16", a, b, &flags, n / 2);
    let out = launch(&ptx, &case.image, n / 2).unwrap_or_else(|e| panic!("{n} {a:?} {b:?}: {e}"));
    for (at, &word) in out.iter().enumerate() {
        let (row, column) = position(at / (n / 2), at % (n / 2));
        let wanted = case.product[row * n + column] * sign;
        assert_eq!(f32::from_bits(word), wanted, "{n} {a:?} {b:?}: row {row}, column {column}");
    }
}

const K_MAJOR: Layout = Layout { row: 128, mn_major: false };

#[test]
fn every_layout_of_both_operands() {
    for row in [16, 32, 64, 128] {
        for mn_major in [false, true] {
            let layout = Layout { row, mn_major };
            check(64, layout, K_MAJOR, 1.0);
            check(64, K_MAJOR, layout, 1.0);
        }
    }
}

#[test]
fn every_number_of_columns_and_a_negated_operand() {
    for n in (8..=256).step_by(8) {
        check(n, K_MAJOR, K_MAJOR, 1.0);
    }
    check(32, K_MAJOR, K_MAJOR, -1.0);
}

/// A product of small integers by type: K-major operands, A in shared memory or in registers.
struct Typed {
    /// Type of D, and of the elements.
    sum: &'static str,
    element: &'static str,
    n: usize,
    in_registers: bool,
    /// Whether D's former value, 3 everywhere, is added.
    adds: bool,
}

impl Typed {
    fn bytes(&self) -> usize {
        match self.element {
            "tf32" => 4,
            "e4m3" | "e5m2" => 1,
            _ => 2,
        }
    }

    fn depth(&self) -> usize {
        32 / self.bytes()
    }

    /// Accumulator registers of a thread.
    fn registers(&self) -> usize {
        if self.sum == "f16" { self.n / 4 } else { self.n / 2 }
    }

    fn ptx(&self) -> String {
        let flags = if self.bytes() == 2 { if self.in_registers { "1, 0" } else { "1, 0, 0" } } else { "1" };
        let types = format!("{}.{}.{}", self.sum, self.element, self.element);
        let three = encode(self.sum, 3);
        let three = if self.sum == "f16" { three << 16 | three } else { three };
        let mut ptx = kernel(self.n, &types, K_MAJOR, K_MAJOR, flags, self.registers())
            .replace("k16.", &format!("k{}.", self.depth()))
            .replace(", 0;\nmov.b32 %acc", &format!(", {three};\nmov.b32 %acc"))
            .replace(", 0;\n\n        wgmma.fence", &format!(", {three};\n\n        wgmma.fence"));
        if !self.adds {
            ptx = ptx.replace("setp.eq.u32 %p2, 0, 0", "setp.ne.u32 %p2, 0, 0");
        }
        if self.in_registers {
            let total = K_MAJOR.bytes(64) + K_MAJOR.bytes(self.n);
            let load = format!(
                "mul.wide.u32 %rd8, %r1, 16; add.s64 %rd8, %rd1, %rd8;
                ld.global.v4.b32 {{%a0, %a1, %a2, %a3}}, [%rd8+{total}]; wgmma.fence"
            );
            ptx = ptx
                .replace("%rd6, %rd7", "{%a0, %a1, %a2, %a3}, %rd7")
                .replace(".reg .b32 %r<9>;", ".reg .b32 %r<9>, %a<4>;")
                .replacen("wgmma.fence", &load, 1);
        }
        ptx
    }

    /// Shared memory as bytes, then each thread's four registers of A.
    fn image(&self, a: &[Vec<i32>], b: &[Vec<i32>]) -> Vec<u32> {
        let (size, base) = (self.bytes(), K_MAJOR.bytes(64));
        let mut bytes = vec![0; base + K_MAJOR.bytes(self.n)];
        let mut put = |at: usize, value: i32| {
            bytes[at..at + size].copy_from_slice(&encode(self.element, value).to_le_bytes()[..size]);
        };
        // Two bytes of k are one element of the 16-bit layout.
        let place = |rows: usize, row: usize, k: usize| K_MAJOR.place(rows, row, k * size / 2) + k * size % 2;
        for k in 0..self.depth() {
            (0..64).for_each(|row| put(place(64, row, k), a[row][k]));
            (0..self.n).for_each(|column| put(base + place(self.n, column, k), b[k][column]));
        }
        let each = 4 / size;
        for thread in 0..128 {
            for register in 0..4 {
                let row = thread / 32 * 16 + thread % 32 / 4 + register % 2 * 8;
                let first = thread % 4 * each + register / 2 * 4 * each;
                for &value in &a[row][first..first + each] {
                    bytes.extend(&encode(self.element, value).to_le_bytes()[..size]);
                }
            }
        }
        bytes.chunks(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
    }

    fn check(&self) {
        let seed = self.n as u64 + self.depth() as u64;
        let a = integers(seed, 64, self.depth(), -8, 8);
        let b = integers(seed + 1, self.depth(), self.n, -8, 8);
        let registers = self.registers();
        let out = launch(&self.ptx(), &self.image(&a, &b), registers).unwrap_or_else(|e| panic!("{e}"));
        let wanted = |row: usize, column: usize| {
            let product: i32 = a[row].iter().zip(&b).map(|(a, b)| a * b[column]).sum();
            encode(self.sum, product + if self.adds { 3 } else { 0 })
        };
        for (at, &word) in out.iter().enumerate() {
            let (thread, register) = (at / registers, at % registers);
            let name =
                format!("{}.{} n {} thread {thread} register {register}", self.sum, self.element, self.n);
            if self.sum == "f16" {
                // A register holds two columns.
                let (row, column) = position(thread, register * 2);
                assert_eq!(u64::from(word & 0xffff), wanted(row, column), "{name}");
                assert_eq!(u64::from(word >> 16), wanted(row, column + 1), "{name}");
            } else {
                let (row, column) = position(thread, register);
                assert_eq!(u64::from(word), wanted(row, column), "{name}");
            }
        }
    }
}

#[test]
fn every_type_with_a_in_shared_memory_and_in_registers() {
    let types = [
        ("f32", "bf16"),
        ("f32", "f16"),
        ("f16", "f16"),
        ("f32", "tf32"),
        ("f32", "e4m3"),
        ("f16", "e4m3"),
        ("f32", "e5m2"),
        ("f16", "e5m2"),
    ];
    for (sum, element) in types {
        for in_registers in [false, true] {
            for (n, adds) in [(8, true), (96, false), (256, true)] {
                Typed { sum, element, n, in_registers, adds }.check();
            }
        }
    }
}

#[test]
fn rules_are_faults() {
    let case = case(16, K_MAJOR, K_MAJOR);
    let good = kernel(16, "f32.bf16.bf16", K_MAJOR, K_MAJOR, "1, 0, 0", 8);
    launch(&good, &case.image, 8).unwrap();
    let kind = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        match launch(&good.replace(from, to), &case.image, 8) {
            Err(Error::Fault(fault)) => fault.kind,
            other => panic!("{from} to {to}: {other:?}"),
        }
    };
    let found = kind("wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 1;");
    assert!(matches!(found, FaultKind::WgmmaRegister { .. }), "{found}");
    let found = kind("wgmma.fence.sync.aligned;", "wgmma.fence.sync.aligned; add.u32 %acc3, %acc3, 0;");
    assert!(matches!(found, FaultKind::MissingWgmmaFence { ref register } if register == "%acc3"), "{found}");
    let found = kind("shr.u32 %r5, %r5, 4;", "add.u32 %r5, %r5, 128; shr.u32 %r5, %r5, 4;");
    assert!(matches!(found, FaultKind::BadDescriptor { .. }), "{found}");
    let found = kind("setp.eq.u32 %p2, 0, 0;", "setp.eq.u32 %p2, %r1, 0;");
    assert!(matches!(found, FaultKind::Misuse { .. }), "{found}");
}
