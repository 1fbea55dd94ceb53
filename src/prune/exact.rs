//! Channels that go without any change: copies of others.
//!
//! Two rows of a layer, weights and bias, that are the same up to a positive factor give the same channel up to that factor; so do
//! the operators behind it, when all of them give `k f(x)` for `k x`. What reads the second may as well read the first, `k` times.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayD, Axis};

use crate::facts::{Facts, tensor};
use crate::graph::ValueId;

use super::coupling::{Channel, Coupling, Form, Layer};
use super::statistics::matrices;
use super::write::Weights;

/// Marks copies as gone and adds what their readers make of them to the readers' weights, which it returns: still with all channels.
pub(super) fn merge_copies(facts: &Facts<'_>, coupling: &Coupling, free: &[bool], alive: &mut [bool]) -> Weights {
    let mut readers: BTreeMap<Channel, Vec<usize>> = BTreeMap::new();
    let mut makers: BTreeMap<Channel, BTreeSet<usize>> = BTreeMap::new();
    for (i, layer) in coupling.layers.iter().enumerate() {
        coupling.roots(&layer.inputs).into_iter().for_each(|r| readers.entry(r).or_default().push(i));
        coupling.roots(&layer.outputs).into_iter().for_each(|r| _ = makers.entry(r).or_default().insert(i));
    }
    let paths = paths(coupling);
    let mut changed: BTreeMap<usize, Array2<f64>> = BTreeMap::new();
    for (i, layer) in coupling.layers.iter().enumerate() {
        let plain = layer.group == 1 && matches!(layer.form, Form::Conv(_) | Form::Linear { .. }) && layer.refits;
        let Some(rows) = plain.then(|| rows(facts, layer)).flatten() else { continue };
        let alone = |root: Channel| {
            let only = makers.get(&root).is_some_and(|m| m.len() == 1 && m.contains(&i));
            let once = layer.outputs.iter().filter(|c| coupling.root(**c) == root).count() == 1;
            let plain = |r: &usize| {
                let l = &coupling.layers[*r];
                l.group == 1 && l.refits && l.inputs.iter().filter(|c| coupling.root(**c) == root).count() > 0
            };
            let read = readers.get(&root).is_none_or(|r| r.iter().all(plain));
            let apart = paths.get(&root).is_some_and(Option::is_some);
            let apart = apart && coupling.goes_alone(root);
            only && once && read && apart && free[root as usize] && alive[root as usize] && !coupling.is_rough(root)
        };
        let able: Vec<bool> = layer.outputs.iter().map(|c| alone(coupling.root(*c))).collect();
        let mut firsts: Vec<usize> = Vec::new();
        for o in (0..layer.outputs.len()).filter(|o| able[*o]) {
            let same = |first: &usize| {
                let (a, b) = (coupling.root(layer.outputs[*first]), coupling.root(layer.outputs[o]));
                let alike =
                    paths.get(&a) == paths.get(&b) && places(coupling, &readers, a) == places(coupling, &readers, b);
                ratio(rows.row(*first).iter(), rows.row(o).iter()).filter(|_| alike).map(|k| (*first, k))
            };
            match firsts.iter().find_map(same) {
                None => firsts.push(o),
                Some((first, k)) => {
                    let (to, from) = (coupling.root(layer.outputs[first]), coupling.root(layer.outputs[o]));
                    let merged = |r: &usize| {
                        let reader = &coupling.layers[*r];
                        let weights = changed.get(r).cloned().or_else(|| Some(matrices(facts, reader)?.remove(0)))?;
                        let weights = moved(coupling, reader, weights, (from, to), k);
                        let dtype = facts.dtype(facts.view().input(reader.node, 1)?)?;
                        tensor::fits(dtype, &weights).then_some((*r, weights))
                    };
                    let merged: Option<Vec<_>> = readers.get(&from).into_iter().flatten().map(merged).collect();
                    if let Some(merged) = merged {
                        changed.extend(merged);
                        alive[from as usize] = false;
                    }
                }
            }
        }
    }
    let array = |(i, weights): (usize, Array2<f64>)| {
        let layer = &coupling.layers[i];
        let shape = facts.constant_shape(facts.view().input(layer.node, 1)?)?;
        let weights =
            if matches!(layer.form, Form::Linear { input_axis: 0 }) { weights } else { weights.reversed_axes() };
        let flat: Vec<f64> = weights.iter().copied().collect();
        Some(((layer.node, 1), ArrayD::from_shape_vec(shape, flat).ok()?))
    };
    changed.into_iter().filter_map(array).collect()
}

/// In which tensors each group stands, and on how many neighbouring entries; `None` where it stands in several places of one. Groups with the
/// same path go through the same operators, for these are the same for all channels of a tensor.
fn paths(coupling: &Coupling) -> BTreeMap<Channel, Option<Vec<(ValueId, usize)>>> {
    let mut paths: BTreeMap<Channel, Option<Vec<(ValueId, usize)>>> = BTreeMap::new();
    for (value, channels) in &coupling.tensors {
        for run in channels.chunk_by(|a, b| coupling.root(*a) == coupling.root(*b)) {
            let path = paths.entry(coupling.root(run[0])).or_insert_with(|| Some(Vec::new()));
            match path {
                Some(list) if list.last().is_none_or(|(last, _)| last != value) => list.push((*value, run.len())),
                _ => *path = None,
            }
        }
    }
    paths
}

/// How many entries of each reader are of `root`: a copy can stand in only where both are read alike.
fn places(coupling: &Coupling, readers: &BTreeMap<Channel, Vec<usize>>, root: Channel) -> Vec<(usize, usize)> {
    let count = |r: &usize| coupling.layers[*r].inputs.iter().filter(|c| coupling.root(**c) == root).count();
    readers.get(&root).into_iter().flatten().map(|r| (*r, count(r))).collect()
}

/// `weights` with `k` times the columns of `from` added to those of `to`.
fn moved(
    coupling: &Coupling,
    layer: &Layer,
    mut weights: Array2<f64>,
    (from, to): (Channel, Channel),
    k: f64,
) -> Array2<f64> {
    let taps = if matches!(layer.form, Form::Conv(_)) { layer.taps } else { 1 };
    let columns = |root: Channel| -> Vec<usize> {
        let own = (0..layer.inputs.len()).filter(|i| coupling.root(layer.inputs[*i]) == root);
        own.flat_map(|i| i * taps..(i + 1) * taps).collect()
    };
    for (a, b) in columns(from).into_iter().zip(columns(to)) {
        let row = weights.row(a).to_owned();
        weights.row_mut(b).scaled_add(k, &row);
    }
    weights
}

/// Weights and bias, a row an output.
fn rows(facts: &Facts<'_>, layer: &Layer) -> Option<Array2<f64>> {
    let weights = matrices(facts, layer)?.remove(0).reversed_axes();
    let bias = match facts.view().input(layer.node, 2) {
        Some(b) => facts.constant(b)?.data.iter().copied().collect(),
        None => vec![0.0; weights.nrows()],
    };
    let bias = Array2::from_shape_vec((weights.nrows(), 1), bias).ok()?;
    ndarray::concatenate(Axis(1), &[weights.view(), bias.view()]).ok()
}

/// `k > 0` with `b = k a`, exactly: every entry is that float64. A row of zeros has none.
fn ratio<'a>(a: impl Iterator<Item = &'a f64> + Clone, b: impl Iterator<Item = &'a f64> + Clone) -> Option<f64> {
    let pairs = a.zip(b);
    let k = pairs.clone().find(|(a, _)| **a != 0.0).map(|(a, b)| b / a).filter(|k| k.is_finite() && *k > 0.0)?;
    pairs.into_iter().all(|(a, b)| *b == k * a).then_some(k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_exactly() {
        let k = |a: &[f64], b: &[f64]| ratio(a.iter(), b.iter());
        assert_eq!(k(&[1.0, 0.0, -2.0], &[0.5, 0.0, -1.0]), Some(0.5));
        assert_eq!(k(&[1.0, 2.0], &[-1.0, -2.0]), None, "a negative factor turns an activation around");
        assert_eq!(k(&[1.0, 2.0], &[2.0, 4.0000001]), None);
        assert_eq!(k(&[0.0, 0.0], &[0.0, 0.0]), None);
        assert_eq!(k(&[0.0, 1.0], &[1.0, 1.0]), None);
    }
}
