//! What can stand on a branch: one file for each kind of operator.
//!
//! A branch is read from the join towards the fork. Each reader looks at the node that computes a tensor
//! and, when it knows the operator, answers with one [`Reading`] for each way on towards the fork.
//! Whatever else such a node reads (a gate, the other operands of a `Concat`) stays in the graph as it is.

mod activation;
mod channel_bound;
mod channels;
mod gate;
mod leak;
mod linear;
mod masked;
mod norm;
mod pad;
mod per_pixel;
mod positions;
mod product;
mod readers;
mod rows;
mod shuffle;
mod stack;
mod written;

use crate::algebra::{Layout, Slot};
use crate::emit::Emit;
use crate::facts::Interval;
use crate::graph::{NodeId, Use, ValueId};
use crate::options::{ActivationForm, Options};
use crate::read::{BranchConv, Context, Reject, RejectCode, Rows};

pub(super) use channels::repeated;
pub(crate) use readers::FLOAT_FIRST;
pub use readers::read;

/// One operator of a branch, normalised.
pub enum Step {
    /// A convolution, which can be widened.
    Conv(Box<BranchConv>),
    /// `y = scale * x + shift`, per channel: folds into a convolution before it.
    Affine(Vec<f64>, Vec<f64>),
    /// Drops so many entries at the begin and the end of each spatial axis: narrows the window of the convolution
    /// before it.
    Crop(Vec<(usize, usize)>),
    /// Anything else that carried channels can pass.
    Operation(Box<dyn Operation>),
    /// Numbers the rows in another way: stands in front of a linear layer as well as behind it.
    Rows(Rows),
    /// An operator that does nothing.
    Nothing,
}

/// One operator on the branch, or several that are one, and the tensor through which the branch goes on towards
/// the fork.
pub struct Reading {
    /// What it does.
    pub step: Step,
    /// The tensor that the branch comes through.
    pub input: ValueId,
    /// Every read of that tensor which belongs to the branch.
    pub reads: Vec<Use>,
    /// The nodes that it stands for.
    pub nodes: Vec<NodeId>,
}

impl Reading {
    /// The reading of a single node that the branch enters by `slot`.
    #[must_use]
    pub fn one(cx: Context<'_>, node: NodeId, slot: usize, step: Step) -> Option<Self> {
        Some(Self { step, input: cx.view.input(node, slot)?, reads: vec![Use { node, slot }], nodes: vec![node] })
    }
}

/// What a reader answers: `None` when it does not know the operator.
pub type Found = Option<Result<Vec<Reading>, Reject>>;

fn found(reading: Option<Reading>) -> Found {
    Some(Ok(vec![reading?]))
}

/// How a pass lets carried channels through.
///
/// What passes is the same number for every finite value of the element type, the largest and the subnormal ones included: no
/// form computes with it but by 0, 1 and the extreme finite values. Two things are not promised. A zero may change its sign, as it
/// does in any sum of a convolution; and an infinite value or NaN need not pass ([`Form::Bounds`] makes the infinite ones the
/// largest finite ones, [`Form::Prelu`] multiplies them by 0 on channels of the body). [`Form::Pair`], which is used only where it is
/// asked for, rounds: `f(x) - f(-x)` is computed as the difference of two floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// The operator as it is: it is the identity on every carried value.
    Unchanged,
    /// `PRelu` with slope 1 on carried channels.
    Prelu,
    /// Per-channel `Max` and `Min`.
    Bounds,
    /// The operator as it is, on the pair `(+x, -x)`.
    Pair,
    /// A gate (or addend) extended with the neutral element.
    Neutral,
    /// `x * Max(g(x), m)` with `m = 1` on carried channels.
    Floor,
    /// `Where(mask, x, f(x))`.
    Select,
    /// `Where(mask, x, spread(f(take(x))))`: what cannot act on more channels acts on the body's alone.
    Apart,
    /// Channels are only moved.
    Moved,
}

impl Form {
    /// True when each of its nodes reads one tensor of data, whose place the result may take.
    #[must_use]
    pub fn writes_over(self) -> bool {
        matches!(self, Self::Unchanged | Self::Prelu | Self::Bounds | Self::Pair)
    }

    /// In words, for the report.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Unchanged => "operators unchanged",
            Self::Prelu => "PRelu slopes 0 and 1",
            Self::Bounds => "per-channel Max and Min",
            Self::Pair => "carried as pairs (+x, -x)",
            Self::Neutral => "gates extended with ones",
            Self::Floor => "gates floored at one",
            Self::Select => "Where per channel",
            Self::Apart => "normalised apart and put back by Where",
            Self::Moved => "channels moved",
        }
    }
}

/// What arrives at a pass.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Bounds of the carried values.
    pub carried: Interval,
    /// How many channels are carried.
    pub channels: usize,
    /// The axis of the channels.
    pub axis: usize,
    /// True when several maps are stacked on an axis in front of the channels.
    pub stacked: bool,
    /// True when no other activation stands between the same two convolutions, so that a pair may be carried.
    pub alone: bool,
}

/// An operator that carried channels can pass.
pub trait Operation {
    /// How it lets the values that arrive through, or why not.
    ///
    /// # Errors
    /// A [`Reject`] when there is no exact form here.
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject>;

    /// True when it only moves channels, so that it may act on channels that are body and carried at once.
    fn moves_only(&self) -> bool {
        false
    }

    /// True for an elementwise function, of which at most one may stand on a pair.
    fn is_activation(&self) -> bool {
        false
    }

    /// By how much the two halves of a pair differ behind it, in units of the carried value ([`Form::Pair`]).
    fn pair_scale(&self) -> Option<f64> {
        None
    }

    /// Entries that it adds at the begin and the end of each spatial axis; empty when it adds none.
    fn padding(&self) -> &[(usize, usize)] {
        &[]
    }

    /// The axis of the channels behind it: another one where maps are stacked, or rows get or lose an axis.
    fn axis(&self, axis: usize) -> usize {
        axis
    }

    /// True when it leaves every layout as it is.
    fn keeps_layout(&self) -> bool {
        true
    }

    /// The layout behind it; `None` when it cannot act on `lin`. One that is not `lin` only where it does not
    /// [keep](Operation::keeps_layout) all of them.
    fn layout(&self, lin: &[Slot]) -> Option<Layout> {
        Some(lin.to_vec())
    }

    /// True unless it is proved that it keeps the size along every axis of positions, or of rows: a second operand may be
    /// larger there, and then what is carried stands in it several times.
    fn repeats(&self, _: Context<'_>) -> bool {
        false
    }

    /// What it is when it only numbers the rows in another way.
    fn rows(&self) -> Option<&Rows> {
        None
    }

    /// Copies of the body's channel range that must stand one behind the other in front of it: 1, or the number of
    /// maps that a `Reshape` parts.
    fn segments(&self) -> usize {
        1
    }

    /// Emits the widened operator from `input` in layout `lin`; `output` is the name to write. `None` when `lin` or `form` is
    /// none that it allowed before, which is an error of this program.
    fn emit(
        &self,
        cx: Context<'_>,
        emit: &mut Emit<'_>,
        form: Form,
        input: &str,
        lin: &[Slot],
        output: &str,
    ) -> Option<()>;
}

/// Refuses maps that are stacked, between which `what` would have to differ.
fn unstacked(cx: Context<'_>, node: NodeId, arrival: Arrival, what: &str) -> Result<(), Reject> {
    if !arrival.stacked {
        return Ok(());
    }
    let reason = format!("{what} would have to differ between maps that are stacked");
    Err(Reject::at(cx.view, node, RejectCode::CannotPass, reason))
}

/// [`Form::Moved`] for what acts on channels, as long as no maps are stacked.
fn moved(cx: Context<'_>, node: NodeId, arrival: Arrival) -> Result<Form, Reject> {
    if !arrival.stacked {
        return Ok(Form::Moved);
    }
    let reason = "it acts on maps that are stacked, not on their channels";
    Err(Reject::at(cx.view, node, RejectCode::CannotPass, reason))
}

/// True when the tool may choose `form`: the user asks for it or for none, and the target takes what it writes.
fn allowed(options: &Options, asked: ActivationForm, form: ActivationForm) -> bool {
    let written: &[&str] = match form {
        ActivationForm::Prelu => &["PRelu"],
        ActivationForm::Minmax => &["Max", "Min"],
        ActivationForm::Select => &["Where"],
        ActivationForm::Auto | ActivationForm::Pair => &[],
    };
    (asked == ActivationForm::Auto || asked == form) && written.iter().all(|op| options.target.takes(op))
}

/// True when per-channel bounds are preferred over `PRelu`.
fn prefers_bounds(options: &Options, asked: ActivationForm) -> bool {
    asked == ActivationForm::Minmax
        || asked == ActivationForm::Auto && options.target.activation() == ActivationForm::Minmax
}

/// Refuses what only `operators` could let through, none of which the target takes.
fn untaken(cx: Context<'_>, node: NodeId, operators: &str) -> Reject {
    let target = cx.options.target.name();
    let reason = format!("{target} takes no {operators}, which signed carried channels need to pass an activation");
    Reject::at(cx.view, node, RejectCode::Target, reason).hint("another --target, or none, takes it")
}
