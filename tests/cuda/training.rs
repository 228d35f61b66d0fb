//! Trainings on the CUDA driver and on the simulator.

use crate::program::{cugrad, run};
use crate::{cugrad_on, libcuda};
use cugrad::device::kernels;
use std::fs;
use std::path::Path;

/// Two epochs of two steps: the first step is done at once, the others are replayed from a graph.
const TRAIN: &str = "train --preset quick --width 4 --data embedded --limit 16 --test-limit 4 --epochs 2 \
                     --batch 8 --no-report --seed 3 --run-dir";

/// What a run came to: its metrics, and its weights.
fn results(run: &Path) -> [Vec<u8>; 2] {
    ["metrics.jsonl", "ckpt/last.safetensors"].map(|name| fs::read(run.join(name)).unwrap())
}

#[test]
fn cuda_has_the_bits_of_sim() {
    if kernels::NVRTC_MISSING.is_some() {
        return eprintln!("not run: this build has no kernels");
    }
    let (library, folder) = (libcuda(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    run(cugrad(TRAIN.split_whitespace()).arg(path("sim")).args(["--device", "sim"])).succeeded();
    let wanted = results(&path("sim"));
    for order in ["early", "late", "random:7"] {
        let mut command = cugrad_on(&library, TRAIN);
        command.arg(path(order)).args(["--device", "cuda"]).env("PTXSIM_ORDER", order);
        let ended = run(&mut command);
        assert!(ended.stderr.contains("device: cuda, NVIDIA H100"), "{}", ended.stderr);
        ended.succeeded();
        assert!(results(&path(order)) == wanted, "{order}: other bits than on sim");
    }
}
