//! What the ONNX specification says of an operator: its versions, its types and the defaults of its attributes.
//!
//! `operators.txt` is plain data, printed from the schemas of the `onnx` package by `tests/python/operators.py`, which says
//! how it is to be read. A test compares the two.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::onnx::tensor_proto::DataType;

/// One version of one operator.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// The first operator set that has this version.
    pub(crate) since: i64,
    /// No operator any more.
    pub(crate) removed: bool,
    pub(crate) inputs: Vec<Parameter>,
    pub(crate) outputs: Vec<Parameter>,
    /// For each symbol the types that it may stand for.
    symbols: Vec<(&'static str, Vec<&'static str>)>,
    defaults: Vec<(&'static str, Plain)>,
}

/// An input or output: its type, a symbol or a type by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) kind: &'static str,
    pub(crate) repeats: Repeats,
}

/// Whether the last parameter of an operator may be given many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    Not,
    WithOneType,
    WithAnyTypes,
}

/// The value of an attribute that is no tensor and no graph. Floats are bits, so that values can be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plain {
    Int(i64),
    Float(u32),
    Text(Vec<u8>),
    Ints(Vec<i64>),
    Floats(Vec<u32>),
    Texts(Vec<Vec<u8>>),
}

impl Schema {
    /// The default of an attribute, where the schema has one.
    pub(crate) fn default_of(&self, attribute: &str) -> Option<&Plain> {
        self.defaults.iter().find(|(name, _)| *name == attribute).map(|(_, value)| value)
    }

    /// The attributes that have a default.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.defaults.iter().map(|(name, _)| *name)
    }

    /// The types that `kind`, a symbol or a type itself, allows.
    pub(crate) fn allowed(&self, kind: &'static str) -> Vec<&'static str> {
        let found = self.symbols.iter().find(|(symbol, _)| *symbol == kind);
        found.map_or_else(|| vec![kind], |(_, types)| types.clone())
    }

    /// True when `kind` may be a tensor of `dtype`.
    pub(crate) fn allows(&self, kind: &'static str, dtype: DataType) -> bool {
        let named = |name: &str| name.eq_ignore_ascii_case(dtype.as_str_name());
        match self.symbols.iter().find(|(symbol, _)| *symbol == kind) {
            Some((_, types)) => types.iter().any(|name| named(name)),
            None => named(kind),
        }
    }

    /// Parameter number `i`; the last one repeats where the schema says so.
    pub(crate) fn parameter(list: &[Parameter], i: usize) -> Option<Parameter> {
        list.get(i).or_else(|| list.last().filter(|p| p.repeats != Repeats::Not)).copied()
    }
}

static TABLE: LazyLock<HashMap<&'static str, Vec<Schema>>> = LazyLock::new(|| read(include_str!("operators.txt")));

/// The newest version of ONNX's own operator set that is known here.
pub(crate) fn newest() -> i64 {
    let line = include_str!("operators.txt").lines().find_map(|l| l.strip_prefix("newest "));
    line.and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Every version of the ONNX operator `name`, the oldest first; none for what the specification does not have.
pub(crate) fn versions(name: &str) -> &'static [Schema] {
    TABLE.get(name).map_or(&[], Vec::as_slice)
}

/// The version of the ONNX operator `name` that holds in operator set `opset`.
pub(crate) fn find(name: &str, opset: i64) -> Option<&'static Schema> {
    versions(name).iter().rev().find(|s| s.since <= opset)
}

/// The name that `operators.txt` has for an element type.
pub(crate) fn type_name(dtype: DataType) -> String {
    dtype.as_str_name().to_lowercase()
}

/// The element type of that name; `None` for what is no tensor.
pub(crate) fn element_type(name: &str) -> Option<DataType> {
    DataType::from_str_name(&name.to_uppercase())
}

fn read(text: &'static str) -> HashMap<&'static str, Vec<Schema>> {
    let mut sets: Vec<Vec<&str>> = Vec::new();
    let mut table: HashMap<&str, Vec<Schema>> = HashMap::new();
    for line in text.lines() {
        if let Some((_, members)) = line.strip_prefix("set ").and_then(|l| l.split_once(" = ")) {
            sets.push(members.split(' ').collect());
            continue;
        }
        if line.starts_with("newest ") {
            continue;
        }
        let mut parts = line.split(" |");
        let mut head = parts.next().unwrap_or_default().split(' ');
        let name = head.next().unwrap_or_default();
        let mut schema = Schema { since: head.next().and_then(|v| v.parse().ok()).unwrap_or(0), ..Schema::default() };
        schema.removed = head.next() == Some("!");
        let (inputs, outputs) = parts.next().and_then(|rule| rule.split_once('>')).unwrap_or_default();
        schema.inputs = inputs.split_whitespace().map(parameter).collect();
        schema.outputs = outputs.split_whitespace().map(parameter).collect();
        for (symbol, set) in parts.next().unwrap_or_default().split_whitespace().filter_map(|s| s.split_once('=')) {
            let members = set.parse().ok().and_then(|n: usize| sets.get(n)).cloned().unwrap_or_default();
            schema.symbols.push((symbol, members));
        }
        for (name, rest) in parts.next().unwrap_or_default().split_whitespace().filter_map(|a| a.split_once(':')) {
            schema.defaults.extend(rest.split_once('=').and_then(|(kind, v)| Some((name, plain(kind, v)?))));
        }
        table.entry(name).or_default().push(schema);
    }
    table
}

fn parameter(text: &'static str) -> Parameter {
    let kind = text.trim_end_matches(['*', '?']);
    let repeats = match &text[kind.len()..] {
        "*" => Repeats::WithOneType,
        "**" => Repeats::WithAnyTypes,
        _ => Repeats::Not,
    };
    Parameter { kind, repeats }
}

fn plain(kind: &str, value: &str) -> Option<Plain> {
    let float = |v: &str| v.parse().ok().map(|v: f64| (v as f32).to_bits());
    let list = || value.split(',');
    Some(match kind {
        "i" => Plain::Int(value.parse().ok()?),
        "f" => Plain::Float(float(value)?),
        "s" => Plain::Text(value.as_bytes().to_vec()),
        "ints" => Plain::Ints(list().map(|v| v.parse().ok()).collect::<Option<_>>()?),
        "floats" => Plain::Floats(list().map(float).collect::<Option<_>>()?),
        _ => Plain::Texts(list().map(|v| v.as_bytes().to_vec()).collect()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_line_is_read() {
        let lines =
            include_str!("operators.txt").lines().filter(|l| !l.starts_with("set ") && !l.starts_with("newest "));
        assert_eq!(lines.count(), TABLE.values().map(Vec::len).sum::<usize>());
        for (name, versions) in TABLE.iter() {
            assert!(versions.iter().all(|s| s.since > 0 && (s.removed || !s.outputs.is_empty())), "{name}");
            let symbols = versions.iter().flat_map(|s| &s.symbols);
            assert!(symbols.clone().all(|(_, types)| !types.is_empty()), "{name}");
        }
        let defaults: usize = TABLE.values().flatten().map(|s| s.defaults.len()).sum();
        let written = include_str!("operators.txt").split_whitespace().filter(|w| w.contains(":") && w.contains('='));
        assert_eq!(defaults, written.count());
    }

    #[test]
    fn no_version_is_newer_than_the_newest() {
        assert!(newest() >= 28 && TABLE.values().flatten().all(|s| s.since <= newest()));
    }

    #[test]
    fn versions_differ() {
        assert_eq!(find("Softmax", 12).unwrap().default_of("axis"), Some(&Plain::Int(1)));
        assert_eq!(find("Softmax", 13).unwrap().default_of("axis"), Some(&Plain::Int(-1)));
        assert_eq!(find("LeakyRelu", 17).unwrap().default_of("alpha"), Some(&Plain::Float(0.01_f32.to_bits())));
        assert!(find("Gelu", 19).is_none() && find("Gelu", 20).is_some());
        assert!(find("Upsample", 10).unwrap().removed);
        assert_eq!(Schema::parameter(&find("Loop", 17).unwrap().inputs, 9).unwrap().repeats, Repeats::WithAnyTypes);
        assert_eq!(find("Conv", 17).unwrap().allowed("T"), ["double", "float", "float16"]);
        assert_eq!(element_type("float8e4m3fn"), Some(DataType::Float8e4m3fn));
        assert_eq!(type_name(DataType::Bfloat16), "bfloat16");
    }
}
