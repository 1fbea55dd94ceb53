//! The mechanisms of the rewriter, and which of them run.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// Single operators written as the target, or `--pads`, wants them.
    Legalize,
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
            Self::Legalize => "legalize",
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
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
        for family in only.iter().flat_map(|s| s.families()) {
            families.flag(*family).into_iter().for_each(|flag| *flag = true);
        }
        families.without(skip)
    }

    /// These without those in `skip`.
    #[must_use]
    pub fn without(mut self, skip: &[Selector]) -> Self {
        for family in skip.iter().flat_map(|s| s.families()) {
            self.flag(*family).into_iter().for_each(|flag| *flag = false);
        }
        self
    }

    /// `None` for what runs wherever something asks for it.
    fn flag(&mut self, family: Family) -> Option<&mut bool> {
        match family {
            Family::Residual => Some(&mut self.residual),
            Family::Parallel => Some(&mut self.parallel),
            Family::Sequence => Some(&mut self.sequence),
            Family::Dead => Some(&mut self.dead),
            Family::Transpose => Some(&mut self.transpose),
            Family::Legalize => None,
        }
    }

    /// True when `family` runs.
    #[must_use]
    pub fn has(mut self, family: Family) -> bool {
        self.flag(family).is_none_or(|flag| *flag)
    }
}

#[cfg(test)]
mod tests {
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
}
