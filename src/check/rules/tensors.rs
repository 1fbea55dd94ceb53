//! Element types, and where weights are kept.

use std::collections::BTreeMap;

use crate::check::accepts::Accepts;
use crate::check::nodes::other_constants;
use crate::check::policy::External;
use crate::check::report::{Finding, Level, Place};
use crate::check::subject::{Subject, not_inspected};
use crate::onnx::tensor_proto::DataType;

/// A type as policies write it.
pub(super) fn name(dtype: DataType) -> String {
    match dtype {
        DataType::Float => "float32".to_owned(),
        DataType::Double => "float64".to_owned(),
        other => other.as_str_name().to_lowercase(),
    }
}

/// Tensors of other types than `allowed`, or of a type that is not known.
pub(super) fn types(key: &str, allowed: &[DataType], subject: &Subject<'_>, accepts: &Accepts<'_>) -> Vec<Finding> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut places = Vec::new();
    let mut look = |node: &str, tensor: &str, dtype: Option<DataType>| {
        if dtype.is_some_and(|t| allowed.contains(&t)) {
            return;
        }
        let word = dtype.map_or("unknown".to_owned(), name);
        *counts.entry(word.clone()).or_default() += 1;
        places.push(Place { node: node.to_owned(), tensor: tensor.to_owned(), code: None, reason: word });
    };
    let view = subject.view;
    let is_read = |v| !view.uses(v).is_empty() || view.is_output(v) || view.is_captured(v);
    // Of what a node gives besides, and nobody reads, the type need not be known.
    for value in view.values().filter(|v| subject.facts.dtype(*v).is_some() || is_read(*v)) {
        let node = subject.view.def(value).map_or("", |d| subject.view.node(d).name());
        look(node, subject.view.name(value), subject.facts.dtype(value));
    }
    for tensor in other_constants(subject.model.proto()) {
        look("", tensor.name(), DataType::try_from(tensor.data_type()).ok());
    }
    if subject.hidden() > 0 {
        let hidden = not_inspected("what inner graphs and local functions compute is not looked into".to_owned());
        for place in accepts.sift(vec![hidden]) {
            *counts.entry("not looked into".to_owned()).or_default() += 1;
            places.push(place);
        }
    }
    if places.is_empty() {
        return Vec::new();
    }
    let list: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    let message = format!("tensors of element types that are not allowed: {}", list.join(", "));
    let count = Some(places.len() as u64);
    vec![Finding { found: count, limit: Some(0), places, ..Finding::new(key, Level::Failure, message) }]
}

pub(super) fn external(key: &str, wanted: External, subject: &Subject<'_>) -> Vec<Finding> {
    let files: Vec<&str> = subject.model.side_files().iter().map(|f| f.location.as_str()).collect();
    let message = match (wanted, files.is_empty()) {
        (External::Forbid, false) => format!("weights stand in other files: {}", files.join(", ")),
        (External::Require, true) => "no weights stand in another file".to_owned(),
        _ => return Vec::new(),
    };
    vec![Finding::new(key, Level::Failure, message)]
}
