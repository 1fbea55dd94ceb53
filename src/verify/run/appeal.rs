//! A second look at a failure, for two faults that are not the rewritten model's.
//!
//! **Arithmetic.** Where float64 shows that both models compute the same function, only arithmetic parts them: large values
//! that cancel, or a runtime's activation that is less exact in its last lanes than in the others. An original may come out
//! close to float64 by luck there, so a proved rewrite may be further away than one that is not.
//!
//! **Overflow of the runtime.** tract computes `Softplus` by `exp`, which is infinite long before the result is. Such an
//! infinity may be hidden in the original, by a bounded activation behind it, and spread in a rewritten model, where a
//! weight of 0 makes it a NaN. That excuses no rewritten model whose own values leave the range of their type.

use std::collections::HashMap;

use crate::onnx::ValueInfoProto;
use crate::verify::reference::{self, Value};
use crate::verify::report::Measure;

use super::compare::{Tolerance, distance, floats};
use super::inputs::{Case, Slot};
use super::pair::{Pair, Side};
use super::precision::Precision;
use super::runner::{Runner, Source};
use super::session;

/// `found`, a measure of output `index` in `case`, unless what failed is to be put down to arithmetic or to the runtime.
pub(super) fn hear(
    found: Measure,
    pair: &Pair<'_>,
    case: &Case,
    (index, exact): (usize, &Value),
    (precision, tolerance): (Precision, Tolerance),
) -> Measure {
    // A failure within the limit is one of shape, which no arithmetic excuses.
    if found.failure.is_none() || found.rewritten_error <= found.limit {
        return found;
    }
    if !found.rewritten_error.is_finite() {
        let leaves = |side| leaves_range(side, case, precision);
        if !is_the_runtimes(&pair.original, &pair.slots, case, precision)
            || leaves(&pair.rewritten) && !leaves(&pair.original)
        {
            return found;
        }
        let reason = "not finite inside of the original, where float64 is: the runtime overflows".to_owned();
        return Measure { no_evidence: Some(reason), failure: None, rewritten_error: 0.0, ..found };
    }
    let limit = tolerance.limit_when_proved(found.original_error);
    let proved = || {
        let values = session::evaluate(&pair.rewritten, &case.feed).ok()?;
        let (value, exact) = (floats(values.get(index)?), floats(exact));
        let away = distance(&value, &exact) / found.largest;
        Some(value.shape() == exact.shape() && away <= Tolerance::rounding(precision).limit(0.0))
    };
    if found.rewritten_error <= limit && proved() == Some(true) {
        return Measure { limit, failure: None, ..found };
    }
    found
}

/// Values within this factor of the end of their type's range may overflow while they are summed up.
const MARGIN: f64 = 16.0;

/// True when some tensor is too large for the type, or when that cannot be found out.
fn leaves_range(side: &Side<'_>, case: &Case, precision: Precision) -> bool {
    let fits = |value: &Value| floats(value).iter().all(|v| precision.round(v * MARGIN).is_finite());
    reference::run(&side.model, &side.feed(&case.feed)).map_or(true, |trace| !trace.tensors().all(|(_, v)| fits(v)))
}

/// True when the first tensor that is not finite when the model is run should have been: in float64 it has a value that its
/// type holds. False when there is none, or when the model cannot be run with every tensor as an output.
fn is_the_runtimes(side: &Side<'_>, slots: &[Slot], case: &Case, precision: Precision) -> bool {
    let mut probe = side.model.clone().into_owned();
    let Some(graph) = &mut probe.graph else { return false };
    let names: Vec<String> = graph.node.iter().flat_map(|n| &n.output).filter(|o| !o.is_empty()).cloned().collect();
    graph.output = names.iter().map(|n| ValueInfoProto { name: Some(n.clone()), ..Default::default() }).collect();
    let run = Runner::new(Source::Memory(&probe), slots).and_then(|runner| runner.run(&case.feed));
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let (Ok(values), Ok(exact)) = (run, reference::run_to(&side.model, &side.feed(&case.feed), &wanted)) else {
        return false;
    };
    let values: HashMap<&str, _> = wanted.into_iter().zip(&values).collect();
    exact
        .tensors()
        .find_map(|(name, exact)| {
            let run = floats(values.get(name)?);
            let overflowed = run.iter().any(|v| !v.is_finite());
            overflowed
                .then(|| floats(exact).iter().zip(&run).all(|(e, r)| r.is_finite() || precision.round(*e).is_finite()))
        })
        .unwrap_or(false)
}
