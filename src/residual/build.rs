//! From a proof and the layouts chosen for it to edits.

use std::collections::BTreeMap;

use crate::algebra::{Layout, Slot, widen::widen};
use crate::facts::{Facts, tensor};
use crate::graph::{EditList, Names, ValueId};
use crate::onnx::tensor_proto::DataType;

use super::branch::{Item, Kind};
use super::check::Proof;
use super::emit::{Emit, merged_site};
use super::host::{Host, Hosted};
use super::pass::Context;

/// What the planner chose for a proof.
pub struct Choice<'p> {
    /// Where the shortcut is applied.
    pub host: &'p Host,
    /// The layout of the fork, then of what each item writes; the last is the join's own.
    pub layouts: Vec<Layout>,
}

/// Builds the plain chain. `None` when a weight could not be read after all, or does not fit its type once folded.
#[must_use]
pub fn build(cx: Context<'_>, proof: &Proof, choice: &Choice<'_>, names: &mut Names) -> Option<EditList> {
    let cx = cx.within(proof.frame);
    let view = cx.view;
    let dtype = element_type(cx.facts, proof)?;
    let join = view.node(proof.join).name();
    let site = if join.is_empty() { view.name(proof.output) } else { join };
    let mut emit = Emit::new(names, dtype, proof.axes, format!("residual: {site}"));
    emit.opset = view.opset();
    emit.frame = proof.frame;
    emit.axis = cx.axis(proof.fork)?;
    emit.edits.remove = proof.branch().removed.iter().copied().collect();
    let mut input = view.name(proof.fork).to_owned();
    let last = proof.branch().items.len().checked_sub(1)?;
    for (i, item) in proof.branch().items.iter().enumerate() {
        let (lin, lout) = (choice.layouts.get(i)?, choice.layouts.get(i + 1)?);
        let output = if i == last { view.name(proof.output).to_owned() } else { emit.fresh(&wide_name(cx, item)) };
        match &item.kind {
            Kind::Conv(conv) => {
                let Hosted { carry, window, pair_scale } = choice.host.conv(i)?;
                let body = conv.kernel(cx.facts)?.placed_in(&conv.window, window)?;
                let kernel = widen(&body, carry, lin, lout, *pair_scale)?;
                // A linear layer has no groups.
                let kernel = if cx.is_maps() { kernel } else { kernel.dense()? };
                if !tensor::fits(dtype, kernel.weight.iter().chain(kernel.bias.iter().flatten())) {
                    return None;
                }
                emit.conv(&conv.name, &conv.weight_name, &kernel, &conv.own_window(window)?, &input, &output);
            }
            Kind::Pass(pass) => pass.emit(cx, &mut emit, choice.host.form(i)?, &input, lin, &output),
        }
        emit.axis = choice.host.axis(i);
        if i == last {
            // A sum with a single convolution carries nothing: it makes no join around it a long skip.
            if last > 0 || item.conv().and_then(|c| c.node).is_some_and(|n| merged_site(view.node(n)).is_some()) {
                emit.mark_merge(site);
            }
        } else {
            provide(cx, proof, item, &mut emit, &output, lout)?;
        }
        input = output;
    }
    rename(cx, proof, &mut emit);
    Some(emit.edits)
}

/// A copy of a node has its name, unless the node itself stays, or another one of that name.
fn rename(cx: Context<'_>, proof: &Proof, emit: &mut Emit<'_>) {
    let mut removed: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &proof.branch().removed {
        *removed.entry(cx.view.node(*node).name()).or_default() += 1;
    }
    let mut nodes = std::mem::take(&mut emit.edits.add_nodes);
    for node in nodes.iter_mut().filter(|n| !n.name().is_empty()) {
        if emit.nodes_called(node.name()) > removed.get(node.name()).copied().unwrap_or(0) {
            node.name = Some(emit.fresh(node.name()));
        }
    }
    emit.edits.add_nodes = nodes;
}

fn wide_name(cx: Context<'_>, item: &Item) -> String {
    match (item.values.last(), &item.kind) {
        (Some(value), _) => format!("{}_wide", cx.view.name(*value)),
        (None, Kind::Conv(conv)) => format!("{}_wide", conv.name),
        (None, Kind::Pass(_)) => "wide".to_owned(),
    }
}

/// Gives every other reader of the original tensor its channels back, under the original name.
fn provide(
    cx: Context<'_>,
    proof: &Proof,
    item: &Item,
    emit: &mut Emit<'_>,
    wide: &str,
    layout: &[Slot],
) -> Option<()> {
    // A node that stays, a `Split` with another reader say, goes on computing its tensors itself.
    let branch = proof.branch();
    let goes = |v: ValueId| cx.view.def(v).is_some_and(|n| branch.removed.contains(&n));
    let needed: Vec<ValueId> = item.values.iter().copied().filter(|v| goes(*v) && branch.is_needed(cx, *v)).collect();
    if needed.is_empty() {
        return Some(());
    }
    let mut at: BTreeMap<u32, usize> = BTreeMap::new();
    for (column, slot) in layout.iter().enumerate() {
        if let Some(body) = slot.body {
            at.entry(body).or_insert(column);
        }
    }
    let channels = at.keys().next_back().map_or(0, |c| c + 1);
    let columns: Vec<usize> = (0..channels).map(|c| at.get(&c).copied()).collect::<Option<_>>()?;
    for value in needed {
        let name = cx.view.name(value);
        emit.take(&format!("{name}_body"), wide, layout.len(), &columns, Some(name));
    }
    Some(())
}

/// The element type of the branch's weights, which is that of its tensors (ONNX `Conv`, type constraint T).
fn element_type(facts: &Facts<'_>, proof: &Proof) -> Option<DataType> {
    facts
        .dtype(proof.fork)
        .or_else(|| facts.dtype(proof.output))
        .filter(|t| matches!(t, DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double))
}
