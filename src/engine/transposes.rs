//! `Transpose` nodes that other orders of axes make needless: they go at once where fewer nodes are left. Where as many are,
//! axes are put in another order only when something else goes then that could not go before; and where a few more are, only
//! when joins go, in the same round: the next one may find that fewer nodes are needed once more.

use std::collections::BTreeSet;

use crate::facts::Facts;
use crate::graph::{self, GraphView, Names};
use crate::onnx::ModelProto;
use crate::options::Family;
use crate::plan::change::{Change, Exactness};
use crate::read::Context;
use crate::report::{SiteReport, SiteStatus};
use crate::transpose::{self, Moved};

use super::edits::{plan_edits, remove_joins};
use super::error::EngineError;
use super::round::{Refused, Round};
use super::untaken;
use super::watch::Watch;

/// The round that removes nodes by other orders alone.
pub(super) fn fewer(cx: Context<'_>, names: &mut Names, refused: &Refused) -> Round {
    let mut round = Round::default();
    for moved in transpose::fewer(cx, names) {
        round.removed.push(site(cx, &moved));
        round.edits.push(moved.edits);
    }
    untaken::keep(cx, &mut round);
    round.drop_refused(refused);
    round
}

/// Most orders that are tried in vain.
const MAX_TRIED: usize = 256;

/// Looks for an order that frees something else, part by part. What does not is `tried`.
pub(super) fn free(
    model: &ModelProto,
    cx: Context<'_>,
    (number, refused, tried): (usize, &Refused, &mut BTreeSet<String>),
    watch: Watch<'_>,
    round: &mut Round,
) -> Result<(), EngineError> {
    while tried.len() < MAX_TRIED {
        let others = transpose::others(cx, &mut Names::new(model), tried);
        if others.is_empty() {
            return Ok(());
        }
        for other in others {
            free_by(model, cx, (number, refused), other.parts, watch, round)?;
            if round.parted.is_some() {
                return Ok(());
            }
            tried.insert(other.key);
        }
    }
    Ok(())
}

/// Makes the first of `parts` that frees something else.
fn free_by(
    model: &ModelProto,
    cx: Context<'_>,
    (number, refused): (usize, &Refused),
    parts: Vec<Moved>,
    watch: Watch<'_>,
    round: &mut Round,
) -> Result<(), EngineError> {
    for moved in parts {
        let site = site(cx, &moved);
        let is_taken = untaken::check(cx, moved.site, &moved.edits).is_ok();
        if !is_taken || refused.contains_key(&(site.kind, site.tensor.clone())) {
            continue;
        }
        let (has_layers, needs_more) = (moved.has_layers, moved.fewer < 0);
        let mut other = model.clone();
        let renamed = moved.edits.renamed.clone();
        let touched = graph::apply(&mut other, &[moved.edits])?;
        graph::clean(&mut other, &touched);
        graph::validate(&other)?;
        let freed = {
            let view = GraphView::new(&other)?;
            let facts = Facts::new(&view);
            let cx = Context { view: &view, facts: &facts, ..cx };
            // That a convolution takes a bias, where a layer had it behind, is no reason to make one of it.
            if has_layers || needs_more {
                let mut joins = Round::default();
                if cx.options.families.has(Family::Residual) {
                    remove_joins(cx, (number, refused), watch, &mut Names::new(&other), &mut joins)?;
                }
                joins
            } else {
                plan_edits(cx, (number, refused), watch, &mut Names::new(&other))?
            }
        };
        if !freed.removed.is_empty() {
            round.parted = Some(other);
            round.renamed = renamed;
            round.removed.push(site);
            if needs_more {
                round.edits = freed.edits;
                round.removed.extend(freed.removed);
            }
            return Ok(());
        }
    }
    Ok(())
}

fn site(cx: Context<'_>, moved: &Moved) -> SiteReport {
    let (before, after) = moved.transposes;
    let form = format!("{before} Transpose nodes become {after}");
    let exactness = if moved.keeps_bits { Exactness::Bitwise } else { Exactness::Reordered };
    let change = Change {
        form,
        exactness,
        macs_before: Some(0),
        macs_after: Some(0),
        params_before: 0,
        params_after: 0,
        channels: Vec::new(),
    };
    let output = cx.view.output(moved.site).map(|v| cx.view.name(v).to_owned());
    SiteReport {
        join: cx.view.node(moved.site).name().to_owned(),
        tensor: output.unwrap_or_default(),
        kind: Family::Transpose,
        status: SiteStatus::Removed(change),
    }
}
