//! Which channels must go together.
//!
//! Every tensor with channels on axis 1 gets a list that says which *channel* each of its entries is. An operator that keeps
//! channels apart hands its input's list on; one that adds two tensors unites their lists entry by entry; a convolution or linear
//! layer starts a new list. What is united is one *group*: it goes as a whole, from every tensor, constant and layer that has it.
//! What something unknown reads or writes, and what the model gives out, is pinned: it stays.
//!
//! Some groups go only with others: a *unit* is what can go. The groups of a grouped convolution must stay equally large, so one of its
//! channels goes with those at the same place of all its groups, or with all that its own group reads and gives. And of a channel that was copied the
//! copies go too, while a copy may go alone.

mod apart;
mod grid;
mod layers;
mod moves;
mod shapes;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::algebra::Geometry;
use crate::graph::{NodeId, ValueId};
use crate::read::Context;

pub(super) use grid::Channel;
use grid::{Grids, Partition};

/// A constant that loses entries with its channels.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub node: NodeId,
    /// Which input of the node the constant is.
    pub slot: usize,
    pub axis: usize,
    /// The channel of each entry along `axis`; where an entry is for several channels, one list of all entries after the other.
    pub channels: Vec<Channel>,
    /// Entries along `axis`.
    pub entries: usize,
}

impl Cut {
    /// The entries of which a channel is left.
    pub(super) fn kept(&self, lives: &dyn Fn(&Channel) -> bool) -> Vec<usize> {
        let left = |entry: &usize| self.channels.iter().skip(*entry).step_by(self.entries.max(1)).any(lives);
        (0..self.entries).filter(left).collect()
    }
}

/// What else in a node says how many channels there are.
#[derive(Clone, Debug)]
pub(super) enum Count {
    /// Attribute `group` of a convolution that reads these channels, so many a group.
    Groups { read: Vec<Channel>, each: usize },
    /// Sizes of the outputs of a `Split`.
    Pieces(Vec<Vec<Channel>>),
    /// The node takes some channels of its input: which they were, which it takes by their place, and what these are called then.
    Taken { of: Vec<Channel>, places: Vec<usize>, given: Vec<Channel> },
    /// Channels that a `Pad` adds in front and behind.
    Padding { front: Vec<Channel>, back: Vec<Channel> },
    /// One entry of the target of a `Reshape`, at input 1.
    Target { entry: usize, channels: Vec<Channel> },
}

/// What a layer does to the channels that it reads.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A convolution.
    Conv(Geometry),
    /// A matrix on `[images, features]`; the axis of its weight along which features are read.
    Linear { input_axis: usize },
    /// A transposed convolution. Its weights are not fitted anew.
    Transposed,
}

/// A node with weights.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub node: NodeId,
    pub form: Form,
    /// What it reads, group by group; nothing where it is depthwise.
    pub inputs: Vec<Channel>,
    pub outputs: Vec<Channel>,
    pub group: usize,
    /// Entries of the window.
    pub taps: usize,
    /// Each output reads one channel.
    pub depthwise: bool,
    /// A bias can be changed, or added.
    pub has_bias: bool,
    /// Its weights may be replaced: they are what the node multiplies by.
    pub refits: bool,
}

impl Layer {
    /// The axis of its weight along which channels are read.
    pub(super) fn input_axis(&self) -> usize {
        match self.form {
            Form::Conv(_) => 1,
            Form::Linear { input_axis } => input_axis,
            Form::Transposed => 0,
        }
    }

    /// Channels that one group reads.
    pub(super) fn each(&self) -> usize {
        self.inputs.len() / self.group.max(1)
    }

    /// Multiply-accumulates a position, for so many channels in and out.
    pub(super) fn macs(&self, width: Width) -> f64 {
        let inputs = if self.depthwise { 1 } else { width.inputs / width.group.max(1) };
        inputs as f64 * width.outputs as f64 * self.taps as f64
    }
}

/// How wide a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Width {
    /// Channels that it reads, none where it is depthwise.
    pub inputs: usize,
    pub outputs: usize,
    pub group: usize,
}

/// The groups of channels of a model, and all that must change with them.
pub(super) struct Coupling {
    root: Vec<Channel>,
    pinned: Vec<bool>,
    rough: Vec<bool>,
    pub(super) tensors: BTreeMap<ValueId, Vec<Channel>>,
    /// Tensors whose channels stand on two axes, inside of a channel shuffle.
    pub(super) inner: Vec<(ValueId, Vec<Channel>)>,
    pub(super) cuts: Vec<Cut>,
    pub(super) counts: BTreeMap<NodeId, Count>,
    pub(super) layers: Vec<Layer>,
    /// Lists of which one entry at least must stay, as roots.
    pub(super) lists: Vec<Vec<Channel>>,
    /// What can go, each as a sorted list of roots. A root may be in two, and goes with the first of them.
    pub(super) units: Vec<Vec<Channel>>,
    /// Operators that pinned what they read, and how often.
    pub(super) pinned_by: BTreeMap<String, usize>,
}

impl Coupling {
    /// Reads a whole graph.
    pub(super) fn new(cx: Context<'_>) -> Self {
        let mut builder = Builder { cx, ..Builder::empty(cx) };
        let view = cx.view;
        for value in view.values().filter(|v| view.def(*v).is_none() && cx.facts.is_data(*v)) {
            builder.unknown(value);
        }
        for node in view.nodes() {
            builder.read(node);
        }
        let fixed: Vec<ValueId> = builder.tensors.keys().copied().collect();
        for value in fixed.into_iter().filter(|v| view.is_output(*v) || view.is_captured(*v)) {
            builder.pin(value);
        }
        builder.finish()
    }

    /// The group of a channel.
    pub(super) fn root(&self, channel: Channel) -> Channel {
        self.root[channel as usize]
    }

    /// Number of channels; roots are below.
    pub(super) fn len(&self) -> usize {
        self.root.len()
    }

    /// True when the group must stay.
    pub(super) fn is_pinned(&self, root: Channel) -> bool {
        self.pinned[root as usize]
    }

    /// True when this group goes without any other.
    pub(super) fn goes_alone(&self, root: Channel) -> bool {
        self.units.binary_search_by(|unit| unit.as_slice().cmp(&[root])).is_ok()
    }

    /// True when an operator between producer and reader gives something else for `k x` than `k` times what it gives for `x`.
    pub(super) fn is_rough(&self, root: Channel) -> bool {
        self.rough[root as usize]
    }

    /// The groups of a list, each once, in order.
    pub(super) fn roots(&self, channels: &[Channel]) -> BTreeSet<Channel> {
        channels.iter().map(|c| self.root(*c)).collect()
    }
}

/// Collects what [`Coupling`] holds.
struct Builder<'a> {
    cx: Context<'a>,
    united: Partition,
    grids: Grids,
    pinned: Vec<Channel>,
    rough: Vec<Channel>,
    tensors: BTreeMap<ValueId, Vec<Channel>>,
    inner: Vec<(ValueId, Vec<Channel>)>,
    cuts: Vec<Cut>,
    counts: BTreeMap<NodeId, Count>,
    layers: Vec<Layer>,
    pinned_by: BTreeMap<String, usize>,
    /// Nodes that were read together with one before them.
    done: BTreeSet<NodeId>,
}

impl<'a> Builder<'a> {
    fn empty(cx: Context<'a>) -> Self {
        Self {
            cx,
            united: Partition::default(),
            grids: Grids::default(),
            pinned: Vec::new(),
            rough: Vec::new(),
            tensors: BTreeMap::new(),
            inner: Vec::new(),
            cuts: Vec::new(),
            counts: BTreeMap::new(),
            layers: Vec::new(),
            pinned_by: BTreeMap::new(),
            done: BTreeSet::new(),
        }
    }

    fn read(&mut self, node: NodeId) {
        let view = self.cx.view;
        let reads_data = view.inputs(node).iter().flatten().any(|v| self.cx.facts.is_data(*v));
        if self.done.contains(&node) || view.op(node) == "Shape" && self.sizes_only(node) {
            return;
        }
        let read = match view.op(node) {
            "Conv" => self.conv(node),
            "ConvTranspose" => self.transposed(node),
            "Gemm" | "MatMul" => self.linear(node),
            "Concat" => self.concat(node),
            "Split" => self.split(node),
            "Slice" | "Gather" => self.taken(node),
            "Pad" => self.pad(node),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            _ => self.apart(node),
        };
        if read.is_none() && (reads_data || view.inputs(node).iter().flatten().any(|v| self.tensors.contains_key(v))) {
            self.opaque(node);
        }
    }

    /// Pins what `node` reads and writes.
    fn opaque(&mut self, node: NodeId) {
        let view = self.cx.view;
        let mut any = false;
        for value in view.inputs(node).iter().flatten() {
            any |= self.pin(*value);
        }
        if any {
            *self.pinned_by.entry(view.op(node).to_owned()).or_default() += 1;
        }
        for value in view.outputs(node).iter().flatten() {
            self.unknown(*value);
        }
    }

    /// Gives a tensor of which nothing is known pinned channels of its own.
    fn unknown(&mut self, value: ValueId) {
        if let Some(n) = self.cx.channels(value).filter(|_| self.cx.facts.is_data(value)) {
            let channels = self.fresh(n);
            self.pinned.extend(&channels);
            self.tensors.insert(value, channels);
        }
    }

    /// True when it had channels that were not pinned already by the tensor being given out.
    fn pin(&mut self, value: ValueId) -> bool {
        let channels = self.tensors.get(&value).cloned().unwrap_or_default();
        self.pinned.extend(&channels);
        !channels.is_empty()
    }

    fn fresh(&mut self, n: usize) -> Vec<Channel> {
        self.united.fresh(n)
    }

    /// The channels of a tensor of data.
    fn of(&self, value: ValueId) -> Option<Vec<Channel>> {
        self.tensors.get(&value).cloned()
    }

    /// The channels of input `slot` of `node`.
    fn input(&self, node: NodeId, slot: usize) -> Option<Vec<Channel>> {
        self.of(self.cx.view.input(node, slot)?)
    }

    /// Says what the first output of `node` holds, when that is as many channels as it is known to have.
    fn give(&mut self, node: NodeId, channels: Vec<Channel>) -> Option<()> {
        let output = self.cx.view.output(node)?;
        let alone = self.cx.view.outputs(node).iter().flatten().count() == 1;
        if !alone || self.cx.channels(output).is_some_and(|n| n != channels.len()) {
            return None;
        }
        self.tensors.insert(output, channels);
        Some(())
    }

    fn cut(&mut self, node: NodeId, slot: usize, axis: usize, channels: &[Channel]) {
        self.cuts.push(Cut { node, slot, axis, channels: channels.to_vec(), entries: channels.len() });
    }

    fn unite(&mut self, a: Channel, b: Channel) {
        self.united.unite(a, b);
    }

    fn finish(self) -> Coupling {
        let root = self.united.roots();
        let units = self.grids.units(&self.united);
        let marked = |list: &[Channel]| {
            let mut marks = vec![false; root.len()];
            list.iter().for_each(|c| marks[root[*c as usize] as usize] = true);
            marks
        };
        let (pinned, rough) = (marked(&self.pinned), marked(&self.rough));
        let lists = self.tensors.values().chain(self.layers.iter().map(|l| &l.inputs));
        let distinct: HashMap<Vec<Channel>, ()> = lists
            .map(|list| {
                let mut roots: Vec<Channel> = list.iter().map(|c| root[*c as usize]).collect();
                roots.sort_unstable();
                roots.dedup();
                (roots, ())
            })
            .collect();
        let mut lists: Vec<Vec<Channel>> = distinct.into_keys().collect();
        lists.sort_unstable();
        Coupling {
            root,
            pinned,
            rough,
            tensors: self.tensors,
            inner: self.inner,
            cuts: self.cuts,
            counts: self.counts,
            layers: self.layers,
            lists,
            units,
            pinned_by: self.pinned_by,
        }
    }
}
