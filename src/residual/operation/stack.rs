//! Maps stacked on an axis of their own, `[N, maps, C, ...]`, weighted, and summed over it: the softmax over branches
//! of selective-kernel and split-attention networks. The carried channels ride in one of the maps and the others hold
//! zeros there, so that a gate extended with ones lets exactly one copy through the sum.

use crate::algebra::{Layout, Slot};
use crate::emit::{Emit, int};
use crate::facts::Dim;
use crate::graph::{NodeId, ValueId};
use crate::read::{Context, Reject, RejectCode, data_inputs};

use super::{Arrival, Form, Found, Operation, Reading, Step, found};

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    if !cx.is_channels_first() {
        return None;
    }
    match cx.view.op(node) {
        "Unsqueeze" if only_axis(cx, node)? == 1 => found(Reading::one(cx, node, 0, pass(Lift { node, by: 1 }))),
        "ReduceSum" if only_axis(cx, node)? == 1 && cx.view.attr_i(node, "keepdims") == Some(0) => {
            found(Reading::one(cx, node, 0, pass(Lift { node, by: -1 })))
        }
        "Concat" => stacked(cx, node),
        "Reshape" => parted(cx, node),
        _ => None,
    }
}

fn pass(pass: impl Operation + 'static) -> Step {
    Step::Operation(Box::new(pass))
}

/// The single axis that an `Unsqueeze` or a `ReduceSum` names, counted from the front.
fn only_axis(cx: Context<'_>, node: NodeId) -> Option<i64> {
    let axes: Vec<i64> = match (cx.view.attr_ints(node, "axes"), cx.view.input(node, 1)) {
        (Some(axes), _) => axes.to_vec(),
        (None, Some(v)) => cx.facts.constant(v)?.data.iter().map(|a| *a as i64).collect(),
        (None, None) => return None,
    };
    let rank = cx.facts.rank(cx.view.input(node, 0)?)? as i64;
    let rank = if cx.view.op(node) == "Unsqueeze" { rank + 1 } else { rank };
    match axes.as_slice() {
        [axis] => Some(if *axis < 0 { axis + rank } else { *axis }),
        _ => None,
    }
}

/// `Unsqueeze` in front of the channels, and the `ReduceSum` that undoes it.
struct Lift {
    node: NodeId,
    by: isize,
}

impl Operation for Lift {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        let sums = self.by < 0;
        if sums == (arrival.axis == 2) && (sums || arrival.axis == 1) {
            return Ok(Form::Moved);
        }
        let reason = "it acts on the axis of the channels, so carried channels would be summed up";
        Err(Reject::at(cx.view, self.node, RejectCode::CannotPass, reason))
    }

    fn axis(&self, axis: usize) -> usize {
        axis.saturating_add_signed(self.by)
    }

    fn moves_only(&self) -> bool {
        self.by > 0
    }

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, _: Form, input: &str, _: &[Slot], output: &str) -> Option<()> {
        emit.reread(cx.view.node(self.node), 0, input, output)
    }
}

/// `Concat` of maps along their own axis.
struct Stacked {
    node: NodeId,
    slot: usize,
}

fn stacked(cx: Context<'_>, node: NodeId) -> Found {
    let axis = cx.view.attr_i(node, "axis")?;
    let inputs = cx.view.inputs(node);
    let rank = cx.facts.rank((*inputs.first()?)?)?;
    // [N, 1, C, ...]: with one spatial axis or more behind the channels.
    if rank < 4 || axis != 1 && axis + rank as i64 != 1 {
        return None;
    }
    let lifted = |v: &Option<ValueId>| v.and_then(|v| cx.view.def(v)).is_some_and(|n| cx.view.op(n) == "Unsqueeze");
    if !inputs.iter().all(lifted) {
        return None;
    }
    let readings = data_inputs(cx, node).into_iter().filter_map(|input| {
        let slot = inputs.iter().position(|v| *v == Some(input))?;
        Reading::one(cx, node, slot, pass(Stacked { node, slot }))
    });
    Some(Ok(readings.collect()))
}

impl Operation for Stacked {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        if arrival.axis == 2 && cx.view.opset() >= 2 {
            return Ok(Form::Moved);
        }
        let reason = "maps that are stacked need the carried channels behind the axis of the maps, and opset 2";
        Err(Reject::at(cx.view, self.node, RejectCode::CannotPass, reason))
    }

    fn emit(
        &self,
        cx: Context<'_>,
        emit: &mut Emit<'_>,
        _: Form,
        input: &str,
        lin: &[Slot],
        output: &str,
    ) -> Option<()> {
        let node = cx.view.node(self.node);
        let spread: Vec<String> = node
            .input
            .iter()
            .enumerate()
            .map(|(slot, name)| {
                if slot == self.slot {
                    input.to_owned()
                } else {
                    emit.spread(&format!("{}_map", node.name()), name, lin, 0.0)
                }
            })
            .collect();
        let inputs: Vec<&str> = spread.iter().map(String::as_str).collect();
        emit.copy(node, &inputs, output);
        Some(())
    }
}

/// `Reshape` of `[N, maps * C, ...]` to `[N, maps, C, ...]`.
struct Parted {
    node: NodeId,
    maps: usize,
    channels: usize,
    /// The spatial sizes, when all are known.
    sizes: Option<Vec<i64>>,
}

fn parted(cx: Context<'_>, node: NodeId) -> Found {
    let (from, to) = (cx.facts.shape(cx.view.input(node, 0)?)?, cx.facts.shape(cx.view.output(node)?)?);
    let count = |d: &Dim| d.known().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let [first, all, spatial @ ..] = from else { return None };
    let [batch, maps, channels, behind @ ..] = to else { return None };
    let (maps, channels) = (count(maps)?, count(channels)?);
    let same = |a: &Dim, b: &Dim| a == b && *a != Dim::Unknown;
    let fits = spatial.len() == behind.len() && spatial.iter().zip(behind).all(|(a, b)| same(a, b));
    if !fits || !same(first, batch) || count(all)? != maps * channels || spatial.is_empty() || maps < 2 {
        return None;
    }
    let sizes = spatial.iter().map(Dim::known).collect();
    found(Reading::one(cx, node, 0, pass(Parted { node, maps, channels, sizes })))
}

impl Operation for Parted {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        if arrival.axis == 1 && self.sizes.is_some() {
            return Ok(Form::Moved);
        }
        let reason = "the Reshape parts the channels, and its spatial sizes are not known";
        Err(Reject::at(cx.view, self.node, RejectCode::SizeUnknown, reason).hint("export with a fixed input size"))
    }

    fn segments(&self) -> usize {
        self.maps
    }

    fn axis(&self, axis: usize) -> usize {
        axis + 1
    }

    fn keeps_layout(&self) -> bool {
        false
    }

    fn layout(&self, lin: &[Slot]) -> Option<Layout> {
        if !lin.len().is_multiple_of(self.maps) {
            return None;
        }
        let mut segments = lin.chunks(lin.len() / self.maps).enumerate();
        let (_, first) = segments.next()?;
        let alike = |(map, segment): (usize, &[Slot])| {
            let shift = (map * self.channels) as u32;
            segment.iter().zip(first).all(|(a, b)| a.carried.is_none() && a.body == b.body.map(|c| c + shift))
        };
        let own = first.iter().filter_map(|s| s.body).all(|c| (c as usize) < self.channels);
        (own && segments.all(alike)).then(|| first.to_vec())
    }

    fn emit(
        &self,
        cx: Context<'_>,
        emit: &mut Emit<'_>,
        _: Form,
        input: &str,
        lin: &[Slot],
        output: &str,
    ) -> Option<()> {
        let name = cx.view.node(self.node).name().to_owned();
        // A 0 copies the size of the batch.
        let mut shape = vec![0, self.maps as i64, (lin.len() / self.maps) as i64];
        shape.extend(self.sizes.iter().flatten());
        let shape = emit.int64s(&format!("{name}_shape"), &shape);
        let attributes = if cx.view.opset() >= 14 { vec![int("allowzero", 0)] } else { Vec::new() };
        emit.node("Reshape", &name, &[input, &shape], output, attributes);
        Some(())
    }
}
