//! What stands on a page, before it is one.

use crate::check::CheckReport;
use crate::io::Model;
use crate::options::Options;
use crate::plan::change::Price;
use crate::report::{Outcome, Verification};
use crate::verify::VerifyReport;

use super::graph::Net;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    /// Nothing is wrong, but something is to be known.
    Note,
    Bad,
}

/// How a run ended, in words.
pub(crate) struct Verdict {
    pub(crate) tone: Tone,
    /// A few words.
    pub(crate) head: String,
    /// Sentences; lines may end.
    pub(crate) body: String,
}

/// A file that was read or written.
pub(crate) struct Source {
    /// What it is to the run.
    pub(crate) role: &'static str,
    pub(crate) path: String,
    /// Name, SHA-256 and size of each of its files, its own first.
    pub(crate) contents: Vec<(String, String, u64)>,
}

impl Source {
    /// A model as it was read.
    pub(crate) fn of(role: &'static str, path: String, model: &Model) -> Self {
        let mut contents = Vec::new();
        if let Some(digest) = model.digest() {
            contents.push((path.clone(), digest.model, model.source().len() as u64));
            let size = |location: &str| {
                let file = model.side_files().iter().find(|f| f.location == location);
                file.map_or(0, |f| f.content.len() as u64)
            };
            contents.extend(digest.side_files.into_iter().map(|(location, sum)| {
                let size = size(&location);
                (location, sum, size)
            }));
        }
        Self { role, path, contents }
    }
}

/// One model: what it was, and what became of it.
#[derive(Default)]
pub(crate) struct ModelPart<'a> {
    /// The graph, or why it cannot be drawn.
    pub(crate) before: Option<Result<Net, String>>,
    pub(crate) after: Option<Result<Net, String>>,
    /// False where `after` is what would come out, and no file.
    pub(crate) is_written: bool,
    /// Every site.
    pub(crate) outcome: Option<&'a Outcome>,
    /// Where there is no outcome: what both cost.
    pub(crate) prices: Option<(Price, Price)>,
}

/// A whole page.
pub(crate) struct Page<'a> {
    /// The subcommand.
    pub(crate) command: &'static str,
    /// What it was run on.
    pub(crate) subject: String,
    pub(crate) verdict: Verdict,
    pub(crate) files: Vec<Source>,
    /// What was asked for, where it can be.
    pub(crate) options: Option<&'a Options>,
    pub(crate) parts: Vec<ModelPart<'a>>,
    pub(crate) verification: Option<&'a Verification>,
    /// That of `verify`, which decides nothing.
    pub(crate) comparison: Option<&'a VerifyReport>,
    pub(crate) check: Option<&'a CheckReport>,
}
