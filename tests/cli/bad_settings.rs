//! Settings that make no sense: each is named, with what was expected, before anything is made.

use crate::program::{cugrad, run, scratch, train};

#[test]
fn of_a_run_are_refused() {
    let (_folder, path) = scratch();
    let rejects = |arguments: &str, words: &[&str]| {
        run(train(&path).args(arguments.split(' '))).failed(2, words);
        assert!(!path.exists(), "{arguments} left a folder");
    };
    rejects("--lr-min=-0.1", &["--lr-min is -0.1", "not negative"]);
    rejects("--lr-max=-1", &["--lr-max is -1"]);
    rejects("--lr-max nan", &["--lr-max is NaN"]);
    rejects("--lr-max inf", &["--lr-max is inf"]);
    rejects("--lr-max fast", &["--lr-max"]);
    rejects("--lr-min 0.1 --lr-max 0.01", &["--lr-max is 0.01", "at least --lr-min"]);
    rejects("--lr-end=-1", &["--lr-end is -1"]);
    rejects("--peak-epoch 4", &["--peak-epoch is 4", "expected 0 to 3"]);
    rejects("--peak-epoch=-1", &["--peak-epoch is -1"]);
    rejects("--width 0", &["--width is 0", "at least 1"]);
    rejects("--width 1000000", &["--width is 1000000", "at most 1024"]);
    rejects("--epochs 0", &["--epochs is 0"]);
    rejects("--epochs 18446744073709551615", &["--epochs is 18446744073709551615", "too large"]);
    rejects("--batch 0", &["--batch is 0"]);
    rejects("--limit 0", &["--limit is 0"]);
    rejects("--test-limit 0", &["--test-limit is 0"]);
    rejects("--seed 9223372036854775808", &["--seed is 9223372036854775808", "at most 9223372036854775807"]);
    rejects("--seed=-1", &["--seed"]);
    rejects("--momentum 1", &["--momentum is 1", "less than 1"]);
    rejects("--momentum 0 --nesterov", &["--nesterov needs"]);
    rejects("--weight-decay=-1", &["--weight-decay is -1"]);
    rejects("--l1 nan", &["--l1 is NaN"]);
    rejects("--label-smoothing 1", &["--label-smoothing is 1"]);
    rejects("--name a/b", &["--name is `a/b`"]);
    rejects("--precision f8", &["--precision"]);
    rejects("--precision tf32 --device cpu", &["tf32", "--device cuda or sim"]);
    rejects("--precision bf16 --device sim", &["bf16", "--device cpu"]);
    rejects("--device tpu", &["--device"]);
    rejects("--data mnist", &["--data"]);
}

#[test]
fn limits_beyond_the_data_use_all_of_it() {
    let (_folder, path) = scratch();
    let text =
        run(train(&path).args("--epochs 1 --peak-epoch 0 --test-limit 100000000".split(' '))).succeeded();
    assert!(text.contains(" of "), "{text}");
    assert!(!text.contains("100000000"), "{text}");
}

#[test]
fn batch_larger_than_the_data_is_one_step() {
    let (_folder, path) = scratch();
    run(train(&path).args("--limit 16 --batch 1000000000000".split(' '))).succeeded();
    assert_eq!(crate::program::metrics(&path, "step").len(), 3);
}

#[test]
fn gpu_that_is_not_there_is_an_error_with_help() {
    let (_folder, path) = scratch();
    // Small enough for the simulator.
    let small = "--width 1 --limit 8 --test-limit 8 --batch 8 --epochs 1 --peak-epoch 0.5";
    for device in ["cuda", "sim"] {
        let output = run(train(&path).args(["--device", device]).args(small.split(' ')));
        // On a machine that has one, the run goes well.
        if output.status.success() {
            std::fs::remove_dir_all(&path).unwrap();
        } else {
            output.failed(1, &[&format!("no {device} device"), "help: "]);
        }
    }
}

#[test]
fn usage_that_is_wrong_has_status_2() {
    for arguments in ["", "trian", "train --widht 8", "eval", "step --steps 0", "op", "op relu_fprop --list"]
    {
        let arguments = arguments.split(' ').filter(|word| !word.is_empty());
        assert_eq!(run(&mut cugrad(arguments)).status.code(), Some(2));
    }
}
