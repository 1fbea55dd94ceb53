//! What the user asked for.

use serde::Serialize;

/// Which recipe removes a projection shortcut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationForm {
    /// The cheapest exact form for the target.
    #[default]
    Auto,
    /// `PRelu` with slope 0 on ordinary channels and 1 on carried ones, where that is exact.
    Prelu,
    /// Per-channel `Max` and `Min`, where that is exact.
    Minmax,
    /// `Where` with a mask a channel: exact for every activation.
    Select,
}

/// What runs the model later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// No preference.
    #[default]
    Generic,
    /// ONNX Runtime on a CPU, where `PRelu` is slow: per-channel `Max` and `Min` instead.
    Onnxruntime,
}

/// Choices for a rewrite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Options {
    /// Also remove joins whose branch held another join.
    pub long_skips: bool,
    /// Which recipe removes a projection shortcut.
    pub downsample: Downsample,
    /// How signed carried channels pass an activation.
    pub activation: ActivationForm,
    /// What runs the model later.
    pub target: Target,
}
