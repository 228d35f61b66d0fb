//! `cugrad completions` and `cugrad man`: what clap knows of the command line, for shells and for man.

use super::Cli;
use super::output::result;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(after_help = "Examples:
  bash        cugrad completions bash > ~/.local/share/bash-completion/completions/cugrad
  zsh         cugrad completions zsh > \"${fpath[1]}/_cugrad\"
  fish        cugrad completions fish > ~/.config/fish/completions/cugrad.fish
  powershell  cugrad completions powershell | Out-String | Invoke-Expression")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<()> {
        // Written in one go: the generator itself panics when it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "cugrad", &mut script);
        let mut out = std::io::stdout();
        out.write_all(&script).and_then(|()| out.flush()).map_err(Error::io("write", "standard output"))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  cugrad man --out man && man man/cugrad-train.1
  cugrad man --out ~/.local/share/man/man1")]
pub struct Man {
    /// The folder for the pages; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    pub fn run(self) -> Result<()> {
        std::fs::create_dir_all(&self.out).map_err(Error::io("create", &self.out))?;
        let mut program = Cli::command().disable_help_subcommand(true);
        // So that each page is called as its command: cugrad-plot-triangle.
        program.build();
        let pages = write_pages(&program, &self.out)?;
        result(format_args!("{pages} pages in {}", self.out.display()))
    }
}

/// Writes the page of `command` and those of all commands below it; returns how many.
fn write_pages(command: &Command, folder: &Path) -> Result<usize> {
    let page = clap_mangen::Man::new(command.clone());
    let path = folder.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text).map_err(Error::io("write", &path))?;
    write_atomically(&path, &text)?;
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    below.map(|command| write_pages(command, folder)).try_fold(1, |sum, pages| Ok(sum + pages?))
}
