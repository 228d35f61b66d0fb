//! What shells and man get of the command line.

use crate::program::{cugrad, run, scratch};
use clap::CommandFactory;
use cugrad::cli::Cli;
use std::fs;
use std::process::{Command, Stdio};

/// Every command, by its name.
fn commands() -> Vec<String> {
    let names: Vec<String> = Cli::command().get_subcommands().map(|c| c.get_name().to_string()).collect();
    assert!(names.len() > 15, "{names:?}");
    names
}

/// groff's options: UTF-8 in, every warning, and plain text out, no letter struck over another.
const PLAIN: [&str; 7] = ["-k", "-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-u"];

fn completions(shell: &str) -> String {
    run(&mut cugrad(["completions", shell])).succeeded()
}

/// Whether a program is installed.
fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

#[test]
fn of_every_shell_name_every_command_and_its_flags() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = completions(shell);
        for word in commands().iter().map(String::as_str).chain(["checkpoint-every", "step-size", "half"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    run(&mut cugrad(["completions", "tcsh"])).failed(2, &["tcsh", "bash", "powershell"]);
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_flags_and_values() {
    let (folder, _) = scratch();
    let script = folder.path().join("cugrad.bash");
    fs::write(&script, completions("bash")).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&script).status().unwrap().success());
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (last, at) = (words[words.len() - 1], words.len() - 1);
        let shell = format!(
            "source '{}'; COMP_WORDS=({line}); COMP_CWORD={at}; _cugrad cugrad '{last}' '{}'; \
             echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words[at - 1],
        );
        let output = Command::new("bash").args(["--norc", "-c", &shell]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    };
    assert_eq!(complete("cugrad exp"), "explain export");
    assert_eq!(complete("cugrad train --no-t"), "--no-tensorboard");
    assert_eq!(complete("cugrad eval --normalization h"), "half");
    assert_eq!(complete("cugrad plot tri"), "triangle");
}

#[test]
fn man_has_a_page_for_every_command() {
    let (_folder, out) = scratch();
    let said = run(cugrad(["man", "--out"]).arg(&out)).succeeded();
    fn count(command: &clap::Command) -> usize {
        1 + command.get_subcommands().map(count).sum::<usize>()
    }
    let pages = count(&Cli::command());
    assert!(said.starts_with(&format!("{pages} pages in ")), "{said}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), pages);
    let main = fs::read_to_string(out.join("cugrad.1")).unwrap();
    for command in commands() {
        let name = format!("cugrad-{command}");
        assert!(main.contains(&name.replace('-', "\\-")), "cugrad.1 does not name {name}");
        assert!(out.join(format!("{name}.1")).exists(), "{name}");
    }
    assert!(out.join("cugrad-plot-triangle.1").exists());
    let train = fs::read_to_string(out.join("cugrad-train.1")).unwrap();
    assert!(train.contains("checkpoint\\-every"), "{train}");
}

#[test]
fn man_pages_render_without_a_warning() {
    if !is_there("groff") {
        // cargo keeps what a passing test prints, so it is not said with a macro.
        use std::io::Write;
        writeln!(std::io::stderr(), "SKIPPED man_pages_render_without_a_warning: there is no groff").unwrap();
        return;
    }
    let (_folder, out) = scratch();
    run(cugrad(["man", "--out"]).arg(&out)).succeeded();
    for entry in fs::read_dir(&out).unwrap() {
        let page = entry.unwrap().path();
        let output = Command::new("groff").args(PLAIN).arg(&page).output().unwrap();
        let (shown, warnings) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && warnings.is_empty(), "{}: {warnings}", page.display());
        assert!(String::from_utf8_lossy(&shown).contains("OPTIONS"), "{}", page.display());
    }
}

#[test]
fn man_pages_that_cannot_be_written_are_an_error() {
    let (folder, _) = scratch();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    run(cugrad(["man", "--out"]).arg(&file)).failed(1, &["cannot create", "file"]);
}
