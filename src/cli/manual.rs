//! Completions and manual pages.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Command};

use super::{Failure, Verdict, out};

#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub(super) struct Man {
    /// Where to write one page a command; without it the main page goes to stdout
    folder: Option<PathBuf>,
}

pub(super) fn completions(arguments: &Completions, mut command: Command) -> Result<Verdict, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "onnx-rm", &mut script);
    out(|stdout| stdout.write_all(&script))?;
    Ok(Verdict::Done)
}

pub(super) fn man(arguments: &Man, command: Command) -> Result<Verdict, Failure> {
    match &arguments.folder {
        Some(folder) => clap_mangen::generate_to(command, folder).map_err(|e| Failure::new(folder, e))?,
        None => {
            let mut page = Vec::new();
            if clap_mangen::Man::new(command).render(&mut page).is_ok() {
                out(|stdout| stdout.write_all(&page))?;
            }
        }
    }
    Ok(Verdict::Done)
}
