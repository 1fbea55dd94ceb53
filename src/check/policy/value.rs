//! Reading the values of a policy.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wildmatch::WildMatch;

use super::rule::{Accept, Axis, External, NOT_INSPECTED, REMOVABLE, Shape};
use crate::check::date::Date;
use crate::onnx::tensor_proto::DataType;
use crate::read::RejectCode;

/// A value and where it stands.
pub(super) type Value<'v, 't> = &'v Spanned<DeValue<'t>>;

/// What is wrong with a value, and where that stands.
pub(super) struct Wrong {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

impl Wrong {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }
}

/// Says that `value` should have been something else.
fn expected<T>(value: Value<'_, '_>, what: &str) -> Result<T, Wrong> {
    let found = match value.get_ref() {
        DeValue::String(s) => format!("\"{s}\""),
        DeValue::Integer(n) => n.to_string(),
        DeValue::Float(n) => n.to_string(),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(d) => d.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    Err(Wrong::new(value.span(), format!("expected {what}, found {found}")))
}

/// A whole number from 0.
pub(super) fn count(value: Value<'_, '_>) -> Result<u64, Wrong> {
    let number = match value.get_ref() {
        DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix()).ok(),
        _ => None,
    };
    number.map_or_else(|| expected(value, "a number from 0, as 1_000_000"), Ok)
}

/// A number of bytes: `1048576`, `"1 MiB"`, `"1.5 MB"`.
pub(super) fn bytes(value: Value<'_, '_>) -> Result<u64, Wrong> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1000),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let DeValue::String(text) = value.get_ref() else { return count(value) };
    let unit = UNITS.iter().find_map(|(name, factor)| Some((text.strip_suffix(name)?.trim_end(), *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    match number.replace('_', "").parse::<f64>() {
        Ok(n) if (0.0..=1e18).contains(&n) => Ok((n * factor as f64) as u64),
        _ => expected(value, "a number of bytes, as 4194304, \"4 MiB\" or \"4.2 MB\""),
    }
}

pub(super) fn boolean(value: Value<'_, '_>) -> Result<bool, Wrong> {
    match value.get_ref() {
        DeValue::Boolean(b) => Ok(*b),
        _ => expected(value, "true or false"),
    }
}

pub(super) fn string(value: Value<'_, '_>) -> Result<String, Wrong> {
    match value.get_ref() {
        DeValue::String(s) if !s.is_empty() => Ok(s.to_string()),
        _ => expected(value, "a text in quotes"),
    }
}

/// One text, or a list of some.
pub(super) fn strings(value: Value<'_, '_>) -> Result<Vec<(String, Range<usize>)>, Wrong> {
    let one = |v: Value<'_, '_>| Ok((string(v)?, v.span()));
    match value.get_ref() {
        DeValue::Array(list) => list.iter().map(one).collect(),
        _ => match one(value) {
            Ok(text) => Ok(vec![text]),
            Err(_) => expected(value, "a list of texts in quotes"),
        },
    }
}

/// Names, in which `*` and `?` stand for any.
pub(super) fn patterns(value: Value<'_, '_>) -> Result<Vec<WildMatch>, Wrong> {
    Ok(strings(value)?.iter().map(|(text, _)| WildMatch::new(text)).collect())
}

/// Domains; ONNX's own has two names.
pub(super) fn domains(value: Value<'_, '_>) -> Result<Vec<WildMatch>, Wrong> {
    match value.get_ref() {
        // The empty name is one here.
        DeValue::Array(list) => list
            .iter()
            .map(|v| match v.get_ref() {
                DeValue::String(s) => Ok(WildMatch::new(if s.is_empty() { "ai.onnx" } else { s })),
                _ => expected(v, "a domain in quotes"),
            })
            .collect(),
        _ => patterns(value),
    }
}

/// Element types: `float32`, `int8`, or ONNX's own words.
pub(super) fn types(value: Value<'_, '_>) -> Result<Vec<DataType>, Wrong> {
    let read = |(text, span): (String, Range<usize>)| {
        data_type(&text).ok_or_else(|| Wrong::new(span, format!("'{text}' is no element type, as float32 or int8")))
    };
    strings(value)?.into_iter().map(read).collect()
}

fn data_type(text: &str) -> Option<DataType> {
    let word = match text {
        "float32" => "FLOAT".to_owned(),
        "float64" => "DOUBLE".to_owned(),
        other => other.to_uppercase(),
    };
    DataType::from_str_name(&word).filter(|t| *t != DataType::Undefined)
}

pub(super) fn external(value: Value<'_, '_>) -> Result<External, Wrong> {
    match value.get_ref() {
        DeValue::String(s) if s == "forbid" => Ok(External::Forbid),
        DeValue::String(s) if s == "require" => Ok(External::Require),
        _ => expected(value, "\"forbid\" or \"require\""),
    }
}

fn table<'v, 't>(value: Value<'v, 't>, what: &str) -> Result<&'v DeTable<'t>, Wrong> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(table),
        _ => expected(value, what),
    }
}

/// Names with what they must be: `{ input = "float32[1,3,224,224]" }`.
pub(super) fn shapes(value: Value<'_, '_>) -> Result<Vec<(String, Shape)>, Wrong> {
    let read = |(name, value): (&Spanned<std::borrow::Cow<'_, str>>, Value<'_, '_>)| {
        let text = string(value)?;
        let wrong = || {
            let message =
                format!("'{text}' is no type and shape, as \"float32[1,3,224,224]\"; ? is a free axis, * any");
            Wrong::new(value.span(), message)
        };
        Ok((name.get_ref().to_string(), shape(&text).ok_or_else(wrong)?))
    };
    table(value, "a table of names, as { input = \"float32[1,3,224,224]\" }")?.iter().map(read).collect()
}

fn shape(text: &str) -> Option<Shape> {
    let (word, axes) = match text.split_once('[') {
        Some((word, axes)) => (word, Some(axes.strip_suffix(']')?)),
        None => (text, None),
    };
    let dtype = if word.trim().is_empty() { None } else { Some(data_type(word.trim())?) };
    let axis = |text: &str| match text.trim() {
        "?" => Some(Axis::Free),
        "*" => Some(Axis::Any),
        number => number.parse().ok().filter(|n| *n >= 0).map(Axis::Fixed),
    };
    let axes = match axes {
        Some(axes) if axes.trim().is_empty() => Some(Vec::new()),
        Some(axes) => Some(axes.split(',').map(axis).collect::<Option<Vec<_>>>()?),
        None => None,
    };
    (dtype.is_some() || axes.is_some()).then(|| Shape { dtype, axes, text: text.to_owned() })
}

/// Joins that may stay, each with a reason or a last day.
pub(super) fn accepts(value: Value<'_, '_>, line: &dyn Fn(usize) -> usize) -> Result<Vec<Accept>, Wrong> {
    let what = "a list of tables, as [{ code = \"cannot-pass\", reason = \"why\" }]";
    let DeValue::Array(list) = value.get_ref() else { return expected(value, what) };
    list.iter().map(|entry| accept(entry, table(entry, what)?, line(entry.span().start))).collect()
}

fn accept(entry: Value<'_, '_>, fields: &DeTable<'_>, line: usize) -> Result<Accept, Wrong> {
    let mut accept = Accept { code: String::new(), site: None, reason: None, until: None, line };
    for (key, value) in fields {
        match key.get_ref().as_ref() {
            "code" => accept.code = code(value)?,
            "site" => accept.site = Some(WildMatch::new(&string(value)?)),
            "reason" => accept.reason = Some(string(value)?),
            "until" => accept.until = Some(date(value)?),
            other => {
                let message = format!("unknown key '{other}'; an accept has code, site, reason and until");
                return Err(Wrong::new(key.span(), message));
            }
        }
    }
    if accept.code.is_empty() {
        return Err(Wrong::new(entry.span(), "an accept needs a code, as code = \"cannot-pass\""));
    }
    if accept.reason.is_none() && accept.until.is_none() {
        return Err(Wrong::new(entry.span(), "an accept needs a reason, or a last day (until = 2027-03-31)"));
    }
    Ok(accept)
}

fn code(value: Value<'_, '_>) -> Result<String, Wrong> {
    let word = string(value)?;
    if [REMOVABLE, NOT_INSPECTED].contains(&word.as_str()) || word.parse::<RejectCode>().is_ok() {
        return Ok(word);
    }
    let codes: Vec<&str> = RejectCode::ALL.iter().map(|c| c.as_str()).collect();
    let message = format!("'{word}' is no code; there are {REMOVABLE}, {NOT_INSPECTED} and {}", codes.join(", "));
    Err(Wrong::new(value.span(), message))
}

/// `2027-03-31`, with quotes or without.
fn date(value: Value<'_, '_>) -> Result<Date, Wrong> {
    let text = match value.get_ref() {
        DeValue::Datetime(d) if d.time.is_none() => d.to_string(),
        DeValue::String(s) => s.to_string(),
        _ => return expected(value, "a day, as 2027-03-31"),
    };
    text.parse().map_err(|message: String| Wrong::new(value.span(), message))
}
