//! `cugrad eval`, and weights that go from one program to another.

use crate::program::{cugrad, metrics, run, scratch, train};
use safetensors::SafeTensors;
use std::fs;
use std::path::Path;
use std::process::Command;

fn eval(weights: &Path) -> Command {
    let mut command = cugrad("eval --device cpu --data embedded --limit 64 --weights".split(' '));
    command.arg(weights);
    command
}

#[test]
fn finds_what_training_found() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let text = run(eval(&path.join("ckpt/last.safetensors")).arg("--json")).succeeded();
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    let last = metrics(&path, "epoch").pop().unwrap();
    assert_eq!(found["accuracy"], last["test_accuracy"]);
    assert_eq!(found["loss"], last["test_loss"]);

    assert_eq!(found["images"], 64);
    let rows: Vec<Vec<u64>> = serde_json::from_value(found["confusion"].clone()).unwrap();
    assert_eq!(rows.iter().flatten().sum::<u64>(), 64);
    assert_eq!((0..10).map(|class| rows[class][class]).sum::<u64>(), found["correct"]);
    for (class, row) in rows.iter().enumerate() {
        match row.iter().sum::<u64>() {
            0 => assert!(found["class_accuracy"][class].is_null()),
            images => assert_eq!(found["class_accuracy"][class], row[class] as f64 / images as f64),
        }
    }
}

#[test]
fn tta_tests_with_the_mirror_images_too() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let weights = path.join("ckpt/last.safetensors");
    let found = |flags: &[&str]| -> serde_json::Value {
        serde_json::from_str(&run(eval(&weights).arg("--json").args(flags)).succeeded()).unwrap()
    };
    let (plain, tta) = (found(&[]), found(&["--tta"]));
    assert_ne!(plain["loss"], tta["loss"]);
    assert_eq!(tta["images"], 64);
}

#[test]
fn does_not_depend_on_the_batch_but_by_rounding() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let weights = path.join("ckpt/best.safetensors");
    let [one, many] = ["7", "500"].map(|batch| {
        let text = run(eval(&weights).args(["--json", "--batch", batch])).succeeded();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    });
    assert_eq!(one["confusion"], many["confusion"]);
    let [one, many] = [one, many].map(|found| found["loss"].as_f64().unwrap());
    assert!((one - many).abs() < 1e-6 * many, "{one} {many}");
}

#[test]
fn prints_a_table() {
    let (_folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let output = run(&mut eval(&path.join("ckpt/last.safetensors")));
    assert!(output.stderr.contains("data: "), "{}", output.stderr);
    let text = output.succeeded();
    assert!(text.contains("test loss") && text.contains("of 64)") && !text.contains("data: "), "{text}");
}

/// As PyTorch writes them: with `format: pt` and other bytes before the tensors.
#[test]
fn takes_weights_that_another_program_wrote() {
    let (folder, path) = scratch();
    run(&mut train(&path)).succeeded();
    let ours = fs::read(path.join("ckpt/last.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&ours).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");

    let theirs = folder.path().join("theirs.safetensors");
    let tensors = SafeTensors::deserialize(&ours).unwrap();
    fs::write(&theirs, safetensors::serialize(tensors.tensors(), None).unwrap()).unwrap();
    assert_ne!(fs::read(&theirs).unwrap(), ours);
    let evaluate = |weights: &Path| run(eval(weights).arg("--json")).succeeded();
    assert_eq!(evaluate(&theirs), evaluate(&path.join("ckpt/last.safetensors")));
}

#[test]
fn refuses_what_is_no_number_of_images() {
    let (_folder, path) = scratch();
    run(eval(&path).args(["--limit", "0"])).failed(2, &["--limit"]);
    run(eval(&path).args(["--batch", "0"])).failed(2, &["--batch"]);
}
