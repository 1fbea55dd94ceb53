//! Valid protobuf with attributes, shapes and connections changed at random.

use super::build::Rng;
use super::bytes::varied;
use super::survive::{Fate, scratch, survives};
use super::*;
use onnx_rm::onnx::AttributeProto;

const MUTATIONS: u64 = 3000;

/// Numbers at which arithmetic overflows, or that mean something.
const NUMBERS: [i64; 18] =
    [0, 1, -1, 2, 3, 4, 7, 8, 16, -4, 1 << 16, 1 << 31, 1 << 32, 1 << 40, 1 << 62, i64::MAX, i64::MIN, -(1 << 31)];

const OPS: [&str; 30] = [
    "Relu",
    "Add",
    "Conv",
    "Concat",
    "Split",
    "Clip",
    "Mul",
    "BatchNormalization",
    "Pad",
    "Slice",
    "Reshape",
    "Shape",
    "Gather",
    "ConstantOfShape",
    "Expand",
    "Range",
    "Transpose",
    "Identity",
    "Sum",
    "PRelu",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Gemm",
    "Constant",
    "Unsqueeze",
    "Squeeze",
    "Cast",
    "ConvTranspose",
    "ReduceMean",
];

#[test]
fn random_damage_to_the_graph_is_survived() {
    let models = [good(), varied()];
    let file = scratch("damaged_graph.onnx");
    let (mut refused, mut rewritten) = (0, 0);
    for seed in 0..MUTATIONS {
        let mut rng = Rng(seed);
        let mut model = models[rng.below(models.len())].clone();
        for _ in 0..=rng.below(3) {
            damage(graph(&mut model), &mut rng);
        }
        fs::write(&file, model.encode_to_vec()).unwrap();
        match survives(&file, &format!("seed {seed} ({})", file.display())) {
            Fate::Refused => refused += 1,
            Fate::Rewritten(0) => {}
            Fate::Rewritten(_) => rewritten += 1,
        }
    }
    assert!(refused > 100 && rewritten > 100, "{refused} refused, {rewritten} rewritten: the damage is of one kind");
}

fn number(rng: &mut Rng) -> i64 {
    NUMBERS[rng.below(NUMBERS.len())]
}

fn damage(graph: &mut GraphProto, rng: &mut Rng) {
    let at = rng.below(graph.node.len());
    match rng.below(8) {
        0 => attribute(&mut graph.node[at], rng),
        1 => constant(graph, rng),
        2 => rewire(graph, at, rng),
        3 => graph.node[at].op_type = Some(OPS[rng.below(OPS.len())].to_owned()),
        4 => drop(graph.node[at].input.pop()),
        5 => shape(graph, rng),
        6 => {
            let from = rng.below(graph.node.len());
            graph.node[at].attribute = graph.node[from].attribute.clone();
        }
        _ => folded(graph, at, rng),
    }
}

/// Changes one number of an attribute, its length, or its type.
fn attribute(node: &mut NodeProto, rng: &mut Rng) {
    if node.attribute.is_empty() {
        return;
    }
    let at = rng.below(node.attribute.len());
    let held = &mut node.attribute[at];
    match rng.below(6) {
        0 => drop(node.attribute.remove(at)),
        1 => held.ints.push(number(rng)),
        2 => drop(held.ints.pop()),
        3 => *held = AttributeProto { name: held.name.clone(), f: Some(f32::NAN), ..AttributeProto::default() },
        _ if held.ints.is_empty() => held.i = Some(number(rng)),
        _ => {
            let n = rng.below(held.ints.len());
            held.ints[n] = number(rng);
        }
    }
}

/// Changes a constant that holds integers, or the bits of one that holds floats, or its shape to another of its size.
fn constant(graph: &mut GraphProto, rng: &mut Rng) {
    let at = rng.below(graph.initializer.len());
    let tensor = &mut graph.initializer[at];
    if let Some(entry) = tensor.int64_data.first_mut() {
        *entry = number(rng);
    } else if let Some(raw) = tensor.raw_data.as_mut().filter(|raw| !raw.is_empty()) {
        let mut bytes = raw.to_vec();
        let bits = [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE / 4.0, -0.0][rng.below(5)].to_le_bytes();
        let n = 4 * rng.below(bytes.len() / 4);
        bytes[n..n + 4].copy_from_slice(&bits);
        *raw = bytes.into();
    }
    match rng.below(4) {
        0 => tensor.dims.reverse(),
        1 => tensor.dims.insert(0, 1),
        2 => tensor.dims.push(1),
        _ => {}
    }
}

/// Lets a node read another tensor.
fn rewire(graph: &mut GraphProto, at: usize, rng: &mut Rng) {
    let outputs = graph.node.iter().flat_map(|n| &n.output);
    let names: Vec<String> = outputs.cloned().chain(graph.initializer.iter().map(|t| t.name().to_owned())).collect();
    let name = names[rng.below(names.len())].clone();
    let inputs = &mut graph.node[at].input;
    if rng.below(3) == 0 || inputs.is_empty() {
        inputs.push(name);
    } else {
        let slot = rng.below(inputs.len());
        inputs[slot] = name;
    }
}

/// Changes a dimension of the graph's input.
fn shape(graph: &mut GraphProto, rng: &mut Rng) {
    let dims: Vec<i64> = (0..rng.below(6)).map(|_| number(rng)).collect();
    let name = graph.input[0].name().to_owned();
    graph.input[0] = build::value_info(&name, &dims);
}

/// Feeds a node from an operator on constants, which is computed in advance if it is computed at all.
fn folded(graph: &mut GraphProto, at: usize, rng: &mut Rng) {
    let dims = (0..1 + rng.below(4)).map(|_| number(rng)).collect::<Vec<i64>>();
    let tensor = |name: &str, values: &[i64], scalar: bool| TensorProto {
        name: Some(name.into()),
        dims: if scalar { vec![] } else { vec![values.len() as i64] },
        data_type: Some(7),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    };
    if graph.initializer.iter().any(|t| t.name() == "fold_dims") {
        return;
    }
    graph.initializer.push(tensor("fold_dims", &dims, false));
    for (name, value) in [("fold_a", number(rng)), ("fold_b", number(rng)), ("fold_c", number(rng))] {
        graph.initializer.push(tensor(name, &[value], true));
    }
    let (op, inputs): (&str, &[&str]) = [
        ("ConstantOfShape", &["fold_dims"][..]),
        ("Expand", &["fold_a", "fold_dims"]),
        ("Range", &["fold_a", "fold_b", "fold_c"]),
        ("Reshape", &["fold_dims", "fold_dims"]),
        ("Gather", &["fold_dims", "fold_a"]),
        ("Slice", &["fold_dims", "fold_dims", "fold_dims"]),
        ("Tile", &["fold_dims", "fold_dims"]),
        ("Pad", &["fold_dims", "fold_dims"]),
        ("Mul", &["fold_dims", "fold_a"]),
        ("Sub", &["fold_a", "fold_dims"]),
        ("Div", &["fold_dims", "fold_a"]),
        ("Mod", &["fold_dims", "fold_a"]),
        ("Unsqueeze", &["fold_dims", "fold_a"]),
        ("Concat", &["fold_dims", "fold_dims"]),
        ("ReduceProd", &["fold_dims"]),
        ("Neg", &["fold_dims"]),
    ][rng.below(16)];
    let node = NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|i| (*i).into()).collect(),
        output: vec!["folded".into()],
        ..NodeProto::default()
    };
    let inputs = &mut graph.node[at].input;
    let slot = rng.below(inputs.len() + 1);
    if slot < inputs.len() {
        inputs[slot] = "folded".into()
    } else {
        inputs.push("folded".into())
    }
    graph.node.insert(0, node);
}
