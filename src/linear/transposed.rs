//! A per-channel `scale * x + shift` beside a `ConvTranspose`.
//!
//! Behind it: both scale the weights of one output channel and shift its bias; exact everywhere, for nothing stands between.
//!
//! Before it: the scale of an input channel scales its weights, exactly. The shift adds, to every entry of the output, the
//! weights of the taps that reach it times the shift. A constant bias can stand for that only where *every* tap reaches
//! *every* entry: stride 1, and pads that crop as much as the window reaches over the image (ONNX `ConvTranspose`,
//! opsets 1 to 22: entry `o` of the output gets tap `t` of entry `i` of the input where `o = i * stride + t * dilation - pad_begin`).

use ndarray::{ArrayD, IxDyn};

use crate::algebra::scale;
use crate::emit::Emit;
use crate::facts::tensor;
use crate::graph::{EditList, Names, NodeId, ValueId};
use crate::onnx::tensor_proto::DataType;
use crate::read::{Context, Reject, RejectCode, affine};

use super::op;

/// A `ConvTranspose` and an affine operator beside it.
pub struct Scaled {
    /// The `ConvTranspose`.
    pub map: NodeId,
    /// The affine operator.
    pub affine: NodeId,
    /// True when it stands before the `ConvTranspose`.
    pub before: bool,
    input: ValueId,
    output: ValueId,
    scale: Vec<f64>,
    shift: Vec<f64>,
    dtype: DataType,
}

/// The affine operator that can fold into the node `map`: behind it, else before it.
///
/// # Errors
/// Why it cannot, when there is one.
#[must_use]
pub fn find(cx: Context<'_>, map: NodeId) -> Option<Result<Scaled, Reject>> {
    if cx.view.op(map) != "ConvTranspose" {
        return None;
    }
    match behind(cx, map) {
        Some(Ok(found)) => Some(Ok(found)),
        refused => before(cx, map).or(refused),
    }
}

fn behind(cx: Context<'_>, map: NodeId) -> Option<Result<Scaled, Reject>> {
    let (input, middle) = (cx.view.input(map, 0)?, cx.view.output(map)?);
    let (node, scale, shift) = cx.view.uses(middle).iter().find_map(|u| {
        let (read, scale, shift) = affine::affine(cx, u.node)?;
        (read == middle).then_some((u.node, scale, shift))
    })?;
    let output = cx.view.output(node)?;
    Some(check(cx, map, middle).map(|dtype| Scaled {
        map,
        affine: node,
        before: false,
        input,
        output,
        scale,
        shift,
        dtype,
    }))
}

fn before(cx: Context<'_>, map: NodeId) -> Option<Result<Scaled, Reject>> {
    let (middle, output) = (cx.view.input(map, 0)?, cx.view.output(map)?);
    let node = cx.view.def(middle)?;
    let (input, scale, shift) = affine::affine(cx, node)?;
    if op::ends_activation(cx, node, input) {
        return None;
    }
    let proved = check(cx, map, middle).and_then(|dtype| {
        let shifts = shift.iter().any(|t| *t != 0.0);
        if shifts { every_tap_reaches(cx, map).map(|()| dtype) } else { Ok(dtype) }
    });
    Some(proved.map(|dtype| Scaled { map, affine: node, before: true, input, output, scale, shift, dtype }))
}

/// What either side needs: nothing else reads the tensor between, and the weights are constants. Gives the element type.
fn check(cx: Context<'_>, map: NodeId, middle: ValueId) -> Result<DataType, Reject> {
    let refuse = |code, reason: &str| Err(Reject::tensor(cx.view, middle, code, reason));
    if !cx.view.is_private(middle) {
        return refuse(RejectCode::ReadElsewhere, "it is an output of the graph, or something else reads it");
    }
    let constant = |slot: usize| cx.view.input(map, slot).is_none_or(|v| cx.facts.constant_shape(v).is_some());
    if !constant(1) || !constant(2) {
        return refuse(RejectCode::WeightNotConstant, "its weight is not a constant");
    }
    let float = |t: &DataType| matches!(t, DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double);
    match cx.facts.dtype(middle).filter(float) {
        Some(dtype) => Ok(dtype),
        None => refuse(RejectCode::SizeUnknown, "its element type is unknown, or no float type"),
    }
}

/// Proves that every tap of `map` reaches every entry of its output.
fn every_tap_reaches(cx: Context<'_>, map: NodeId) -> Result<(), Reject> {
    let view = cx.view;
    let refuse = |reason: String| Err(Reject::at(view, map, RejectCode::Border, reason));
    let shape = view.input(map, 1).and_then(|v| cx.facts.constant_shape(v)).unwrap_or_default();
    let auto = view.attr_s(map, "auto_pad").is_some_and(|a| a != b"NOTSET");
    if shape.len() < 3 || auto || view.attr(map, "output_shape").is_some() {
        return refuse(
            "the shift before it would become a bias, but its pads depend on the size of the image".to_owned(),
        );
    }
    let axes = shape.len() - 2;
    let entry = |name: &str, i: usize, default: i64| match view.attr_ints(map, name) {
        Some(list) => list.get(i).copied(),
        None => Some(default),
    };
    for (axis, taps) in shape.iter().skip(2).enumerate() {
        let reach = entry("dilations", axis, 1).and_then(|d| d.checked_mul(i64::try_from(taps.checked_sub(1)?).ok()?));
        let side = |i: usize| entry("pads", i, 0).zip(reach).is_some_and(|(pad, reach)| pad >= reach);
        if entry("strides", axis, 1) != Some(1) {
            return refuse(format!(
                "the shift before it is no constant behind it: along spatial axis {axis} its stride lets different taps \
                 reach neighbouring entries"
            ));
        }
        let place = match (side(axis), side(axes + axis) && entry("output_padding", axis, 0) == Some(0)) {
            (true, true) => continue,
            (false, _) => "in front of",
            (true, false) => "behind",
        };
        return refuse(format!(
            "the shift before it is no constant behind it: {place} spatial axis {axis} fewer taps reach the border than \
             the middle"
        ));
    }
    Ok(())
}

impl Scaled {
    /// The edit. `None` when the weights do not have one value a channel, or become too large.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, names: &mut Names) -> Option<EditList> {
        let (weight, bias) = self.folded(cx)?;
        if !tensor::fits(self.dtype, weight.iter().chain(&bias)) {
            return None;
        }
        let (view, node) = (cx.view, cx.view.node(self.map));
        let mut emit = Emit::new(names, self.dtype, 0, format!("sequence: {}", view.node(self.affine).name()));
        emit.edits.remove = vec![self.map, self.affine];
        let name = view.input(self.map, 1).map(|v| view.name(v))?;
        let weight = emit.constant(name, &weight);
        let bias = ArrayD::from_shape_vec(IxDyn(&[bias.len()]), bias).ok()?;
        let bias = emit.constant(&format!("{name}_bias"), &bias);
        emit.copy(node, &[view.name(self.input), &weight, &bias], view.name(self.output));
        Some(emit.edits)
    }

    /// Weight and bias.
    fn folded(&self, cx: Context<'_>) -> Option<(ArrayD<f64>, Vec<f64>)> {
        let group = usize::try_from(cx.view.attr_i(self.map, "group").unwrap_or(1)).ok()?;
        let weight = &cx.facts.constant(cx.view.input(self.map, 1)?)?.data;
        let outputs = weight.shape().get(1)?.checked_mul(group)?;
        let bias = match cx.view.input(self.map, 2) {
            Some(b) => cx.facts.constant(b)?.data.iter().copied().collect(),
            None => vec![0.0; outputs],
        };
        let add = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect();
        let (weight, bias): (_, Vec<f64>) = if self.before {
            let seen = scale::seen_by_all_taps(weight, group, &self.shift)?;
            (scale::along(weight, 0, &self.scale)?, add(&bias, &seen))
        } else {
            let scaled: Vec<f64> = bias.iter().zip(&self.scale).map(|(b, s)| b * s).collect();
            (scale::transposed(weight, group, &self.scale)?, add(&scaled, &self.shift))
        };
        (bias.len() == outputs).then_some((weight, bias))
    }
}
