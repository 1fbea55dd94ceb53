//! What the user asked for.

mod choices;
mod families;
mod limits;
mod located;
mod plan;
mod rates;
mod target;

use serde::{Deserialize, Serialize};

pub use choices::{ActivationForm, Chain, Downsample, FusePointwise, Objective, Pads};
pub use families::{Families, Family, Selector};
pub use limits::{Limit, Limits};
pub use plan::{Plan, PlannedNote, PlannedSite};
pub use rates::Rates;
pub use target::{Groups, Target, TargetError};

/// Choices for a rewrite: those of the program, with its defaults.
///
/// ```
/// use onnx_rm::{Options, Target};
/// let options = Options::default().long_skips(true).target(Target::named("onnxruntime").expect("a target"));
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
    /// What the model of time counts with; the built-in rates where there is nothing.
    pub rates: Option<Rates>,
    /// What the chain may consist of.
    pub carry: Chain,
    /// Which mechanisms run.
    pub families: Families,
    /// Whether the zeros around a convolution's input may differ between the two ends of an axis.
    pub pads: Pads,
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
    /// What becomes of single joins, and in which form they go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
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

    /// Sets what runs the model later, and with it what that prefers: an objective, what a chain may consist of, pads, whether
    /// heads are folded, and mechanisms that do not run. What is set behind it counts.
    #[must_use]
    pub fn target(self, target: Target) -> Self {
        Self {
            objective: target.objective().unwrap_or(self.objective),
            carry: target.carry().unwrap_or(self.carry),
            pads: target.pads().unwrap_or(self.pads),
            fold_head: self.fold_head || target.folds_heads(),
            families: self.families.without(target.skip()),
            target,
            ..self
        }
    }

    /// Sets whether the zeros around a convolution's input may differ between the two ends of an axis.
    #[must_use]
    pub fn pads(self, pads: Pads) -> Self {
        Self { pads, ..self }
    }

    /// Sets what is made small.
    #[must_use]
    pub fn objective(self, objective: Objective) -> Self {
        Self { objective, ..self }
    }

    /// Sets what the model of time counts with.
    #[must_use]
    pub fn rates(self, rates: Rates) -> Self {
        Self { rates: Some(rates), ..self }
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

    /// Sets what becomes of single joins.
    #[must_use]
    pub fn plan(self, plan: Plan) -> Self {
        Self { plan: Some(plan), ..self }
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
