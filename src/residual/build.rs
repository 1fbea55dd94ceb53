//! From a proof and the layouts chosen for it to edits.

use std::collections::BTreeMap;

use crate::algebra::{Hop, Kernel, Layout, Slot};
use crate::emit::Emit;
use crate::facts::Facts;
use crate::graph::{EditList, Names, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::{Context, Reject, RejectCode};
use crate::tasks;

use super::branch::{Item, ItemKind};
use super::check::Proof;
use super::hop::Widened;
use super::host::Host;

/// What the planner chose for a proof.
pub struct Choice<'p> {
    /// Where the shortcut is applied.
    pub host: &'p Host,
    /// The layout of the fork, then of what each item writes; the last is the join's own.
    pub layouts: Vec<Layout>,
    /// The form of each item between two of them.
    pub hops: Vec<Hop>,
}

/// The edits, and what the tensor behind each item is called in them.
pub type Built = (EditList, Vec<String>);

/// Builds the plain chain.
///
/// # Errors
/// A [`Reject`] when a weight could not be read after all, or does not fit its type once folded.
pub fn build(cx: Context<'_>, proof: &Proof, choice: &Choice<'_>, names: &mut Names) -> Result<Built, Reject> {
    let cx = cx.within(proof.frame);
    let view = cx.view;
    let broken = |what: &str| Reject::broken(view, proof.output, what);
    let dtype = element_type(cx.facts, proof).ok_or_else(|| unreadable(cx, proof))?;
    let join = view.node(proof.join).name();
    let site = if join.is_empty() { view.name(proof.output) } else { join };
    let mut emit = Emit::new(names, dtype, proof.axes, format!("residual: {site}"));
    emit.opset = view.opset();
    emit.frame = proof.frame;
    emit.axis = cx.axis(proof.fork).ok_or_else(|| broken("a fork of no known rank"))?;
    emit.edits.remove = proof.branch().removed.iter().copied().collect();
    let mut input = view.name(proof.fork).to_owned();
    let items = &proof.branch().items;
    let mut tensors = Vec::with_capacity(items.len());
    if choice.layouts.len() != items.len() + 1 {
        return Err(broken("a tensor of the branch without a layout"));
    }
    let mut widened = widen(cx, proof, choice, dtype)?.into_iter();
    for (i, (item, around)) in items.iter().zip(choice.layouts.windows(2)).enumerate() {
        let [lin, lout] = around else { return Err(broken("a tensor of the branch without a layout")) };
        let last = i + 1 == items.len();
        let output = if last { view.name(proof.output).to_owned() } else { emit.fresh(&wide_name(cx, item)) };
        match &item.kind {
            ItemKind::Conv(conv) => {
                let hosted = choice.host.conv(i).ok_or_else(|| broken("a convolution that no host knows"))?;
                let own = conv.own_window(&hosted.window).ok_or_else(|| broken("a window smaller than a Pad"))?;
                let (widened, fits) = widened.next().ok_or_else(|| broken("a convolution that cannot be widened"))?;
                if !fits {
                    return Err(unreadable(cx, proof));
                }
                emit.grid = conv.grid(cx.facts, &cx.options.target);
                widened.emit(&mut emit, conv, &own, &input, &output);
            }
            ItemKind::Operation(pass) => {
                let emitted = choice.host.form(i).and_then(|form| pass.emit(cx, &mut emit, form, &input, lin, &output));
                emitted.ok_or_else(|| broken("an operator that cannot be widened"))?;
            }
        }
        emit.axis = choice.host.axis(i).ok_or_else(|| broken("an operator that no host knows"))?;
        if !last {
            provide(cx, proof, item, &mut emit, &output, lout)
                .ok_or_else(|| broken("a channel of the body is lost"))?;
        }
        if !last {
            let names = item.values.iter().map(|v| (view.name(*v).to_owned(), output.clone()));
            emit.edits.renamed.extend(names);
        }
        tensors.push(output.clone());
        input = output;
    }
    rename(cx, proof, &mut emit);
    Ok((emit.edits, tensors))
}

fn unreadable(cx: Context<'_>, proof: &Proof) -> Reject {
    let reason = "a weight or an element type on the branch could not be read, or a folded weight is too large for it";
    Reject::at(cx.view, proof.join, RejectCode::WeightNotConstant, reason)
}

/// The convolutions of the branch in their new form, in their order, and whether their weights fit `dtype`. All at once, for that is where
/// the time goes.
fn widen<'c>(
    cx: Context<'_>,
    proof: &Proof,
    choice: &'c Choice<'_>,
    dtype: DataType,
) -> Result<Vec<(Widened<'c>, bool)>, Reject> {
    let broken = |what: &str| Reject::broken(cx.view, proof.output, what);
    let mut jobs = Vec::new();
    for (i, conv) in proof.branch().convs() {
        let hosted = choice.host.conv(i).ok_or_else(|| broken("a convolution that no host knows"))?;
        let hop = choice.hops.get(i).ok_or_else(|| broken("a convolution without a form"))?;
        let body = conv.kernel(cx.facts).ok_or_else(|| unreadable(cx, proof))?;
        let (lin, lout) = choice.layouts.get(i).zip(choice.layouts.get(i + 1)).ok_or_else(|| broken("no layout"))?;
        jobs.push(((conv, hosted, hop, (lin, lout)), Some(body), None));
    }
    let (target, is_grouped) = (&cx.options.target, cx.is_channels_first());
    let work = jobs.iter().filter_map(|(_, body, _)| Some(body.as_ref()?.weight.len())).sum();
    tasks::each(work, jobs.iter_mut(), |(): &mut (), ((conv, hosted, hop, around), body, done)| {
        // A linear layer has no groups.
        let may_group = |kernel: &Kernel| {
            let (group, inputs) = (kernel.group, kernel.group * kernel.group_inputs());
            is_grouped && conv.groups(target, group, inputs) == group
        };
        let body = body.take().and_then(|body| body.placed_in(&conv.window, &hosted.window));
        let widened = body.and_then(|body| Widened::new(&body, hosted, hop, (around.0, around.1), may_group));
        *done = widened.map(|mut widened| {
            let fits = widened.write(dtype);
            (widened, fits)
        });
    });
    let done: Option<Vec<_>> = jobs.into_iter().map(|(_, _, done)| done).collect();
    done.ok_or_else(|| broken("a convolution that cannot be widened"))
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
        (None, ItemKind::Conv(conv)) => format!("{}_wide", conv.name),
        (None, ItemKind::Operation(_)) => "wide".to_owned(),
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

/// The element type of the branch's weights, which is that of its tensors (ONNX `Conv`, type constraint T). `None` when it is
/// not known, is no float type, or when the graph contradicts itself.
fn element_type(facts: &Facts<'_>, proof: &Proof) -> Option<DataType> {
    let inside = proof.branch().items.iter().flat_map(|item| item.values.iter().copied());
    facts.float_type([proof.fork, proof.output].into_iter().chain(inside))
}
