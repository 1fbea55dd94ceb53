//! What the plan decided, and what that costs. Reports say it as it stands here.

use serde::Serialize;

/// What a rewritten model costs, for one image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Price {
    /// Multiply-accumulates of `Conv`, `ConvTranspose`, `Gemm` and `MatMul`; `null` when a size is unknown.
    pub macs: Option<u64>,
    /// Elements of all initializers.
    pub params: u64,
    /// Bytes of the model with its weights.
    pub bytes: u64,
    /// Nodes of the main graph.
    pub nodes: usize,
    /// `Add` nodes whose inputs are both data, and `Sub` nodes that do not broadcast; a `Sum` of `n` tensors of data counts as
    /// `n - 1`.
    pub joins: usize,
    /// Most bytes of activations that are alive at once; `null` when a size is unknown.
    pub activation_bytes: Option<u64>,
}

/// How a rewritten tensor relates to the original one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Exactness {
    /// The same bits.
    Bitwise,
    /// The same real number, summed in another order; new weights are rounded once.
    Reordered,
}

/// What the channels of a widened tensor hold. A layout may repeat channels of the body, and fill groups with zeros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Channels {
    /// The tensor.
    pub tensor: String,
    /// Channels of the branch, as often as they stand there.
    pub body: usize,
    /// Channels that hold carried data alone.
    pub carried: usize,
    /// Channels that are always zero.
    pub zero: usize,
}

/// How a join is removed and what that costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The recipe and the form of its activations, in words.
    pub form: String,
    /// How the result relates to the original.
    pub exactness: Exactness,
    /// Multiply-accumulates of branch and shortcut; `null` when a size is unknown.
    pub macs_before: Option<u64>,
    /// Multiply-accumulates of the chain.
    pub macs_after: Option<u64>,
    /// Weights of branch and shortcut.
    pub params_before: u64,
    /// Weights of the chain.
    pub params_after: u64,
    /// The tensors of the chain that carry something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channels>,
}
