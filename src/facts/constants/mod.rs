//! Folding the constant expressions that exporters leave: shapes behind `Pad`, weight standardisation and weight norm,
//! quantised weights, merged initializers behind `Identity`. One file a group of operators.

mod arithmetic;
mod arrange;
mod evaluate;
mod exact;
mod indexed;
mod limit;
mod normalise;
mod product;
mod quantised;
mod reduce;

use std::rc::Rc;

use ndarray::ArrayD;

use crate::graph::NodeId;

use super::{Constant, Facts};

pub(super) use evaluate::folds;
pub(super) use limit::{Limit, elements};

/// What gives an operator's first output; `None` when it is not handled.
type Evaluator = fn(&Facts<'_>, NodeId) -> Option<ArrayD<f64>>;

/// The operators of one file, by name.
type Table = &'static [(&'static str, Evaluator)];

/// The constant that `node` reads at `slot`.
fn input(facts: &Facts<'_>, node: NodeId, slot: usize) -> Option<Rc<Constant>> {
    facts.constant(facts.view().input(node, slot)?)
}

/// The shape of what `node` computes.
fn output_shape(facts: &Facts<'_>, node: NodeId) -> Option<Vec<usize>> {
    facts.shape(facts.view().output(node)?)?.iter().map(|d| usize::try_from(d.known()?).ok()).collect()
}

fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank)
}
