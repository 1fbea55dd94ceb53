//! What was chosen for a branch holds for every branch of the same kind: a network repeats its blocks, and its weights decide
//! nothing about layouts.

use std::collections::HashMap;

use crate::algebra::{Carry, Hop, Layout};
use crate::onnx::tensor_proto::DataType;
use crate::options::Options;
use crate::read::{BranchConv, Context, Frame};
use crate::residual::branch::ItemKind;
use crate::residual::check::Proof;
use crate::residual::host::Host;
use crate::residual::operation::Form;

use super::cost::Cost;

/// The chains that were chosen so far, by the kind of branch.
#[derive(Default)]
pub struct Memo(HashMap<Key, Known>);

/// What was chosen: which host, the layouts, the hops, and what it costs.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) host: usize,
    pub(super) layouts: Vec<Layout>,
    pub(super) hops: Vec<Hop>,
    pub(super) cost: Cost,
}

impl Memo {
    pub(super) fn get(&self, key: &Key) -> Option<&Known> {
        self.0.get(key)
    }

    pub(super) fn put(&mut self, key: Key, known: Known) {
        self.0.insert(key, known);
    }
}

/// All that a choice depends on beside the options that hold for the whole model.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Key {
    frame: Frame,
    dtype: Option<DataType>,
    channels: (usize, usize),
    /// Bits of the positions.
    positions: Vec<u64>,
    hosts: Vec<Vec<Stop>>,
    /// What a plan may ask of one join.
    asked: String,
}

#[derive(PartialEq, Eq, Hash)]
enum Stop {
    Operation { form: Option<Form>, activation: bool },
    Conv(Box<ConvKind>),
}

#[derive(PartialEq, Eq, Hash)]
struct ConvKind {
    channels: (usize, usize),
    group: usize,
    is_given: bool,
    kernel: Vec<usize>,
    /// Groups, inputs and outputs of a group of the shortcut that it applies.
    shortcut: Option<(usize, usize, usize)>,
    /// The tap that passes what is carried, and the groups of what follows in a step of its own.
    parted: Option<(Vec<usize>, Option<usize>)>,
    /// Carried channels behind it, and whether they are pairs.
    carried: (usize, bool),
}

impl Key {
    /// The kind of `proof`; `None` where an operator of the branch moves channels, each in its own way.
    pub(super) fn new(cx: Context<'_>, proof: &Proof, positions: &[f64]) -> Option<Self> {
        let stop = |host: &Host, at: usize, kind: &ItemKind| match kind {
            ItemKind::Operation(pass) if !pass.keeps_layout() || pass.segments() > 1 => None,
            ItemKind::Operation(pass) => {
                Some(Stop::Operation { form: host.form(at), activation: pass.is_activation() })
            }
            ItemKind::Conv(conv) => Some(Stop::Conv(Box::new(ConvKind::new(host, at, conv)?))),
        };
        let stops = |host: &Host| {
            let items = proof.branch().items.iter().enumerate();
            items.map(|(at, item)| stop(host, at, &item.kind)).collect::<Option<Vec<_>>>()
        };
        Some(Self {
            frame: cx.frame,
            dtype: cx.facts.float_type([proof.fork, proof.output]),
            channels: proof.channels,
            positions: positions.iter().map(|p| p.to_bits()).collect(),
            hosts: proof.hosts().iter().map(stops).collect::<Option<_>>()?,
            asked: asked(cx.options),
        })
    }
}

impl ConvKind {
    fn new(host: &Host, at: usize, conv: &BranchConv) -> Option<Self> {
        let hosted = host.conv(at)?;
        let carried = host.carried(at)?;
        let shortcut = match &hosted.carry {
            Carry::Dirac(_) => None,
            Carry::Shortcut(k) => Some((k.group, k.group_inputs(), k.group_outputs())),
        };
        let parted = hosted.parted().map(|(tap, behind)| (tap, behind.map(|k| k.group)));
        Some(Self {
            channels: conv.channels,
            group: conv.group,
            is_given: conv.is_given(),
            kernel: hosted.window.kernel.clone(),
            shortcut,
            parted,
            carried: (carried.count, carried.paired),
        })
    }
}

/// What a plan that is replayed says of a single join.
fn asked(options: &Options) -> String {
    format!("{:?} {:?} {:?}", options.carry, options.downsample, options.activation)
}
