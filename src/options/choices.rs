//! Choices of one word each.

use serde::{Deserialize, Serialize};

/// Which recipe removes a projection shortcut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Downsample {
    /// The cheapest, convolution by convolution.
    #[default]
    Auto,
    /// Reserve the output: the first convolution applies the shortcut.
    V1,
    /// Reserve the input: the last convolution applies the shortcut.
    V2,
}

/// How a signed carried channel passes an activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ActivationForm {
    /// The cheapest exact form for the target.
    #[default]
    Auto,
    /// `PRelu` with slope 0 on ordinary channels and 1 on carried ones, where that is exact.
    Prelu,
    /// Per-channel `Max` and `Min`, where that is exact.
    Minmax,
    /// Carry `(+x, -x)` and leave the activation alone, where that is exact: twice the carried channels.
    Pair,
    /// `Where` with a mask a channel: exact for every activation.
    Select,
}

/// What is made small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Objective {
    /// Time, by a model of a CPU that runs one thread.
    #[default]
    Latency,
    /// Multiply-accumulates.
    Macs,
    /// Weights of convolutions; biases and the numbers of selected channels are not counted.
    Parameters,
    /// Bytes of activations that are alive at once, at most.
    Memory,
    /// Operators.
    Nodes,
    /// Elements that go through activations and other non-linear operators: what homomorphic encryption pays for.
    Nonlinear,
    /// Multiply-accumulates and elements that go through non-linear operators: what zero-knowledge proofs pay for.
    Constraints,
}

/// What the chain may consist of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Chain {
    /// Convolutions, selections of channels (`Gather`) and sums of partial results, as is cheapest.
    #[default]
    Auto,
    /// Convolutions and the network's own operators. What reads a carried tensor elsewhere may get its channels by a selection.
    Conv,
    /// Selections and sums wherever they fit, however dear: for tests.
    #[doc(hidden)]
    #[cfg_attr(feature = "cli", value(skip))]
    Blocks,
}

/// When two 1x1 convolutions, or two linear layers, with nothing between become one: MobileNetV2 becomes MobileNetV1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FusePointwise {
    /// When that is no dearer.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether the zeros around a convolution's input may differ between the two ends of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pads {
    /// As they come.
    #[default]
    Any,
    /// As many on both ends, by a larger kernel with taps of zero where that is exact.
    Symmetric,
}
