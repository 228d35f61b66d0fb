//! The pictures that commands write, and what they do with a place that takes none.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output};

fn cugrad(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cugrad"));
    command.current_dir(folder).args(arguments).env("CUGRAD_NO_FETCH", "1").env("CUGRAD_DEVICE", "cpu");
    command.output().unwrap()
}

fn succeeds(arguments: &[&str], folder: &Path) -> String {
    let output = cugrad(arguments, folder);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The size of a PNG file and its pixels.
fn decode(path: &Path) -> ((u32, u32), Vec<[u8; 3]>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    ((info.width, info.height), bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect())
}

/// Holds that the file is a picture of a plot: of double size, on its theme's ground, with the colours
/// of text, curve and marks, and nothing cut off at its edges.
fn assert_is_plot(path: &Path, ground: [u8; 3], inks: &[[u8; 3]]) {
    let ((width, height), pixels) = decode(path);
    assert_eq!(width, 1600, "{}", path.display());
    assert!((800..2000).contains(&height), "{}: height {height}", path.display());
    let colours: HashSet<_> = pixels.iter().collect();
    for ink in inks {
        assert!(colours.contains(ink), "{}: no pixel of {ink:?}", path.display());
    }
    let (w, h) = (width as usize, height as usize);
    let edge = (0..w).flat_map(|x| [x, (h - 1) * w + x]).chain((0..h).flat_map(|y| [y * w, y * w + w - 1]));
    assert!(edge.into_iter().all(|i| pixels[i] == ground), "{}: drawn up to its edge", path.display());
}

const WHITE: [u8; 3] = [0xff, 0xff, 0xff];
const LIGHT: [[u8; 3]; 3] = [[0x1b, 0x1d, 0x21], [0x00, 0x72, 0xb2], [0xa8, 0x46, 0x7c]];
const NEARLY_BLACK: [u8; 3] = [0x14, 0x16, 0x1a];
const DARK: [[u8; 3]; 3] = [[0xec, 0xee, 0xf1], [0x56, 0xb4, 0xe9], [0xe0, 0x8f, 0xbd]];

#[test]
fn policies_are_plotted_light_and_dark() {
    let folder = tempfile::tempdir().unwrap();
    for figure in ["triangle", "one-cycle"] {
        let light = folder.path().join("light.png");
        succeeds(&["plot", figure, "--out", "light.png"], folder.path());
        assert_is_plot(&light, WHITE, &LIGHT);
        succeeds(&["plot", figure, "--out", "dark.png", "--theme", "dark"], folder.path());
        assert_is_plot(&folder.path().join("dark.png"), NEARLY_BLACK, &DARK);
    }
}

#[test]
fn the_flags_of_a_policy_change_its_plot() {
    let folder = tempfile::tempdir().unwrap();
    let png = |arguments: &[&str]| {
        let out = ["--out", "plot.png"];
        succeeds(&[&["plot"], arguments, &out].concat(), folder.path());
        std::fs::read(folder.path().join("plot.png")).unwrap()
    };
    let mut seen = HashSet::new();
    for arguments in [
        &["triangle"][..],
        &["triangle", "--cycles", "2"],
        &["triangle", "--step-size", "500"],
        &["triangle", "--min-lr", "0.002"],
        &["triangle", "--max-lr", "0.01"],
        &["triangle", "--min-lr", "0.01"],
        &["triangle", "--max-lr", "0.0001"],
        &["one-cycle"],
        &["one-cycle", "--lr-max", "0.3"],
        &["one-cycle", "--lr-min", "0.01"],
        &["one-cycle", "--lr-end", "0.0001"],
        &["one-cycle", "--peak-epoch", "8"],
        &["one-cycle", "--epochs", "30"],
        &["one-cycle", "--epochs", "1"],
        &["one-cycle", "--lr-max", "0.001"],
    ] {
        assert!(seen.insert(png(arguments)), "{arguments:?} gives a plot that was there before");
    }
    assert_eq!(png(&["triangle"]), png(&["triangle"]), "the same figure twice");
}

#[test]
fn what_cannot_be_drawn_or_written_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("taken.png")).unwrap();
    for (arguments, status, says) in [
        (&["triangle", "--out", "no/such/f.png"][..], 1, "no/such/f.png"),
        (&["triangle", "--out", "taken.png"], 2, "taken.png is a folder"),
        (&["triangle", "--out", "f.png", "--min-lr", "0.1", "--max-lr", "0.01"], 2, "--max-lr is 0.01"),
        (&["triangle", "--out", "f.png", "--step-size", "0"], 2, "--step-size"),
        (&["one-cycle", "--out", "f.png", "--peak-epoch", "30"], 2, "--peak-epoch is 30"),
        (&["one-cycle", "--out", "f.png", "--lr-end=-1"], 2, "--lr-end"),
        (&["run", "taken.png"], 1, "config.toml"),
    ] {
        let output = cugrad(&[&["plot"], arguments].concat(), folder.path());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {message}");
        assert!(message.contains(says), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["taken.png"]);
}

#[test]
fn a_run_that_finds_its_rates_leaves_numbers_and_plots() {
    let folder = tempfile::tempdir().unwrap();
    #[rustfmt::skip]
    let arguments = [
        "train", "--preset", "quick", "--data", "embedded", "--width", "2", "--limit", "64",
        "--test-limit", "16", "--batch", "16", "--epochs", "2", "--peak-epoch", "1",
        "--lr-max", "find", "--run-dir", "run",
    ];
    succeeds(&arguments, folder.path());
    let run = folder.path().join("run");
    let config: toml::Table = std::fs::read_to_string(run.join("config.toml")).unwrap().parse().unwrap();
    let found: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.join("lr-find.json")).unwrap()).unwrap();
    assert_eq!(config["lr-max"].as_float(), found["suggestion"]["lr_max"].as_f64());
    assert_eq!(config["lr-min"].as_float(), found["suggestion"]["lr_min"].as_f64());
    assert_eq!(config["lr-end"], config["lr-min"]);
    for name in ["one-cycle", "loss", "accuracy", "lr-find"] {
        let [text, curve, _] = LIGHT;
        assert_is_plot(&run.join(format!("plots/{name}.png")), WHITE, &[text, curve]);
        let [text, curve, _] = DARK;
        assert_is_plot(&run.join(format!("plots/{name}-dark.png")), NEARLY_BLACK, &[text, curve]);
    }

    let again = succeeds(&["plot", "run", "run", "--out", "again"], folder.path());
    assert_eq!(again.lines().count(), 8);
    let read = |path: &str| std::fs::read(folder.path().join(path)).unwrap();
    assert_eq!(read("again/loss.png"), read("run/plots/loss.png"));
}
