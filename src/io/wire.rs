//! Walking the protobuf wire format against the schema, to find fields that it does not know.
//!
//! prost drops unknown fields silently. A file from a newer ONNX would lose them on saving, so they are looked for
//! before anything is decoded. The walk knows of every field whether it is a message, so it never takes bytes for one.

use std::fmt;

include!(concat!(env!("OUT_DIR"), "/schema.rs"));

/// A field that the schema does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownField {
    /// Where, as `graph.node[3].attribute[0]`.
    pub path: String,
    /// The message it stands in.
    pub message: String,
    /// Its number.
    pub number: u64,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the model" } else { &self.path };
        write!(f, "{path} ({}) has field number {}, which ONNX IR version 14 does not know", self.message, self.number)
    }
}

/// What ended a walk early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WireError {
    /// Not protobuf, or cut off, at this byte.
    Malformed(usize),
    /// Messages inside each other beyond any real model.
    TooDeep,
}

/// Deepest nesting that is read; prost stops at the same depth.
const MAX_DEPTH: usize = 100;

/// The first unknown field of a `ModelProto`.
pub(super) fn unknown_field(bytes: &[u8]) -> Result<Option<UnknownField>, WireError> {
    let root = MESSAGES.iter().position(|m| m.name == "ModelProto").ok_or(WireError::Malformed(0))?;
    let mut walk = Walk { path: Vec::new(), found: None };
    walk.message(bytes, 0, bytes.len(), root, 0)?;
    Ok(walk.found)
}

struct Walk {
    path: Vec<(&'static str, Option<usize>)>,
    found: Option<UnknownField>,
}

impl Walk {
    fn message(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        end: usize,
        message: usize,
        depth: usize,
    ) -> Result<(), WireError> {
        if depth > MAX_DEPTH {
            return Err(WireError::TooDeep);
        }
        let schema = &MESSAGES[message];
        let mut counts = vec![0_usize; schema.fields.len()];
        while at < end {
            let start = at;
            let key = varint(bytes, &mut at, end)?;
            let (number, wire) = (key >> 3, key & 7);
            if number == 0 {
                return Err(WireError::Malformed(start));
            }
            let body = skip(bytes, &mut at, end, wire).ok_or(WireError::Malformed(start))?;
            let Some(index) = schema.fields.iter().position(|f| u64::from(f.number) == number) else {
                self.found.get_or_insert_with(|| UnknownField {
                    path: dotted(&self.path),
                    message: schema.name.to_owned(),
                    number,
                });
                continue;
            };
            let field = &schema.fields[index];
            if let (Some(inner), 2) = (field.message, wire) {
                self.path.push((field.name, field.repeated.then_some(counts[index])));
                self.message(bytes, body, at, inner, depth + 1)?;
                self.path.pop();
            }
            counts[index] += 1;
        }
        Ok(())
    }
}

fn dotted(path: &[(&str, Option<usize>)]) -> String {
    let parts: Vec<String> = path
        .iter()
        .map(|(name, index)| match index {
            Some(i) => format!("{name}[{i}]"),
            None => (*name).to_owned(),
        })
        .collect();
    parts.join(".")
}

fn varint(bytes: &[u8], at: &mut usize, end: usize) -> Result<u64, WireError> {
    let start = *at;
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).filter(|_| *at < end).ok_or(WireError::Malformed(start))?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(WireError::Malformed(start))
}

/// Steps over one field and returns where its content starts.
fn skip(bytes: &[u8], at: &mut usize, end: usize, wire: u64) -> Option<usize> {
    let length = match wire {
        0 => {
            let start = *at;
            varint(bytes, at, end).ok()?;
            return Some(start);
        }
        1 => 8,
        5 => 4,
        2 => usize::try_from(varint(bytes, at, end).ok()?).ok()?,
        _ => return None,
    };
    let start = *at;
    *at = start.checked_add(length).filter(|e| *e <= end)?;
    Some(start)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::onnx::{GraphProto, ModelProto, NodeProto};
    use prost::Message;

    #[test]
    fn an_unknown_field_is_found_where_it_is() {
        let mut node = NodeProto { op_type: Some("Relu".into()), ..NodeProto::default() }.encode_to_vec();
        node.extend([0xfa, 0x3f, 0x01, 0x00]); // field 1023, length-delimited, one byte
        let mut graph = GraphProto::default().encode_to_vec();
        graph.extend([0x0a, node.len() as u8]);
        graph.extend(&node);
        let mut model = ModelProto { ir_version: Some(8), ..ModelProto::default() }.encode_to_vec();
        assert_eq!(unknown_field(&model), Ok(None));
        model.extend([0x3a, graph.len() as u8]);
        model.extend(&graph);
        let found = unknown_field(&model).unwrap().unwrap();
        assert_eq!((found.path.as_str(), found.number), ("graph.node[0]", 1023));
    }

    #[test]
    fn bytes_that_are_no_protobuf_are_malformed() {
        assert!(matches!(unknown_field(b"hello world, this is text"), Err(WireError::Malformed(_))));
        assert!(matches!(unknown_field(&[0x3a, 0x7f, 0x00]), Err(WireError::Malformed(_))));
    }
}
