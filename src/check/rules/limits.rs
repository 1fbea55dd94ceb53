//! Numbers: joins, folds, costs, versions.

use crate::check::accepts::Accepts;
use crate::check::policy::{Measure, NOT_INSPECTED, REMOVABLE};
use crate::check::report::{Finding, Level, Place};
use crate::check::subject::{Subject, not_inspected};
use crate::engine::EngineError;

/// What a number counts, in words.
fn words(measure: Measure) -> &'static str {
    match measure {
        Measure::Joins => "joins",
        Measure::RemovableJoins => "joins that rewrite would remove",
        Measure::Folds => "linear folds that rewrite would make",
        Measure::Macs => "multiply-accumulates",
        Measure::Parameters => "weights",
        Measure::Bytes => "bytes",
        Measure::ActivationBytes => "bytes of activations alive at once",
        Measure::Nodes => "nodes",
        Measure::Readers => "reads of one tensor",
        Measure::Opset => "as the version of ONNX's operator set",
        Measure::IrVersion => "as the version of the file format",
    }
}

/// A number, and the places that make it up; `Err` says why it is not known.
type Measured = Result<(u64, Vec<Place>), String>;

pub(super) fn at_most(
    key: &str,
    (measure, limit): (Measure, u64),
    subject: &Subject<'_>,
    accepts: &Accepts<'_>,
) -> Result<Vec<Finding>, EngineError> {
    let measured: Measured = match measure {
        Measure::Joins => Ok(joins(subject, accepts)?),
        Measure::RemovableJoins => {
            let is_meant = |p: &&Place| matches!(p.code.as_deref(), Some(REMOVABLE | NOT_INSPECTED));
            let places = subject.joins()?.1.iter().filter(is_meant).cloned().collect();
            Ok(counted(accepts.sift(places)))
        }
        Measure::Folds => Ok(counted(accepts.sift(subject.folds()?.to_vec()))),
        Measure::Macs => subject.macs().map(|n| (n, Vec::new())),
        Measure::Parameters => Ok((subject.parameters(), Vec::new())),
        Measure::Bytes => Ok((subject.bytes(), Vec::new())),
        Measure::ActivationBytes => {
            let unknown = || "the size of a tensor is not known: it is free, or an operator is unknown".to_owned();
            subject.activation_bytes().map(|n| (n, Vec::new())).ok_or_else(unknown)
        }
        Measure::Nodes => Ok((subject.count_of_nodes(), Vec::new())),
        Measure::Readers => Ok(readers(limit, subject, accepts)),
        Measure::Opset => Ok((subject.opset(), Vec::new())),
        Measure::IrVersion => Ok((subject.ir_version(), Vec::new())),
    };
    let what = words(measure);
    Ok(match measured {
        Err(why) => vec![Finding::new(key, Level::Failure, format!("the number of {what} is not known: {why}"))],
        Ok((found, places)) if found > limit => {
            let message = match places.iter().all(|p| p.code.as_deref() == Some(NOT_INSPECTED)) && !places.is_empty() {
                true => format!("whether there are no more than {limit} {what} is not known: not all was looked into"),
                false => format!("{found} {what}, where {limit} are allowed"),
            };
            vec![Finding {
                found: Some(found),
                limit: Some(limit),
                places,
                ..Finding::new(key, Level::Failure, message)
            }]
        }
        Ok(_) => Vec::new(),
    })
}

pub(super) fn at_least(key: &str, (measure, limit): (Measure, u64), subject: &Subject<'_>) -> Vec<Finding> {
    let found = match measure {
        Measure::Opset => subject.opset(),
        _ => subject.ir_version(),
    };
    let message = format!("{found} {}, where at least {limit} is asked for", words(measure));
    let finding = Finding { found: Some(found), limit: Some(limit), ..Finding::new(key, Level::Failure, message) };
    if found < limit { vec![finding] } else { Vec::new() }
}

fn counted(places: Vec<Place>) -> (u64, Vec<Place>) {
    (places.len() as u64, places)
}

/// Every join of the main graph but those accepted. Sums of linear branches are no residual joins, and are counted all the same.
fn joins(subject: &Subject<'_>, accepts: &Accepts<'_>) -> Result<(u64, Vec<Place>), EngineError> {
    let (count, all) = subject.joins()?;
    let is_hidden = |p: &&Place| p.code.as_deref() == Some(NOT_INSPECTED);
    let hidden = all.iter().filter(is_hidden).count();
    let left = accepts.sift(all.to_vec());
    let total = count.max((all.len() - hidden) as u64) + hidden as u64;
    Ok((total - (all.len() - left.len()) as u64, left))
}

fn readers(limit: u64, subject: &Subject<'_>, accepts: &Accepts<'_>) -> (u64, Vec<Place>) {
    let most = subject.reads().map(|(_, n)| n).max().unwrap_or(0);
    let shared = subject.reads().filter(|(_, n)| *n > limit).map(|(value, n)| Place {
        node: subject.view.def(value).map(|d| subject.view.node(d).name().to_owned()).unwrap_or_default(),
        tensor: subject.view.name(value).to_owned(),
        code: None,
        reason: format!("read {n} times"),
    });
    let mut places: Vec<Place> = shared.collect();
    let hidden = match subject.hidden() {
        0 => Vec::new(),
        n => accepts
            .sift(vec![not_inspected(format!("{n} nodes in inner graphs or local functions are not looked into"))]),
    };
    let most = if hidden.is_empty() { most } else { most.max(limit.saturating_add(1)) };
    places.extend(hidden);
    (most, places)
}
