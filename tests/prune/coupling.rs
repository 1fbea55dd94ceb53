//! Channels that go together: a model without them computes what it does with zeros for whatever reads them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_shape_proto::dimension::Value::DimParam;
use onnx_rm::prune::cut_at_random;
use prost::Message;

use super::{SAME, widths};
use crate::common::build::{Build, conv, float_type, int, ints};
use crate::common::{Expected, python};

const SEEDS: [u64; 3] = [1, 2, 3];

/// Cuts `model` in a few ways; how often something went.
fn assert_cuts(model: &ModelProto, what: &str) -> usize {
    let mut gone = 0;
    for seed in SEEDS {
        let Some((pruned, masked)) = cut_at_random(model, 0.4, seed).unwrap_or_else(|e| panic!("{what}: {e}")) else {
            continue;
        };
        let distance = Expected::of(&masked).distance(&pruned);
        assert!(distance < SAME, "{what}, seed {seed}: {distance}\n{}", onnx_rm::graph::dump(&pruned));
        assert!(weights(&pruned) < weights(model), "{what}: nothing became smaller");
        gone += 1;
    }
    gone
}

/// Elements of all constants, as often as they are read.
fn weights(model: &ModelProto) -> i64 {
    let graph = model.graph.as_ref().unwrap();
    let read = graph.node.iter().flat_map(|n| &n.input);
    let tensors = read.filter_map(|name| graph.initializer.iter().find(|t| t.name() == name));
    tensors.map(|t| t.dims.iter().product::<i64>()).sum()
}

fn committed() -> Vec<(String, ModelProto)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in [folder.clone(), folder.join("blocks")] {
        paths.extend(fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()));
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    let read = |p: &PathBuf| {
        let name = p.file_stem().unwrap().to_string_lossy().into_owned();
        (name, ModelProto::decode(fs::read(p).unwrap().as_slice()).unwrap())
    };
    // Statistics of a batch: what is read of one image depends on the others.
    paths.iter().map(read).filter(|(name, _)| !name.contains("training_mode")).collect()
}

#[test]
fn committed_models_lose_what_nothing_reads() {
    let cut: Vec<String> =
        committed().into_iter().filter(|(name, model)| assert_cuts(model, name) > 0).map(|(name, _)| name).collect();
    assert!(cut.len() >= 100, "only {} models", cut.len());
    for must in ["digits_resnet", "basic_option_a.legacy", "channel_shuffle.legacy", "squeeze_excite.legacy"] {
        assert!(cut.iter().any(|c| c.starts_with(must)), "{must} is not among {cut:?}");
    }
}

#[test]
fn pruned_models_run_in_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let (masked, pruned) = (folder.path().join("masked"), folder.path().join("pruned"));
    fs::create_dir(&masked).unwrap();
    fs::create_dir(&pruned).unwrap();
    let mut files = Vec::new();
    let mut groups = in_groups(|_, h| h.to_owned());
    // The checker wants the shape of an output.
    let graph = groups.graph.as_mut().unwrap();
    graph.output[0].r#type = Some(float_type(Some(&[2, 4, 6, 6])));
    let synthetic = (1..4).map(|seed| (format!("groups{seed}"), groups.clone(), seed));
    let committed = committed().into_iter().map(|(name, model)| (name, model, 1));
    for (name, model, seed) in committed.chain(synthetic) {
        if let Some((a, b)) = cut_at_random(&model, 0.4, seed).unwrap() {
            let file = format!("{name}.onnx");
            fs::write(masked.join(&file), a.encode_to_vec()).unwrap();
            fs::write(pruned.join(&file), b.encode_to_vec()).unwrap();
            files.push(file);
        }
    }
    let mut arguments = vec![masked.to_str().unwrap(), pruned.to_str().unwrap()];
    arguments.extend(files.iter().map(String::as_str));
    let text = python::run("compare_models.py", &arguments);
    assert_eq!(text.lines().count(), files.len());
    for line in text.lines() {
        let [file, error, _] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(error.parse::<f64>().unwrap() < 1e-4, "{file}: {error}");
    }
}

/// `x -> conv -> (what stands between) -> conv -> y`, with six channels between.
fn between(build: impl Fn(&mut Build, &str) -> String, width: usize) -> ModelProto {
    let mut b = Build::new(3);
    let x = b.input("x", &[2, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let h = build(&mut b, &h);
    let y = b.conv(&h, &conv(width, 4, 3));
    b.output(&y);
    b.model()
}

#[test]
fn channels_are_followed_through_every_kind_of_operator() {
    type Step = Box<dyn Fn(&mut Build, &str) -> String>;
    let cases: Vec<(&str, usize, Step)> = vec![
        ("Relu", 6, Box::new(|b, h| b.relu(h))),
        ("BatchNormalization", 6, Box::new(|b, h| b.batch_norm(h, 6))),
        ("depthwise", 6, Box::new(|b, h| b.conv(h, &conv(6, 6, 3).group(6)))),
        ("depthwise with two outputs a channel", 12, Box::new(|b, h| b.conv(h, &conv(6, 12, 3).group(6)))),
        ("groups", 6, Box::new(|b, h| b.conv(h, &conv(6, 6, 3).group(2)))),
        ("Concat with itself", 12, Box::new(|b, h| b.concat(&[h, h]))),
        (
            "Split",
            6,
            Box::new(|b, h| {
                let p = b.split(h, &[2, 4]);
                let q = b.relu(&p[0]);
                b.concat(&[&p[1], &q])
            }),
        ),
        ("Slice", 3, Box::new(|b, h| b.slice(h, 2, 5))),
        (
            "Gather",
            4,
            Box::new(|b, h| {
                let i = b.ints(&[5, 0, 0, 3]);
                b.node("Gather", &[h, &i], vec![int("axis", 1)])
            }),
        ),
        (
            "Pad",
            9,
            Box::new(|b, h| {
                let p = b.ints(&[0, 1, 0, 0, 0, 2, 0, 0]);
                b.node("Pad", &[h, &p], vec![])
            }),
        ),
        (
            "PRelu",
            6,
            Box::new(|b, h| {
                let s = b.random(&[6, 1, 1], 0.5);
                b.node("PRelu", &[h, &s], vec![])
            }),
        ),
        (
            "a constant a channel",
            6,
            Box::new(|b, h| {
                let s = b.random(&[1, 6, 1, 1], 0.5);
                b.node("Mul", &[&s, h], vec![])
            }),
        ),
        (
            "squeeze and excite",
            6,
            Box::new(|b, h| {
                let p = b.node("GlobalAveragePool", &[h], vec![]);
                let p = b.conv(&p, &conv(6, 3, 1));
                let p = b.relu(&p);
                let p = b.conv(&p, &conv(3, 6, 1));
                let g = b.node("Sigmoid", &[&p], vec![]);
                b.node("Mul", &[h, &g], vec![])
            }),
        ),
        (
            "a sum",
            6,
            Box::new(|b, h| {
                let p = b.conv(h, &conv(6, 6, 3));
                b.add(h, &p)
            }),
        ),
        (
            "InstanceNormalization",
            6,
            Box::new(|b, h| {
                let (s, t) = (b.random(&[6], 0.5), b.random(&[6], 0.5));
                b.node("InstanceNormalization", &[h, &s, &t], vec![])
            }),
        ),
        ("MaxPool", 6, Box::new(|b, h| b.node("MaxPool", &[h], vec![ints("kernel_shape", &[2, 2])]))),
        (
            "ConvTranspose",
            5,
            Box::new(|b, h| {
                let w = b.random(&[6, 5, 2, 2], 0.5);
                b.node("ConvTranspose", &[h, &w], vec![ints("strides", &[2, 2])])
            }),
        ),
    ];
    for (what, width, step) in cases {
        assert!(assert_cuts(&between(step, width), what) > 0, "{what}: nothing went");
    }
}

/// `x -> 1x1 -> convolution in groups -> Relu -> 1x1 -> y`, with six channels in and nine out of three groups; `build` may put something between.
fn in_groups(between: impl Fn(&mut Build, &str) -> String) -> ModelProto {
    let mut b = Build::new(31);
    let x = b.input("x", &[2, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 1));
    let h = between(&mut b, &h);
    let h = b.conv(&h, &conv(6, 9, 3).group(3));
    let h = b.relu(&h);
    let y = b.conv(&h, &conv(9, 4, 1));
    b.output(&y);
    b.model()
}

/// Groups of the second convolution, and how many channels each of them reads and gives.
fn grid(model: &ModelProto) -> (i64, i64, i64) {
    let graph = model.graph.as_ref().unwrap();
    let layer = graph.node.iter().filter(|n| n.op_type() == "Conv").nth(1).unwrap();
    let group = layer.attribute.iter().find(|a| a.name() == "group").map_or(1, |a| a.i());
    let dims = &graph.initializer.iter().find(|t| t.name() == layer.input[1]).unwrap().dims;
    (group, dims[1], dims[0] / group)
}

/// What is left of the grid of `model` by many random cuts, each of which is compared.
fn grids(model: &ModelProto) -> BTreeSet<(i64, i64, i64)> {
    let cut = |seed| cut_at_random(model, 0.3, seed).unwrap();
    let mut found = BTreeSet::new();
    for (pruned, masked) in (0..100).filter_map(cut) {
        let distance = Expected::of(&masked).distance(&pruned);
        assert!(distance < SAME, "{distance}\n{}", onnx_rm::graph::dump(&pruned));
        found.insert(grid(&pruned));
    }
    found
}

#[test]
fn whole_groups_go_and_places_in_all_of_them() {
    let found = grids(&in_groups(|_, h| h.to_owned()));
    for left in [(2, 2, 3), (3, 1, 3), (3, 2, 2), (2, 1, 2)] {
        assert!(found.contains(&left), "{left:?} is not among {found:?}");
    }
    // Each group reads what another one reads too: no group goes without these, ...
    let shared = in_groups(|b, h| {
        let parts = [(0, 2), (1, 3), (2, 3), (0, 1)].map(|(from, to)| b.slice(h, from, to));
        b.concat(&parts.each_ref().map(String::as_str))
    });
    assert!(grids(&shared).iter().all(|(group, read, _)| (*group, *read) == (3, 2)), "{:?}", grids(&shared));
    // ... unless they are copies.
    let copied = in_groups(|b, h| {
        let i = b.ints(&[0, 1, 1, 2, 2, 0]);
        b.node("Gather", &[h, &i], vec![int("axis", 1)])
    });
    let found = grids(&copied);
    assert!(found.contains(&(2, 2, 3)) && found.contains(&(3, 1, 3)), "{found:?}");
}

#[test]
fn groups_that_something_else_sees_stay() {
    let given = |what: &str, spoil: &dyn Fn(&mut Build, &str)| {
        let mut b = Build::new(31);
        let x = b.input("x", &[2, 6, 6, 6]);
        let h = b.conv(&x, &conv(6, 9, 3).group(3));
        let y = b.conv(&h, &conv(9, 4, 1));
        b.output(&y);
        spoil(&mut b, &h);
        let model = b.model();
        let mut cuts = 0;
        for (pruned, masked) in (0..10).filter_map(|seed| cut_at_random(&model, 0.6, seed).unwrap()) {
            cuts += 1;
            assert!(Expected::of(&masked).distance(&pruned) < SAME, "{what}");
            let graph = pruned.graph.as_ref().unwrap();
            let group = graph.node[0].attribute.iter().find(|a| a.name() == "group").unwrap().i();
            assert_eq!(group, 3, "{what}");
        }
        cuts
    };
    // The input of the graph cannot lose channels, so places go of what is given, and no group.
    assert!(given("a graph input", &|_, _| {}) > 0);
    assert_eq!(given("a graph output", &|b, h| b.output(h)), 0);
}

#[test]
fn a_copy_goes_without_what_it_is_of() {
    let mut b = Build::new(33);
    let x = b.input("x", &[2, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 4, 1));
    let i = b.ints(&[0, 1, 2, 3, 0, 1, 2, 3]);
    let twice = b.node("Gather", &[&h, &i], vec![int("axis", 1)]);
    let y = b.conv(&twice, &conv(8, 4, 1));
    b.output(&y);
    let model = b.model();
    let widths = |model: &ModelProto| {
        let graph = model.graph.as_ref().unwrap();
        let convs: Vec<_> = graph.node.iter().filter(|n| n.op_type() == "Conv").collect();
        let dims = |name: &str| graph.initializer.iter().find(|t| t.name() == name).unwrap().dims.clone();
        (dims(&convs[0].input[1])[0], dims(&convs[1].input[1])[1])
    };
    let mut found = BTreeSet::new();
    for (pruned, masked) in (0..40).filter_map(|seed| cut_at_random(&model, 0.2, seed).unwrap()) {
        assert!(Expected::of(&masked).distance(&pruned) < SAME);
        found.insert(widths(&pruned));
    }
    assert!(found.iter().any(|(source, read)| *source == 4 && *read < 8), "{found:?}");
    assert!(found.iter().any(|(source, read)| *source < 4 && *read <= 2 * source), "{found:?}");
    assert!(found.iter().all(|(source, read)| *read <= 2 * source), "{found:?}");
}

#[test]
fn features_are_followed_into_linear_layers() {
    let mut b = Build::new(5);
    let x = b.input("x", &[2, 3, 4, 4]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let h = b.relu(&h);
    let h = b.node("Flatten", &[&h], vec![]);
    let (w, c) = (b.random(&[10, 96], 0.2), b.random(&[10], 0.5));
    let h = b.node("Gemm", &[&h, &w, &c], vec![int("transB", 1)]);
    let h = b.relu(&h);
    let (w, c) = (b.random(&[10, 3], 0.5), b.random(&[3], 0.5));
    let h = b.node("MatMul", &[&h, &w], vec![]);
    let y = b.add(&h, &c);
    b.output(&y);
    assert_eq!(assert_cuts(&b.model(), "features"), 3);
}

/// Nothing may go of the channels of `h`, which `spoil` gives another reader.
fn stays(what: &str, spoil: impl Fn(&mut Build, &str)) {
    let mut b = Build::new(3);
    let x = b.input("x", &[2, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let y = b.conv(&h, &conv(6, 4, 3));
    b.output(&y);
    spoil(&mut b, &h);
    let model = b.model();
    for seed in SEEDS {
        assert!(cut_at_random(&model, 0.9, seed).unwrap().is_none(), "{what}");
    }
}

#[test]
fn what_is_seen_elsewhere_stays() {
    stays("a graph output", |b, h| b.output(h));
    stays("an operator that mixes channels", |b, h| {
        let s = b.node("Softmax", &[h], vec![int("axis", 1)]);
        b.output(&s);
    });
    stays("a shape that is given out", |b, h| {
        let s = b.node("Shape", &[h], vec![]);
        b.output(&s);
    });
    stays("a product of two tensors", |b, h| {
        let t = b.node("Transpose", &[h], vec![ints("perm", &[0, 1, 3, 2])]);
        let m = b.node("MatMul", &[h, &t], vec![]);
        b.output(&m);
    });
}

#[test]
fn weights_that_are_not_constant_stay() {
    let mut b = Build::new(3);
    let x = b.input("x", &[2, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let y = b.conv(&h, &conv(6, 4, 3));
    b.output(&y);
    let mut model = b.model();
    assert!(cut_at_random(&model, 0.9, 1).unwrap().is_some());
    let graph = model.graph.as_mut().unwrap();
    let reader = graph.node[1].input[1].clone();
    graph.input.push(crate::common::build::value_info(&reader, &[4, 6, 3, 3]));
    assert!(cut_at_random(&model, 0.9, 1).unwrap().is_none(), "a caller may give other weights");
}

#[test]
fn a_tensor_that_a_subgraph_reads_stays() {
    let mut b = Build::new(3);
    let x = b.input("x", &[2, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let y = b.conv(&h, &conv(6, 4, 3));
    b.output(&y);
    let mut model = b.model();
    let graph = model.graph.as_mut().unwrap();
    let mut inner = onnx_rm::onnx::GraphProto { name: Some("inner".into()), ..Default::default() };
    inner.node.push(onnx_rm::onnx::NodeProto {
        op_type: Some("Relu".into()),
        input: vec![h.clone()],
        output: vec!["inside".into()],
        ..Default::default()
    });
    inner.output.push(onnx_rm::onnx::ValueInfoProto { name: Some("inside".into()), ..Default::default() });
    let branch = |name: &str| onnx_rm::onnx::AttributeProto {
        name: Some(name.into()),
        r#type: Some(onnx_rm::onnx::attribute_proto::AttributeType::Graph as i32),
        g: Some(inner.clone()),
        ..Default::default()
    };
    graph.initializer.push(onnx_rm::onnx::TensorProto {
        name: Some("which".into()),
        data_type: Some(onnx_rm::onnx::tensor_proto::DataType::Bool as i32),
        raw_data: Some(vec![1].into()),
        ..Default::default()
    });
    graph.node.push(onnx_rm::onnx::NodeProto {
        op_type: Some("If".into()),
        input: vec!["which".into()],
        output: vec!["chosen".into()],
        attribute: vec![branch("then_branch"), branch("else_branch")],
        ..Default::default()
    });
    graph.output.push(onnx_rm::onnx::ValueInfoProto { name: Some("chosen".into()), ..Default::default() });
    for seed in SEEDS {
        assert!(cut_at_random(&model, 0.9, seed).unwrap().is_none());
    }
}

#[test]
fn weights_that_two_layers_share_are_copied_first() {
    let mut b = Build::new(3);
    let x = b.input("x", &[2, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let w = b.random(&[6, 6, 3, 3], 0.2);
    let h = b.conv_with(&[&h, &w], &conv(6, 6, 3));
    let h = b.relu(&h);
    let h = b.conv_with(&[&h, &w], &conv(6, 6, 3));
    b.output(&h);
    let model = b.model();
    assert!(assert_cuts(&model, "shared weights") > 0);
}

#[test]
fn free_sizes_do_not_matter() {
    let mut b = Build::new(3);
    let x = b.input("x", &[2, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let h = b.relu(&h);
    let y = b.conv(&h, &conv(6, 4, 3));
    b.output(&y);
    let mut model = b.model();
    let Some(onnx_rm::onnx::type_proto::Value::TensorType(t)) =
        model.graph.as_mut().unwrap().input[0].r#type.as_mut().unwrap().value.as_mut()
    else {
        panic!()
    };
    for (axis, dim) in t.shape.as_mut().unwrap().dim.iter_mut().enumerate().filter(|(axis, _)| *axis != 1) {
        dim.value = Some(DimParam(format!("axis_{axis}")));
    }
    let (pruned, _) = cut_at_random(&model, 0.4, 1).unwrap().unwrap();
    assert!(widths(&pruned)[0] < 6);
    assert!(assert_cuts(&model, "free sizes") > 0);
}
