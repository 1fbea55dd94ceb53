//! A reasoned refusal.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::graph::{GraphView, NodeId, ValueId};

/// Why a join stays, as a stable word for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RejectCode {
    /// Neither input reaches the other's source through linear operators.
    TwoBranches,
    /// An operator on the branch mixes channels or positions and cannot pass a carried channel.
    CannotPass,
    /// Another join stands on the branch and stays.
    InnerJoin,
    /// An operator on the shortcut is not linear.
    ShortcutNotLinear,
    /// A weight is not a constant: computed from data, or an initializer that a caller may override.
    WeightNotConstant,
    /// The shortcut's window has no place in any convolution of the branch.
    ShortcutDoesNotFit,
    /// A convolution on the branch has no tap for a Dirac.
    NoDiracTap,
    /// The sizes of both sides are not proved equal.
    SizeUnknown,
    /// The branch held another join; `--long-skips` removes such joins too.
    LongSkip,
    /// A convolution on the branch is malformed.
    BadConvolution,
    /// The rewrite needs an operator that the model's opset lacks.
    Opset,
    /// Two linear maps are one map inside of the image, but not at a border that is padded.
    Border,
    /// What the fold would need costs more than what it replaces.
    Dearer,
    /// A tensor that would go is read by something else.
    ReadElsewhere,
    /// A weight of the rewritten model would be too large.
    TooLarge,
    /// A proof did not hold: an error of this program.
    BrokenProof,
    /// Verification found that its rewrite computes something else.
    Unverified,
    /// Cheaper joins went first, and with it a limit would be exceeded.
    OverBudget,
    /// The user asked for it to stay, or for others.
    NotAsked,
    /// The model's own result is mostly rounding error, so that a sum in another order is another answer.
    Unstable,
    /// The target takes no operator with which it could be written.
    Target,
}

impl RejectCode {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::TwoBranches,
        Self::CannotPass,
        Self::InnerJoin,
        Self::ShortcutNotLinear,
        Self::WeightNotConstant,
        Self::ShortcutDoesNotFit,
        Self::NoDiracTap,
        Self::SizeUnknown,
        Self::LongSkip,
        Self::BadConvolution,
        Self::Opset,
        Self::Border,
        Self::Dearer,
        Self::ReadElsewhere,
        Self::TooLarge,
        Self::BrokenProof,
        Self::Unverified,
        Self::OverBudget,
        Self::NotAsked,
        Self::Unstable,
        Self::Target,
    ];

    /// The word itself, which stays.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwoBranches => "two-branches",
            Self::CannotPass => "cannot-pass",
            Self::InnerJoin => "inner-join",
            Self::ShortcutNotLinear => "shortcut-not-linear",
            Self::WeightNotConstant => "weight-not-constant",
            Self::ShortcutDoesNotFit => "shortcut-does-not-fit",
            Self::NoDiracTap => "no-dirac-tap",
            Self::SizeUnknown => "size-unknown",
            Self::LongSkip => "long-skip",
            Self::BadConvolution => "bad-convolution",
            Self::Opset => "opset",
            Self::Border => "border",
            Self::Dearer => "dearer",
            Self::ReadElsewhere => "read-elsewhere",
            Self::TooLarge => "too-large",
            Self::BrokenProof => "broken-proof",
            Self::Unverified => "unverified",
            Self::OverBudget => "over-budget",
            Self::NotAsked => "not-asked",
            Self::Unstable => "unstable",
            Self::Target => "target",
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RejectCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Its word. Any other text comes back.
impl FromStr for RejectCode {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find(|code| code.as_str() == word).copied().ok_or_else(|| word.to_owned())
    }
}

/// Equal to its word.
impl PartialEq<&str> for RejectCode {
    fn eq(&self, word: &&str) -> bool {
        self.as_str() == *word
    }
}

/// A refusal: what was asked, why not, who is to blame, and what would make it pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Stable code.
    pub code: RejectCode,
    /// The reason in words.
    pub reason: String,
    /// Name of the node to blame.
    pub node: String,
    /// Name of the tensor to blame.
    pub tensor: String,
    /// What would make it pass.
    pub hint: String,
    /// How many operators of the branch were understood before this one: the best near-miss is shown.
    pub depth: usize,
}

impl Reject {
    /// A refusal that blames `node` and its first output.
    pub fn at(view: &GraphView<'_>, node: NodeId, code: RejectCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            node: view.node(node).name().to_owned(),
            tensor: view.output(node).map(|v| view.name(v).to_owned()).unwrap_or_default(),
            hint: String::new(),
            depth: 0,
        }
    }

    /// A refusal that blames `value` and the node that computes it.
    pub fn tensor(view: &GraphView<'_>, value: ValueId, code: RejectCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            node: view.def(value).map(|n| view.node(n).name().to_owned()).unwrap_or_default(),
            tensor: view.name(value).to_owned(),
            hint: String::new(),
            depth: 0,
        }
    }

    /// A refusal of `value` where a proof that was made does not hold: an error of this program, and of no file. Tests fail.
    pub fn broken(view: &GraphView<'_>, value: ValueId, what: &str) -> Self {
        debug_assert!(false, "{what}: '{}'", view.name(value));
        let reason = format!("a proof does not hold ({what}), so nothing is changed here");
        Self::tensor(view, value, RejectCode::BrokenProof, reason).hint("this is an error of onnx-rm: please report it")
    }

    /// Adds what would make it pass.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}
