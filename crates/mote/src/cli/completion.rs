//! `mote completion SHELL`: a completion script on standard output.

use clap::Args;
use clap_complete::Shell;

use crate::failure::{Exit, Failure};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  mote completion bash > ~/.local/share/bash-completion/completions/mote
  mote completion zsh > ~/.zfunc/_mote
  mote completion fish > ~/.config/fish/completions/mote.fish";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self, mut command: clap::Command) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "mote", &mut script);
        output::bytes_out(&script)?;
        Ok(Exit::Done)
    }
}
