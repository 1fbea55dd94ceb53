//! Inputs and outputs: names, types, sizes, free axes.

use wildmatch::WildMatch;

use crate::check::policy::{Axis, Shape};
use crate::check::report::{Finding, Level, Place};
use crate::check::subject::Subject;
use crate::facts::Dim;
use crate::onnx::tensor_proto::DataType;
use crate::onnx::tensor_shape_proto::dimension::Value;
use crate::onnx::{ValueInfoProto, type_proto};

use super::tensors::name;

/// What a model declares of an input or output; where it declares nothing, what follows from the graph.
struct Declared<'a> {
    name: &'a str,
    dtype: Option<DataType>,
    /// `None` for a free axis.
    axes: Option<Vec<Option<i64>>>,
}

impl<'a> Declared<'a> {
    fn read(info: &'a ValueInfoProto, subject: &Subject<'_>) -> Self {
        let tensor = match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
            Some(type_proto::Value::TensorType(tensor)) => Some(tensor),
            _ => None,
        };
        let value = subject.view.value(info.name());
        let known = value.and_then(|v| subject.facts.shape(v)).map(|s| s.iter().map(Dim::known).collect::<Vec<_>>());
        let declared: Option<Vec<Option<i64>>> = tensor.and_then(|t| t.shape.as_ref()).map(|shape| {
            let size = |value: &Option<Value>| match value {
                Some(Value::DimValue(n)) if *n >= 0 => Some(*n),
                _ => None,
            };
            shape.dim.iter().map(|d| size(&d.value)).collect()
        });
        let axes = match (declared, known) {
            (Some(a), Some(b)) if a.len() == b.len() => Some(a.into_iter().zip(b).map(|(a, b)| a.or(b)).collect()),
            (Some(axes), _) | (None, Some(axes)) => Some(axes),
            (None, None) => None,
        };
        let dtype = tensor.and_then(|t| DataType::try_from(t.elem_type()).ok()).filter(|t| *t != DataType::Undefined);
        let dtype = dtype.or_else(|| value.and_then(|v| subject.facts.dtype(v)));
        Self { name: info.name(), dtype, axes }
    }

    fn place(&self, reason: impl Into<String>) -> Place {
        Place { tensor: self.name.to_owned(), reason: reason.into(), ..Place::default() }
    }
}

impl std::fmt::Display for Declared<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.dtype.map_or("unknown".to_owned(), name))?;
        let Some(axes) = &self.axes else { return write!(f, " of unknown rank") };
        let axes: Vec<String> = axes.iter().map(|a| a.map_or("?".to_owned(), |n| n.to_string())).collect();
        write!(f, "[{}]", axes.join(","))
    }
}

/// The inputs that a caller must give.
fn given<'a>(subject: &Subject<'a>) -> Vec<Declared<'a>> {
    let is_given = |i: &&ValueInfoProto| subject.view.value(i.name()).is_none_or(|v| !subject.view.is_overridable(v));
    subject.view.graph().input.iter().filter(is_given).map(|info| Declared::read(info, subject)).collect()
}

fn computed<'a>(subject: &Subject<'a>) -> Vec<Declared<'a>> {
    subject.view.graph().output.iter().map(|info| Declared::read(info, subject)).collect()
}

/// Axes that are free, or of a tensor whose rank is not declared, and that no pattern means.
pub(super) fn free_axes(key: &str, allowed: &[WildMatch], subject: &Subject<'_>) -> Vec<Finding> {
    let mut places = Vec::new();
    for tensor in given(subject).iter().chain(&computed(subject)) {
        let Some(axes) = &tensor.axes else {
            places.push(tensor.place("its rank is not known"));
            continue;
        };
        for axis in (0..axes.len()).filter(|axis| axes[*axis].is_none()) {
            let word = format!("{}:{axis}", tensor.name);
            if !allowed.iter().any(|p| p.matches(&word)) {
                places.push(tensor.place(format!("axis {axis} is free")));
            }
        }
    }
    one(key, "inputs or outputs have free axes", places)
}

pub(super) fn inputs(key: &str, wanted: &[(String, Shape)], subject: &Subject<'_>) -> Vec<Finding> {
    one(key, "the inputs are other ones", differences(wanted, &given(subject)))
}

pub(super) fn outputs(key: &str, wanted: &[(String, Shape)], subject: &Subject<'_>) -> Vec<Finding> {
    one(key, "the outputs are other ones", differences(wanted, &computed(subject)))
}

fn one(key: &str, what: &str, places: Vec<Place>) -> Vec<Finding> {
    if places.is_empty() {
        return Vec::new();
    }
    let list: Vec<String> = places.iter().map(|p| format!("'{}': {}", p.tensor, p.reason)).collect();
    let message = format!("{what}: {}", list.join("; "));
    let count = Some(places.len() as u64);
    vec![Finding { found: count, limit: Some(0), places, ..Finding::new(key, Level::Failure, message) }]
}

fn differences(wanted: &[(String, Shape)], declared: &[Declared<'_>]) -> Vec<Place> {
    let mut places = Vec::new();
    for (name, shape) in wanted {
        match declared.iter().find(|d| d.name == name) {
            Some(found) if !fits(shape, found) => {
                places.push(found.place(format!("{found} in place of {}", shape.text)))
            }
            Some(_) => {}
            None => {
                places.push(Place { tensor: name.clone(), reason: "missing".to_owned(), ..Place::default() });
            }
        }
    }
    let others = declared.iter().filter(|d| wanted.iter().all(|(name, _)| name != d.name));
    places.extend(others.map(|d| d.place(format!("not in the policy ({d})"))));
    places
}

fn fits(wanted: &Shape, found: &Declared<'_>) -> bool {
    let axis = |(wanted, found): (&Axis, &Option<i64>)| match wanted {
        Axis::Fixed(n) => *found == Some(*n),
        Axis::Free => found.is_none(),
        Axis::Any => true,
    };
    let axes = match (&wanted.axes, &found.axes) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wanted), Some(found)) => wanted.len() == found.len() && wanted.iter().zip(found).all(axis),
    };
    axes && wanted.dtype.is_none_or(|t| found.dtype == Some(t))
}
