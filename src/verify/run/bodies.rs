//! Bodies of `If`, `Loop` and `Scan` that differ between the models: the inputs at hand must run them. Branches that no input takes are
//! compared as if their conditions took them; what cannot be run so either is said, and is no evidence.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::graph::{Place, taken};
use crate::onnx::NodeProto;
use crate::verify::reference::{self, Tap};
use crate::verify::report::{OutputReport, Status, VerifyReport};

use super::attempt::Ready;
use super::course::{self, Fruitless};
use super::error::VerifyError;
use super::options::Observer;
use super::pair::Side;
use super::stage::{Source, Stage, Trial};
use super::trial::{Arithmetic, Bench};
use super::watch::Work;

/// Most branches that are compared as if they were taken.
const MAX_FORCED: usize = 32;

/// Inputs that each of them is compared on.
const TRIALS: usize = 2;

/// A body, with those around it in front.
pub(super) type Path = Vec<Place>;

/// The bodies that stand in both graphs, and differ.
fn rewritten(a: &[NodeProto], b: &[NodeProto], around: &Path, found: &mut Vec<Path>) {
    for node in b.iter().filter(|n| n.attribute.iter().any(|a| a.g.is_some())) {
        let Some(output) = node.output.iter().find(|o| !o.is_empty()) else { continue };
        let Some(twin) = a.iter().find(|n| n.output.contains(output) && n.op_type == node.op_type) else { continue };
        for held in &node.attribute {
            let other = twin.attribute.iter().find(|x| x.name() == held.name());
            let (Some(x), Some(y)) = (other.and_then(|x| x.g.as_ref()), held.g.as_ref()) else { continue };
            if x != y {
                let place = Place { output: output.clone(), attribute: held.name().to_owned() };
                let path = [around.as_slice(), &[place]].concat();
                found.push(path.clone());
                rewritten(&x.node, &y.node, &path, found);
            }
        }
    }
}

/// Notes which bodies run.
struct Entered(RefCell<BTreeSet<Place>>);

impl Tap for Entered {
    fn enter(&self, place: &Place) {
        self.0.borrow_mut().insert(place.clone());
    }
}

/// Those of `paths` that do not run in the rewritten model of `stage` on any of `trials`.
fn not_run(stage: &Stage<'_>, trials: &[Trial], mut paths: Vec<Path>) -> Vec<Path> {
    let side = &stage.rewritten;
    for trial in trials {
        if paths.is_empty() {
            break;
        }
        let Ok(feed) = stage.feed(trial) else { continue };
        let entered = Entered(RefCell::default());
        if reference::run_tapped(&side.model, &side.feed(&feed), &side.outputs(), &entered).is_ok() {
            let entered = entered.0.into_inner();
            paths.retain(|path| path.last().is_some_and(|place| !entered.contains(place)));
        }
    }
    paths
}

/// The bodies that differ, and that none of `trials` runs.
pub(super) fn idle(stage: &Stage<'_>, trials: &[Trial]) -> Vec<Path> {
    let mut found = Vec::new();
    rewritten(&stage.original.graph().node, &stage.rewritten.graph().node, &Path::new(), &mut found);
    not_run(stage, trials, found)
}

/// What was compared as if it ran.
type Forced = Vec<(Place, Vec<OutputReport>)>;

/// Compares those of `idle` that are branches as if they were taken. Returns those that cannot be run so, and what the others gave.
///
/// # Errors
/// [`VerifyError::Stopped`].
pub(super) fn compare(
    ready: &Ready<'_>,
    idle: Vec<Path>,
    trials: &[Trial],
    observer: Observer<'_>,
) -> Result<(Vec<Path>, Forced), VerifyError> {
    let (mut left, mut forced) = (Vec::new(), Forced::new());
    for path in idle {
        let place = path.last().cloned();
        match place.filter(|_| forced.len() < MAX_FORCED).zip(as_taken(ready, &path, trials)) {
            Some((place, mut part)) => {
                let trials = std::mem::take(&mut part.own_trials);
                match course::run(&mut part, trials, observer) {
                    Ok(course) => {
                        let named = part.bench.stage.original.outputs.iter().zip(course.measures);
                        let report = |(name, measures): (&String, Vec<_>)| OutputReport {
                            name: name.clone(),
                            no_evidence: None,
                            measures,
                            comparisons: Vec::new(),
                        };
                        forced.push((place, named.map(report).collect()));
                    }
                    Err(Fruitless::Stopped) => return Err(VerifyError::Stopped),
                    Err(Fruitless::Nothing(_)) => left.push(path),
                }
            }
            None => left.push(path),
        }
    }
    Ok((left, forced))
}

/// Both models with the body at `path` run whatever the conditions say; `None` where it does not run even so.
fn as_taken<'a>(ready: &Ready<'_>, path: &Path, trials: &[Trial]) -> Option<Ready<'a>> {
    let stage = &ready.bench.stage;
    let side = |side: &Side<'_>| Side {
        model: Cow::Owned(taken(&side.model, path)),
        file: None,
        outputs: side.outputs.clone(),
    };
    let found = |trial: &Trial| {
        let feed = stage.feed(trial).ok()?;
        Some(Trial { name: trial.name.clone(), source: Source::Found(feed) })
    };
    let own_trials: Vec<Trial> = trials.iter().filter_map(found).take(TRIALS).collect();
    let (original, rewritten) = (side(&stage.original), side(&stage.rewritten));
    let forced = Stage::whole(&original, &rewritten, stage.slots.clone(), stage.reports.clone(), stage.seed);
    // Both branches of an `If` are the one that is to run.
    let (place, around) = path.split_last()?;
    let runs = |attribute: &str| {
        let place = Place { attribute: attribute.to_owned(), ..place.clone() };
        not_run(&forced, &own_trials, vec![[around, &[place]].concat()]).is_empty()
    };
    if ![place.attribute.as_str(), "then_branch", "else_branch"].into_iter().any(runs) {
        return None;
    }
    Some(Ready {
        bench: Bench::new(forced, Arithmetic::None),
        work: Work::default(),
        outputs: ready.outputs,
        sizing: ready.sizing,
        regions_because: None,
        rounded_because: None,
        own_trials,
    })
}

/// Says that a branch was compared as if it were taken.
pub(super) fn note(place: &Place) -> String {
    let Place { output, attribute } = place;
    format!("no input takes {attribute} of the If that computes '{output}': it was compared as if it were taken")
}

/// Says which bodies nothing has run: then nothing is known of them.
pub(super) fn blame(idle: &[Path], report: &mut VerifyReport) {
    let Some(place) = idle.first().and_then(|path| path.last()) else { return };
    let words = |place: &Place| format!("{} of the node that computes '{}'", place.attribute, place.output);
    report.unreached.extend(idle.iter().filter_map(|path| path.last()).map(words));
    report.idle = idle.iter().filter_map(|path| path.last()).map(|place| place.output.clone()).collect();
    report.status = Status::NoEvidence;
    let more = if idle.len() > 1 { format!(" (and {} more)", idle.len() - 1) } else { String::new() };
    report.message = format!("no input runs what was rewritten: {}{more}", words(place));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::graph::testing::{holding, model, node};

    #[test]
    fn bodies_that_differ_are_found_at_any_depth() {
        let inner =
            |op: &str| holding(node("in", "If", &["c"], &["k"]), &[("then_branch", "Abs"), ("else_branch", op)]);
        let outer = |op: &str| {
            let mut outer =
                holding(node("out", "If", &["c"], &["y"]), &[("then_branch", "Exp"), ("else_branch", "Neg")]);
            outer.attribute[1].g.as_mut().unwrap().node.push(inner(op));
            model(vec![outer], &["y"]).graph.unwrap().node
        };
        let mut found = Vec::new();
        rewritten(&outer("Neg"), &outer("Neg"), &Path::new(), &mut found);
        assert!(found.is_empty());
        rewritten(&outer("Neg"), &outer("Relu"), &Path::new(), &mut found);
        let place = |output: &str| Place { output: output.into(), attribute: "else_branch".into() };
        assert_eq!(found, [vec![place("y")], vec![place("y"), place("k")]]);
    }
}
