//! `--report`: what a run says, as files beside what it prints.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::io::{self, LoadOptions, Model};
use crate::onnx::ModelProto;
use crate::page::{Net, Source};

use super::{Failure, Feeding};

/// Where to write reports.
#[derive(Args, Clone, Debug)]
pub(super) struct Reporting {
    /// Write a report: for FILE.html a page with the graph before and after, prices, errors and refusals, which needs no network;
    /// for any other name the JSON report. May be repeated
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
}

impl Reporting {
    /// True when a page is asked for: what it shows has to be kept.
    pub(super) fn has_page(&self) -> bool {
        self.report.iter().any(|path| is_page(path))
    }

    /// Refuses to write over `files` of the run, or twice into one file; a plan at `plan` is written too.
    pub(super) fn spare(&self, files: &[&Path], plan: Option<&Path>) -> Result<(), Failure> {
        let written: Vec<&Path> = self.report.iter().map(PathBuf::as_path).chain(plan).collect();
        for (i, path) in written.iter().enumerate() {
            let over = files.iter().chain(&written[..i]).find(|other| io::is_same(path, other));
            if let Some(over) = over {
                return Err(Failure {
                    message: format!(
                        "{}: the report or plan would be written over '{}'",
                        path.display(),
                        over.display()
                    ),
                    hint: Some("--report and --plan-out take names of their own".to_owned()),
                });
            }
        }
        Ok(())
    }

    /// Writes all of them, as far as they can be; the first that cannot is the error.
    pub(super) fn write(&self, json: impl Fn() -> String, page: impl Fn() -> String) -> Result<(), Failure> {
        let mut result = Ok(());
        for path in &self.report {
            let text = if is_page(path) { page() } else { json() };
            let written = io::write_text(path, &text, false);
            let written = written.map_err(|e| Failure::new(path, format!("the report cannot be written: {e}")));
            result = result.and(written);
        }
        result
    }
}

fn is_page(path: &Path) -> bool {
    let is = |word: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(word));
    is("html") || is("htm")
}

/// A file that is no model: inputs, a policy, a baseline.
pub(super) fn beside_model(role: &'static str, path: &Path) -> Source {
    let name = path.display().to_string();
    let contents = io::digest_of(path).map(|(sum, size)| vec![(name.clone(), sum, size)]);
    Source { role, path: name, contents: contents.unwrap_or_default() }
}

/// The file of inputs, where there is one.
pub(super) fn inputs(feeding: &Feeding) -> Option<Source> {
    feeding.inputs.as_deref().map(|path| beside_model("inputs", path))
}

/// A graph, or why it cannot be drawn.
pub(super) fn net(model: &ModelProto) -> Result<Net, String> {
    Net::of(model).map_err(|e| e.to_string())
}

/// The model at `path` and its file, read again as others will read it.
pub(super) fn again(path: &Path, role: &'static str, options: &LoadOptions) -> (Source, Result<Model, String>) {
    let name = path.display().to_string();
    match io::load(path, options) {
        Ok(model) => (Source::of(role, name, &model), Ok(model)),
        Err(error) => (Source { role, path: name, contents: Vec::new() }, Err(error.to_string())),
    }
}
