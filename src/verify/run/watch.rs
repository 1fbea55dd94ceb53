//! What an evaluation tells beside its outputs: how much it calculated, and whether a value left the range of its type.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::onnx::NodeProto;
use crate::verify::reference::{Tap, Value};
use crate::verify::work::macs;

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
    /// Multiply-accumulates of convolutions and products, about.
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
    work: Work,
    overflow: Option<Overflow>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(of: &'a Rounded) -> Self {
        Self { of, seen: RefCell::default() }
    }

    /// How much was computed.
    pub(super) fn work(&self) -> Work {
        self.seen.borrow().work.clone()
    }

    /// The first value that left its range.
    pub(super) fn overflow(&self) -> Option<Overflow> {
        self.seen.borrow().overflow.clone()
    }
}

impl Tap for Watch<'_> {
    fn read(&self, node: &NodeProto, inputs: &[Option<Arc<Value>>]) {
        let mut seen = self.seen.borrow_mut();
        seen.work.macs = seen.work.macs.saturating_add(macs(node, inputs) as u64);
    }

    fn output(&self, node: &NodeProto, name: &str, value: &mut Arc<Value>) {
        let mut seen = self.seen.borrow_mut();
        seen.work.entries.insert(name.to_owned(), value.shape().iter().product());
        let Value::F(values) = &**value else { return };
        let width = self.of.width(name);
        if seen.overflow.is_none() && values.iter().any(|v| v.is_finite() && !width.round(*v).is_finite()) {
            let node = if node.name().is_empty() { node.op_type() } else { node.name() }.to_owned();
            seen.overflow = Some(Overflow { node, tensor: name.to_owned(), width: width.name() });
        }
    }
}
