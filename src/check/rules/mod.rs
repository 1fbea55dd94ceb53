//! What each key of a policy asks, one file a kind.

mod around;
mod equal;
mod fresh;
mod limits;
mod operators;
mod signature;
mod tensors;

use super::policy::{Rule, Set};
use super::report::Finding;
use super::subject::Subject;
use crate::engine::EngineError;

pub(super) use around::Around;

/// What differs from `set`.
///
/// # Errors
/// When the model is malformed.
pub(super) fn findings(set: &Set, subject: &Subject<'_>, around: &Around<'_>) -> Result<Vec<Finding>, EngineError> {
    let mut found: Vec<Finding> = match &set.rule {
        Rule::AtMost(measure, limit) => limits::at_most(set.key, (*measure, *limit), subject, around.accepts)?,
        Rule::AtLeast(measure, limit) => limits::at_least(set.key, (*measure, *limit), subject),
        Rule::AllowOperators(patterns) => operators::outside(set.key, patterns, subject, operators::Named::Operator),
        Rule::ForbidOperators(patterns) => operators::inside(set.key, patterns, subject, operators::Named::Operator),
        Rule::AllowDomains(patterns) => operators::outside(set.key, patterns, subject, operators::Named::Domain),
        Rule::ForbidDomains(patterns) => operators::inside(set.key, patterns, subject, operators::Named::Domain),
        Rule::Types(types) => tensors::types(set.key, types, subject, around.accepts),
        Rule::External(external) => tensors::external(set.key, *external, subject),
        Rule::FreeAxes(patterns) => signature::free_axes(set.key, patterns, subject),
        Rule::Inputs(wanted) => signature::inputs(set.key, wanted, subject),
        Rule::Outputs(wanted) => signature::outputs(set.key, wanted, subject),
        Rule::EqualTo(path) => equal::findings(set.key, path, around),
        Rule::UpToDateWith(path) => fresh::findings(set.key, path, subject, around)?,
        Rule::Accept(_) | Rule::LongSkips(_) => Vec::new(),
    };
    for finding in &mut found {
        finding.line = set.line;
    }
    Ok(found)
}
