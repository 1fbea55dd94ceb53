//! Whether the runtime, not the model, overflows: tract computes `Softplus` by `exp`, which is infinite long before the
//! result is. Such an infinity may be hidden in the original, by a bounded activation behind it, and spread in a rewritten
//! model, where a weight of 0 makes it a NaN.

use std::collections::HashMap;

use crate::onnx::ValueInfoProto;
use crate::verify::reference;

use super::compare::floats;
use super::inputs::{Case, Slot};
use super::pair::Side;
use super::precision::Precision;
use super::runner::{Runner, Source};

/// True when the first tensor that is not finite when the model is run should have been: in float64 it has a value that its
/// type holds. False when there is none, or when the model cannot be run with every tensor as an output.
pub(super) fn is_the_runtimes(side: &Side<'_>, slots: &[Slot], case: &Case, precision: Precision) -> bool {
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
