//! The same run gives the same bytes: twice, or killed and continued.

use crate::program::{
    assert_same_results, ended, metrics, resume, run, scratch, start, train, wait_for_steps,
};
use cugrad::random::{Purpose, Stream};
use std::path::Path;
use std::time::Duration;

#[test]
fn one_seed_gives_one_run() {
    let (folder, a) = scratch();
    let [b, other] = ["b", "other"].map(|name| folder.path().join(name));
    run(train(&a).args(["--seed", "7"])).succeeded();
    run(train(&b).args(["--seed", "7"])).succeeded();
    assert_same_results(&a, &b);
    assert_eq!(metrics(&a, "step").len(), 24);
    assert_eq!(metrics(&a, "epoch").len(), 3);

    run(train(&other).args(["--seed", "8"])).succeeded();
    assert_ne!(metrics(&a, "step"), metrics(&other, "step"));
}

#[test]
fn bf16_gives_one_run_for_a_seed_and_not_that_of_f32() {
    let (folder, a) = scratch();
    let [b, single] = ["b", "single"].map(|name| folder.path().join(name));
    run(train(&a).args(["--precision", "bf16"])).succeeded();
    run(train(&b).args(["--precision", "bf16"])).succeeded();
    assert_same_results(&a, &b);
    assert_eq!(metrics(&a, "step").len(), 24);

    run(&mut train(&single)).succeeded();
    assert_ne!(metrics(&a, "step"), metrics(&single, "step"));
}

#[test]
fn number_of_threads_changes_nothing() {
    let (folder, one) = scratch();
    let three = folder.path().join("three");
    run(train(&one).env("RAYON_NUM_THREADS", "1")).succeeded();
    run(train(&three).env("RAYON_NUM_THREADS", "3")).succeeded();
    assert_same_results(&one, &three);
}

#[test]
fn run_killed_ten_times_gives_the_same_bits() {
    let (folder, whole) = scratch();
    let killed = folder.path().join("killed");
    // Long enough that ten kills do not outlast it.
    let train = |folder: &Path| {
        let mut command = train(folder);
        command.args(["--epochs", "12"]);
        command
    };
    run(&mut train(&whole)).succeeded();

    let mut chance = Stream::new(1, Purpose::Test, 0, 0);
    let mut child = start(&mut train(&killed));
    for _ in 0..10 {
        // At most two steps on from where the last kill left it, so that all ten find the run alive;
        // then a moment that no step boundary knows of.
        let steps = metrics(&killed, "step").len() + (3.0 * chance.uniform_f64()) as usize;
        wait_for_steps(&mut child, &killed, steps.max(1));
        std::thread::sleep(Duration::from_micros((10_000.0 * chance.uniform_f64()) as u64));
        child.kill().unwrap();
        let output = ended(child.wait_with_output().unwrap());
        assert_eq!(output.status.code(), None, "killed, not ended: {}", output.stderr);
        child = start(&mut resume(&killed));
    }
    ended(child.wait_with_output().unwrap()).succeeded();
    assert_same_results(&whole, &killed);
    let left: Vec<_> =
        std::fs::read_dir(killed.join("ckpt")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn finished_run_has_nothing_to_continue() {
    let (folder, done) = scratch();
    let first = run(&mut train(&done)).succeeded();
    let copy = folder.path().join("copy");
    std::fs::create_dir_all(copy.join("ckpt")).unwrap();
    for name in crate::program::RESULTS {
        std::fs::copy(done.join(name), copy.join(name)).unwrap();
    }
    let again = run(&mut resume(&done));
    assert!(again.stderr.contains("nothing to train"), "{}", again.stderr);
    assert_eq!(again.succeeded(), first);
    assert_same_results(&done, &copy);
}
