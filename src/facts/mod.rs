//! What is known of a tensor without running the model: constant value, type, shape, channels, interval.
//!
//! Everything is computed from the graph itself, in one pass in topological order; constants are read when they
//! are asked for. Unknown stays unknown: nothing here guesses, and `value_info` is not believed.

mod batch_norm;
mod clip;
mod constants;
mod conv_spec;
mod dropout;
mod element;
mod elementwise;
mod interval;
mod padding;
mod sequence;
mod shape;
mod slice;
pub mod tensor;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use ndarray::ArrayD;

use crate::graph::{Dominators, GraphView, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::onnx::{ValueInfoProto, tensor_shape_proto, type_proto};

use constants::{Limit, elements};

pub use batch_norm::BatchNorm;
pub use clip::clip_bounds;
pub use conv_spec::{ConvSpec, ConvSpecError};
pub use dropout::is_inactive_dropout;
pub use elementwise::is_elementwise;
pub use interval::Interval;
pub use padding::{Fill, Padding};
pub use sequence::Piece;
pub use slice::{Cut, slices};

use shape::{axes_of, axis_of};

/// One dimension of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Always this.
    Known(i64),
    /// What the caller chooses: equal names are equal sizes, for a name stands for one axis of one input. What the model
    /// calls it is no proof: runtimes accept `batch` of 1 in one input and 8 in another, and exporters write `?` for any.
    Symbol(String),
    /// Not known.
    Unknown,
}

impl Dim {
    /// The operators whose output's shape is followed.
    pub fn operators() -> impl Iterator<Item = &'static str> {
        shape::operators()
    }

    /// The size, when known.
    #[must_use]
    pub fn known(&self) -> Option<i64> {
        match self {
            Self::Known(n) => Some(*n),
            _ => None,
        }
    }
}

/// A constant tensor, exactly what the model computes: rounded in its own type after each operator.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Its values. Integers of 53 bits and more are rounded.
    pub data: ArrayD<f64>,
    /// Its element type.
    pub dtype: DataType,
}

impl Constant {
    /// The operators through which constants are followed.
    pub fn operators() -> impl Iterator<Item = &'static str> {
        constants::operators().chain(["Constant", "Shape"])
    }
}

/// Most elements of an initializer that is kept in float64 once it was read.
const MOST_KEPT: usize = 1 << 12;

/// Facts about every tensor of a view.
pub struct Facts<'a> {
    view: &'a GraphView<'a>,
    table: Table,
    constants: RefCell<HashMap<ValueId, Option<Rc<Constant>>>>,
    limit: Limit,
    dominators: OnceCell<Dominators>,
}

/// The eager part, indexed by value.
#[derive(Default)]
struct Table {
    shape: Vec<Option<Vec<Dim>>>,
    dtype: Vec<Option<DataType>>,
    is_data: Vec<bool>,
    /// True for what stands in the file, or is computed from such by operators that are evaluated here.
    folds: Vec<bool>,
    /// Contents of an integer vector whose entries may be dimensions: what `Shape` gives, and what is made of it.
    sizes: Vec<Option<Vec<Dim>>>,
    interval: Vec<Interval>,
    /// Per channel, where it says more than the whole.
    channel_intervals: Vec<Option<Vec<Interval>>>,
}

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
        let folds = !holds_graph && self.folds(node);
        let found = shape::infer(self, node);
        let sizes = shape::sizes(self, node);
        for (slot, value) in view.outputs(node).iter().enumerate() {
            let Some(value) = value else { continue };
            let i = value.0 as usize;
            self.table.is_data[i] = is_data;
            self.table.folds[i] = slot == 0 && folds;
            self.table.shape[i] = found.get(slot).cloned().flatten().and_then(sensible);
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

    fn folds(&self, node: NodeId) -> bool {
        let (op, inputs) = (self.view.op(node), self.view.inputs(node));
        let read = if op == "CastLike" { 1 } else { usize::MAX };
        let all = || inputs.iter().take(read).flatten().all(|v| self.table.folds[v.0 as usize]);
        op == "Constant" || constants::folds(op) && !inputs.is_empty() && all()
    }

    /// The value of a constant: an initializer that nobody can override, a `Constant`, or what is computed from such.
    #[must_use]
    pub fn constant(&self, value: ValueId) -> Option<Rc<Constant>> {
        if !*self.table.folds.get(value.0 as usize)? {
            return None;
        }
        // First what it is computed from, so that no evaluation reaches deeper than one operator.
        let mut open = vec![value];
        while let Some(last) = open.last().copied() {
            if self.constants.borrow().contains_key(&last) {
                open.pop();
                continue;
            }
            let waits = open.len();
            open.extend(constants::sources(self, last).filter(|v| self.is_open(*v)));
            if open.len() == waits {
                open.pop();
                let found = self.evaluate(last);
                // The weights of a whole model in float64 are twice the model: what is read from the file is read again.
                let large =
                    self.view.initializer(last).is_some() && found.as_ref().is_some_and(|c| c.data.len() > MOST_KEPT);
                if !large {
                    self.constants.borrow_mut().insert(last, found.clone());
                }
                if open.is_empty() {
                    return found;
                }
            }
        }
        self.constants.borrow().get(&value).cloned().flatten()
    }

    /// True for a constant that has to be computed first.
    fn is_open(&self, value: ValueId) -> bool {
        let known = self.view.initializer(value).is_some() || self.constants.borrow().contains_key(&value);
        self.table.folds[value.0 as usize] && !known
    }

    fn evaluate(&self, value: ValueId) -> Option<Rc<Constant>> {
        let found = constants::evaluate(self, value)?;
        // What shape inference says of an odd operator must be what evaluating it gave.
        let alike = self.shape(value).is_none_or(|shape| {
            let sizes = shape.iter().map(|d| d.known().and_then(|n| usize::try_from(n).ok()));
            sizes.eq(found.data.shape().iter().map(|n| Some(*n)))
        });
        debug_assert!(alike, "{} has shape {:?}", self.view.name(value), found.data.shape());
        alike.then(|| Rc::new(found))
    }

    /// True when [`Facts::constant`] gives a value; a weight of the file is not read to find out.
    #[must_use]
    pub fn is_constant(&self, value: ValueId) -> bool {
        self.table.folds[value.0 as usize]
            && match self.view.initializer(value) {
                Some(tensor) => tensor::is_readable(tensor),
                None => self.constant(value).is_some(),
            }
    }

    /// The shape of a constant, without reading it.
    #[must_use]
    pub fn constant_shape(&self, value: ValueId) -> Option<Vec<usize>> {
        self.table.folds.get(value.0 as usize).filter(|folds| **folds)?;
        self.shape(value)?.iter().map(|d| usize::try_from(d.known()?).ok()).collect()
    }

    /// True when it depends on an input of the graph, other than by a shape.
    #[must_use]
    pub fn is_data(&self, value: ValueId) -> bool {
        self.table.is_data[value.0 as usize]
    }

    /// Where the ways from the graph's inputs to `a` and to `b` meet last: see [`Dominators::meet`].
    #[must_use]
    pub fn meet(&self, a: ValueId, b: ValueId) -> Option<ValueId> {
        self.dominators.get_or_init(|| Dominators::new(self.view, |v| self.is_data(v))).meet(a, b)
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self, value: ValueId) -> Option<DataType> {
        self.table.dtype[value.0 as usize]
    }

    /// The one float type of all `values`, as far as theirs are known. `None` when none is, or when two differ.
    #[must_use]
    pub fn float_type(&self, values: impl IntoIterator<Item = ValueId>) -> Option<DataType> {
        let mut known = values.into_iter().filter_map(|v| self.dtype(v));
        let first = known.next()?;
        let float = matches!(first, DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double);
        (float && known.all(|t| t == first)).then_some(first)
    }

    /// Shape.
    #[must_use]
    pub fn shape(&self, value: ValueId) -> Option<&[Dim]> {
        self.table.shape[value.0 as usize].as_deref()
    }

    /// Number of dimensions.
    #[must_use]
    pub fn rank(&self, value: ValueId) -> Option<usize> {
        self.shape(value).map(<[Dim]>::len)
    }

    /// Size of axis 1.
    #[must_use]
    pub fn channels(&self, value: ValueId) -> Option<usize> {
        usize::try_from(self.shape(value)?.get(1)?.known()?).ok()
    }

    /// Contents of an integer vector, entry by entry, as far as they are known.
    pub(crate) fn sizes(&self, value: ValueId) -> Option<Vec<Dim>> {
        if let Some(sizes) = &self.table.sizes[value.0 as usize] {
            return Some(sizes.clone());
        }
        // Only small vectors are shapes; a large constant is not worth reading here.
        self.constant_shape(value).and_then(|s| elements(&s)).filter(|n| *n <= 64)?;
        let constant = self.constant(value).filter(|c| element::integer(c.dtype).is_some())?;
        Some(constant.data.iter().map(|v| Dim::Known(*v as i64)).collect())
    }

    /// Bounds of every entry.
    #[must_use]
    pub fn interval(&self, value: ValueId) -> Interval {
        self.table.interval[value.0 as usize]
    }

    /// Bounds of each channel, where they say more than [`Facts::interval`].
    #[must_use]
    pub fn channel_intervals(&self, value: ValueId) -> Option<&[Interval]> {
        self.table.channel_intervals[value.0 as usize].as_deref()
    }

    pub(crate) fn view(&self) -> &'a GraphView<'a> {
        self.view
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
