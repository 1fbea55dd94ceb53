//! What all measures come to: the verdict, where the models part, and what is worth a note.

use std::collections::{HashMap, HashSet};

use crate::onnx::ModelProto;
use crate::verify::report::{FirstDifference, Measure, OutputReport, SizeReport, Status, VerifyReport};

use super::attempt::Ready;
use super::course::{self, Course};
use super::errors::Errors;
use super::pair::dependents;
use super::stage::{Stage, Trial};
use super::{bisect, evidence, regions};

/// Each compared tensor with its measures in all sizes: the outputs first, then what stands inside of both models.
pub(super) fn outputs(readies: &[Ready<'_>], courses: &[Course]) -> Vec<OutputReport> {
    let Some(stage) = readies.first().map(|r| &r.bench.stage) else { return Vec::new() };
    let moving = dependents(stage.original.graph(), stage.slots.iter().map(|s| s.name.as_str()));
    let report = |name: &String| {
        let (mut measures, mut varies, mut all) = (Vec::new(), false, Vec::new());
        for (size, (ready, course)) in readies.iter().zip(courses).enumerate() {
            // Tensors inside of both are compared in some sizes only.
            let Some(index) = ready.bench.stage.original.outputs.iter().position(|o| o == name) else { continue };
            let found = course.measures.get(index).into_iter().flatten();
            measures.extend(found.map(|m| Measure { size, ..m.clone() }));
            varies |= course.varies.get(index) == Some(&true);
            let mut errors = course.errors.get(index).cloned().unwrap_or_default();
            errors.iter_mut().for_each(|e| e.at(size));
            course::merge(&mut all, &errors);
        }
        let no_evidence = silence(moving.contains(name.as_str()), varies, &measures);
        let comparisons = all.iter().map(Errors::told).collect();
        OutputReport { name: name.clone(), no_evidence, measures, comparisons }
    };
    stage.original.outputs.iter().map(report).collect()
}

/// The kinds of input that are most like what models are made for: where rounding decides everything on one of them, the model is
/// unstable, whatever the others show.
fn is_ordinary(input: &str) -> bool {
    matches!(input, "normal" | "uniform" | "given") || input.starts_with("given ")
}

/// Share of an output's largest value above which rounding decides everything. A quantised tensor moves by a step, which is less.
const EVERYTHING: f64 = 0.1;

/// How near to float64 the original's own arithmetic is where rounding, whatever draws of it may do, does not decide everything.
const NEAR: f64 = 1e-3;

/// Why an output says nothing. `depends`: some input reaches it, so it must show that it varies.
fn silence(depends: bool, varies: bool, measures: &[Measure]) -> Option<String> {
    let speaks = measures.iter().any(|m| m.no_evidence.is_none());
    // Inputs on which everything grows without bound are stable, and say nothing of those that a model is made for.
    let is_near = |m: &Measure| m.limit > 0.0 && !m.screened && m.original_error < NEAR;
    let is_decided = |input: &str| !measures.iter().any(|m| m.input == input && is_near(m));
    let decides = |m: &&Measure| m.unstable && m.rounding > EVERYTHING && is_ordinary(&m.input) && is_decided(&m.input);
    if let Some(m) = measures.iter().find(decides).filter(|_| speaks) {
        return Some(format!(
            "rounding alone may move it by {:.0e} of its largest value on {} input",
            m.rounding, m.input
        ));
    }
    if !depends || speaks && varies {
        return None;
    }
    if speaks {
        return Some("it is the same for every input".to_owned());
    }
    if let Some(most) = measures.iter().filter(|m| m.unstable).map(|m| m.rounding).reduce(f64::max) {
        return Some(format!("rounding alone may move it by {most:.0e} of its largest value"));
    }
    let reason = |m: &Measure| format!("{} ({})", m.no_evidence.as_deref().unwrap_or(""), m.input);
    let first = measures.iter().filter(|m| m.size == 0).map(reason).collect::<Vec<_>>();
    Some(format!("it is {}", first.join(", ")))
}

/// The verdict, and where the models part. `inside` are the tensors inside of both models that were compared too. Returns the models and
/// the inputs that show it, unless only a part that was fed by itself does.
pub(super) fn conclude<'r, 'a>(
    readies: &'r [Ready<'a>],
    courses: &'r [Course],
    inside: &[OutputReport],
    report: &mut VerifyReport,
) -> Option<(&'r Stage<'a>, &'r Trial)> {
    let failed = |outputs: &[OutputReport]| {
        let mut all = outputs.iter().flat_map(|o| o.measures.iter().map(move |m| (o, m)));
        all.find_map(|(o, m)| Some((o.name.clone(), m.clone(), m.failure.clone()?)))
    };
    let outside = failed(&report.outputs);
    let is_outside = outside.is_some();
    if let Some((name, measure, failure)) = outside.or_else(|| failed(inside)) {
        let shape = match measure.size {
            0 => String::new(),
            size => format!(" in size {}", shapes_of(&report.sizes[size])),
        };
        report.message = format!("'{name}' on {} input{shape}: {failure}", measure.input);
        report.status = Status::Mismatch;
        let unstable = report.outputs.iter().flat_map(|o| &o.measures).any(|m| m.unstable);
        if !is_outside && unstable {
            report.message += "; it stands inside of both models, before rounding decides the rest";
        } else if !is_outside {
            report.status = Status::NoEvidence;
            report.message += "; it stands inside of both models, and no input carried that to an output";
        }
        let trial = courses.get(measure.size).and_then(|c| c.trials.iter().find(|t| t.name == measure.input));
        let shown = readies.get(measure.size).zip(trial);
        let found = shown.and_then(|(ready, trial)| bisect::first_difference(&ready.bench, trial));
        let shown = shown.filter(|_| found.is_some() || is_outside);
        // A part that was fed by itself ends at the tensor that differs.
        report.first_difference = found.or_else(|| (!is_outside).then(|| ends_at(&readies[0], name, &measure)));
        return shown.map(|(ready, trial)| (&ready.bench.stage, trial));
    }
    notes(report);
    let stage = &readies[0].bench.stage;
    let untouched = untouched(&stage.original.model, &stage.rewritten.model);
    let speaks = report.outputs.iter().any(|o| o.no_evidence.is_none());
    let mut unstable = None;
    for (index, output) in report.outputs.iter().enumerate() {
        let Some(reason) = &output.no_evidence else { continue };
        let words = format!("'{}': {reason}", output.name);
        if output.measures.iter().any(|m| m.unstable) {
            unstable.get_or_insert(words);
        } else if speaks && (untouched.contains(&output.name) || courses[0].discrete.get(index) == Some(&true)) {
            report.notes.push(words);
        } else {
            (report.status, report.message) = (Status::NoEvidence, words);
            return None;
        }
    }
    let words = unstable?;
    // Rounding hides what happens at the output; tensors before it may show more.
    let looked = courses[0].trials.iter().take(2);
    let found = looked.filter_map(|t| Some((t, bisect::first_difference(&readies[0].bench, t)?))).next();
    let (shown, part) = found.map_or((None, None), |(trial, part)| (Some((stage, trial)), Some(part)));
    report.arithmetic.unstable = true;
    (report.status, report.message) = match &part {
        Some(d) => (Status::Mismatch, format!("{words}; but '{}' differs before rounding decides", d.tensor)),
        None => (Status::Unstable, words),
    };
    report.first_difference = part;
    shown
}

fn ends_at(ready: &Ready<'_>, tensor: String, measure: &Measure) -> FirstDifference {
    let nodes = &ready.bench.stage.original.graph().node;
    let node = nodes.iter().find(|n| n.output.contains(&tensor)).cloned().unwrap_or_default();
    FirstDifference {
        node: node.name().to_owned(),
        op: node.op_type().to_owned(),
        tensor,
        difference: measure.exact_error,
        input: measure.input.clone(),
    }
}

fn shapes_of(size: &SizeReport) -> String {
    size.inputs.iter().map(|i| format!("{:?}", i.shape)).collect::<Vec<_>>().join(", ")
}

/// What was noticed of single measures, each once.
fn notes(report: &mut VerifyReport) {
    if let Some(bends) = report.bends.as_ref().filter(|b| !b.missed.is_empty()) {
        report.notes.push(evidence::words(&bends.missed, bends.total));
    }
    let mut seen = HashSet::new();
    let mut notes = Vec::new();
    for (output, m) in report.outputs.iter().flat_map(|o| o.measures.iter().map(move |m| (o, m))) {
        let ties = (m.ties > 0).then(|| format!("{} answers tie within rounding", m.ties));
        for note in m.note.iter().cloned().chain(ties) {
            if seen.insert((output.name.clone(), note.clone())) {
                notes.push(format!("'{}' on {} input: {note}", output.name, m.input));
            }
        }
    }
    report.notes.extend(notes);
}

/// The outputs of `original` that both models compute by the same nodes from the same constants.
fn untouched(original: &ModelProto, rewritten: &ModelProto) -> HashSet<String> {
    let Ok(same) = regions::unchanged(original, rewritten) else { return HashSet::new() };
    let Some(graph) = &original.graph else { return HashSet::new() };
    let makers: HashMap<&str, _> =
        graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
    let is_untouched = |output: &str| {
        let (mut open, mut seen) = (vec![output.to_owned()], HashSet::new());
        while let Some(name) = open.pop() {
            let Some(node) = makers.get(name.as_str()) else { continue };
            if !same.contains(&name) {
                return false;
            }
            if seen.insert(name) {
                open.extend(crate::graph::reads(node));
            }
        }
        true
    };
    graph.output.iter().map(|o| o.name().to_owned()).filter(|o| is_untouched(o)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(input: &str, rounding: f64, original_error: f64) -> Measure {
        let no_evidence = (rounding > EVERYTHING).then(|| "rounding".to_owned());
        let input = input.to_owned();
        let unstable = no_evidence.is_some();
        Measure { input, rounding, original_error, limit: 1e-5, unstable, no_evidence, ..Measure::default() }
    }

    #[test]
    fn rounding_decides_what_it_moves_and_what_a_runtime_misses() {
        let silent = |measures: &[Measure]| silence(true, true, measures).is_some();
        let stable = measure("normal", 1e-6, 1e-6);
        assert!(!silent(std::slice::from_ref(&stable)));
        assert!(silent(&[stable.clone(), measure("uniform", 0.2, 0.3)]), "both say so");
        assert!(!silent(&[stable.clone(), measure("uniform", 0.2, 4e-6)]), "a draw alone says so");
        // In other sizes only draws were made.
        let drawn = Measure { limit: 0.0, size: 1, ..measure("uniform", 0.2, 0.0) };
        assert!(silent(&[stable.clone(), drawn.clone()]));
        assert!(!silent(&[stable.clone(), measure("uniform", 0.2, 4e-6), drawn]));
        assert!(!silent(&[stable, measure("level", 0.2, 0.3)]), "not what models are made for");
    }
}
