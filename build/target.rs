//! The architectures a kernel file is compiled for, and with which options.

use std::fmt;

/// A GPU architecture: `sm_80`, or `sm_90a`, whose code runs on no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arch {
    pub number: u32,
    /// Has the suffix `a`.
    pub exact: bool,
}

/// What a file is compiled for when its header does not say: one per major version, because
/// machine code runs only within its own.
pub const DEFAULT: [Arch; 4] = [Arch::new(80), Arch::new(90), Arch::new(100), Arch::new(120)];

impl Arch {
    const fn new(number: u32) -> Arch {
        Arch { number, exact: false }
    }

    /// Reads `sm_90a`.
    pub fn parse(text: &str) -> Option<Arch> {
        let digits = text.strip_prefix("sm_")?;
        let number = digits.strip_suffix('a').unwrap_or(digits);
        Some(Arch { number: number.parse().ok()?, exact: digits.ends_with('a') })
    }

    fn suffix(self) -> &'static str {
        if self.exact { "a" } else { "" }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sm_{}{}", self.number, self.suffix())
    }
}

/// One compilation of a kernel file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub arch: Arch,
    pub product: Product,
}

/// What a compilation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Machine code.
    Cubin,
    /// Machine code, and its PTX as the fallback for GPUs that no machine code fits.
    CubinAndPtx,
    /// PTX for the simulator.
    SimulatorPtx,
}

impl Target {
    /// NVRTC's options. The simulator's PTX has line numbers, and no multiplications and additions
    /// contracted to one rounding, so that its arithmetic is the source's.
    pub fn options(self) -> Vec<String> {
        let Arch { number, .. } = self.arch;
        let language = "-std=c++17".to_string();
        match self.product {
            Product::Cubin | Product::CubinAndPtx => {
                vec![format!("--gpu-architecture={}", self.arch), language, "--ptxas-options=-v".into()]
            }
            Product::SimulatorPtx => vec![
                format!("--gpu-architecture=compute_{number}{}", self.arch.suffix()),
                language,
                "-lineinfo".into(),
                "-fmad=false".into(),
            ],
        }
    }
}

/// The compilations of a file for `archs`. The fallback is the lowest architecture whose PTX newer
/// GPUs accept. The simulator runs the most special code there is, else the fallback's.
pub fn targets(archs: &[Arch]) -> Vec<Target> {
    let fallback = archs.iter().copied().filter(|arch| !arch.exact).min();
    let simulated = archs.iter().copied().find(|arch| arch.exact).or(fallback);
    let cubins = archs.iter().map(|&arch| {
        let product = if Some(arch) == fallback { Product::CubinAndPtx } else { Product::Cubin };
        Target { arch, product }
    });
    cubins.chain(simulated.map(|arch| Target { arch, product: Product::SimulatorPtx })).collect()
}
