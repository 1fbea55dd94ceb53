//! What a model asks for and gives: its graph inputs and outputs.

use std::collections::HashSet;
use std::fmt;

use crate::onnx::tensor_proto::DataType;
use crate::onnx::tensor_shape_proto::dimension;
use crate::onnx::{GraphProto, ValueInfoProto, type_proto};

/// A dimension of a graph input or output.
#[derive(Clone, Debug)]
pub enum PortDim {
    /// This size.
    Fixed(usize),
    /// Equal names are equal sizes.
    Symbol(String),
    /// Any size.
    Free,
}

impl PartialEq for PortDim {
    /// Free sizes agree whatever they are called.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(a), Self::Fixed(b)) => a == b,
            (Self::Fixed(_), _) | (_, Self::Fixed(_)) => false,
            _ => true,
        }
    }
}

/// A graph input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// `None` for what is no tensor, or says nothing.
    pub dtype: Option<DataType>,
    /// Its dimensions; `None` for an unknown rank.
    pub dims: Option<Vec<PortDim>>,
}

impl Port {
    /// What `info` says.
    #[must_use]
    pub fn new(info: &ValueInfoProto) -> Self {
        let tensor = match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
            Some(type_proto::Value::TensorType(t)) => Some(t),
            _ => None,
        };
        let dims = tensor.and_then(|t| t.shape.as_ref()).map(|s| {
            let dim = |d: &crate::onnx::tensor_shape_proto::Dimension| match &d.value {
                // Some exporters write 0 or -1 for a size that is free.
                Some(dimension::Value::DimValue(n)) if *n > 0 => {
                    usize::try_from(*n).map_or(PortDim::Free, PortDim::Fixed)
                }
                Some(dimension::Value::DimParam(s)) if !s.is_empty() => PortDim::Symbol(s.clone()),
                _ => PortDim::Free,
            };
            s.dim.iter().map(dim).collect()
        });
        let dtype = tensor.and_then(|t| DataType::try_from(t.elem_type()).ok()).filter(|t| *t != DataType::Undefined);
        Self { name: info.name().to_owned(), dtype, dims }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = self.dtype.map_or("no tensor", |t| t.as_str_name()).to_lowercase();
        write!(f, "'{}' {dtype}", self.name)?;
        let Some(dims) = &self.dims else { return f.write_str(" of unknown shape") };
        let dims: Vec<String> = dims
            .iter()
            .map(|d| match d {
                PortDim::Fixed(n) => n.to_string(),
                PortDim::Symbol(s) => s.clone(),
                PortDim::Free => "?".to_owned(),
            })
            .collect();
        write!(f, " [{}]", dims.join(", "))
    }
}

/// The graph inputs that a caller must give: those without a default.
#[must_use]
pub fn inputs(graph: &GraphProto) -> Vec<Port> {
    let defaults: HashSet<&str> = graph
        .initializer
        .iter()
        .map(|t| t.name())
        .chain(graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()).map(|t| t.name()))
        .collect();
    graph.input.iter().filter(|i| !defaults.contains(i.name())).map(Port::new).collect()
}

impl Port {
    /// True when `other`, an output, says the same, or names sizes that this one leaves free: [`wrong_size`] tells whether those are
    /// so.
    fn allows(&self, other: &Self) -> bool {
        let sizes = match (&self.dims, &other.dims) {
            (Some(a), Some(b)) => {
                let known = |(a, b): (&PortDim, &PortDim)| a == b || !matches!(a, PortDim::Fixed(_));
                a.len() == b.len() && a.iter().zip(b).all(known)
            }
            (a, b) => a == b,
        };
        sizes && self.name == other.name && self.dtype == other.dtype
    }
}

/// What is wrong with a size that `rewritten` declares of its output `name`, where `original` leaves it free and it turned out to be
/// one of `shape`; in words.
#[must_use]
pub fn wrong_size(original: &GraphProto, rewritten: &GraphProto, name: &str, shape: &[usize]) -> Option<String> {
    let of = |graph: &GraphProto| graph.output.iter().find(|o| o.name() == name).map(Port::new)?.dims;
    let (before, after) = (of(original)?, of(rewritten)?);
    let wrong = |((before, after), size): ((&PortDim, &PortDim), &usize)| match (before, after) {
        (PortDim::Fixed(_), _) => false,
        (_, PortDim::Fixed(said)) => said != size,
        _ => false,
    };
    let found = before.iter().zip(&after).zip(shape).any(wrong);
    found.then(|| format!("the rewritten model declares sizes that it has not: it is {shape:?}"))
}

/// How the second signature differs from the first, in words. Defaults that a caller may override count too. Sizes of outputs that were
/// left free may be named.
#[must_use]
pub fn difference(original: &GraphProto, rewritten: &GraphProto) -> Option<String> {
    differs(original, rewritten, Port::allows)
}

/// The same, of which no size of an output may be named either.
#[must_use]
pub fn strict_difference(original: &GraphProto, rewritten: &GraphProto) -> Option<String> {
    differs(original, rewritten, Port::eq)
}

fn differs(original: &GraphProto, rewritten: &GraphProto, alike: fn(&Port, &Port) -> bool) -> Option<String> {
    let sides = [("input", &original.input, &rewritten.input), ("output", &original.output, &rewritten.output)];
    for (what, a, b) in sides {
        if a.len() != b.len() {
            return Some(format!("{} graph {what}s became {}", a.len(), b.len()));
        }
        let same = |(a, b): &(Port, Port)| if what == "output" { alike(a, b) } else { a == b };
        let changed = a.iter().zip(b).map(|(a, b)| (Port::new(a), Port::new(b))).find(|pair| !same(pair));
        if let Some((a, b)) = changed {
            return Some(format!("graph {what} {a} became {b}"));
        }
    }
    None
}
