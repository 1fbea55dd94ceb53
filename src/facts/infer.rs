//! The facts of a whole graph, in one pass in topological order.

use std::cell::{OnceCell, RefCell};

use crate::graph::{GraphView, NodeId, Use, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::onnx::{ValueInfoProto, tensor_shape_proto, type_proto};

use super::constants::{self, Limit};
use super::{Dim, Facts, Interval, Table, interval, shape, tensor};

impl<'a> Facts<'a> {
    /// Computes the facts of `view`. An operator that is not known leaves its outputs unknown.
    #[must_use]
    pub fn new(view: &'a GraphView<'a>) -> Self {
        let count = view.values().count();
        let table = Table {
            shape: vec![None; count],
            dtype: vec![None; count],
            is_data: vec![false; count],
            folds: vec![false; count],
            sizes: vec![None; count],
            interval: vec![Interval::ANY; count],
            channel_intervals: vec![None; count],
        };
        let (limit, dominators) = (Limit::new(view), OnceCell::new());
        let mut facts = Self { view, table, constants: RefCell::default(), limit, dominators };
        facts.read_inputs();
        for node in view.nodes() {
            facts.read_node(node);
        }
        facts
    }

    fn read_inputs(&mut self) {
        for value in self.view.values() {
            let i = value.0 as usize;
            if let Some(tensor) = self.view.initializer(value) {
                self.table.shape[i] = sensible(tensor.dims.iter().map(|d| Dim::Known(*d)).collect());
                self.table.dtype[i] = tensor::dtype(tensor);
                self.table.folds[i] = !self.view.is_overridable(value);
            }
        }
        for input in &self.view.graph().input {
            let Some(value) = self.view.value(input.name()) else { continue };
            let i = value.0 as usize;
            if !self.view.is_overridable(value) {
                self.table.is_data[i] = true;
                (self.table.dtype[i], self.table.shape[i]) = declared(input);
                if self.table.shape[i].is_none() {
                    self.table.shape[i] = self.as_read(value);
                }
                self.table.interval[i] = Interval::of_type(self.table.dtype[i]);
            } else {
                // A caller may override it with another value, though not of another type.
                self.table.shape[i] = declared(input).1;
            }
        }
    }

    fn read_node(&mut self, node: NodeId) {
        let view = self.view;
        let op = view.op(node);
        let holds_graph = view.node(node).attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty());
        // Only the type of what `CastLike` compares with matters.
        let read = if op == "CastLike" { 1 } else { usize::MAX };
        let reads_data = view.inputs(node).iter().take(read).flatten().any(|v| self.is_data(*v));
        let is_data = holds_graph || reads_data && !matches!(op, "Shape" | "Size") || op.starts_with("Random");
        let found = shape::infer(self, node);
        let sizes = shape::sizes(self, node);
        for (slot, value) in view.outputs(node).iter().enumerate() {
            let Some(value) = value else { continue };
            let i = value.0 as usize;
            self.table.is_data[i] = is_data;
            self.table.folds[i] = !holds_graph && self.folds(node, slot);
            let shape = found.get(slot).cloned().flatten().and_then(sensible);
            self.table.shape[i] = shape.or_else(|| self.as_read(*value));
            self.table.dtype[i] = shape::dtype(self, node, slot);
            // A table of sizes is no list of sizes.
            if slot == 0
                && let Some(sizes) = &sizes
                && self.rank(*value).is_some_and(|rank| rank <= 1)
            {
                self.table.sizes[i] = Some(sizes.clone());
                self.table.folds[i] |= sizes.iter().all(|d| d.known().is_some());
            }
        }
        interval::infer(self, node);
    }

    /// Rank and channels of a tensor of which nothing is known, by the weight of a convolution that reads it: no others fit
    /// (ONNX `Conv` and `ConvTranspose`).
    fn as_read(&self, value: ValueId) -> Option<Vec<Dim>> {
        let view = self.view;
        let reader = |u: &Use| {
            let op = view.op(u.node);
            let weight = view.input(u.node, 1).filter(|_| u.slot == 0 && matches!(op, "Conv" | "ConvTranspose"))?;
            let dims = &view.initializer(weight).filter(|_| !view.is_overridable(weight))?.dims;
            let (outputs, inputs) = (*dims.first()?, *dims.get(1)?);
            let channels = match op {
                "Conv" => inputs.checked_mul(view.attr_i(u.node, "group").unwrap_or(1))?,
                _ => outputs,
            };
            let axes = dims.get(2..).filter(|axes| !axes.is_empty())?;
            let spatial = axes.iter().map(|_| Dim::Unknown);
            sensible([Dim::Unknown, Dim::Known(channels)].into_iter().chain(spatial).collect())
        };
        view.uses(value).iter().find_map(reader)
    }

    fn folds(&self, node: NodeId, slot: usize) -> bool {
        let (op, inputs) = (self.view.op(node), self.view.inputs(node));
        let read = if op == "CastLike" { 1 } else { usize::MAX };
        let all = || inputs.iter().take(read).flatten().all(|v| self.table.folds[v.0 as usize]);
        op == "Constant" && slot == 0 || constants::folds(op, slot) && !inputs.is_empty() && all()
    }
}

/// `shape`, unless a size in it is absurd: it would overflow what is computed from it.
fn sensible(shape: Vec<Dim>) -> Option<Vec<Dim>> {
    shape.iter().all(|d| d.known().is_none_or(|n| (0..=i64::from(i32::MAX)).contains(&n))).then_some(shape)
}

/// Type and shape that a graph input declares.
fn declared(info: &ValueInfoProto) -> (Option<DataType>, Option<Vec<Dim>>) {
    let Some(type_proto::Value::TensorType(t)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return (None, None);
    };
    let dtype = t.elem_type.and_then(|t| DataType::try_from(t).ok());
    let shape = t.shape.as_ref().map(|s| {
        s.dim
            .iter()
            .enumerate()
            .map(|(axis, d)| match &d.value {
                Some(tensor_shape_proto::dimension::Value::DimValue(n)) if (1..=i64::from(i32::MAX)).contains(n) => {
                    Dim::Known(*n)
                }
                // Whatever else it says: the axis of an input is one size.
                _ => Dim::Symbol(format!("{}.{axis}", info.name())),
            })
            .collect()
    });
    (dtype, shape)
}
