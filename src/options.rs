//! What the user asked for.

mod limits;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use limits::{Limit, Limits};

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
    /// What one operator reads and writes, at most.
    Memory,
    /// Operators.
    Nodes,
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

/// What runs the model later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Target {
    /// No preference.
    #[default]
    Generic,
    /// ONNX Runtime on a CPU, where `PRelu` is slow: per-channel `Max` and `Min` instead.
    Onnxruntime,
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

/// One mechanism of the rewriter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Family {
    /// Residual joins become plain chains.
    Residual,
    /// Sums of linear branches become one convolution.
    Parallel,
    /// Linear operators one after the other become one convolution.
    Sequence,
    /// What provably contributes nothing goes.
    Dead,
    /// `Transpose` nodes that other orders of axes make needless.
    Transpose,
}

impl Family {
    /// Its word in options and reports, which stays.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Residual => "residual",
            Self::Parallel => "parallel",
            Self::Sequence => "sequence",
            Self::Dead => "dead",
            Self::Transpose => "transpose",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Equal to its word.
impl PartialEq<&str> for Family {
    fn eq(&self, word: &&str) -> bool {
        self.as_str() == *word
    }
}

/// A name for one or more families, as the command line takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Selector {
    /// Residual joins
    Residual,
    /// Linear folds: parallel and sequence
    Linear,
    /// Sums of linear branches (RepVGG and its kin)
    Parallel,
    /// Linear operators one after the other
    Sequence,
    /// Channels that are zero or never read, initializers that are unused or stand twice
    Dead,
    /// Transposes that other orders of axes make needless, as channels-last exporters leave them
    Transpose,
    /// All of them
    All,
}

impl Selector {
    fn families(self) -> &'static [Family] {
        match self {
            Self::Residual => &[Family::Residual],
            Self::Linear => &[Family::Parallel, Family::Sequence],
            Self::Parallel => &[Family::Parallel],
            Self::Sequence => &[Family::Sequence],
            Self::Dead => &[Family::Dead],
            Self::Transpose => &[Family::Transpose],
            Self::All => &[Family::Residual, Family::Parallel, Family::Sequence, Family::Dead, Family::Transpose],
        }
    }
}

/// The families that run. Dead weight is not among those that run unless asked for: a model in which only an
/// initializer is unused stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Families {
    residual: bool,
    parallel: bool,
    sequence: bool,
    dead: bool,
    transpose: bool,
}

impl Default for Families {
    fn default() -> Self {
        Self { residual: true, parallel: true, sequence: true, dead: false, transpose: true }
    }
}

impl Families {
    /// Those in `only`, or the default ones when it is empty, without those in `skip`.
    #[must_use]
    pub fn new(only: &[Selector], skip: &[Selector]) -> Self {
        let none = Self { residual: false, parallel: false, sequence: false, dead: false, transpose: false };
        let mut families = if only.is_empty() { Self::default() } else { none };
        for (selectors, on) in [(only, true), (skip, false)] {
            for family in selectors.iter().flat_map(|s| s.families()) {
                *families.flag(*family) = on;
            }
        }
        families
    }

    fn flag(&mut self, family: Family) -> &mut bool {
        match family {
            Family::Residual => &mut self.residual,
            Family::Parallel => &mut self.parallel,
            Family::Sequence => &mut self.sequence,
            Family::Dead => &mut self.dead,
            Family::Transpose => &mut self.transpose,
        }
    }

    /// True when `family` runs.
    #[must_use]
    pub fn has(mut self, family: Family) -> bool {
        *self.flag(family)
    }
}

/// Choices for a rewrite: those of the program, with its defaults.
///
/// ```
/// use onnx_rm::{Options, Target};
/// let options = Options::default().long_skips(true).target(Target::Onnxruntime);
/// assert!(options.long_skips);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// Also remove joins whose branch held another join.
    pub long_skips: bool,
    /// Which recipe removes a projection shortcut.
    pub downsample: Downsample,
    /// How signed carried channels pass an activation.
    pub activation: ActivationForm,
    /// What runs the model later.
    pub target: Target,
    /// What is made small.
    pub objective: Objective,
    /// What the chain may consist of.
    pub carry: Chain,
    /// Which mechanisms run.
    pub families: Families,
    /// Whether two 1x1 convolutions, or linear layers, with nothing between become one.
    pub fuse_pointwise: FusePointwise,
    /// Whether an average pool over the whole map and the linear layer behind it become one convolution.
    pub fold_head: bool,
    /// What the rewritten model may cost.
    pub limits: Limits,
    /// Joins that stay, by the name of the node or of its output; `*` and `?` stand for any.
    pub keep: Vec<String>,
    /// Joins that may go, likewise; all when there is none.
    pub sites: Vec<String>,
    /// Whether initializers that are graph inputs as well are constants, and no inputs any more once something is rewritten.
    pub constant_initializers: bool,
    /// Whether calls of the model's local functions stay, even where a join could go that they are part of.
    pub keep_functions: bool,
    /// Whether channels are carried past normalisations by statistics, by taking the body's channels out and putting them back.
    pub open_norms: bool,
}

impl Options {
    /// Sets whether joins whose branch held another join are removed too.
    #[must_use]
    pub fn long_skips(self, long_skips: bool) -> Self {
        Self { long_skips, ..self }
    }

    /// Sets which recipe removes a projection shortcut.
    #[must_use]
    pub fn downsample(self, downsample: Downsample) -> Self {
        Self { downsample, ..self }
    }

    /// Sets how signed carried channels pass an activation.
    #[must_use]
    pub fn activation(self, activation: ActivationForm) -> Self {
        Self { activation, ..self }
    }

    /// Sets what runs the model later.
    #[must_use]
    pub fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// Sets what is made small.
    #[must_use]
    pub fn objective(self, objective: Objective) -> Self {
        Self { objective, ..self }
    }

    /// Sets what the chain may consist of.
    #[must_use]
    pub fn carry(self, carry: Chain) -> Self {
        Self { carry, ..self }
    }

    /// Sets which mechanisms run.
    #[must_use]
    pub fn families(self, families: Families) -> Self {
        Self { families, ..self }
    }

    /// Sets when two 1x1 convolutions, or linear layers, with nothing between become one.
    #[must_use]
    pub fn fuse_pointwise(self, fuse_pointwise: FusePointwise) -> Self {
        Self { fuse_pointwise, ..self }
    }

    /// Sets whether an average pool over the whole map and the linear layer behind it become one convolution.
    #[must_use]
    pub fn fold_head(self, fold_head: bool) -> Self {
        Self { fold_head, ..self }
    }

    /// Sets what the rewritten model may cost.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets which joins stay.
    #[must_use]
    pub fn keep(self, keep: Vec<String>) -> Self {
        Self { keep, ..self }
    }

    /// Sets which joins may go.
    #[must_use]
    pub fn sites(self, sites: Vec<String>) -> Self {
        Self { sites, ..self }
    }

    /// Sets whether initializers that are graph inputs as well are constants.
    #[must_use]
    pub fn constant_initializers(self, constant_initializers: bool) -> Self {
        Self { constant_initializers, ..self }
    }

    /// Sets whether calls of the model's local functions stay.
    #[must_use]
    pub fn keep_functions(self, keep_functions: bool) -> Self {
        Self { keep_functions, ..self }
    }

    /// Sets whether channels are carried past normalisations by statistics.
    #[must_use]
    pub fn open_norms(self, open_norms: bool) -> Self {
        Self { open_norms, ..self }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_and_skip_select_families() {
        let on = |f: Families| {
            [Family::Residual, Family::Parallel, Family::Sequence, Family::Dead, Family::Transpose]
                .map(|family| f.has(family))
        };
        assert_eq!(on(Families::default()), [true, true, true, false, true]);
        assert_eq!(on(Families::new(&[], &[])), on(Families::default()));
        assert_eq!(on(Families::new(&[Selector::Linear], &[])), [false, true, true, false, false]);
        assert_eq!(on(Families::new(&[Selector::All], &[Selector::Parallel])), [true, false, true, true, true]);
        assert_eq!(on(Families::new(&[], &[Selector::Linear])), [true, false, false, false, true]);
    }

    #[test]
    fn options_come_back_from_what_is_written_of_them() {
        let families = Families::new(&[Selector::Linear], &[]);
        let limits = Limits::default().macs(Limit::Thousandths(1500));
        let options = Options::default().long_skips(true).families(families).limits(limits).keep(vec!["a*".into()]);
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), options);
        assert_eq!(serde_json::from_str::<Options>("{}").unwrap(), Options::default());
        for wrong in ["{\"long_skip\": true}", "{\"limits\": {\"macs\": \"x\"}}", "{\"target\": \"moon\"}"] {
            assert!(serde_json::from_str::<Options>(wrong).is_err(), "{wrong}");
        }
    }
}
