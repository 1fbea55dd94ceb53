//! Operators to write as the target, or the user, wants them.

use crate::graph::{EditList, Names, NodeId};
use crate::linear::legal::{self, Legal};
use crate::read::{Context, Reject, RejectCode};

use super::change::{Change, Exactness};
use super::cost;

/// What to do at a node, or why it stays.
pub type Written = (NodeId, Result<(EditList, Change), Reject>);

/// Every operator that is not as it should be.
#[must_use]
pub fn plan(cx: Context<'_>, names: &mut Names) -> Vec<Written> {
    if !legal::is_asked(cx) {
        return Vec::new();
    }
    let found = cx.view.nodes().filter_map(|node| Some((node, legal::find(cx, node)?)));
    found
        .map(|(node, found)| {
            let written = found.and_then(|legal| {
                let edits = legal.build(cx, names).ok_or_else(|| {
                    Reject::at(cx.view, node, RejectCode::WeightNotConstant, "the type of its weights is not known")
                })?;
                Ok((edits, change(cx, &legal)))
            });
            (node, written)
        })
        .collect()
}

fn change(cx: Context<'_>, legal: &Legal) -> Change {
    let (before, after) = legal.weights();
    let output = cx.view.output(legal.node);
    let (form, exactness) = match (legal.is_padded, legal.keeps_weights()) {
        (true, false) => ("pads made symmetric by taps of zero", Exactness::Reordered),
        (true, true) => ("pads made symmetric", Exactness::Bitwise),
        (false, _) => ("attributes written out", Exactness::Bitwise),
    };
    Change {
        form: form.to_owned(),
        exactness,
        macs_before: cost::macs(cx.view, cx.facts, legal.node),
        macs_after: output.and_then(|v| cost::conv_macs(cx.facts, after, v)),
        params_before: before as u64,
        params_after: after as u64,
        channels: Vec::new(),
    }
}
