//! The edit that takes channels out of a model, and puts fitted weights in.

use std::collections::{BTreeMap, HashMap};

use ndarray::{ArrayD, Axis, Slice};

use crate::emit::Emit;
use crate::facts::Constant;
use crate::graph::{self, EditList, Names, NodeId};
use crate::onnx::ModelProto;
use crate::onnx::tensor_proto::DataType;
use crate::read::Context;

use super::coupling::{Channel, Count, Coupling, Cut};
use super::error::PruneError;

/// New constants, with all channels or without those that go, by node and input.
pub(super) type Weights = HashMap<(NodeId, usize), ArrayD<f64>>;

/// The edit after which only channels in groups that are `alive` are left, with `weights` where there are some.
///
/// # Errors
/// [`PruneError::Internal`] when a constant cannot be read after all.
fn edit(
    cx: Context<'_>,
    names: &mut Names,
    coupling: &Coupling,
    alive: &[bool],
    weights: &Weights,
) -> Result<EditList, PruneError> {
    let lives = |c: &Channel| alive[coupling.root(*c) as usize];
    let dies = |list: &[Channel]| !list.iter().all(lives);
    let mut cuts: BTreeMap<NodeId, Vec<&Cut>> = BTreeMap::new();
    for cut in coupling.cuts.iter().filter(|c| dies(&c.channels) || weights.contains_key(&(c.node, c.slot))) {
        cuts.entry(cut.node).or_default().push(cut);
    }
    let counted = |count: &Count| match count {
        Count::Groups { read: list, .. } | Count::Target { channels: list, .. } => dies(list),
        Count::Pieces(pieces) => pieces.iter().any(|p| dies(p)),
        Count::Taken { of, given, .. } => dies(of) || dies(given),
        Count::Padding { front, back } => dies(front) || dies(back),
    };
    let mut nodes: Vec<NodeId> = cuts.keys().copied().collect();
    nodes.extend(coupling.counts.iter().filter(|(_, c)| counted(c)).map(|(node, _)| *node));
    nodes.extend(weights.keys().map(|(node, _)| *node));
    nodes.sort_by_key(|n| cx.view.position(*n));
    nodes.dedup();
    let mut emit = Emit::new(names, DataType::Float, 0, "prune".to_owned());
    emit.opset = cx.view.opset();
    let tensors = coupling.tensors.iter().chain(coupling.inner.iter().map(|(v, c)| (v, c)));
    emit.edits.changed = tensors.filter(|(_, c)| dies(c)).map(|(v, _)| cx.view.name(*v).to_owned()).collect();
    for node in nodes {
        let own = cuts.get(&node).map_or(&[][..], Vec::as_slice);
        let written = write(cx, &mut emit, node, own, coupling.counts.get(&node), (&lives, weights));
        if written.is_none() {
            let name = cx.view.node(node).name();
            return Err(PruneError::Internal(format!("node '{name}' could not be written with fewer channels")));
        }
        emit.edits.remove.push(node);
    }
    Ok(emit.edits)
}

type Kept<'a> = (&'a dyn Fn(&Channel) -> bool, &'a Weights);

fn write(
    cx: Context<'_>,
    emit: &mut Emit<'_>,
    node: NodeId,
    cuts: &[&Cut],
    count: Option<&Count>,
    (lives, weights): Kept<'_>,
) -> Option<()> {
    let view = cx.view;
    let left = |list: &[Channel]| list.iter().filter(|c| lives(c)).count();
    let mut copy = view.node(node).clone();
    let mut slots: Vec<usize> = cuts.iter().map(|c| c.slot).collect();
    slots.extend(weights.keys().filter(|(n, _)| *n == node).map(|(_, slot)| *slot));
    slots.sort_unstable();
    slots.dedup();
    for slot in slots {
        let constant = view.input(node, slot).and_then(|v| cx.facts.constant(v));
        // A new bias has the type of the weights.
        emit.dtype = constant.as_ref().map(|c| c.dtype).or_else(|| cx.facts.dtype(view.input(node, 1)?))?;
        let hint = match view.input(node, slot) {
            Some(value) => view.name(value).to_owned(),
            None => format!("{}_bias", view.node(node).name()),
        };
        let data = match weights.get(&(node, slot)) {
            Some(new) => new.clone(),
            None => constant?.data.clone(),
        };
        // What was fitted has lost its channels already.
        let data = cuts.iter().filter(|c| c.slot == slot).try_fold(data, |data, cut| {
            let kept = cut.kept(lives);
            match *data.shape().get(cut.axis)? {
                n if n == cut.entries => Some(data.select(Axis(cut.axis), &kept)),
                n if n == kept.len() => Some(data),
                _ => None,
            }
        })?;
        let name = emit.exact(&hint, &Constant { data, dtype: emit.dtype, exact: true })?;
        while copy.input.len() <= slot {
            copy.input.push(String::new());
        }
        copy.input[slot] = name;
    }
    match count {
        Some(Count::Groups { read, each }) => {
            let group = copy.attribute.iter_mut().find(|a| a.name() == "group")?;
            group.i = Some(read.chunks(*each).filter(|own| left(own) > 0).count() as i64);
        }
        Some(Count::Pieces(pieces)) => {
            let sizes: Vec<i64> = pieces.iter().map(|p| left(p) as i64).collect();
            copy.attribute.retain(|a| a.name() != "num_outputs" && a.name() != "split");
            if view.opset() < 13 {
                copy.attribute.push(crate::emit::ints("split", sizes));
            } else {
                let name = emit.int64s(&format!("{}_sizes", copy.name()), &sizes);
                copy.input.truncate(1);
                copy.input.push(name);
            }
        }
        Some(Count::Taken { of, places, given }) => {
            // Where each entry that stays stands now.
            let mut now = vec![None; of.len()];
            (0..of.len()).filter(|i| lives(&of[*i])).enumerate().for_each(|(new, old)| now[old] = Some(new));
            let taken = places.iter().zip(given).filter(|(_, channel)| lives(channel));
            let columns: Vec<usize> = taken.map(|(place, _)| now[*place]).collect::<Option<_>>()?;
            let (input, output) = (view.name(view.input(node, 0)?), view.name(view.output(node)?));
            emit.axis = 1;
            emit.take(copy.name(), input, left(of), &columns, Some(output));
            return Some(());
        }
        Some(Count::Padding { front, back }) => {
            let padding = crate::facts::Padding::new(view, cx.facts, node)?;
            let mut axes = padding.axes;
            *axes.get_mut(1)? = (left(front) as i64, left(back) as i64);
            let pads: Vec<i64> = axes.iter().map(|a| a.0).chain(axes.iter().map(|a| a.1)).collect();
            if view.opset() < 11 {
                copy.attribute.retain(|a| a.name() != "pads");
                copy.attribute.push(crate::emit::ints("pads", pads));
            } else {
                copy.input[1] = emit.int64s(view.name(view.input(node, 1)?), &pads);
                // All axes are listed now.
                copy.input.truncate(3);
            }
        }
        Some(Count::Target { entry, channels }) => {
            let target = view.input(node, 1)?;
            let mut sizes: Vec<i64> = cx.facts.sizes(target)?.iter().map(|d| d.known()).collect::<Option<_>>()?;
            *sizes.get_mut(*entry)? = left(channels) as i64;
            copy.input[1] = emit.int64s(view.name(target), &sizes);
        }
        None => {}
    }
    emit.edits.add_nodes.push(copy);
    Some(())
}

/// Weights of all layers, with zeros for what reads a group that is not `alive`. A model with these computes what the one without the
/// groups does: that is what it means that they can go.
pub(super) fn masked(cx: Context<'_>, coupling: &Coupling, alive: &[bool]) -> Weights {
    let mut weights = Weights::new();
    for layer in coupling.layers.iter().filter(|l| !l.depthwise) {
        let gone: Vec<usize> =
            (0..layer.inputs.len()).filter(|i| !alive[coupling.root(layer.inputs[*i]) as usize]).collect();
        let constant = cx.view.input(layer.node, 1).and_then(|v| cx.facts.constant(v));
        if let (false, Some(constant)) = (gone.is_empty(), constant) {
            let mut data = constant.data.clone();
            let (each, outputs) = (layer.each(), layer.outputs.len() / layer.group);
            for i in gone {
                // Of a convolution in groups only one of them reads it.
                let mut read = data.index_axis_mut(Axis(layer.input_axis()), i % each);
                if layer.group == 1 {
                    read.fill(0.0);
                } else {
                    let own = i / each * outputs..(i / each + 1) * outputs;
                    read.slice_axis_mut(Axis(0), Slice::from(own)).fill(0.0);
                }
            }
            weights.insert((layer.node, 1), data);
        }
    }
    weights
}

/// `proto` without the groups that are not `alive`.
pub(super) fn edited(
    proto: &ModelProto,
    cx: Context<'_>,
    coupling: &Coupling,
    alive: &[bool],
    weights: &Weights,
) -> Result<ModelProto, PruneError> {
    let mut names = Names::new(proto);
    let edit = edit(cx, &mut names, coupling, alive, weights)?;
    let mut next = proto.clone();
    let touched = graph::apply(&mut next, &[edit])?;
    graph::clean(&mut next, &touched);
    graph::validate(&next)?;
    Ok(next)
}

/// A weight and a bias of its own for every layer that is fitted anew.
pub(super) fn own_constants(cx: Context<'_>, coupling: &Coupling, alive: &[bool]) -> Weights {
    let mut weights = Weights::new();
    for layer in coupling.layers.iter().filter(|l| l.refits) {
        // A new bias has as many entries as outputs that stay.
        let left = layer.outputs.iter().filter(|c| alive[coupling.root(**c) as usize]).count();
        for slot in [1, 2] {
            match cx.view.input(layer.node, slot).and_then(|v| cx.facts.constant(v)) {
                Some(constant) => _ = weights.insert((layer.node, slot), constant.data.clone()),
                None if slot == 2 && layer.has_bias => {
                    _ = weights.insert((layer.node, 2), ArrayD::zeros(vec![left]));
                }
                None => {}
            }
        }
    }
    weights
}
