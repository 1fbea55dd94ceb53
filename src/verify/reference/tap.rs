//! Looking at the tensors of an evaluation as they come by.

use std::sync::Arc;

use crate::graph::Place;
use crate::onnx::NodeProto;

use super::Value;

/// Sees, and may change, the tensors of the main graph while it is evaluated, so that none has to be kept: ranges are
/// watched, rounding is imitated, values are moved by as much as rounding would.
///
/// What happens inside of subgraphs and functions is not seen, but for the constants that these read from around, and that a subgraph
/// is run at all.
pub trait Tap {
    /// An initializer, each time that it is read.
    fn constant(&self, _name: &str, _value: &mut Value) {}

    /// What a node of the main graph is about to run on; an input that is left out is `None`.
    fn read(&self, _node: &NodeProto, _inputs: &[Option<Arc<Value>>]) {}

    /// The graph at `place` in some graph, at any depth, is about to run.
    fn enter(&self, _place: &Place) {}

    /// An output of a node of the main graph. Others may hold the same value: who changes it makes a copy then
    /// (`Arc::make_mut`).
    fn output(&self, _node: &NodeProto, _name: &str, _value: &mut Arc<Value>) {}
}
