//! How much a verification spends on a model. Float64 costs what it costs: the larger the network, the fewer inputs it is asked about,
//! and the more is left to the models' own arithmetic, which float64 is asked about only where it shows a difference.

use super::inputs::InputKind;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Draws of rounding in the first trials; the last entry goes for all that follow.
    draws: &'static [u64],
    /// Trials that are evaluated in float64; the others are run in the models' own arithmetic, and evaluated in float64 only when they
    /// differ there.
    pub(super) exact: usize,
    /// Draws after which a difference stands.
    pub(super) enough: u64,
    /// Kinds of inputs that are fed, the most telling first.
    pub(super) kinds: usize,
    /// Where inputs are searched that reach every bend.
    pub(super) search: Search,
}

/// See [`Effort::search`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// In both models, and in parts of them.
    Both,
    /// In the original.
    Original,
    Nowhere,
}

impl Effort {
    /// For a model of that many multiply-accumulates.
    pub(super) fn of(macs: u64) -> Self {
        let all = InputKind::ALL.len();
        if macs <= 1 << 26 {
            Self { draws: &[3], exact: usize::MAX, enough: 16, kinds: all, search: Search::Both }
        } else if macs <= 1 << 29 {
            Self { draws: &[2, 2, 1], exact: 6, enough: 8, kinds: all, search: Search::Original }
        } else if macs <= 1 << 31 {
            Self { draws: &[2, 1], exact: 2, enough: 6, kinds: all, search: Search::Original }
        } else if macs <= 1 << 33 {
            Self { draws: &[2, 1], exact: 2, enough: 6, kinds: all, search: Search::Nowhere }
        } else {
            Self { draws: &[2], exact: 1, enough: 4, kinds: 6, search: Search::Nowhere }
        }
    }

    /// Draws of rounding in a trial.
    pub(super) fn draws(self, trial: usize) -> u64 {
        self.draws.get(trial).or(self.draws.last()).copied().unwrap_or(1)
    }
}
