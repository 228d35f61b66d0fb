//! What the build makes of kernels/: how it reads a kernel file, and what it embeds.

#[path = "../build/report.rs"]
mod report;
#[path = "../build/signature.rs"]
mod signature;
#[path = "../build/target.rs"]
mod target;

use cugrad::device::kernels::{ALL, Image, ImageKind, Module, NVRTC_MISSING};
use signature::parse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use target::{Arch, Product, targets};

const KERNEL: &str = r#"
// scale_fprop: product with a number.
//   y[i] = factor * x[i]          (for all i)
//          [count]
// In        x [count] f32
constexpr int BLOCK_THREADS = 256;  // host
constexpr int TILE = BLOCK_THREADS * 4;  // host: elements a block
constexpr int PRIVATE = 3;

/* extern "C" __global__ void commented_out(int a) {} */
extern "C" __global__ void __launch_bounds__(BLOCK_THREADS, (1 + 1))
scale_fprop(const float* __restrict__ x,  // the input, [count]
            float* __restrict__ y, float factor,
            unsigned char const *mask, unsigned long long seed, unsigned int n, bf16* __restrict__ rounded,
            const __grid_constant__ TensorMap map) {
    y[0] = x[0] * factor;
}
extern "C" __global__ void scale_empty() { __syncthreads(); }
"#;

#[test]
fn reads_entry_points_with_their_parameters_and_headers() {
    let signature = parse("kernels/scale.cu", KERNEL).unwrap();
    assert_eq!(signature.entries.len(), 2);
    let entry = &signature.entries[0];
    assert_eq!(entry.name, "scale_fprop");
    assert_eq!(entry.summary, "product with a number.");
    assert_eq!(entry.equation, ["y[i] = factor * x[i]          (for all i)", "       [count]"]);
    let params: Vec<_> = entry.params.iter().map(|p| [&*p.name, &*p.c_type, &*p.rust_type]).collect();
    assert_eq!(
        params,
        [
            ["x", "const float*", "Ptr<f32>"],
            ["y", "float*", "PtrMut<f32>"],
            ["factor", "float", "f32"],
            ["mask", "unsigned char const*", "Ptr<u8>"],
            ["seed", "unsigned long long", "u64"],
            ["n", "unsigned int", "u32"],
            ["rounded", "bf16*", "PtrMut<half::bf16>"],
            ["map", "const TensorMap", "TensorMap"],
        ]
    );
    assert_eq!(signature.entries[1].name, "scale_empty");
    assert!(signature.entries[1].params.is_empty() && signature.entries[1].summary.is_empty());
}

#[test]
fn reads_constants_for_the_host() {
    let constants = parse("kernels/scale.cu", KERNEL).unwrap().constants;
    let constants: Vec<_> = constants.iter().map(|c| [&*c.name, &*c.value, &*c.note]).collect();
    assert_eq!(constants, [["BLOCK_THREADS", "256", ""], ["TILE", "BLOCK_THREADS * 4", "elements a block"]]);
}

#[test]
fn reads_the_architectures_a_file_is_restricted_to() {
    let archs = |text| parse("kernels/x.cu", text).map(|signature| signature.archs);
    assert_eq!(archs("// Requires  C%8==0\n").unwrap(), []);
    let exact = Arch { number: 90, exact: true };
    assert_eq!(archs("// Arch      sm_90a\n").unwrap(), [exact]);
    assert_eq!(archs("// Arch: sm_90a, sm_100\n").unwrap(), [exact, Arch { number: 100, exact: false }]);
    assert_eq!(
        archs("\n// Arch      hopper\n").unwrap_err(),
        "kernels/x.cu:2: expected an architecture like sm_90a, found hopper"
    );
}

#[test]
fn names_file_and_line_of_what_it_cannot_read() {
    let error = |text: &str| parse("kernels/x.cu", text).unwrap_err();
    let unsupported = error("extern \"C\" __global__ void f(int n,\n    const half* x) {}");
    assert!(
        unsupported.starts_with("kernels/x.cu:2: f: parameter `x` has the type `const half *`"),
        "{unsupported}"
    );
    for param in
        ["float** x", "float x[4]", "double x", "unsigned char x", "void* x", "bf16 x", "TensorMap* x", "x"]
    {
        let text = format!("extern \"C\" __global__ void f({param}) {{}}");
        assert!(error(&text).starts_with("kernels/x.cu:1: f: parameter `"), "{param}: {}", error(&text));
    }
    assert!(error("extern \"C\" __global__ void f(int in) {}").contains("Rust keyword"));
    assert!(error("\n__global__ void f() {}").starts_with("kernels/x.cu:2: an entry point is written"));
    assert!(error("extern \"C\" __global__ void f(int n);").contains("defined where it is declared"));
    assert!(error("extern \"C\" __global__ void f(int n").contains("not closed"));
    assert!(error("extern \"C\" __global__ void f").contains("expected the entry point's name"));
    assert!(error("constexpr float X = 1;  // host").starts_with("kernels/x.cu:1: a line marked `// host`"));
    assert!(error("constexpr int X = 2 * LANES;  // host").contains("X uses LANES"));
}

#[test]
fn reads_the_assemblers_report() {
    let log = "\
kernels/x.cu(4): warning #177-D: variable \"unused\" was declared but never referenced
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'k_two' for 'sm_80'
ptxas info    : Function properties for k_two
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers, 360 bytes cmem[0]
ptxas info    : Compiling entry function 'k_one' for 'sm_80'
ptxas info    : Function properties for k_one
    160 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 30 registers, used 1 barriers, 160 bytes cumulative stack size, 1024 bytes smem, 368 bytes cmem[0]
ptxas info    : Function properties for _Z1gf
ptxas         .     0 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads";
    let resources = report::parse(log);
    let one = &resources["k_one"];
    assert_eq!((one.registers, one.shared_bytes, one.spill_bytes, one.stack_bytes), (30, 1024, 40, 160));
    assert_eq!(resources["k_two"], report::Resources { registers: 8, ..Default::default() });
    assert_eq!(report::warnings(log).count(), 1);
}

#[test]
fn reads_the_assemblers_remarks() {
    let log = "\
ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored; unable to determine register count at entry.
ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized in the function 'k_bad'
ptxas info    : Compiling entry function 'k_fine' for 'sm_90a'
ptxas info    : Used 8 registers, used 0 barriers
ptxas info    : Compiling entry function 'k_bad' for 'sm_90a'
ptxas info    : Used 90 registers, used 0 barriers";
    let resources = report::parse(log);
    let codes =
        |entry: &str| -> Vec<&str> { resources[entry].remarks.iter().map(|text| &text[..7]).collect() };
    assert_eq!(codes("k_fine"), ["(C7508)"]);
    assert_eq!(codes("k_bad"), ["(C7508)", "(C7510)"]);
}

#[test]
fn plans_a_fallback_only_where_newer_gpus_accept_the_ptx() {
    let products = |archs: &[Arch]| -> Vec<String> {
        targets(archs).iter().map(|t| format!("{:?} {}", t.product, t.options()[0])).collect()
    };
    assert_eq!(
        products(&target::DEFAULT),
        [
            "CubinAndPtx --gpu-architecture=sm_80",
            "Cubin --gpu-architecture=sm_90",
            "Cubin --gpu-architecture=sm_100",
            "Cubin --gpu-architecture=sm_120",
            "SimulatorPtx --gpu-architecture=compute_80",
        ]
    );
    let hopper = Arch::parse("sm_90a").unwrap();
    assert_eq!(
        products(&[hopper]),
        ["Cubin --gpu-architecture=sm_90a", "SimulatorPtx --gpu-architecture=compute_90a"]
    );
    assert!(targets(&[hopper]).iter().all(|t| t.product != Product::CubinAndPtx));
}

#[test]
fn chooses_the_image_closest_to_the_gpu() {
    const fn image(kind: ImageKind, arch: u32) -> Image {
        Image { kind, arch, gz: &[] }
    }
    static IMAGES: [Image; 6] = [
        image(ImageKind::SimulatorPtx, 80),
        image(ImageKind::Ptx, 80),
        image(ImageKind::Cubin, 80),
        image(ImageKind::Cubin, 86),
        image(ImageKind::CubinExact, 90),
        image(ImageKind::Cubin, 100),
    ];
    let module = Module { file: "x.cu", source: "", headers: &[], images: &IMAGES };
    let choice = |capability| module.image_for(capability).map(ToString::to_string);
    assert_eq!(choice((7, 5)), None);
    assert_eq!(choice((8, 0)).unwrap(), "sm_80");
    assert_eq!(choice((8, 9)).unwrap(), "sm_86");
    assert_eq!(choice((9, 0)).unwrap(), "sm_90a");
    assert_eq!(choice((10, 3)).unwrap(), "sm_100");
    assert_eq!(choice((12, 0)).unwrap(), "PTX for sm_80 and newer");
}

/// The names of the .cu files under kernels/.
fn kernel_files() -> BTreeSet<String> {
    fn visit(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "cu") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut files = Vec::new();
    visit(&root, &mut files);
    files.iter().map(|file| file.strip_prefix(&root).unwrap().to_str().unwrap().to_string()).collect()
}

#[test]
fn every_kernel_file_is_listed_and_every_kernel_has_a_header() {
    let listed: BTreeSet<String> = ALL.iter().map(|entry| entry.module.file.to_string()).collect();
    assert_eq!(listed, kernel_files());
    for entry in ALL {
        assert!(entry.module.source.contains(entry.name));
        let file = entry.module.file;
        assert!(!entry.summary.is_empty(), "kernels/{file}: {} has no header `// {0}: ...`", entry.name);
    }
}

#[test]
fn every_kernel_has_images_of_the_right_kind() {
    assert_eq!(NVRTC_MISSING, None, "without NVRTC at build time, the kernels stay untested");
    for entry in ALL {
        assert!(entry.module.simulator_ptx().is_some(), "{}", entry.module.file);
        for image in entry.module.images {
            let bytes = image.unpack().unwrap();
            let name = entry.name.as_bytes();
            assert!(bytes.windows(name.len()).any(|part| part == name), "{image} lacks {}", entry.name);
            match image.kind {
                ImageKind::Cubin | ImageKind::CubinExact => assert!(bytes.starts_with(b"\x7fELF")),
                ImageKind::Ptx => assert!(String::from_utf8(bytes).unwrap().contains("\n.version 7.4\n")),
                ImageKind::SimulatorPtx => {
                    let text = String::from_utf8(bytes).unwrap();
                    let place = format!("\"/kernels/{}\"", entry.module.file);
                    assert!(text.contains(&place), "no line table for {place}");
                }
            }
        }
    }
}

#[test]
fn every_kernel_is_assembled_as_it_is_written() {
    for entry in ALL {
        let is_cubin = |image: &&Image| matches!(image.kind, ImageKind::Cubin | ImageKind::CubinExact);
        let cubins = entry.module.images.iter().filter(is_cubin).count();
        assert_eq!(entry.resources.len(), cubins, "{} has no report for an architecture", entry.name);
        for used in entry.resources {
            assert!(used.registers > 0, "{} on sm_{}", entry.name, used.arch);
            assert_eq!((used.spill_bytes, used.stack_bytes), (0, 0), "{} on sm_{}", entry.name, used.arch);
            assert!(used.remarks.is_empty(), "{} on sm_{}: {:?}", entry.name, used.arch, used.remarks);
        }
    }
}
