//! What an evaluation tells beside its outputs: how much it calculated, and whether a value left the range of its type.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::onnx::NodeProto;
use crate::verify::reference::{Tap, Value};

use super::noise::Rounded;

/// A value that its type cannot hold.
#[derive(Clone, Debug)]
pub(super) struct Overflow {
    /// The node that computed it.
    pub(super) node: String,
    /// The tensor it is in.
    pub(super) tensor: String,
    /// The type, by name.
    pub(super) width: &'static str,
}

/// How much a model computes.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// Multiply-accumulates of convolutions and products.
    pub(super) macs: u64,
    /// Entries of each tensor.
    pub(super) entries: HashMap<String, usize>,
}

/// Watches one evaluation.
pub(super) struct Watch<'a> {
    of: &'a Rounded,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    shapes: HashMap<String, Vec<usize>>,
    macs: u64,
    overflow: Option<Overflow>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(of: &'a Rounded) -> Self {
        Self { of, seen: RefCell::default() }
    }

    /// How much was computed.
    pub(super) fn work(&self) -> Work {
        let seen = self.seen.borrow();
        let entries = seen.shapes.iter().map(|(name, shape)| (name.clone(), shape.iter().product())).collect();
        Work { macs: seen.macs, entries }
    }

    /// The first value that left its range.
    pub(super) fn overflow(&self) -> Option<Overflow> {
        self.seen.borrow().overflow.clone()
    }
}

impl Tap for Watch<'_> {
    fn constant(&self, name: &str, value: &mut Value) {
        self.seen.borrow_mut().shapes.insert(name.to_owned(), value.shape().to_vec());
    }

    fn output(&self, node: &NodeProto, name: &str, value: &mut Arc<Value>) {
        let mut seen = self.seen.borrow_mut();
        let macs = macs(node, value.shape(), &seen.shapes);
        seen.macs = seen.macs.saturating_add(macs);
        seen.shapes.insert(name.to_owned(), value.shape().to_vec());
        let Value::F(values) = &**value else { return };
        let width = self.of.width(name);
        if seen.overflow.is_none() && values.iter().any(|v| v.is_finite() && !width.round(*v).is_finite()) {
            let node = if node.name().is_empty() { node.op_type() } else { node.name() }.to_owned();
            seen.overflow = Some(Overflow { node, tensor: name.to_owned(), width: width.name() });
        }
    }
}

fn macs(node: &NodeProto, output: &[usize], shapes: &HashMap<String, Vec<usize>>) -> u64 {
    let shape = |slot: usize| node.input.get(slot).and_then(|i| shapes.get(i)).map(Vec::as_slice).unwrap_or_default();
    let product = |dims: &[usize]| dims.iter().fold(1_u64, |n, d| n.saturating_mul(*d as u64));
    match node.op_type() {
        "Conv" => product(output).saturating_mul(product(shape(1).get(1..).unwrap_or_default())),
        "ConvTranspose" => product(shape(0)).saturating_mul(product(shape(1).get(1..).unwrap_or_default())),
        "MatMul" | "Gemm" => {
            let rows = product(output) / (output.last().copied().unwrap_or(1).max(1) as u64);
            rows.saturating_mul(product(shape(1).get(shape(1).len().saturating_sub(2)..).unwrap_or_default()))
        }
        _ => 0,
    }
}
