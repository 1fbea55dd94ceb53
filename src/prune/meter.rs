//! What a model takes, by every measure that can be limited, and what it would take without some of its channels.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::facts::{Facts, is_elementwise};
use crate::graph::{GraphView, NodeId, ValueId};
use crate::operators::{Storage, storage};
use crate::options::Rates;
use crate::plan::work::Work;
use crate::plan::{cost, latency, memory};

use super::coupling::{Channel, Coupling, Form, Layer, Width};

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Multiply-accumulates of a sample.
    Macs,
    /// Weights, biases not counted.
    Parameters,
    /// Bytes of activations that are alive at once.
    Memory,
    /// Nanoseconds, by the model of [`latency`].
    Latency,
}

impl Measure {
    pub(super) const ALL: [Self; 4] = [Self::Macs, Self::Parameters, Self::Memory, Self::Latency];

    /// The unit, in words.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Macs => "multiply-accumulates",
            Self::Parameters => "weights",
            Self::Memory => "bytes of peak memory",
            Self::Latency => "nanoseconds",
        }
    }
}

/// A number for each measure; `None` where nothing is known.
pub(super) type Taken = [Option<f64>; Measure::ALL.len()];

/// Channels of a tensor, and how many entries each has.
struct Plane {
    channels: Vec<Channel>,
    entries: f64,
}

/// An operator without weights that moves channels.
struct Pass {
    plane: Plane,
    plain: bool,
}

/// Memory that is taken for a while.
struct Held {
    channels: Vec<Channel>,
    /// Bytes of a channel, or of the whole where there are no channels.
    bytes: f64,
    first: usize,
    last: usize,
}

/// What can be measured of a model.
pub(super) struct Meter<'a> {
    coupling: &'a Coupling,
    rates: Rates,
    /// Positions of the input and the output of each layer.
    positions: Vec<(f64, f64)>,
    passes: Vec<Pass>,
    held: Option<Vec<Held>>,
    nodes: usize,
    /// What layers take that lose nothing: multiply-accumulates and weights.
    fixed: (f64, f64),
    /// Nanoseconds of everything that loses nothing; `None` when a size is not known.
    rest: Option<f64>,
    shares: BTreeMap<Channel, Share>,
    /// Of each unit, the layers in groups of which it has whole groups, and how many.
    groups: Vec<Vec<(usize, usize)>>,
}

/// How many entries of each layer, operator and piece of memory a group is.
#[derive(Clone, Default)]
struct Share {
    layers: Vec<(usize, Width)>,
    passes: Vec<(usize, usize)>,
    held: Vec<(usize, usize)>,
}

/// How many channels everything has left.
#[derive(Clone)]
pub(super) struct Size {
    layers: Vec<Width>,
    passes: Vec<usize>,
    held: Vec<usize>,
}

impl<'a> Meter<'a> {
    /// `view` and `facts` know the sizes of one sample; `positions` are those of the layers' outputs.
    pub(super) fn new(
        (view, facts): (&GraphView<'_>, &Facts<'_>),
        coupling: &'a Coupling,
        positions: &[f64],
        rates: Rates,
    ) -> Self {
        let nodes = view.nodes().count();
        let layers: BTreeMap<NodeId, usize> = coupling.layers.iter().enumerate().map(|(i, l)| (l.node, i)).collect();
        let mut meter = Self {
            coupling,
            rates,
            positions: Vec::new(),
            passes: Vec::new(),
            held: None,
            nodes,
            fixed: (0.0, 0.0),
            rest: Some(0.0),
            shares: BTreeMap::new(),
            groups: coupling.units.iter().map(|unit| groups(coupling, unit)).collect(),
        };
        for (layer, own) in coupling.layers.iter().zip(positions) {
            let other = |slot: Option<ValueId>| slot.and_then(|v| plane(facts, v)).unwrap_or(*own);
            meter.positions.push(match layer.form {
                Form::Transposed => (other(view.output(layer.node)), *own),
                _ => (other(view.input(layer.node, 0)), *own),
            });
        }
        for node in view.nodes().filter(|n| !layers.contains_key(n)) {
            meter.read(view, facts, node);
        }
        meter.held = memory::buffers(view, facts).map(|all| all.iter().map(|b| held(coupling, b)).collect());
        meter.shares = meter.shares();
        meter
    }

    /// Counts a node that is no layer.
    fn read(&mut self, view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) {
        let outputs = view.outputs(node).iter().flatten().copied().filter(|v| facts.is_data(*v));
        let outputs: Vec<ValueId> = outputs.collect();
        if outputs.is_empty() || storage(view.op(node)) == Storage::View {
            return;
        }
        let macs = cost::macs(view, facts, node).unwrap_or(0) as f64;
        if macs > 0.0 {
            let weights = cost::params(view, facts, node) as f64;
            self.fixed.0 += macs;
            self.fixed.1 += weights;
            let positions = macs / weights.max(1.0);
            let work =
                Work { inputs: 1, outputs: weights as usize, group: 1, taps: 1, positions: (positions, positions) };
            self.rest = self.rest.map(|t| t + latency::conv(&work, &self.rates));
            return;
        }
        let plain =
            is_elementwise(view, node) || matches!(view.op(node), "Add" | "Sum" | "Clip" | "BatchNormalization");
        for value in outputs {
            let channels = self.coupling.tensors.get(&value).filter(|c| !c.is_empty());
            match (channels, plane(facts, value), elements(facts, value)) {
                (Some(channels), Some(entries), _) => {
                    let plane = Plane { channels: channels.clone(), entries };
                    self.passes.push(Pass { plane, plain });
                }
                (_, _, Some(elements)) => {
                    self.rest = self.rest.map(|t| t + latency::pass(2.0 * elements, plain, &self.rates));
                }
                _ => self.rest = None,
            }
        }
    }

    fn shares(&self) -> BTreeMap<Channel, Share> {
        let mut shares: BTreeMap<Channel, Share> = BTreeMap::new();
        let counted = |channels: &[Channel]| {
            let mut own: BTreeMap<Channel, usize> = BTreeMap::new();
            channels.iter().for_each(|c| *own.entry(self.coupling.root(*c)).or_default() += 1);
            own
        };
        for (i, layer) in self.coupling.layers.iter().enumerate() {
            let (inputs, outputs) = (counted(&layer.inputs), counted(&layer.outputs));
            for root in inputs.keys().chain(outputs.keys().filter(|r| !inputs.contains_key(*r))) {
                let of = |own: &BTreeMap<Channel, usize>| own.get(root).copied().unwrap_or(0);
                let lost = Width { inputs: of(&inputs), outputs: of(&outputs), group: 0 };
                shares.entry(*root).or_default().layers.push((i, lost));
            }
        }
        for (i, pass) in self.passes.iter().enumerate() {
            counted(&pass.plane.channels)
                .into_iter()
                .for_each(|(r, n)| shares.entry(r).or_default().passes.push((i, n)));
        }
        for (i, held) in self.held.iter().flatten().enumerate() {
            counted(&held.channels).into_iter().for_each(|(r, n)| shares.entry(r).or_default().held.push((i, n)));
        }
        shares
    }

    /// With all groups that are `alive`.
    pub(super) fn size(&self, alive: &[bool]) -> Size {
        let left = |list: &[Channel]| list.iter().filter(|c| alive[self.coupling.root(**c) as usize]).count();
        let width = |l: &Layer| {
            let group = l.inputs.chunks(l.each().max(1)).filter(|own| left(own) > 0).count();
            Width {
                inputs: left(&l.inputs),
                outputs: left(&l.outputs),
                group: if l.depthwise { l.group } else { group },
            }
        };
        Size {
            layers: self.coupling.layers.iter().map(width).collect(),
            passes: self.passes.iter().map(|p| left(&p.plane.channels)).collect(),
            held: self.held.iter().flatten().map(|h| left(&h.channels)).collect(),
        }
    }

    /// Takes what is `alive` of `unit` out of `size`.
    pub(super) fn remove(&self, size: &mut Size, unit: usize, alive: &[bool]) {
        let share = self.share(unit, alive);
        share.layers.iter().for_each(|(i, lost)| size.layers[*i] = without(size.layers[*i], *lost));
        share.passes.iter().for_each(|(i, n)| size.passes[*i] = size.passes[*i].saturating_sub(*n));
        share.held.iter().for_each(|(i, n)| size.held[*i] = size.held[*i].saturating_sub(*n));
    }

    /// What everything loses with what is `alive` of `unit`.
    fn share(&self, unit: usize, alive: &[bool]) -> Cow<'_, Share> {
        let roots = self.coupling.units[unit].iter().filter(|r| alive[**r as usize]);
        let shares: Vec<&Share> = roots.filter_map(|r| self.shares.get(r)).collect();
        if let ([one], []) = (shares.as_slice(), self.groups[unit].as_slice()) {
            return Cow::Borrowed(one);
        }
        let mut sum = Share::default();
        let add = |list: &mut Vec<(usize, usize)>, (i, n): (usize, usize)| match list.iter_mut().find(|own| own.0 == i)
        {
            Some(own) => own.1 += n,
            None => list.push((i, n)),
        };
        for share in shares {
            for (i, lost) in &share.layers {
                match sum.layers.iter_mut().find(|own| own.0 == *i) {
                    Some((_, own)) => {
                        own.inputs += lost.inputs;
                        own.outputs += lost.outputs;
                    }
                    None => sum.layers.push((*i, *lost)),
                }
            }
            share.passes.iter().for_each(|p| add(&mut sum.passes, *p));
            share.held.iter().for_each(|h| add(&mut sum.held, *h));
        }
        for (i, n) in &self.groups[unit] {
            sum.layers.iter_mut().filter(|own| own.0 == *i).for_each(|(_, own)| own.group = *n);
        }
        Cow::Owned(sum)
    }

    /// What a model of that size takes.
    pub(super) fn taken(&self, size: &Size) -> Taken {
        let layers = || self.coupling.layers.iter().zip(&size.layers).zip(&self.positions);
        let macs: f64 = layers().map(|((l, width), at)| l.macs(*width) * at.1).sum();
        let parameters: f64 = layers().map(|((l, width), _)| l.macs(*width)).sum();
        let time: f64 = layers().map(|((l, width), at)| time(l, *width, *at, &self.rates)).sum();
        let passes: f64 = self.passes.iter().zip(&size.passes).map(|(p, n)| p.time(*n, &self.rates)).sum();
        let memory = self.timeline(size).map(|t| t.into_iter().fold(0.0, f64::max));
        let latency = self.rest.map(|rest| rest + time + passes);
        [Some(macs + self.fixed.0), Some(parameters + self.fixed.1), memory, latency]
    }

    /// Bytes that are alive at each node.
    fn timeline(&self, size: &Size) -> Option<Vec<f64>> {
        let mut change = vec![0.0; self.nodes + 1];
        for (held, left) in self.held.as_ref()?.iter().zip(&size.held) {
            let bytes = if held.channels.is_empty() { held.bytes } else { held.bytes * *left as f64 };
            *change.get_mut(held.first)? += bytes;
            if let Some(end) = held.last.checked_add(1).and_then(|end| change.get_mut(end)) {
                *end -= bytes;
            }
        }
        let mut alive = 0.0;
        let all = change.into_iter().take(self.nodes.max(1)).map(|c| {
            alive += c;
            alive
        });
        Some(all.collect())
    }

    /// What the going of what is `alive` of a unit saves of each measure, at `size`. Memory counts where more than `most` bytes of it are taken, and is the
    /// mean over all these places: no channel is alive at all of them.
    pub(super) fn saving<'s>(
        &'s self,
        size: &'s Size,
        alive: &'s [bool],
        most: Option<f64>,
    ) -> impl Fn(usize) -> [f64; 4] + 's {
        let over = most.and_then(|most| {
            let mut count = 0;
            let above = self.timeline(size)?.into_iter().map(move |bytes| {
                count += usize::from(bytes > most);
                count
            });
            Some(std::iter::once(0).chain(above).collect::<Vec<usize>>())
        });
        move |unit| {
            let mut saved = [0.0; 4];
            let share = self.share(unit, alive);
            for (i, lost) in &share.layers {
                let (layer, width, at) = (&self.coupling.layers[*i], size.layers[*i], self.positions[*i]);
                let left = without(width, *lost);
                let macs = layer.macs(width) - layer.macs(left);
                saved[0] += macs * at.1;
                saved[1] += macs;
                saved[3] += time(layer, width, at, &self.rates) - time(layer, left, at, &self.rates);
            }
            for (i, n) in &share.passes {
                let (pass, now) = (&self.passes[*i], size.passes[*i]);
                saved[3] += pass.time(now, &self.rates) - pass.time(now.saturating_sub(*n), &self.rates);
            }
            let (Some(over), Some(held)) = (&over, &self.held) else { return saved };
            let all = over.last().copied().unwrap_or(0).max(1) as f64;
            for (i, n) in &share.held {
                let own = &held[*i];
                let places = over[own.last.saturating_add(1).min(self.nodes)] - over[own.first.min(self.nodes)];
                saved[2] += own.bytes * *n as f64 * places as f64 / all;
            }
            saved
        }
    }
}

impl Pass {
    fn time(&self, channels: usize, rates: &Rates) -> f64 {
        latency::pass(2.0 * channels as f64 * self.plane.entries, self.plain, rates)
    }
}

/// `width` without what is `lost` of it.
fn without(width: Width, lost: Width) -> Width {
    Width {
        inputs: width.inputs.saturating_sub(lost.inputs),
        outputs: width.outputs.saturating_sub(lost.outputs),
        group: width.group.saturating_sub(lost.group),
    }
}

/// The layers in groups of which `unit` has whole groups, and how many.
fn groups(coupling: &Coupling, unit: &[Channel]) -> Vec<(usize, usize)> {
    if unit.len() == 1 {
        return Vec::new();
    }
    let own = |c: &Channel| unit.binary_search(&coupling.root(*c)).is_ok();
    let whole = |layer: &Layer| layer.inputs.chunks(layer.each().max(1)).filter(|read| read.iter().all(own)).count();
    let layers = coupling.layers.iter().enumerate().filter(|(_, l)| l.group > 1 && !l.depthwise);
    layers.map(|(i, l)| (i, whole(l))).filter(|(_, n)| *n > 0).collect()
}

/// Nanoseconds of a layer that is so wide.
fn time(layer: &Layer, width: Width, positions: (f64, f64), rates: &Rates) -> f64 {
    let (inputs, group) = match layer.depthwise {
        true => {
            let group = width.outputs / (layer.outputs.len() / layer.group.max(1)).max(1);
            (group, group)
        }
        false => (width.inputs, width.group.max(1)),
    };
    latency::conv(&Work { inputs, outputs: width.outputs, group, taps: layer.taps, positions }, rates)
}

fn held(coupling: &Coupling, buffer: &memory::Buffer) -> Held {
    let inner = || coupling.inner.iter().find(|(v, _)| *v == buffer.value).map(|(_, c)| c);
    let channels = coupling.tensors.get(&buffer.value).or_else(inner).cloned().unwrap_or_default();
    let bytes = buffer.bytes as f64 / channels.len().max(1) as f64;
    Held { channels, bytes, first: buffer.first, last: buffer.last }
}

/// Entries of `value`, of one sample.
fn elements(facts: &Facts<'_>, value: ValueId) -> Option<f64> {
    facts.shape(value)?.get(1..)?.iter().try_fold(1.0, |n, d| Some(n * d.known()? as f64))
}

/// Entries of one channel.
fn plane(facts: &Facts<'_>, value: ValueId) -> Option<f64> {
    facts.shape(value)?.get(2..)?.iter().try_fold(1.0, |n, d| Some(n * d.known()? as f64))
}
