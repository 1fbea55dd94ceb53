//! One model against what the policy asks of it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use super::accepts::Accepts;
use super::date::Date;
use super::policy::Applied;
use super::report::{CheckStatus, FileReport, Finding, Level, Measures};
use super::rules::{self, Around};
use super::subject::Subject;
use crate::engine::EngineError;
use crate::facts::Facts;
use crate::graph::{self, GraphView};
use crate::io::{LoadOptions, Model};

/// What is the same for all models.
pub(super) struct Bench<'a> {
    /// The policy's folder.
    pub(super) root: &'a Path,
    pub(super) today: Date,
    pub(super) load: &'a LoadOptions,
    pub(super) turn: &'a Mutex<()>,
    /// Tells who watches that work goes on, and asks whether it shall.
    pub(super) stop: &'a (dyn Fn() -> ControlFlow<()> + Sync),
}

/// The report of a model that was read.
pub(super) fn look(file: &str, path: &Path, model: &Model, applied: &Applied, bench: &Bench<'_>) -> FileReport {
    let accepts = Accepts::new(&applied.accepts, bench.today);
    let &Bench { root, load, turn, stop, .. } = bench;
    let around = Around { accepts: &accepts, path, root, load, turn, stop };
    let mut findings = Vec::new();
    let measures = match examine(model, applied, &around, bench, &mut findings) {
        Ok(measures) => Some(measures),
        Err(error) => {
            findings.push(Finding::new("model", Level::Error, error.to_string()));
            None
        }
    };
    if applied.rules.is_empty() {
        let message = "the policy asks nothing of this model";
        findings.push(Finding::new("uncovered", Level::Failure, message));
    }
    let checked = applied.rules.iter().map(|set| set.key.to_owned()).collect();
    let accepted = accepts.into_accepted();
    FileReport { status: CheckStatus::of(&findings), checked, measures, findings, accepted, file: file.to_owned() }
}

/// The report of a file that is no model.
pub(super) fn broken(file: &str, why: String) -> FileReport {
    let findings = vec![Finding::new("model", Level::Error, why)];
    FileReport {
        file: file.to_owned(),
        status: CheckStatus::of(&findings),
        checked: Vec::new(),
        measures: None,
        findings,
        accepted: Vec::new(),
    }
}

fn examine(
    model: &Model,
    applied: &Applied,
    around: &Around<'_>,
    bench: &Bench<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Measures, EngineError> {
    graph::check_operators(model.proto())?;
    // What local functions and fused operators stand for is looked into, as the engine does.
    let calls = graph::calls(model.proto(), true);
    let open = Model::from_proto(graph::written_out(model.proto(), &calls, &|_| true));
    let view = GraphView::new(open.proto())?;
    let facts = Facts::new(&view);
    let subject = Subject::new((model, &open), (&view, &facts), applied.long_skips, bench.stop)?;
    for set in &applied.rules {
        findings.extend(rules::findings(set, &subject, around)?);
    }
    Ok(subject.measures())
}
