//! A net under every rule: what was known of a tensor before the edits of a round still holds behind them.
//!
//! No edit changes what a tensor is that keeps its name. So element type, rank and known sizes must be the same, and bounds of
//! its values must overlap. Where they do not, some proof was wrong.

use std::collections::HashMap;

use crate::facts::{Dim, Facts, Interval};
use crate::graph::GraphView;
use crate::onnx::tensor_proto::DataType;

/// What was known of each tensor of data.
#[derive(Default)]
pub(super) struct Known(HashMap<String, Claim>);

struct Claim {
    dtype: Option<DataType>,
    shape: Option<Vec<Dim>>,
    interval: Interval,
}

impl Known {
    /// What `facts` say.
    pub(super) fn of(view: &GraphView<'_>, facts: &Facts<'_>) -> Self {
        let claim = |v| Claim {
            dtype: facts.dtype(v),
            shape: facts.shape(v).map(<[Dim]>::to_vec),
            interval: facts.interval(v),
        };
        let data = view.values().filter(|v| facts.is_data(*v));
        Self(data.map(|v| (view.name(v).to_owned(), claim(v))).collect())
    }

    /// The first tensor, in the order of the graph, of which `facts` of the graph that came out say something else.
    pub(super) fn contradiction(&self, view: &GraphView<'_>, facts: &Facts<'_>) -> Option<String> {
        view.values().find_map(|v| {
            let claim = self.0.get(view.name(v))?;
            let what = claim.contradiction(facts.dtype(v), facts.shape(v), facts.interval(v))?;
            Some(format!("tensor '{}' {what}", view.name(v)))
        })
    }
}

impl Claim {
    fn contradiction(&self, dtype: Option<DataType>, shape: Option<&[Dim]>, interval: Interval) -> Option<String> {
        if let Some((a, b)) = self.dtype.zip(dtype).filter(|(a, b)| a != b) {
            return Some(format!("was {} and would be {}", a.as_str_name(), b.as_str_name()));
        }
        if let Some((a, b)) = self.shape.as_deref().zip(shape).filter(|(a, b)| !agree(a, b)) {
            return Some(format!("had shape {a:?} and would have {b:?}"));
        }
        let (a, b) = (self.interval, interval);
        (a.lo > b.hi || b.lo > a.hi)
            .then(|| format!("had values from {} to {} and would have some from {} to {}", a.lo, a.hi, b.lo, b.hi))
    }
}

/// True when both have as many axes, and no axis has two sizes.
fn agree(a: &[Dim], b: &[Dim]) -> bool {
    let differ = |(a, b): (&Dim, &Dim)| a.known().zip(b.known()).is_some_and(|(a, b)| a != b);
    a.len() == b.len() && !a.iter().zip(b).any(differ)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;
    use std::path::Path;

    use super::*;
    use crate::engine::{Refused, go_on, rewrite_under};
    use crate::io::{LoadOptions, load};
    use crate::onnx::ModelProto;
    use crate::options::Options;
    use crate::report::Outcome;

    fn claim(dtype: DataType, shape: &[Dim], lo: f64, hi: f64) -> Claim {
        Claim { dtype: Some(dtype), shape: Some(shape.to_vec()), interval: Interval::new(lo, hi) }
    }

    #[test]
    fn what_contradicts_is_said_and_nothing_else() {
        let (n, four, five) = (Dim::Symbol("n".into()), Dim::Known(4), Dim::Known(5));
        let float = claim(DataType::Float, &[n.clone(), four.clone()], 0.0, 6.0);
        let says = |dtype, shape: Option<&[Dim]>, lo, hi| float.contradiction(dtype, shape, Interval::new(lo, hi));
        let same = Some(DataType::Float);
        assert_eq!(says(same, Some(&[n.clone(), four.clone()]), 0.0, 6.0), None);
        assert_eq!(says(None, None, f64::NEG_INFINITY, f64::INFINITY), None, "less is known");
        assert_eq!(says(same, Some(&[five.clone(), four.clone()]), 5.0, 9.0), None, "a size more is known");
        assert!(says(Some(DataType::Double), None, 0.0, 1.0).is_some_and(|s| s.contains("DOUBLE")));
        assert!(says(same, Some(&[n.clone(), five]), 0.0, 6.0).is_some_and(|s| s.contains("shape")));
        assert!(says(same, Some(&[n, Dim::Known(1), four]), 0.0, 6.0).is_some_and(|s| s.contains("shape")));
        assert!(says(same, None, 7.0, 8.0).is_some_and(|s| s.contains("from 7 to 8")));
        assert!(says(same, None, -2.0, -1.0).is_some());
    }
    /// Rewrites a model under a net that finds fault with what its first `faults` rounds made.
    fn rewritten(faults: usize) -> (ModelProto, Outcome) {
        let left = Cell::new(faults);
        let net = |_: &Known, _: &GraphView<'_>, _: &Facts<'_>| {
            let fault = left.get() > 0;
            left.set(left.get().saturating_sub(1));
            fault.then(|| "tensor 'y' is odd".to_owned())
        };
        let mut model = digits();
        let outcome = rewrite_under((&net, None), &mut model, &Options::default(), Refused::new(), &mut go_on).unwrap();
        (model, outcome)
    }

    fn digits() -> ModelProto {
        load(Path::new("models/digits_resnet.onnx"), &LoadOptions::default()).unwrap().into_proto()
    }

    #[test]
    fn what_a_faulty_round_made_is_dropped_and_never_tried_again() {
        let (model, outcome) = rewritten(usize::MAX);
        assert!(model == digits(), "everything is dropped");
        assert_eq!((outcome.removed().count(), outcome.after.joins), (0, 5));
        let kept: Vec<_> = outcome.kept().filter(|(_, reject)| reject.code == "broken-proof").collect();
        assert_eq!(kept.iter().filter(|(site, _)| site.is_residual()).count(), 5, "{:?}", outcome.sites);
        assert!(
            kept.iter()
                .all(|(site, reject)| site.tensor == reject.tensor && reject.reason.contains("tensor 'y' is odd"))
        );
        let (_, all) = rewritten(0);
        let (_, some) = rewritten(1);
        assert!(some.removed().count() < all.removed().count());
        assert!(some.kept().any(|(_, reject)| reject.code == "broken-proof"));
    }
}
