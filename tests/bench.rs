//! The table of benchmarks: complete, unambiguous, and true to the network; timing; the command.

use cugrad::bench::{Effort, Prepared, Timing, cases, measure};
use cugrad::nn::resnet::Kind;
use cugrad::nn::{Mode, ResNet};
use cugrad::ops::registry::operations;
use cugrad::{DType, Device, Tape, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};
use std::time::Duration;

#[test]
fn every_operation_is_measured() {
    let measured: BTreeSet<&str> = cases(2).unwrap().iter().map(|case| case.operation.name).collect();
    for operation in operations() {
        assert!(measured.contains(operation.name), "{} has no benchmark", operation.name);
    }
}

#[test]
fn ids_are_unique_and_say_the_extents() {
    let all = cases(512).unwrap();
    let ids: BTreeSet<String> = all.iter().map(|case| case.id()).collect();
    assert_eq!(ids.len(), all.len(), "two benchmarks have one id");
    assert!(ids.contains("conv3x3/dgrad/n512_hw32_c64_k128"));
    assert!(ids.contains("conv3x3/wgrad_naive/n512_hw4_c512_k512"));
    for case in &all {
        assert!(case.bytes > 0.0 && case.bytes.is_finite(), "{}", case.id());
    }
}

#[test]
fn the_convolutions_are_the_networks() {
    let mut net = ResNet::new(&Device::Cpu, DType::F32, 64, 0).unwrap();
    let image = Tensor::zeros(&Device::Cpu, DType::F32, &[1, 32, 32, 3]).unwrap();
    let mut want = BTreeMap::new();
    net.forward_observed(&mut Tape::no_grad(), &image, Mode::Eval, &mut |output| {
        let [_, h, _, k] = output.tensor.shape() else { return };
        if let Kind::Conv3x3 { c } = output.kind {
            want.insert(output.name, (format!("n1_hw{h}_c{c}_k{k}"), (18 * h * h * c * k) as f64));
        }
    })
    .unwrap();
    let mut got = BTreeMap::new();
    for case in cases(1).unwrap().iter().filter(|case| case.op == "conv3x3" && case.pass == "fprop") {
        for (layer, _) in case.peers {
            got.insert(layer.to_string(), (case.extents(), case.flop));
        }
    }
    assert_eq!(got, want);
}

#[test]
fn every_case_runs_on_the_cpu() {
    for case in cases(1).unwrap().iter().filter(|case| case.runs_on_cpu() && case.op != "conv3x3") {
        let mut prepared = Prepared::new(case, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", case.id()));
        assert!(!prepared.replayed() && prepared.calls() >= 1);
        assert!(prepared.burst().unwrap() > Duration::ZERO, "{}", case.id());
    }
}

#[test]
fn timing_is_the_median_and_the_halves_show_the_spread() {
    let t = Timing::of(&[1.0, 9.0, 1.0, 2.0, 2.0, 2.0]);
    assert_eq!((t.seconds, t.repeats), (2.0, 6));
    assert_eq!(t.spread, 0.5);
    assert_eq!(Timing::of(&[3.0]).spread, 0.0);
}

#[test]
fn repeats_end_with_the_budget() {
    let effort = Effort { least: 2, most: 5, budget: Duration::ZERO };
    let t = measure(effort, 10, || Ok(Duration::from_secs(20))).unwrap();
    assert_eq!((t.repeats, t.seconds, t.spread), (2, 2.0, 0.0));
    let effort = Effort { budget: Duration::from_secs(3600), ..effort };
    assert_eq!(measure(effort, 1, || Ok(Duration::from_secs(1))).unwrap().repeats, 5);
}

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cugrad"));
    command.env_remove("CUGRAD_DEVICE").arg("bench").args(arguments).output().unwrap()
}

#[test]
fn the_commands_json_has_the_peers_keys() {
    let output = bench(&["--device", "cpu", "--batch", "1", "--quick", "--filter", "relu_add", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["batch"].as_u64(), report["dtype"].as_str()), (Some(1), Some("torch.float32")));
    assert!(report["ceilings"]["matmul_tflops"].as_f64().unwrap() > 0.0);
    assert!(report["ceilings"]["copy_tb_s"].as_f64().unwrap() > 0.0);
    let rows = report["ops"].as_array().unwrap();
    let first = rows.iter().find(|row| row["op"] == "relu_add.64").unwrap();
    assert_eq!(first["pass"], "forward");
    assert!(rows.iter().all(|row| row["us"].as_f64().unwrap() > 0.0 && row["tb_s"].as_f64().unwrap() > 0.0));
}

#[test]
fn the_command_refuses_what_it_cannot_measure() {
    for (arguments, why) in [
        (&["--device", "cpu", "--filter", "no such thing"][..], "no such thing"),
        (&["--device", "sim"], "no time to measure"),
        (&["--device", "cpu", "--batch", "0"], "--batch"),
    ] {
        let output = bench(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
