//! Shape and type inference, one function a group of operators.

use crate::facts::{Dim, Equation, Facts, Piece, element, is_elementwise};
use crate::graph::{NodeId, ValueId, schemas, typing::Typing};
use crate::onnx::tensor_proto::DataType;
use crate::operators::{self, broadcasts, functions::FUNCTIONS, operator};

use super::rearrange::{
    axes_of, concat, expand, flatten, gather, gather_nd, one_hot, pad, reshape, slice, split, squeeze, tile, transpose,
};
use super::sizes::sizes;
use super::window::{conv, conv_transpose, depth_space, pool, resize};
use super::{Shape, axis_of, broadcast};

impl Dim {
    /// The operators whose output's shape is followed.
    pub fn operators() -> impl Iterator<Item = &'static str> {
        operators()
    }
}

/// What gives the shape of an operator's first output.
type Infer = fn(&Facts<'_>, NodeId) -> Option<Shape>;

/// All others but `Split` and reductions.
const SHAPES: &[(&str, Infer)] = &[
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("MaxPool", pool),
    ("AveragePool", pool),
    ("LpPool", pool),
    ("GlobalAveragePool", global_pool),
    ("GlobalMaxPool", global_pool),
    ("GlobalLpPool", global_pool),
    ("Constant", constant_shape),
    ("Shape", |facts, node| Some(vec![Dim::Known(sizes(facts, node)?.len() as i64)])),
    ("Size", |_, _| Some(Vec::new())),
    ("Concat", concat),
    ("SequenceAt", |facts, node| Piece::new(facts.view(), facts, node)?.shape(facts)),
    ("Slice", slice),
    ("Pad", pad),
    ("Reshape", reshape),
    ("Flatten", flatten),
    ("Transpose", transpose),
    ("Squeeze", squeeze),
    ("Unsqueeze", squeeze),
    ("Gather", gather),
    ("GatherElements", |facts, node| Some(facts.shape(facts.view().input(node, 1)?)?.to_vec())),
    ("GatherND", gather_nd),
    ("OneHot", one_hot),
    ("Expand", expand),
    ("Tile", tile),
    ("Einsum", einsum),
    ("ConstantOfShape", |facts, node| facts.sizes(facts.view().input(node, 0)?)),
    ("Range", range),
    ("MatMul", matmul),
    ("Gemm", gemm),
    ("DepthToSpace", depth_space),
    ("SpaceToDepth", depth_space),
    ("Resize", resize),
    ("Upsample", resize),
];

/// Reductions over axes, to their place or to a value.
const REDUCTIONS: &[&str] = &[
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ArgMax",
    "ArgMin",
];

/// The operators whose output's shape is followed.
fn operators() -> impl Iterator<Item = &'static str> {
    let rows = operators::operators().filter(|o| o.shape != operators::Shape::Own).map(|o| o.name);
    let listed = [REDUCTIONS, &["Split"]].into_iter().flatten().copied();
    let functions = FUNCTIONS.iter().map(|f| f.name);
    rows.chain(functions).chain(listed).chain(SHAPES.iter().map(|(name, _)| *name))
}

/// True for an operator whose first output has the shape of its first input.
fn keeps_shape(op: &str) -> bool {
    operator(op).is_some_and(|o| matches!(o.shape, operators::Shape::Entries | operators::Shape::Same))
}

/// The shapes of the outputs of `node`, as far as they are known.
pub(in crate::facts) fn infer(facts: &Facts<'_>, node: NodeId) -> Vec<Option<Shape>> {
    let view = facts.view();
    let same = || facts.shape(view.input(node, 0)?).map(<[Dim]>::to_vec);
    match view.op(node) {
        "Split" => split(facts, node),
        "Dropout" => vec![same(), same()],
        op if is_elementwise(view, node) || keeps_shape(op) => vec![same()],
        op if broadcasts(op) => vec![broadcast_all(facts, node)],
        op if REDUCTIONS.contains(&op) => vec![reduce(facts, node)],
        op => SHAPES.iter().filter(|(name, _)| *name == op).map(|(_, infer)| infer(facts, node)).collect(),
    }
}

fn global_pool(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let shape = facts.shape(facts.view().input(node, 0)?)?;
    Some(shape.iter().enumerate().map(|(i, d)| if i < 2 { d.clone() } else { Dim::Known(1) }).collect())
}

/// The element type of one output.
pub(in crate::facts) fn dtype(facts: &Facts<'_>, node: NodeId, slot: usize) -> Option<DataType> {
    let view = facts.view();
    let input = |slot: usize| facts.dtype(view.input(node, slot)?);
    match view.op(node) {
        "SequenceAt" => facts.dtype(Piece::new(view, facts, node)?.input),
        "If" | "Loop" | "Scan" => None,
        _ if is_elementwise(view, node) => input(0),
        op => {
            // What is newer than the model's operator set is taken as it was first, and types that came later are taken too.
            let schema = schemas::find(op, view.opset()).or_else(|| schemas::versions(op).first())?;
            let attribute = |name: &str| view.attr(node, name);
            let node = view.node(node);
            let typing = Typing { schema, node, opset: view.opset(), input: &input, attribute: &attribute };
            typing.output(slot, &typing.bound(false))
        }
    }
}

fn broadcast_all(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    // Before opset 7 an attribute said where the second input stands.
    if view.attr(node, "axis").is_some() {
        return facts.shape(view.input(node, 0)?).map(<[Dim]>::to_vec);
    }
    let mut shape: Shape = Vec::new();
    for value in view.inputs(node).iter().flatten() {
        let other = facts.shape(*value)?;
        let rank = shape.len().max(other.len());
        let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or(Dim::Known(1), |i| s[i].clone());
        shape = (0..rank).map(|i| broadcast(&at(&shape, i), &at(other, i))).collect();
    }
    Some(shape)
}

fn constant_shape(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    if let Some(t) = view.attr(node, "value").and_then(|a| a.t.as_ref()) {
        return Some(t.dims.iter().map(|d| Dim::Known(*d)).collect());
    }
    let attribute = view.node(node).attribute.first()?;
    match attribute.name() {
        "value_float" | "value_int" => Some(Vec::new()),
        "value_floats" => Some(vec![Dim::Known(attribute.floats.len() as i64)]),
        "value_ints" => Some(vec![Dim::Known(attribute.ints.len() as i64)]),
        _ => None,
    }
}

/// Of integers that are known: of floats, rounding decides how many there are.
fn range(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let scalar = |slot: usize| {
        let [only] = facts.sizes(view.input(node, slot)?)?.try_into().ok()?;
        only.known().filter(|n| (*n as f64).abs() < element::EXACT)
    };
    let (start, limit, step) = (scalar(0)?, scalar(1)?, scalar(2)?);
    let span = if step > 0 { limit.checked_sub(start)? } else { start.checked_sub(limit)? };
    let steps = i64::try_from(step.unsigned_abs()).ok().filter(|s| *s > 0)?;
    Some(vec![Dim::Known(span.max(0).checked_add(steps - 1)?.div_euclid(steps))])
}

fn matmul(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let (a, b) = (facts.shape(view.input(node, 0)?)?, facts.shape(view.input(node, 1)?)?);
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let rank = a.len().max(b.len());
    let at = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or(Dim::Known(1), |i| s[i].clone());
    let mut shape: Shape = (0..rank - 2).map(|i| broadcast(&at(a, i), &at(b, i))).collect();
    shape.push(a[a.len() - 2].clone());
    shape.push(b[b.len() - 1].clone());
    Some(shape)
}

/// Each axis of the output is what its letter stands for, where all inputs say the same of it.
fn einsum(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let equation = Equation::new(view.attr_s(node, "equation")?)?;
    let shapes: Vec<&[Dim]> = view.inputs(node).iter().map(|v| facts.shape((*v)?)).collect::<Option<_>>()?;
    let fits =
        equation.inputs.len() == shapes.len() && equation.inputs.iter().zip(&shapes).all(|(t, s)| t.len() == s.len());
    let all = || equation.inputs.iter().flatten().zip(shapes.iter().copied().flatten());
    let size = |letter: &u8| {
        let mut own = all().filter(|(l, _)| *l == letter).map(|(_, size)| size);
        let first = own.next()?.clone();
        // A size of one may be repeated.
        Some(own.fold(first, |so_far, size| if *size == so_far { so_far } else { Dim::Unknown }))
    };
    equation.output.iter().map(size).collect::<Option<_>>().filter(|_| fits)
}

fn gemm(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let side = |value: ValueId, flag: &str, index: usize| {
        let shape = facts.shape(value)?;
        let index = if view.attr_i(node, flag).unwrap_or(0) == 0 { index } else { 1 - index };
        (shape.len() == 2).then(|| shape[index].clone())
    };
    Some(vec![side(view.input(node, 0)?, "transA", 0)?, side(view.input(node, 1)?, "transB", 1)?])
}

fn reduce(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let keep = view.attr_i(node, "keepdims").unwrap_or(1) != 0;
    let arg = matches!(view.op(node), "ArgMax" | "ArgMin");
    let axes: Vec<usize> = if arg {
        vec![axis_of(view.attr_i(node, "axis").unwrap_or(0), input.len())?]
    } else {
        match axes_of(facts, node) {
            Some(axes) if !axes.is_empty() => axes.iter().map(|a| axis_of(*a, input.len())).collect::<Option<_>>()?,
            // Axes that are given but unknown.
            None if view.input(node, 1).is_some() => return None,
            _ if view.attr_i(node, "noop_with_empty_axes").unwrap_or(0) != 0 => Vec::new(),
            _ => (0..input.len()).collect(),
        }
    };
    Some(
        input
            .iter()
            .enumerate()
            .filter_map(|(i, d)| match (axes.contains(&i), keep) {
                (false, _) => Some(d.clone()),
                (true, true) => Some(Dim::Known(1)),
                (true, false) => None,
            })
            .collect(),
    )
}
