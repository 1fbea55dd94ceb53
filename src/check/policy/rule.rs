//! One key of a policy with its value.

use wildmatch::WildMatch;

use crate::check::date::Date;
use crate::onnx::tensor_proto::DataType;

/// Stands for the code of a join that `rewrite` would remove.
pub(in crate::check) const REMOVABLE: &str = "removable";
/// Stands for the code of what nothing looks into: graphs of `If`, `Loop` and `Scan`, local functions.
pub(in crate::check) const NOT_INSPECTED: &str = "not-inspected";

/// A number that may be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) enum Measure {
    Joins,
    RemovableJoins,
    Folds,
    Macs,
    Parameters,
    Bytes,
    ActivationBytes,
    Nodes,
    Readers,
    Opset,
    IrVersion,
}

/// Whether weights may, or must, stand beside the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) enum External {
    Forbid,
    Require,
}

/// What an axis must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) enum Axis {
    /// So large.
    Fixed(i64),
    /// Free: chosen by the caller.
    Free,
    /// Either.
    Any,
}

/// What an input or output must be: `float32[1,3,?,*]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) struct Shape {
    pub(in crate::check) dtype: Option<DataType>,
    pub(in crate::check) axes: Option<Vec<Axis>>,
    /// As the policy has it.
    pub(in crate::check) text: String,
}

/// Joins that may stay.
#[derive(Clone, Debug)]
pub(in crate::check) struct Accept {
    /// A code of a reject, [`REMOVABLE`] or [`NOT_INSPECTED`].
    pub(in crate::check) code: String,
    /// Name of the node or tensor; any without it.
    pub(in crate::check) site: Option<WildMatch>,
    pub(in crate::check) reason: Option<String>,
    pub(in crate::check) until: Option<Date>,
    pub(in crate::check) line: usize,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub(in crate::check) enum Rule {
    AtMost(Measure, u64),
    AtLeast(Measure, u64),
    /// `Op`, `domain::Op`, with `*` and `?`.
    AllowOperators(Vec<WildMatch>),
    ForbidOperators(Vec<WildMatch>),
    AllowDomains(Vec<WildMatch>),
    ForbidDomains(Vec<WildMatch>),
    /// `name:axis`.
    FreeAxes(Vec<WildMatch>),
    Types(Vec<DataType>),
    External(External),
    Inputs(Vec<(String, Shape)>),
    Outputs(Vec<(String, Shape)>),
    /// A path with `{name}` and `{stem}`.
    EqualTo(String),
    UpToDateWith(String),
    Accept(Vec<Accept>),
    LongSkips(bool),
}
