//! What a `Pad` adds, as attributes and as inputs.

use crate::graph::{GraphView, NodeId};
use crate::onnx::tensor_proto::DataType;

use super::{Facts, element};

/// What a `Pad` adds along each axis, in front and behind (ONNX `Pad`, all opsets).
#[derive(Clone, Debug)]
pub struct Padding {
    /// One pair an axis; an entry may be negative.
    pub axes: Vec<(i64, i64)>,
    /// What stands there.
    pub fill: Fill,
}

/// What stands in the padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// One value.
    Value(f64),
    /// One value, which is not known.
    Unknown,
    /// Entries of the tensor itself (`reflect`, `edge`, `wrap`).
    Repeated,
}

impl Fill {
    /// Reads it from the `Pad` at `node`.
    #[must_use]
    pub fn new(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> Self {
        if !matches!(view.attr_s(node, "mode"), None | Some(b"constant")) {
            return Self::Repeated;
        }
        let value = match view.input(node, 2) {
            _ if view.opset() < 11 => {
                // An attribute is a float32, whatever the tensor is.
                let value = f64::from(view.attr_f(node, "value").unwrap_or(0.0));
                let dtype = view.input(node, 0).and_then(|v| facts.dtype(v)).unwrap_or(DataType::Float);
                element::cast(value, DataType::Float, dtype)
            }
            None => Some(0.0),
            Some(v) => facts.constant(v).and_then(|c| c.data.iter().copied().next()),
        };
        value.map_or(Self::Unknown, Self::Value)
    }
}

impl Padding {
    /// Reads the `Pad` at `node`; `None` when its pads or the rank of its input are not known.
    #[must_use]
    pub fn new(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> Option<Self> {
        let rank = facts.rank(view.input(node, 0)?)?;
        let integers = |slot: usize| -> Option<Vec<i64>> {
            Some(facts.constant(view.input(node, slot)?)?.data.iter().map(|v| *v as i64).collect())
        };
        let pads = match view.opset() {
            11.. => integers(1)?,
            2.. => view.attr_ints(node, "pads")?.to_vec(),
            _ => view.attr_ints(node, "paddings")?.to_vec(),
        };
        let listed: Vec<i64> = if view.input(node, 3).is_some() { integers(3)? } else { (0..rank as i64).collect() };
        if pads.len() != 2 * listed.len() {
            return None;
        }
        let mut axes = vec![(0, 0); rank];
        for (i, axis) in listed.iter().enumerate() {
            let axis = usize::try_from(if *axis < 0 { axis.checked_add(rank as i64)? } else { *axis }).ok()?;
            *axes.get_mut(axis)? = (pads[i], pads[i + listed.len()]);
        }
        Some(Self { axes, fill: Fill::new(view, facts, node) })
    }
}

/// True when every window of the pool at `node` holds an entry of its map. One that lies in the padding alone holds none; that needs
/// taps that are apart, or more padding than taps.
#[must_use]
pub fn has_full_windows(view: &GraphView<'_>, node: NodeId) -> bool {
    let kernel = view.attr_ints(node, "kernel_shape").unwrap_or_default();
    let dense = view.attr_ints(node, "dilations").is_none_or(|d| d.iter().all(|d| *d == 1));
    let pads = view.attr_ints(node, "pads").unwrap_or_default();
    let inside = pads.is_empty()
        || pads.len() == 2 * kernel.len() && pads.iter().zip(kernel.iter().chain(kernel)).all(|(p, k)| p < k);
    dense && inside
}
