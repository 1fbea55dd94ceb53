//! Operators that are defined by others: what ONNX Runtime's optimiser fuses, and arithmetic on quantised tensors.
//!
//! Their definitions are those of ONNX Runtime's `docs/ContribOperators.md` and of the ONNX specification. The blocked layouts of
//! `com.microsoft.nchwc` are not among them: the file does not say how large their blocks are.

use crate::onnx::{AttributeProto, NodeProto};

use super::body::{Body, float, int, ints, text};

/// Writes a node out; `None` when the node asks for something that has no definition here.
pub(crate) type Definition = fn(&NodeProto, &mut Body<'_>) -> Option<()>;

/// How `node` is written out, if it is.
pub(crate) fn definition(node: &NodeProto) -> Option<Definition> {
    let find = |table: &[(&str, Definition)]| table.iter().find(|(op, _)| *op == node.op_type()).map(|(_, d)| *d);
    match node.domain() {
        "" | "ai.onnx" => find(STANDARD),
        "com.microsoft" => find(MICROSOFT).or_else(|| find(STANDARD)),
        _ => None,
    }
}

/// Those of the ONNX domain. ONNX Runtime has `SimplifiedLayerNormalization` there.
const STANDARD: &[(&str, Definition)] = &[
    ("SimplifiedLayerNormalization", simplified_layer_normalization),
    ("QLinearConv", quantised_conv),
    ("QLinearMatMul", |_, b| {
        // A scale for each row of the first and each column of the second.
        let mut along = |i: usize, axis| {
            b.node("DequantizeLinear", &[b.input(i), b.input(i + 1), b.input(i + 2)], vec![int("axis", axis)])
        };
        let (x, y) = (along(0, -2), along(3, -1));
        let z = b.node("MatMul", &[&x, &y], vec![]);
        quantised(b, &z, 6)
    }),
];

const MICROSOFT: &[(&str, Definition)] = &[
    ("FusedConv", |n, b| fused_conv(n, b, false)),
    ("NhwcFusedConv", |n, b| fused_conv(n, b, true)),
    ("FusedGemm", fused_gemm),
    ("Gelu", |_, b| {
        b.give("Gelu", &[b.input(0)], vec![], &[b.output(0)]);
        Some(())
    }),
    ("BiasGelu", |_, b| {
        let x = b.node("Add", &[b.input(0), b.input(1)], vec![]);
        b.give("Gelu", &[&x], vec![], &[b.output(0)]);
        Some(())
    }),
    ("FastGelu", |_, b| {
        let x = with_bias(b, b.input(0), b.input(1));
        b.give("Gelu", &[&x], vec![text("approximate", "tanh")], &[b.output(0)]);
        Some(())
    }),
    ("QuickGelu", |_, b| {
        let alpha = b.float("alpha", "alpha", 1.702);
        b.give("Swish", &[b.input(0)], vec![alpha], &[b.output(0)]);
        Some(())
    }),
    ("LayerNormalization", |_, b| {
        let attributes = b.attributes(&[]);
        b.give(
            "LayerNormalization",
            &[b.input(0), b.input(1), b.input(2)],
            attributes,
            &[b.output(0), b.output(1), b.output(2)],
        );
        Some(())
    }),
    ("SkipLayerNormalization", skip_layer_normalization),
    ("SkipSimplifiedLayerNormalization", skip_simplified_layer_normalization),
    ("QLinearAdd", |_, b| quantised_pair(b, "Add")),
    ("QLinearMul", |_, b| quantised_pair(b, "Mul")),
    ("QLinearSigmoid", |_, b| quantised_unary(b, "Sigmoid", vec![])),
    ("QLinearLeakyRelu", |_, b| quantised_unary(b, "LeakyRelu", vec![b.float("alpha", "alpha", 0.01)])),
    ("QLinearGlobalAveragePool", |_, b| {
        if b.flag("channels_last") { None } else { quantised_unary(b, "GlobalAveragePool", vec![]) }
    }),
    ("QLinearConcat", quantised_concat),
    ("QuantizeLinear", |_, b| {
        b.give("QuantizeLinear", &[b.input(0), b.input(1), b.input(2)], b.attributes(&[]), &[b.output(0)]);
        Some(())
    }),
    ("DequantizeLinear", |_, b| {
        b.give("DequantizeLinear", &[b.input(0), b.input(1), b.input(2)], b.attributes(&[]), &[b.output(0)]);
        Some(())
    }),
];

/// `x`, plus a bias where there is one.
fn with_bias(b: &mut Body<'_>, x: &str, bias: &str) -> String {
    if bias.is_empty() { x.to_owned() } else { b.node("Add", &[x, bias], vec![]) }
}

/// The activation that a fused operator ends with, as an operator of its own with its attributes. An empty name is none.
fn activation(name: &str, parameters: &[Option<f32>]) -> Option<Option<(&'static str, Vec<AttributeProto>)>> {
    let parameter = |i: usize, name: &str| parameters.get(i).copied().flatten().map(|v| float(name, v));
    let some = |attributes: [Option<AttributeProto>; 2]| attributes.into_iter().flatten().collect();
    Some(match name {
        "" => None,
        "Relu" => Some(("Relu", vec![])),
        "Tanh" => Some(("Tanh", vec![])),
        "Sigmoid" => Some(("Sigmoid", vec![])),
        "Softplus" => Some(("Softplus", vec![])),
        "Softsign" => Some(("Softsign", vec![])),
        "LeakyRelu" => Some(("LeakyRelu", some([parameter(0, "alpha"), None]))),
        "Elu" => Some(("Elu", some([parameter(0, "alpha"), None]))),
        "ThresholdedRelu" => Some(("ThresholdedRelu", some([parameter(0, "alpha"), None]))),
        "HardSigmoid" => Some(("HardSigmoid", some([parameter(0, "alpha"), parameter(1, "beta")]))),
        "Clip" => Some(("Clip", some([parameter(0, "min"), parameter(1, "max")]))),
        _ => return None,
    })
}

/// Gives `x`, after the activation, as the output of the node.
fn activated(b: &mut Body<'_>, x: &str, parameters: &[Option<f32>]) -> Option<()> {
    // One that refers to an attribute of a call has no text here.
    let name = match b.attribute("activation") {
        Some(a) => std::str::from_utf8(a.s.as_deref()?).ok()?,
        None => "",
    };
    let (op, attributes) = activation(name, parameters)?.unwrap_or(("Identity", vec![]));
    b.give(op, &[x], attributes, &[b.output(0)]);
    Some(())
}

/// `activation(conv(X, W) + B + Z)`, for tensors with their channels behind between transpositions.
fn fused_conv(_: &NodeProto, b: &mut Body<'_>, channels_last: bool) -> Option<()> {
    let to_front = |b: &mut Body<'_>, x: &str| b.node("Transpose", &[x], vec![ints("perm", &[0, 3, 1, 2])]);
    let x = if channels_last { to_front(b, b.input(0)) } else { b.input(0).to_owned() };
    let attributes = b.attributes(&["activation", "activation_params"]);
    let mut y = b.node("Conv", &[&x, b.input(1), b.input(2)], attributes);
    if channels_last {
        y = b.node("Transpose", &[&y], vec![ints("perm", &[0, 2, 3, 1])]);
    }
    let y = with_bias(b, &y, b.input(3));
    let parameters: Vec<Option<f32>> =
        b.attribute("activation_params").map_or_else(Vec::new, |a| a.floats.iter().map(|v| Some(*v)).collect());
    activated(b, &y, &parameters)
}

fn fused_gemm(_: &NodeProto, b: &mut Body<'_>) -> Option<()> {
    let names = ["activation", "activation_alpha", "activation_beta", "activation_gamma"];
    let y = b.node("Gemm", &[b.input(0), b.input(1), b.input(2)], b.attributes(&names));
    let parameter = |name| b.attribute(name).and_then(|a| a.f);
    let parameters = [parameter("activation_alpha"), parameter("activation_beta")];
    activated(b, &y, &parameters)
}

/// The sum that is normalised, given out too where it is asked for.
fn skipped(b: &mut Body<'_>, bias: usize) -> String {
    let sum = b.node("Add", &[b.input(0), b.input(1)], vec![]);
    let sum = with_bias(b, &sum, b.input(bias));
    if !b.output(3).is_empty() {
        b.give("Identity", &[&sum], vec![], &[b.output(3)]);
    }
    sum
}

fn skip_layer_normalization(_: &NodeProto, b: &mut Body<'_>) -> Option<()> {
    let sum = skipped(b, 4);
    let attributes = vec![b.float("epsilon", "epsilon", 1e-12), int("axis", -1)];
    let outputs = [b.output(0), b.output(1), b.output(2)];
    b.give("LayerNormalization", &[&sum, b.input(2), b.input(3)], attributes, &outputs);
    Some(())
}

fn skip_simplified_layer_normalization(_: &NodeProto, b: &mut Body<'_>) -> Option<()> {
    if !b.output(1).is_empty() || !b.output(2).is_empty() {
        return None;
    }
    let sum = skipped(b, 3);
    let attributes = vec![b.float("epsilon", "epsilon", 1e-12), int("axis", -1)];
    b.give("RMSNormalization", &[&sum, b.input(2)], attributes, &[b.output(0)]);
    Some(())
}

fn simplified_layer_normalization(_: &NodeProto, b: &mut Body<'_>) -> Option<()> {
    if !b.output(1).is_empty() {
        return None;
    }
    b.give("RMSNormalization", &[b.input(0), b.input(1)], b.attributes(&["stash_type"]), &[b.output(0)]);
    Some(())
}

/// Inputs `i`, `i + 1` and `i + 2` of the node: numbers, their scale and their zero point.
fn dequantised(b: &mut Body<'_>, i: usize) -> String {
    b.node("DequantizeLinear", &[b.input(i), b.input(i + 1), b.input(i + 2)], vec![])
}

/// Gives `x` as the output of the node by the scale and zero point at inputs `i` and `i + 1`.
fn quantised(b: &mut Body<'_>, x: &str, i: usize) -> Option<()> {
    b.give("QuantizeLinear", &[x, b.input(i), b.input(i + 1)], vec![], &[b.output(0)]);
    Some(())
}

fn quantised_pair(b: &mut Body<'_>, op: &str) -> Option<()> {
    let (x, y) = (dequantised(b, 0), dequantised(b, 3));
    let z = b.node(op, &[&x, &y], vec![]);
    quantised(b, &z, 6)
}

fn quantised_unary(b: &mut Body<'_>, op: &str, attributes: Vec<AttributeProto>) -> Option<()> {
    let x = dequantised(b, 0);
    let y = b.node(op, &[&x], attributes);
    quantised(b, &y, 3)
}

fn quantised_concat(node: &NodeProto, b: &mut Body<'_>) -> Option<()> {
    let parts: Vec<String> = (2..node.input.len()).step_by(3).map(|i| dequantised(b, i)).collect();
    let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
    let y = b.node("Concat", &inputs, b.attributes(&[]));
    quantised(b, &y, 0)
}

/// The bias counts in steps of the product of both scales; weights have one scale, or one for each output channel.
fn quantised_conv(_: &NodeProto, b: &mut Body<'_>) -> Option<()> {
    if b.flag("channels_last") {
        return None;
    }
    let x = dequantised(b, 0);
    let weights = [b.input(3), b.input(4), b.input(5)];
    let w = b.node("DequantizeLinear", &weights, vec![int("axis", 0)]);
    let bias = match b.input(8) {
        "" => String::new(),
        counts => {
            let step = b.node("Mul", &[b.input(1), b.input(4)], vec![]);
            let counts = b.node("Cast", &[counts], vec![int("to", 11)]);
            b.node("Mul", &[&counts, &step], vec![])
        }
    };
    let y = b.node("Conv", &[&x, &w, &bias], b.attributes(&["channels_last"]));
    quantised(b, &y, 6)
}
