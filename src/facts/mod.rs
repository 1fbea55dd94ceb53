//! What is known of a tensor without running the model: constant value, type, shape, channels, interval.
//!
//! Everything is computed from the graph itself, in one pass in topological order; constants are read when they
//! are asked for. Unknown stays unknown: nothing here guesses, and `value_info` is not believed.

mod batch_norm;
mod clip;
mod constants;
mod conv_spec;
mod dropout;
mod einsum;
mod element;
mod elementwise;
mod grid;
mod infer;
mod interval;
mod nibbles;
mod padding;
mod sequence;
mod shape;
mod slice;
pub mod tensor;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use ndarray::ArrayD;

use crate::graph::{Dominators, GraphView, ValueId};
use crate::onnx::tensor_proto::DataType;

use constants::{Limit, elements};
use einsum::Equation;

pub use batch_norm::BatchNorm;
pub use clip::clip_bounds;
pub use conv_spec::{ConvSpec, ConvSpecError};
pub use dropout::is_inactive_dropout;
pub use elementwise::{elementwise, is_elementwise};
pub use grid::{Grid, OnGrid};
pub use interval::Interval;
pub use padding::{Fill, Padding, has_full_windows};
pub use sequence::Piece;
pub(crate) use shape::{axes_of, axis_of};
pub use slice::{Cut, slices};

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
    /// True when every runtime has these very numbers. Else rounding may tell them apart, and no step is taken on them
    /// (`Floor`, a comparison, an integer of a float).
    pub exact: bool,
}

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
