//! What least squares makes up for, what goes for nothing, and what is refused.

use std::collections::BTreeMap;
use std::fs::File;

use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;
use onnx_rm::Model;
use onnx_rm::onnx::ModelProto;
use onnx_rm::prune::{Amount, PruneOptions, PruneReport, Samples, Way};
use onnx_rm::verify::reference::Value;
use prost::Message;

use super::{arrays, prune, samples, widths};
use crate::common::build::{Build, Rng, conv, float, int};
use crate::common::distance;

fn model(proto: &ModelProto) -> Model {
    Model::from_bytes(proto.encode_to_vec()).unwrap()
}

fn options(macs: f64) -> PruneOptions {
    let mut options = PruneOptions::default();
    options.macs = Some(Amount::Share(macs));
    options.way = Way::Residual;
    options
}

fn error(report: &PruneReport) -> f64 {
    report.taken().unwrap().quality.as_ref().unwrap().relative_error
}

/// `conv -> Relu -> conv`, where `rows` makes the first weights: `[outputs, 3 * 9]` and biases, for each.
fn chain(outputs: usize, op: &str, rows: impl Fn(&mut Rng, usize) -> (Vec<f64>, f64)) -> ModelProto {
    let mut b = Build::new(3);
    let x = b.input("x", &[1, 3, 6, 6]);
    let mut rng = Rng(11);
    let rows: Vec<_> = (0..outputs).map(|o| rows(&mut rng, o)).collect();
    let w = b.floats(&[outputs, 3, 3, 3], rows.iter().flat_map(|r| r.0.clone()).collect());
    let c = b.floats(&[outputs], rows.iter().map(|r| r.1).collect());
    let h = b.conv_with(&[&x, &w, &c], &conv(3, outputs, 3));
    let h = b.node(op, &[&h], if op == "LeakyRelu" { vec![float("alpha", 0.1)] } else { vec![] });
    let y = b.conv(&h, &conv(outputs, 4, 3));
    b.output(&y);
    let mut model = b.model();
    let graph = model.graph.as_mut().unwrap();
    for info in graph.input.iter_mut().chain(&mut graph.output) {
        if let Some(onnx_rm::onnx::type_proto::Value::TensorType(t)) =
            info.r#type.as_mut().and_then(|t| t.value.as_mut())
            && let Some(first) = t.shape.as_mut().and_then(|s| s.dim.first_mut())
        {
            first.value = Some(onnx_rm::onnx::tensor_shape_proto::dimension::Value::DimParam("n".into()));
        }
    }
    model
}

/// A row that is the same for every `o` modulo three, times a power of two of its own.
fn copied(_: &mut Rng, o: usize) -> (Vec<f64>, f64) {
    let mut rng = Rng(100 + (o % 3) as u64);
    let k = [1.0, 0.5, 4.0][o / 3];
    ((0..27).map(|_| k * rng.unit()).collect(), k * rng.unit())
}

#[test]
fn copies_go_and_change_nothing() {
    let mut exact = PruneOptions::default();
    exact.exact_only = true;
    for op in ["Relu", "LeakyRelu"] {
        let original = chain(9, op, copied);
        let (pruned, report) = prune(&model(&original), None, &exact).unwrap();
        assert_eq!(widths(pruned.proto()), [3, 4], "{op}");
        assert_eq!(report.taken().unwrap().copies, 6);
        assert!(distance(&original, pruned.proto()) < 2e-6);
        assert!(report.to_string().contains("6 of them copies"), "{report}");
    }
    // A Sigmoid of twice as much is not twice as much, ...
    let (same, report) = prune(&model(&chain(9, "Sigmoid", copied)), None, &exact).unwrap();
    assert!(!same.is_edited() && report.taken().unwrap().copies == 0);
    // ... nor is a ReLU of what has another sign, and nearly the same is not the same.
    let turned = |r: &mut Rng, o: usize| {
        let (row, bias) = copied(r, o);
        let k = if o >= 3 { -1.0 } else { 1.0 };
        (row.iter().map(|v| k * v).collect(), k * bias)
    };
    let nearly = |r: &mut Rng, o: usize| {
        let (mut row, bias) = copied(r, o);
        row[5] += if o >= 3 { 0.001 } else { 0.0 };
        (row, bias)
    };
    let (other, report) = prune(&model(&chain(6, "Relu", turned)), None, &exact).unwrap();
    assert!(!other.is_edited() && report.taken().unwrap().copies == 0);
    let (other, _) = prune(&model(&chain(6, "Relu", nearly)), None, &exact).unwrap();
    assert!(!other.is_edited());
}

#[test]
fn copies_that_go_different_ways_stay() {
    // Six copies; half of them go through another operator, which keeps a factor too.
    let mut b = Build::new(3);
    let x = b.input("x", &[1, 3, 6, 6]);
    let mut rng = Rng(5);
    let row: Vec<f64> = (0..27).map(|_| rng.unit()).collect();
    let w = b.floats(&[6, 3, 3, 3], row.iter().copied().cycle().take(6 * 27).collect());
    let h = b.conv_with(&[&x, &w], &conv(3, 6, 3));
    let parts = b.split(&h, &[3, 3]);
    let turned = b.node("Neg", &[&parts[0]], vec![]);
    let h = b.concat(&[&turned, &parts[1]]);
    let y = b.conv(&h, &conv(6, 4, 3));
    b.output(&y);
    let original = b.model();
    let mut exact = PruneOptions::default();
    exact.exact_only = true;
    // As it is, without the folds.
    exact.rewrite.families = onnx_rm::Families::new(&[onnx_rm::Selector::Dead], &[]);
    let (pruned, report) = prune(&model(&original), None, &exact).unwrap();
    assert!(distance(&original, pruned.proto()) < 2e-6, "{report}");
    assert_eq!(report.taken().unwrap().copies, 4, "three of each half are one");
}

/// `conv -> Relu -> (GlobalAveragePool -> Flatten -> Gemm)`, without biases, ending as `end` says.
fn classifier(end: impl Fn(&mut Build, &str)) -> ModelProto {
    let mut b = Build::new(9);
    let x = b.input("x", &[-1, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 8, 3).unbiased());
    let h = b.relu(&h);
    let h = b.conv(&h, &conv(8, 8, 3).unbiased());
    let mask = b.bools(&[1, 8, 1, 1], &[1, 0, 1, 1, 0, 1, 1, 1]);
    let zero = b.scalar(0.25);
    let h = b.node("Where", &[&mask, &h, &zero], vec![]);
    let h = b.node("GlobalAveragePool", &[&h], vec![]);
    let h = b.node("Flatten", &[&h], vec![]);
    let w = b.random(&[8, 5], 0.7);
    let h = b.node("Gemm", &[&h, &w], vec![]);
    end(&mut b, &h);
    b.model()
}

#[test]
fn layers_without_a_bias_get_one_and_masks_lose_entries() {
    let original = classifier(|b, h| b.output(h));
    let (pruned, report) = prune(&model(&original), Some(&samples("x", &[3, 6, 6], 60)), &options(0.6)).unwrap();
    let widths = widths(pruned.proto());
    assert!(widths[0] < 8 || widths[1] < 8, "{report}");
    assert!(error(&report) < 1.0, "{report}");
    // The linear layer sees one position a sample, and six of its columns vary: six samples, around their mean, tell five apart.
    let few = |n: usize| {
        let report = prune(&model(&original), Some(&samples("x", &[3, 6, 6], n)), &options(0.6)).unwrap().1;
        report.notes.iter().any(|note| note.contains("few samples for 1 of the layers"))
    };
    assert!(few(7) && !few(15) && !few(60));
}

#[test]
fn answers_are_compared_and_the_worst_output_counts() {
    let answers = classifier(|b, h| {
        let best = b.node("ArgMax", &[h], vec![int("axis", 1)]);
        b.output(&best);
    });
    let samples = samples("x", &[3, 6, 6], 60);
    let (_, report) = prune(&model(&answers), Some(&samples), &options(0.6)).unwrap();
    assert!((0.0..=1.0).contains(&error(&report)), "{report}");
    // Beside a large output that nothing happens to, the small one is no less wrong.
    let alone = classifier(|b, h| b.output(h));
    let both = classifier(|b, h| {
        b.output(h);
        let thousand = b.scalar(1000.0);
        let large = b.node("Mul", &["x", &thousand], vec![]);
        b.output(&large);
    });
    let of = |proto| error(&prune(&model(&proto), Some(&samples), &options(0.6)).unwrap().1);
    let (alone, both) = (of(alone), of(both));
    assert!((alone - both).abs() < 0.2 * alone, "{alone} and {both}");
}

#[test]
fn inputs_that_do_not_vary_give_finite_weights() {
    let original = classifier(|b, h| b.output(h));
    for value in [0.0, 0.1, 1e4] {
        let inputs = BTreeMap::from([("x".to_owned(), Value::F(ArrayD::from_elem(IxDyn(&[40, 3, 6, 6]), value)))]);
        match prune(&model(&original), Some(&Samples::new(inputs).unwrap()), &options(0.6)) {
            Ok((pruned, report)) => {
                assert!(error(&report).is_finite());
                let tensors = &pruned.proto().graph.as_ref().unwrap().initializer;
                let floats = tensors.iter().filter_map(|t| onnx_rm::facts::tensor::read_f64(t).ok());
                assert!(floats.flatten().all(|v| v.is_finite() && v.abs() < 1e4), "{value}");
            }
            Err(error) => panic!("{value}: {error}"),
        }
    }
}

#[test]
fn what_others_can_stand_in_for_costs_nothing() {
    // Rows that are sums of the first three, and no activation that could tell: everything but these is superfluous.
    let mixed = |_: &mut Rng, o: usize| {
        let (mut row, mut bias) = (vec![0.0; 27], 0.0);
        for part in 0..3 {
            let k = if o < 3 { f64::from(u8::from(part == o)) } else { [0.5, -1.0, 0.25][(part + o) % 3] };
            let (own, b) = copied(&mut Rng(0), part);
            row.iter_mut().zip(own).for_each(|(r, v)| *r += k * v);
            bias += k * b;
        }
        (row, bias)
    };
    let original = chain(12, "Identity", mixed);
    // Without the folds, which would make one convolution of it.
    let mut asked = options(0.4);
    asked.rewrite.families = onnx_rm::Families::new(&[onnx_rm::Selector::Dead], &[]);
    let with = |options: &PruneOptions| prune(&model(&original), Some(&samples("x", &[3, 6, 6], 60)), options);
    let (pruned, report) = with(&asked).unwrap();
    assert!(widths(pruned.proto())[0] <= 5, "{:?}", widths(pruned.proto()));
    assert!(error(&report) < 1e-3, "{report}");
    // Half of what is needed cannot do it.
    asked.macs = Some(Amount::Share(0.17));
    assert!(error(&with(&asked).unwrap().1) > 0.05);
}

/// The digits and their labels.
fn digits() -> Samples {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits_test.npz");
    let mut archive = NpzReader::new(File::open(path).unwrap()).unwrap();
    let x: ArrayD<u8> = archive.by_name::<OwnedRepr<u8>, IxDyn>("x").unwrap();
    let y: ArrayD<u8> = archive.by_name::<OwnedRepr<u8>, IxDyn>("y").unwrap();
    let inputs = BTreeMap::from([("input".to_owned(), Value::F(x.mapv(|v| f64::from(v) / 16.0)))]);
    Samples::new(inputs).unwrap().with_labels(y.iter().map(|y| usize::from(*y)).collect()).unwrap()
}

#[test]
fn trained_networks_keep_their_answers_at_half_the_price() {
    for (name, least) in [("digits_resnet", 0.95), ("digits_mobilenet_v2_dynamo", 0.9)] {
        let original = Model::from_path(format!("models/{name}.onnx")).unwrap();
        let (pruned, report) = prune(&original, Some(&digits()), &options(0.5)).unwrap();
        let taken = report.taken().unwrap();
        let quality = taken.quality.as_ref().unwrap();
        assert!(taken.macs <= 0.5 * report.macs && taken.macs > 0.4 * report.macs, "{name}: {report}");
        assert!(quality.agreement.unwrap() >= least, "{name}: {report}");
        assert!(quality.accuracy_after.unwrap() >= quality.accuracy_before.unwrap() - 0.06, "{name}: {report}");
        assert!(!taken.layers.is_empty() && pruned.is_edited());
        assert!(pruned.proto().metadata_props.iter().any(|p| p.key() == "onnx_rm.pruned"));
        // The same again gives the same bytes.
        let (again, _) = prune(&original, Some(&digits()), &options(0.5)).unwrap();
        assert!(again.proto() == pruned.proto(), "{name}");
    }
}

#[test]
fn the_fit_is_what_keeps_them() {
    // The same groups without the fit: cut by hand at random they would be worse still.
    let original = Model::from_path("models/digits_resnet.onnx").unwrap();
    let (_, fitted) = prune(&original, Some(&digits()), &options(0.5)).unwrap();
    let (cut, _) = onnx_rm::prune::cut_at_random(original.proto(), 0.3, 1).unwrap().unwrap();
    let x = digits_input();
    let name = original.proto().graph.as_ref().unwrap().output[0].name().to_owned();
    let run = |proto: &ModelProto| {
        let trace = onnx_rm::verify::reference::run_to(proto, &x, &[&name]).unwrap();
        trace.get(&name).unwrap().floats().unwrap().clone()
    };
    let (a, b) = (run(original.proto()), run(&cut));
    let spread = a.iter().map(|v| v * v).sum::<f64>() - a.sum().powi(2) / a.len() as f64;
    let bare = ((&a - &b).iter().map(|v| v * v).sum::<f64>() / spread).sqrt();
    assert!(error(&fitted) < 0.5 * bare, "{} against {bare}", error(&fitted));
}

fn digits_input() -> BTreeMap<String, Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/digits_test.npz");
    let mut archive = NpzReader::new(File::open(path).unwrap()).unwrap();
    let x: ArrayD<u8> = archive.by_name::<OwnedRepr<u8>, IxDyn>("x").unwrap();
    BTreeMap::from([("input".to_owned(), Value::F(x.mapv(|v| f64::from(v) / 16.0)))])
}

/// The residual sums of a model.
fn sums(model: &ModelProto) -> usize {
    model.graph.as_ref().unwrap().node.iter().filter(|n| n.op_type() == "Add").count()
}

#[test]
fn blocks_have_channels_of_their_own_where_that_is_the_way() {
    let original = Model::from_path("models/digits_resnet.onnx").unwrap();
    let mut asked = options(0.5);
    asked.way = Way::Decoupled;
    let (pruned, report) = prune(&original, Some(&digits()), &asked).unwrap();
    let taken = report.taken().unwrap();
    assert!(taken.macs <= 0.5 * report.macs && taken.quality.as_ref().unwrap().agreement.unwrap() > 0.9, "{report}");
    assert_eq!(sums(pruned.proto()), sums(original.proto()), "all shortcuts are there");
    // It is what a chain computes: without its residual connections it is the same.
    let mut chain = pruned.clone();
    let outcome = onnx_rm::rewrite(&mut chain, &onnx_rm::Options::default()).unwrap();
    assert_eq!(outcome.after.joins, 0);
    let name = original.proto().graph.as_ref().unwrap().output[0].name().to_owned();
    let run = |proto: &ModelProto| {
        let trace = onnx_rm::verify::reference::run_to(proto, &digits_input(), &[&name]).unwrap();
        trace.get(&name).unwrap().floats().unwrap().clone()
    };
    let (a, b) = (run(pruned.proto()), run(chain.proto()));
    let largest = a.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    assert!((&a - &b).iter().all(|d| d.abs() <= 1e-5 * largest));
    // A gentle cut leaves shortcuts that only select.
    asked.macs = Some(Amount::Share(0.9));
    let (_, report) = prune(&original, Some(&digits()), &asked).unwrap();
    assert!(report.notes.iter().any(|n| n.contains("shortcuts") && !n.contains(" 0 select")), "{report}");
}

#[test]
fn memory_and_time_are_limits_too() {
    let original = Model::from_path("models/digits_resnet.onnx").unwrap();
    let mut asked = options(1.0);
    asked.macs = None;
    let with = |asked: &PruneOptions| prune(&original, Some(&digits()), asked);
    asked.peak_memory = Some(Amount::Share(0.75));
    let (pruned, report) = with(&asked).unwrap();
    let (was, is) = (report.peak_memory.unwrap(), report.taken().unwrap().peak_memory.unwrap());
    assert!(is <= 0.75 * was && report.taken().unwrap().macs > 0.3 * report.macs, "{report}");
    let price = |model: &Model| onnx_rm::inspect(model, &onnx_rm::Options::default()).unwrap().before;
    let peaks = [&original, &pruned].map(|m| price(m).activation_bytes.unwrap() as f64);
    assert_eq!(peaks, [was, is], "what `inspect` says of the files");
    asked.peak_memory = None;
    asked.latency = Some(Amount::Share(0.7));
    let (_, report) = with(&asked).unwrap();
    assert!(report.taken().unwrap().latency.unwrap() <= 0.7 * report.latency.unwrap(), "{report}");
    asked.latency = Some(Amount::Count(1));
    assert!(with(&asked).unwrap_err().to_string().contains("nanoseconds are left"));
}

#[test]
fn all_ways_are_tried_and_the_better_one_is_taken() {
    let original = Model::from_path("models/digits_resnet.onnx").unwrap();
    let mut asked = options(0.7);
    asked.way = Way::Best;
    let (_, report) = prune(&original, Some(&digits()), &asked).unwrap();
    let errors: Vec<f64> = report.ways.iter().map(|w| w.quality.as_ref().unwrap().relative_error).collect();
    assert_eq!(report.ways.iter().map(|w| w.way).collect::<Vec<_>>(), [Way::Residual, Way::Decoupled, Way::Chain]);
    let best = errors.iter().copied().fold(f64::MAX, f64::min);
    assert_eq!(error(&report), best);
}

#[test]
fn weights_that_are_inputs_are_constants_where_that_is_asked_for() {
    let mut original = chain(9, "Relu", |r, _| ((0..27).map(|_| r.unit()).collect(), r.unit()));
    let graph = original.graph.as_mut().unwrap();
    let weights: Vec<_> = graph.initializer.iter().map(|t| (t.name().to_owned(), t.dims.clone())).collect();
    graph.input.extend(weights.iter().map(|(name, dims)| crate::common::build::value_info(name, dims)));
    let with = |options: &PruneOptions| prune(&model(&original), Some(&samples("x", &[3, 6, 6], 40)), options);
    let mut asked = options(0.6);
    assert!(with(&asked).unwrap_err().to_string().contains("nothing can be pruned"));
    asked.rewrite.constant_initializers = true;
    assert!(widths(with(&asked).unwrap().0.proto())[0] < 9);
}

#[test]
fn what_is_asked_to_stay_stays() {
    let original = chain(9, "Relu", |r, _| ((0..27).map(|_| r.unit()).collect(), r.unit()));
    let with = |options: &PruneOptions| prune(&model(&original), Some(&samples("x", &[3, 6, 6], 40)), options);
    let mut asked = options(0.6);
    assert!(widths(with(&asked).unwrap().0.proto())[0] < 9);
    asked.ratio = 0.2;
    let refused = with(&asked).unwrap_err().to_string();
    assert!(refused.contains("the limit cannot be met"), "{refused}");
    asked.ratio = 1.0;
    asked.keep = vec!["*".to_owned()];
    assert!(with(&asked).unwrap_err().to_string().contains("the limit cannot be met"));
    asked.keep = vec!["no_such_layer".to_owned()];
    assert!(with(&asked).unwrap_err().to_string().contains("'no_such_layer' is to keep its channels"));
}

#[test]
fn tensors_keep_multiples_where_that_is_asked_for() {
    let original = chain(27, "Relu", |r, _| ((0..27).map(|_| r.unit()).collect(), r.unit()));
    let left = |share: f64, multiple: usize| {
        let mut asked = options(share);
        asked.multiple = multiple;
        widths(prune(&model(&original), Some(&samples("x", &[3, 6, 6], 40)), &asked).unwrap().0.proto())[0]
    };
    assert_eq!([left(0.95, 8), left(0.8, 8), left(0.5, 8), left(0.3, 8)], [24, 16, 8, 8]);
    assert!(left(0.8, 1) > 16, "as many as may stay");
    // Fewer than a whole block cannot be left.
    let mut asked = options(0.2);
    asked.multiple = 8;
    let refused = prune(&model(&original), Some(&samples("x", &[3, 6, 6], 40)), &asked).unwrap_err().to_string();
    assert!(refused.contains("the limit cannot be met"), "{refused}");
}

#[test]
fn limits_that_are_not_kept_are_findings() {
    let original = chain(9, "Relu", |r, _| ((0..27).map(|_| r.unit()).collect(), r.unit()));
    let with =
        |options: &PruneOptions| prune(&model(&original), Some(&samples("x", &[3, 6, 6], 40)), options).unwrap().1;
    let mut asked = options(0.4);
    assert_eq!(with(&asked).finding, None);
    asked.max_error = Some(1e-6);
    assert!(with(&asked).finding.unwrap().contains("--max-error"));
    asked.max_error = None;
    asked.min_agreement = Some(0.5);
    assert!(with(&asked).finding.unwrap().contains("no row of scores"), "its output is a map");
}

#[test]
fn samples_that_do_not_fit_are_refused() {
    let original = model(&chain(9, "Relu", copied));
    let refused = |inputs: BTreeMap<String, Value>| match Samples::new(inputs) {
        Err(error) => error.to_string(),
        Ok(samples) => prune(&original, Some(&samples), &options(0.5)).unwrap_err().to_string(),
    };
    let one = |shape: &[usize], value: f64| {
        BTreeMap::from([("x".to_owned(), Value::F(ArrayD::from_elem(IxDyn(shape), value)))])
    };
    assert!(refused(BTreeMap::new()).contains("there are none"));
    assert!(refused(arrays("z", &[3, 6, 6], 20)).contains("no array for input 'x'"));
    assert!(refused(arrays("x", &[4, 6, 6], 20)).contains("takes [?, 3, 6, 6]"));
    assert!(refused(one(&[20, 3, 6, 6], f64::NAN)).contains("NaN"));
    assert!(refused(arrays("x", &[3, 6, 6], 1)).contains("too few"));
    let labels = Samples::new(arrays("x", &[3, 6, 6], 20)).unwrap().with_labels(vec![0; 3]);
    assert!(labels.unwrap_err().to_string().contains("3 labels for 20 samples"));
    // Constant samples tell nothing apart: the result is poor, but it is one.
    let constant = Samples::new(one(&[20, 3, 6, 6], 0.5)).unwrap();
    let (pruned, report) = prune(&original, Some(&constant), &options(0.5)).unwrap();
    assert!(pruned.is_edited() && error(&report).is_finite());
}

#[test]
fn layers_that_share_weights_are_fitted_apart() {
    let mut b = Build::new(3);
    let x = b.input("x", &[-1, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let h = b.relu(&h);
    let w = b.random(&[6, 6, 3, 3], 0.2);
    let h = b.conv_with(&[&h, &w], &conv(6, 6, 3));
    let h = b.relu(&h);
    let y = b.conv_with(&[&h, &w], &conv(6, 6, 3));
    b.output(&y);
    let original = model(&b.model());
    let (pruned, report) = prune(&original, Some(&samples("x", &[3, 6, 6], 60)), &options(0.7)).unwrap();
    let graph = pruned.proto().graph.as_ref().unwrap();
    let weights: Vec<&str> = graph.node.iter().filter(|n| n.op_type() == "Conv").map(|n| n.input[1].as_str()).collect();
    assert!(weights[1] != weights[2] && error(&report) < 0.9, "{report}");
    assert!(original.proto().graph.as_ref().unwrap().initializer.iter().any(|t| t.name() == w), "the original is left");
}

#[test]
fn channels_of_which_there_may_be_any_number_stay() {
    let mut b = Build::new(3);
    let x = b.input("x", &[-1, -1, 6, 6]);
    let h = b.conv(&x, &conv(3, 6, 3));
    let h = b.relu(&h);
    let h = b.conv(&h, &conv(6, 6, 3));
    let h = b.relu(&h);
    let y = b.conv(&h, &conv(6, 4, 3));
    b.output(&y);
    let original = model(&b.model());
    let with = |macs| prune(&original, Some(&samples("x", &[3, 6, 6], 60)), &options(macs));
    // Nothing is known of what the first layer reads, so it is left as it is.
    let (pruned, report) = with(0.8).unwrap();
    assert_eq!(widths(pruned.proto()), [6, 4, 4], "{report}");
    assert!(with(0.2).unwrap_err().to_string().contains("the limit cannot be met"));
}

#[test]
fn one_group_of_a_convolution_goes_where_it_matters_least() {
    let mut b = Build::new(41);
    let x = b.input("x", &[-1, 3, 6, 6]);
    let h = b.conv(&x, &conv(3, 8, 1));
    let h = b.relu(&h);
    let h = b.conv(&h, &conv(8, 8, 3).group(4));
    let h = b.relu(&h);
    // What reads the third group hardly does.
    let mut rng = Rng(5);
    let row = (0..4 * 8).map(|i| rng.unit() * if i % 8 / 2 == 2 { 0.001 } else { 1.0 }).collect();
    let w = b.floats(&[4, 8, 1, 1], row);
    let y = b.conv_with(&[&h, &w], &conv(8, 4, 1));
    b.output(&y);
    let original = model(&b.model());
    let (pruned, report) = prune(&original, Some(&samples("x", &[3, 6, 6], 60)), &options(0.8)).unwrap();
    assert_eq!(widths(pruned.proto()), [6, 6, 4], "{report}");
    let graph = pruned.proto().graph.as_ref().unwrap();
    let group = graph.node.iter().flat_map(|n| &n.attribute).find(|a| a.name() == "group" && a.i() > 1);
    assert_eq!(group.map(|a| a.i()), Some(3));
    assert!(error(&report) < 0.01, "{report}");
    let taken = report.taken().unwrap();
    assert!((taken.macs / report.macs - 0.75).abs() < 1e-9, "three quarters of everything: {report}");
}

#[test]
fn a_model_without_layers_is_refused() {
    let mut b = Build::new(1);
    let x = b.input("x", &[2, 4]);
    let y = b.node("Softmax", &[&x], vec![int("axis", 1)]);
    b.output(&y);
    let refused = prune(&model(&b.model()), Some(&samples("x", &[4], 20)), &options(0.5)).unwrap_err();
    assert!(refused.to_string().contains("no convolution"), "{refused}");
}
