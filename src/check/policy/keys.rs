//! The keys of a policy.

use super::rule::{Measure, Rule};
use super::value::{Value, Wrong, accepts, boolean, bytes, count, domains, external, patterns, shapes, string, types};

/// Reads a value; the function gives the line of a byte.
pub(super) type Read = fn(Value<'_, '_>, &dyn Fn(usize) -> usize) -> Result<Rule, Wrong>;

/// One key.
pub struct Key {
    /// Its word in a policy, and in reports.
    pub name: &'static str,
    /// What it asks for, in a sentence.
    pub about: &'static str,
    pub(super) read: Read,
}

macro_rules! at_most {
    ($measure:ident, $read:ident) => {
        |value, _| Ok(Rule::AtMost(Measure::$measure, $read(value)?))
    };
}

macro_rules! at_least {
    ($measure:ident) => {
        |value, _| Ok(Rule::AtLeast(Measure::$measure, count(value)?))
    };
}

const fn key(name: &'static str, about: &'static str, read: Read) -> Key {
    Key { name, about, read }
}

/// All of them, in the order in which they are checked.
pub const KEYS: &[Key] = &[
    key("max-joins", "No more sums of tensors of data are left, but accepted ones.", at_most!(Joins, count)),
    key("max-removable-joins", "No more joins are left that rewrite would remove.", at_most!(RemovableJoins, count)),
    key("max-folds", "No more linear folds are left: the model is in its deployed form.", at_most!(Folds, count)),
    key("max-readers", "No tensor of data is read more often: 1 leaves no skip at all.", at_most!(Readers, count)),
    key("max-macs", "It takes no more multiply-accumulates, for one image.", at_most!(Macs, count)),
    key("max-parameters", "It has no more weights.", at_most!(Parameters, count)),
    key("max-bytes", "It takes no more bytes, with the files of its weights.", at_most!(Bytes, bytes)),
    key("max-activation-bytes", "No more bytes of activations are alive at once.", at_most!(ActivationBytes, bytes)),
    key("max-nodes", "The main graph has no more nodes.", at_most!(Nodes, count)),
    key("min-opset", "It imports ONNX's operator set in this version or a newer one.", at_least!(Opset)),
    key("max-opset", "It imports ONNX's operator set in this version or an older one.", at_most!(Opset, count)),
    key("min-ir-version", "Its file format has this version or a newer one.", at_least!(IrVersion)),
    key("max-ir-version", "Its file format has this version or an older one.", at_most!(IrVersion, count)),
    key("allow-operators", "It has no other operators.", |v, _| Ok(Rule::AllowOperators(patterns(v)?))),
    key("forbid-operators", "It has none of these operators.", |v, _| Ok(Rule::ForbidOperators(patterns(v)?))),
    key("allow-domains", "It has operators of no other domains.", |v, _| Ok(Rule::AllowDomains(domains(v)?))),
    key("forbid-domains", "It has operators of none of these domains.", |v, _| Ok(Rule::ForbidDomains(domains(v)?))),
    key("allow-types", "No tensor has another element type.", |v, _| Ok(Rule::Types(types(v)?))),
    key("allow-free-axes", "No other axis of an input or output is free.", |v, _| Ok(Rule::FreeAxes(patterns(v)?))),
    key("external-data", "Weights stand in the file, or beside it.", |v, _| Ok(Rule::External(external(v)?))),
    key("inputs", "It has just these inputs.", |v, _| Ok(Rule::Inputs(shapes(v)?))),
    key("outputs", "It has just these outputs.", |v, _| Ok(Rule::Outputs(shapes(v)?))),
    key("equal-to", "It computes what a reference computes.", |v, _| Ok(Rule::EqualTo(string(v)?))),
    key(
        "up-to-date-with",
        "It is what this version of onnx-rm makes of its source with the options recorded in it.",
        |v, _| Ok(Rule::UpToDateWith(string(v)?)),
    ),
    key("accept", "Joins that may stay, by the code for which they do.", |v, line| Ok(Rule::Accept(accepts(v, line)?))),
    key("long-skips", "Joins whose branch held another join count as removable too.", |v, _| {
        Ok(Rule::LongSkips(boolean(v)?))
    }),
];

/// What the findings called `key` are about; also of those that no key of a policy asks for.
pub(in crate::check) fn about(key: &str) -> &'static str {
    let own = KEYS.iter().find(|k| k.name == key).map(|k| k.about);
    own.unwrap_or(match key {
        "model" => "The file is a model that can be read.",
        "unmatched" => "What is named for checking is there.",
        "uncovered" => "The policy asks something of every model.",
        _ => "Every accept of the policy is needed.",
    })
}

/// The key that was perhaps meant by `word`.
pub(super) fn nearest(word: &str) -> Option<&'static str> {
    let others = ["files", "except", "models"];
    let all = KEYS.iter().map(|k| k.name).chain(others);
    let near = all.map(|name| (distance(word, name), name)).min()?;
    (near.0 <= word.len() / 3 + 1).then_some(near.1)
}

/// Letters to add, drop or change (V. Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        assert_eq!(nearest("max-join"), Some("max-joins"));
        assert_eq!(nearest("maxjoins"), Some("max-joins"));
        assert_eq!(nearest("file"), Some("files"));
        assert_eq!(nearest("colour"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
