//! What the caller says, and what it is told on the way.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use super::baseline::Baseline;
use super::date::Date;
use super::policy::Policy;
use crate::io::LoadOptions;

/// How to check.
///
/// ```
/// use onnx_rm::{CheckOptions, Policy};
/// let options = CheckOptions::default().policy(Policy::parse("max-joins = 0", "policy.toml", ".")?).allow_unmatched(true);
/// # Ok::<(), onnx_rm::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckOptions {
    /// What is asked of which model.
    pub policy: Policy,
    /// What was found before, which fails nothing.
    pub baseline: Option<Baseline>,
    /// Whether folders and patterns, and sections of the policy, may mean no file.
    pub allow_unmatched: bool,
    /// Models that are looked at at once; as many as there are processors without it.
    pub jobs: Option<NonZeroUsize>,
    /// The day by which accepts end.
    pub today: Date,
    /// How to read models.
    pub load: LoadOptions,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            baseline: None,
            allow_unmatched: false,
            jobs: None,
            today: Date::today(),
            load: LoadOptions::default(),
        }
    }
}

impl CheckOptions {
    /// Sets what is asked of which model.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Sets what was found before, which fails nothing.
    #[must_use]
    pub fn baseline(self, baseline: Baseline) -> Self {
        Self { baseline: Some(baseline), ..self }
    }

    /// Sets whether folders and patterns, and sections of the policy, may mean no file.
    #[must_use]
    pub fn allow_unmatched(self, allow_unmatched: bool) -> Self {
        Self { allow_unmatched, ..self }
    }

    /// Sets how many models are looked at at once.
    #[must_use]
    pub fn jobs(self, jobs: NonZeroUsize) -> Self {
        Self { jobs: Some(jobs), ..self }
    }

    /// Sets the day by which accepts end.
    #[must_use]
    pub fn today(self, today: Date) -> Self {
        Self { today, ..self }
    }

    /// Sets how to read models.
    #[must_use]
    pub fn load(self, load: LoadOptions) -> Self {
        Self { load, ..self }
    }
}

/// How far a check is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckProgress {
    /// Models that are done.
    pub done: usize,
    /// All models.
    pub total: usize,
    /// The model in hand.
    pub file: String,
}

/// Is told of progress, from several threads, and says whether to go on.
pub type CheckObserver<'a> = &'a (dyn Fn(&CheckProgress) -> ControlFlow<()> + Sync);
