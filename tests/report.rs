//! The report of a run and the page that compares runs: as files, and as a browser shows them.

#[path = "common/browser.rs"]
mod browser;

use browser::{Browser, browser};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use tempfile::TempDir;

/// Two runs of three epochs, which differ in their rates, made once for all tests.
static RUNS: LazyLock<Runs> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    for (name, rate) in [("one", "0.02"), ("two", "0.04")] {
        #[rustfmt::skip]
        let arguments = [
            "train", "--data", "embedded", "--width", "4", "--limit", "256", "--test-limit", "80",
            "--epochs", "3", "--peak-epoch", "1", "--batch", "32", "--lr-max", rate, "--run-dir", name,
        ];
        succeed(&arguments, folder.path());
    }
    Runs { folder }
});

struct Runs {
    folder: TempDir,
}

impl Runs {
    /// A copy of the first run, to be changed.
    fn copy(&self) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        copy(&self.folder.path().join("one"), &run);
        (folder, run)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn cugrad(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cugrad"));
    for name in ["CUGRAD_SEED", "CUGRAD_PRESET", "CUGRAD_DATA"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments).env("CUGRAD_NO_FETCH", "1").env("CUGRAD_DEVICE", "cpu");
    command.output().unwrap()
}

fn succeed(arguments: &[&str], folder: &Path) -> String {
    let output = cugrad(arguments, folder);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a command says that ends with `status`, without a panic.
fn fail(arguments: &[&str], folder: &Path, status: i32) -> String {
    let output = cugrad(arguments, folder);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
    said
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

const SECTIONS: [&str; 9] =
    ["curves", "epochs", "classes", "misclassified", "grad-cam", "samples", "network", "settings", "machine"];

/// The sections of a page that lie in its text.
fn sections(html: &str) -> Vec<&str> {
    html.split("<section id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn a_run_leaves_a_report_and_its_pictures() {
    let run = RUNS.folder.path().join("one");
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    assert_eq!(sections(&html), SECTIONS);
    assert!(html.len() < 3 << 20, "{} bytes", html.len());
    let layers = ["prep", "layer1", "layer2", "layer3"].map(|layer| format!("misclassified-{layer}.png"));
    let mut pictures = vec!["misclassified.png".to_string(), "samples.png".into()];
    pictures.extend(layers);
    pictures.sort();
    assert_eq!(files(&run.join("pictures")), pictures);
    for name in ["accuracy", "loss", "one-cycle"] {
        assert!(run.join(format!("plots/{name}-dark.png")).exists(), "{name}");
    }
    // What the page tells is what the metrics tell.
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    let accuracy = last["test_accuracy"].as_f64().unwrap();
    assert!(html.contains(&format!("<dd>{:.2}%", 100.0 * accuracy)), "{accuracy}");
    assert!(html.contains(&format!("{} of 80 test images are classified right", (80.0 * accuracy).round())));
    assert!(html.contains("SHA-256 of the training images"));
}

#[test]
fn a_report_is_written_anew_as_it_was() {
    let (folder, run) = RUNS.copy();
    let before = fs::read(run.join("report.html")).unwrap();
    fs::remove_file(run.join("report.html")).unwrap();
    fs::remove_dir_all(run.join("pictures")).unwrap();
    let said = succeed(&["report", "run"], folder.path());
    assert!(said.contains("report run/report.html ("), "{said}");
    // But for its name, which is the folder's.
    let after = fs::read_to_string(run.join("report.html")).unwrap();
    let before =
        String::from_utf8(before).unwrap().replace("Run one", "Run run").replace("<title>one", "<title>run");
    assert!(before == after, "the report differs");
    assert!(run.join("pictures/misclassified.png").exists());
}

#[test]
fn a_killed_run_has_a_report_that_says_what_lacks() {
    let (folder, run) = RUNS.copy();
    // Killed in the second epoch, in the middle of a line.
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let first: usize = metrics.find("{\"kind\":\"epoch\"").unwrap();
    let end = first + metrics[first..].find('\n').unwrap() + 1;
    fs::write(run.join("metrics.jsonl"), &metrics[..end + 30]).unwrap();
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    fs::write(
        run.join("journal.jsonl"),
        journal.lines().take(2).map(|l| format!("{l}\n")).collect::<String>() + "{\"ki",
    )
    .unwrap();
    succeed(&["report", "run"], folder.path());
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(html.contains("The run is not complete: 1 of 3 epochs"), "no word of the epochs");
    assert!(html.contains("still at work, or was killed"));
    assert_eq!(sections(&html), SECTIONS);

    // Without weights and without a journal the numbers are still told.
    fs::remove_file(run.join("ckpt/last.safetensors")).unwrap();
    fs::remove_file(run.join("journal.jsonl")).unwrap();
    succeed(&["report", "run"], folder.path());
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(html.contains("There are no weights yet") && html.contains("There is no journal.jsonl"));
    assert_eq!(sections(&html), ["curves", "epochs", "samples", "network", "settings", "machine"]);
}

#[test]
fn a_run_without_its_images_has_a_report_of_its_numbers() {
    let (folder, run) = RUNS.copy();
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let at = journal.find("\"sha256\":[\"").unwrap() + 11;
    fs::write(run.join("journal.jsonl"), format!("{}0123{}", &journal[..at], &journal[at + 4..])).unwrap();
    let output = cugrad(&["report", "run"], folder.path());
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the run was trained on the embedded set") && said.contains("0123"), "{said}");
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    assert_eq!(sections(&html), ["curves", "epochs", "network", "settings", "machine"]);

    let html = |data_dir| {
        succeed(&["report", "run", "--data", "cifar10", "--data-dir", data_dir], folder.path());
        fs::read_to_string(run.join("report.html")).unwrap()
    };
    assert!(html("nowhere").contains("no CIFAR-10 in nowhere"));
}

#[test]
fn what_is_no_whole_run_is_an_error_and_leaves_nothing() {
    let (folder, run) = RUNS.copy();
    let report = run.join("report.html");
    fs::remove_file(&report).unwrap();
    let refused = |change: &dyn Fn(), words: &[&str]| {
        change();
        for command in [&["report", "run"][..], &["compare", "run", "run"]] {
            // What the network says is no part of a comparison.
            if command[0] == "compare" && words[0].contains("safetensors") {
                continue;
            }
            let said = fail(command, folder.path(), 1);
            words.iter().for_each(|word| assert!(said.contains(word), "expected `{word}` in: {said}"));
            assert!(!report.exists() && !folder.path().join("compare.html").exists());
        }
    };
    let weights = run.join("ckpt/last.safetensors");
    let whole = fs::read(&weights).unwrap();
    refused(
        &|| fs::write(&weights, &whole[..whole.len() / 2]).unwrap(),
        &["last.safetensors", "not a whole"],
    );
    fs::write(&weights, &whole).unwrap();
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    let wide = config.replace("width = 4", "width = 6");
    refused(
        &|| fs::write(run.join("config.toml"), &wide).unwrap(),
        &["last.safetensors", "these weights are of width 4, the run is of width 6"],
    );
    fs::write(run.join("config.toml"), config).unwrap();
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    refused(
        &|| fs::write(run.join("metrics.jsonl"), metrics.replacen("\"lr\"", "\"rl\"", 1)).unwrap(),
        &["metrics.jsonl", "line 1 is no metrics line"],
    );
    refused(&|| fs::remove_file(run.join("metrics.jsonl")).unwrap(), &["has no metrics.jsonl"]);
    refused(&|| fs::remove_file(run.join("config.toml")).unwrap(), &["is no run's folder"]);
    refused(&|| fs::remove_dir_all(&run).unwrap(), &["cannot read run/config.toml"]);
}

/// A limit on the size of files stands in for a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_report() {
    let (folder, run) = RUNS.copy();
    let before = fs::read(run.join("report.html")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 80; exec \"$0\" report run", env!("CARGO_BIN_EXE_cugrad")]);
    let output = shell.current_dir(folder.path()).env("CUGRAD_DEVICE", "cpu").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write run/") && said.contains("File too large"), "{said}");
    assert!(fs::read(run.join("report.html")).unwrap() == before);
    for part in ["", "plots", "pictures"] {
        assert!(files(&run.join(part)).iter().all(|name| !name.starts_with(".cugrad")), "{part}");
    }
}

#[test]
fn runs_are_compared_on_a_page_and_on_the_terminal() {
    let folder = RUNS.folder.path();
    let out = tempfile::tempdir().unwrap();
    let page = out.path().join("c.html");
    let said = succeed(&["compare", "one", "two", "one", "--out", page.to_str().unwrap()], folder);
    for line in ["A  one", "B  two", "C  one"] {
        assert!(said.lines().any(|l| l == line), "{said}");
    }
    assert!(
        said.lines().any(|line| line.starts_with("test accuracy") && line.matches('%').count() == 3),
        "{said}"
    );
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(sections(&html), ["curves", "results", "settings"]);
    // Of the settings the rate alone differs.
    let differs = html.split("<tr class=\"differs\">").skip(1);
    let names: Vec<_> =
        differs.map(|row| row.split('>').nth(1).unwrap().split('<').next().unwrap()).collect();
    assert_eq!(names, ["lr-max"]);

    let said = fail(&["compare", "one"], folder, 2);
    assert!(said.contains("2 to 12 runs"), "{said}");
    let said = fail(&["compare", "one", "two", "--out", "no/such/c.html"], folder, 1);
    assert!(said.contains("cannot write no/such/c.html"), "{said}");
    let said = fail(&["compare", "one", "two", "--out", "one"], folder, 2);
    assert!(said.contains("--out one is a folder"), "{said}");
}

/// Holds of the page that the browser has open what must hold of each at every width, light and dark.
fn assert_shown_well(browser: &Browser, width: u32, dark: bool) {
    browser.show(width, dark);
    let at = format!("at {width} pixels, dark: {dark}");
    let is = |script: &str| browser.evaluate(script);
    let wide = is("return document.documentElement.scrollWidth - innerWidth");
    assert!(wide.as_i64().unwrap() <= 0, "scrolls sideways by {wide} {at}");
    let broken = is("return [...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).length");
    assert_eq!(broken, 0, "images that are not shown {at}");
    let ground = if dark { "rgb(20, 22, 26)" } else { "rgb(255, 255, 255)" };
    assert_eq!(is("return getComputedStyle(document.body).backgroundColor"), ground, "{at}");
    let charts = is("return [...document.querySelectorAll('figure')].filter(f => f.querySelector('svg'))
        .map(f => [...f.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width > 0).length)");
    assert!(charts.as_array().unwrap().iter().all(|shown| shown == 1), "one chart a figure {at}: {charts}");
    // No text of a chart is cut off or lies over another.
    let clashes = is("const found = [];
        for (const svg of document.querySelectorAll('svg')) {
            const page = svg.getBoundingClientRect();
            if (page.width == 0) continue;
            const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
            boxes.forEach(([a, p], i) => {
                if (p.left < page.left - 1 || p.right > page.right + 1 || p.top < page.top - 1 || p.bottom > page.bottom + 1)
                    found.push(a + ' is cut off');
                for (const [b, q] of boxes.slice(0, i))
                    if (p.left + 1 < q.right && q.left + 1 < p.right && p.top + 3 < q.bottom && q.top + 3 < p.bottom)
                        found.push(a + ' lies over ' + b);
            });
        }
        return found");
    assert_eq!(clashes, serde_json::json!([]), "texts {at}");
    assert_eq!(browser.console(), Vec::<String>::new(), "console {at}");
}

/// Opens a page, holds it to [`assert_shown_well`] in all ways, and keeps pictures of it to be looked at.
fn assert_page(page: &Path, name: &str, ids: &[&str]) {
    let Some(browser) = browser() else { return };
    browser.open(page);
    for id in ids {
        let height = browser
            .evaluate(&format!("return document.getElementById('{id}').getBoundingClientRect().height"));
        assert!(height.as_f64().unwrap() > 50.0, "section {id} is {height} high");
    }
    let outside = browser.evaluate(
        "return [...document.querySelectorAll('[src],[href]')].map(e => e.getAttribute('src') ?? e.getAttribute('href'))
            .filter(a => !a.startsWith('data:') && !a.startsWith('#'))",
    );
    assert_eq!(outside, serde_json::json!([]), "addresses outside of the page");
    assert_eq!(browser.evaluate("return document.scripts.length"), 0);
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (width, dark) in [(1200, false), (1200, true), (375, false), (375, true)] {
        assert_shown_well(&browser, width, dark);
        browser.screenshot(&kept.join(format!("{name}-{width}-{}.png", if dark { "dark" } else { "light" })));
    }
}

#[test]
fn a_browser_shows_the_report_well() {
    assert_page(&RUNS.folder.path().join("one/report.html"), "report", &SECTIONS);
}

#[test]
fn a_browser_shows_a_comparison_well() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("compare.html");
    let mut arguments = vec!["compare"];
    // As many as there may be.
    arguments.extend([["one", "two"]; 6].as_flattened());
    arguments.extend(["--out", page.to_str().unwrap()]);
    succeed(&arguments, RUNS.folder.path());
    assert_page(&page, "compare", &["curves", "results", "settings"]);
}
