//! Block carry: selections, blocks and sums in the place of a widened convolution; and what an objective makes small.

use std::collections::BTreeSet;

use onnx_rm::engine;
use onnx_rm::facts::tensor::{read_f64, write};
use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::options::{ActivationForm, Chain, Downsample, Families, Objective, Options, Selector};
use onnx_rm::report::Outcome;

use crate::common::*;
use crate::operations::blocks::{Block, all, model_of, named};
use crate::operations::{assert_none, complaint, options};

/// Blocks wherever they fit, and nothing folded behind them.
fn forced() -> Options {
    options().carry(Chain::Blocks).families(Families::new(&[Selector::Residual], &[]))
}

fn by(objective: Objective) -> Options {
    options().objective(objective)
}

fn operators<'m>(model: &'m ModelProto, op: &str) -> Vec<&'m onnx_rm::onnx::NodeProto> {
    model.graph.as_ref().unwrap().node.iter().filter(|n| n.op_type() == op).collect()
}

fn group(node: &onnx_rm::onnx::NodeProto) -> i64 {
    node.attribute.iter().find(|a| a.name() == "group").map_or(1, |a| a.i())
}

/// How many convolutions only sum up: 1x1, all of whose weights are 0 or 1, with more ones than outputs.
fn sums(model: &ModelProto) -> usize {
    let constants = &model.graph.as_ref().unwrap().initializer;
    let adds = |node: &&onnx_rm::onnx::NodeProto| {
        let weight = constants.iter().find(|t| t.name() == node.input[1]).and_then(|t| read_f64(t).ok());
        weight.is_some_and(|w| {
            let (outputs, ones) = (w.shape()[0], w.iter().filter(|v| **v == 1.0).count());
            w.iter().all(|v| [0.0, 1.0].contains(v)) && ones > outputs && w.shape()[2..].iter().all(|k| *k == 1)
        })
    };
    operators(model, "Conv").iter().filter(|n| adds(n)).count()
}

/// True when `node` reads what a `Gather` gives it alone.
fn follows(model: &ModelProto, node: &onnx_rm::onnx::NodeProto) -> bool {
    let readers = model.graph.as_ref().unwrap().node.iter().filter(|n| n.input.contains(&node.input[0]));
    readers.count() == 1 && operators(model, "Gather").iter().any(|n| n.output[0] == node.input[0])
}

/// A basic block of `width` channels over `axes` spatial axes, behind a Relu.
fn basic(width: usize, axes: usize, size: usize) -> ModelProto {
    let mut b = Build::new(71);
    let x = b.input("x", &[&[1, width as i64][..], &vec![size as i64; axes]].concat());
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(width, width, 3).axes(axes));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(width, width, 3).axes(axes));
    let y = b.add(&y, &x);
    b.output(&y);
    b.model()
}

/// A bottleneck of `4 * width` channels.
fn bottleneck(width: usize, projected: bool) -> ModelProto {
    let mut b = Build::new(73);
    let inputs = if projected { 2 * width } else { 4 * width };
    let x = b.input("x", &[1, inputs as i64, 8, 8]);
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(inputs, width, 1));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(width, width, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(width, 4 * width, 1));
    let s = if projected { b.conv(&x, &conv(inputs, 4 * width, 1)) } else { x };
    let y = b.add(&y, &s);
    let y = b.relu(&y);
    b.output(&y);
    b.model()
}

fn macs(outcome: &Outcome) -> u64 {
    outcome.after.macs.unwrap()
}

#[test]
fn every_block_computes_the_same_in_blocks() {
    let mut complaints = Vec::new();
    let mut with = 0;
    for (name, block) in all() {
        for signed in [false, true] {
            let model = model_of(block, 7, signed).model();
            let expected = Expected::of(&model);
            for activation in [ActivationForm::Auto, ActivationForm::Minmax, ActivationForm::Pair] {
                let options = forced().activation(activation);
                complaints.extend(complaint(name, &model, &expected, &options));
                complaints.extend(complaint(name, &model, &expected, &options.families(Families::default())));
            }
            let (after, _) = rewrite(&model, &forced());
            with += usize::from(sums(&after) > 0);
            let selections = |m: &ModelProto| operators(m, "Gather").iter().filter(|n| follows(m, n)).count();
            if selections(&after) > selections(&model) {
                complaints.push(format!("{name}: a selection behind a selection\n{}", onnx_rm::graph::dump(&after)));
            }
        }
    }
    assert_none(complaints);
    assert!(with > all().count(), "sums are made in {with} models only");
}

#[test]
fn every_block_computes_the_same_for_every_objective() {
    use Objective::{Latency, Macs, Memory, Nodes, Parameters};
    let mut complaints = Vec::new();
    for (name, block) in all() {
        let model = model_of(block, 9, true).model();
        let expected = Expected::of(&model);
        let each = [Latency, Macs, Parameters, Memory, Nodes].map(by);
        complaints.extend(each.iter().filter_map(|o| complaint(name, &model, &expected, o)));
    }
    assert_none(complaints);
}

#[test]
fn blocks_cost_a_fraction_of_what_widening_costs() {
    for (model, most, widened) in [
        (basic(64, 1, 32), 1.4, 2.0),
        (basic(64, 2, 8), 1.2, 2.0),
        (basic(32, 3, 4), 1.3, 2.0),
        (bottleneck(32, false), 1.7, 5.0),
        (bottleneck(32, true), 1.4, 2.0),
    ] {
        let (after, outcome) = rewrite(&model, &by(Objective::Macs));
        assert_eq!(joins(&outcome), 0);
        assert!(distance(&model, &after) < ROUNDING);
        let ratio = |o: &Outcome| macs(o) as f64 / o.before.macs.unwrap() as f64;
        assert!(ratio(&outcome) < most, "{}", ratio(&outcome));
        assert!(sums(&after) > 0 && !operators(&after, "Gather").is_empty());
        assert!(operators(&after, "Conv").iter().any(|n| group(n) > 4));
        let (plain, outcome) = rewrite(&model, &by(Objective::Macs).carry(Chain::Conv));
        assert!(ratio(&outcome) > widened - 0.5, "{}", ratio(&outcome));
        assert_eq!(operators(&plain, "Gather").len() + sums(&plain), 0, "nothing but convolutions was asked for");
        // Parameters follow.
        assert!(rewrite(&model, &by(Objective::Parameters)).1.after.params * 4 < outcome.after.params * 3);
    }
}

/// The last bottlenecks of ResNet-50: a layout that repeats channels for one convolution may have more than can be cut.
#[test]
fn the_widest_bottleneck_is_cut_as_the_others_are() {
    let model = bottleneck(512, false);
    for (objective, most) in [(Objective::Macs, 1.15), (Objective::Latency, 1.6)] {
        let (_, outcome) = rewrite(&model, &by(objective));
        let ratio = macs(&outcome) as f64 / outcome.before.macs.unwrap() as f64;
        assert!(joins(&outcome) == 0 && ratio < most, "{objective:?}: {ratio}");
    }
}

#[test]
fn a_projection_goes_into_the_sum() {
    let mut b = Build::new(79);
    let x = b.input("x", &[1, 16, 8, 8]);
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(16, 32, 3).stride(2));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(32, 32, 3));
    let s = b.conv(&x, &conv(16, 32, 1).stride(2));
    let y = b.add(&y, &s);
    b.output(&y);
    let model = b.model();
    let (after, outcome) = rewrite(&model, &by(Objective::Macs).downsample(Downsample::V2));
    assert_eq!(joins(&outcome), 0);
    assert!(distance(&model, &after) < ROUNDING);
    let last = *operators(&after, "Conv").last().unwrap();
    let kernel = last.attribute.iter().find(|a| a.name() == "kernel_shape").unwrap();
    assert_eq!(kernel.ints, [1, 1], "the last convolution is the sum, with the projection in it");
    assert!(macs(&outcome) * 2 < outcome.before.macs.unwrap() * 3);
}

/// With weights of 0 on the branch the join is what is carried.
#[test]
fn what_is_carried_keeps_its_bits() {
    let mut b = Build::new(83);
    let x = b.input("x", &[1, 12, 4, 4]);
    let mut y = x.clone();
    for (i, o, k) in [(12, 6, 1), (6, 6, 3), (6, 12, 1)] {
        let w = b.floats(&[o, i, k, k], vec![0.0; o * i * k * k]);
        y = b.conv_with(&[&y, &w], &conv(i, o, k));
        y = b.relu(&y);
    }
    let y = b.add(&y, &x);
    b.output(&y);
    let model = b.model();
    for activation in [ActivationForm::Auto, ActivationForm::Minmax] {
        let (after, outcome) = rewrite(&model, &forced().activation(activation));
        assert_eq!(joins(&outcome), 0);
        assert!(sums(&after) > 1);
        assert_eq!(evaluate(&model, 5), evaluate(&after, 5), "{activation:?}");
    }
}

#[test]
fn a_second_rewrite_leaves_blocks_alone() {
    let models = all().flat_map(|(name, block): (_, Block)| [(name, model_of(block, 37, true).model(), forced())]);
    let wide = [basic(64, 2, 8), bottleneck(32, false), bottleneck(32, true)];
    let objectives = [Objective::Macs, Objective::Latency, Objective::Parameters];
    let wide = wide.iter().flat_map(|m| objectives.map(|o| ("wide", m.clone(), by(o))));
    for (name, model, options) in models.chain(wide) {
        let (once, first) = rewrite(&model, &options);
        let (twice, second) = rewrite(&once, &options.clone().carry(Chain::Auto).families(Families::default()));
        if options.carry == Chain::Auto {
            assert_eq!(once, twice, "{name}: {:?}", second.removed().collect::<Vec<_>>());
        }
        // What was forced may be folded, and is then cheaper.
        assert!(second.after.macs <= first.after.macs, "{name}");
        assert!(distance(&model, &twice) < ROUNDING, "{name}");
    }
}

#[test]
fn joins_around_and_behind_blocks_go_as_well() {
    for seed in 0..3 {
        let mut b = Build::new(89 + seed);
        let x = b.input("x", &[1, 16, 6, 6]);
        let x = b.conv(&x, &conv(16, 16, 1));
        let mut y = x.clone();
        for _ in 0..2 {
            let z = b.conv(&y, &conv(16, 12, 3));
            let z = b.relu(&z);
            let z = b.conv(&z, &conv(12, 16, 3));
            y = b.add(&z, &y);
        }
        let y = b.conv(&y, &conv(16, 16, 3));
        let y = b.add(&y, &x);
        b.output(&y);
        let model = b.model();
        for carry in [Chain::Auto, Chain::Blocks] {
            let options = forced().carry(carry);
            let (short, outcome) = rewrite(&model, &options.clone().long_skips(false));
            assert_eq!(joins(&outcome), 1, "a chain of blocks is known to carry");
            assert!(distance(&model, &short) < ROUNDING);
            for second in [Chain::Auto, Chain::Conv, Chain::Blocks] {
                let (long, outcome) = rewrite(&short, &options.clone().carry(second));
                assert_eq!(joins(&outcome), 0, "{second:?}: {:?}", outcome.sites);
                let d = distance(&model, &long);
                assert!(d < 2.0 * ROUNDING, "{carry:?} {second:?}: {d}");
            }
        }
    }
}

/// A number of few digits would lose some in every partial result.
#[test]
fn half_precision_is_not_summed_up_in_parts() {
    for (dtype, bar) in [(DataType::Float16, 2e-3), (DataType::Bfloat16, 2e-2)] {
        let mut b = Build::new(97);
        b.opset = 22;
        let x = b.input("x", &[1, 32, 6, 6]);
        let x = b.relu(&x);
        let y = b.conv(&x, &conv(32, 32, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(32, 32, 3));
        let y = b.add(&y, &x);
        b.output(&y);
        let model = retyped(b.model(), dtype);
        let (after, outcome) = rewrite(&model, &by(Objective::Macs));
        assert_eq!((joins(&outcome), sums(&after)), (0, 0), "{dtype:?}");
        assert!(distance(&model, &after) < bar, "{dtype:?}");
    }
}

#[test]
fn each_objective_makes_its_own_measure_smallest() {
    use Objective::{Latency, Macs, Memory, Nodes, Parameters};
    for model in [basic(64, 2, 8), bottleneck(32, false), bottleneck(32, true)] {
        let outcomes = [Latency, Macs, Parameters, Memory, Nodes].map(|o| rewrite(&model, &by(o)).1);
        let least = |measure: fn(&Outcome) -> u64| outcomes.iter().map(measure).min().unwrap();
        assert_eq!(macs(&outcomes[1]), least(macs));
        assert_eq!(outcomes[2].after.params.min(outcomes[1].after.params), least(|o| o.after.params));
        assert_eq!(outcomes[4].after.nodes as u64, least(|o| o.after.nodes as u64));
        let forms: BTreeSet<u64> = outcomes.iter().map(macs).collect();
        assert!(forms.len() > 1, "objectives differ");
    }
}

/// Blocks are priced without being laid out: what was counted is what is there.
#[test]
fn the_price_that_was_planned_is_paid() {
    let families = Families::new(&[Selector::Residual], &[]);
    for model in [basic(64, 1, 32), basic(64, 2, 8), bottleneck(32, false), bottleneck(32, true)] {
        for objective in [Objective::Macs, Objective::Latency, Objective::Parameters] {
            let outcome = rewrite(&model, &by(objective).families(families)).1;
            let (planned, gone) = outcome.removed().fold((0, 0), |(planned, gone), (_, change)| {
                (planned + change.macs_after.unwrap(), gone + change.macs_before.unwrap())
            });
            assert_eq!(macs(&outcome), outcome.before.macs.unwrap() + planned - gone, "{objective:?}");
        }
    }
    // Here and there a convolution splits into more groups than were asked for.
    for (name, block) in all() {
        let outcome = rewrite(&model_of(block, 3, true).model(), &forced()).1;
        let sides = outcome.removed().map(|(_, c)| Some((c.macs_before?, c.macs_after?))).collect::<Option<Vec<_>>>();
        let (Some(sides), Some(before), Some(after)) = (sides, outcome.before.macs, outcome.after.macs) else {
            continue;
        };
        let (gone, planned) = sides.iter().fold((0, 0), |(a, b), (before, after)| (a + before, b + after));
        assert!(
            after + gone <= before + planned,
            "{name}: {before} - {gone} + {planned} is {after}\n{}",
            onnx_rm::graph::dump(&rewrite(&model_of(block, 3, true).model(), &forced()).0)
        );
    }
}

#[test]
fn a_size_that_is_not_known_stops_no_blocks() {
    let mut b = Build::new(101);
    let x = b.input("x", &[-1, 64, -1, -1]);
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(64, 64, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(64, 64, 3));
    let y = b.add(&y, &x);
    b.output(&y);
    let mut model = b.model();
    let (after, outcome) = rewrite(&model, &by(Objective::Macs));
    assert_eq!((joins(&outcome), outcome.after.macs), (0, None));
    assert!(sums(&after) > 0 && distance(&model, &after) < ROUNDING);
    engine::rewrite_proto(&mut model, &by(Objective::Macs), &mut engine::go_on).unwrap();
    assert_eq!(model, after, "the same input gives the same graph");
}

/// Negative controls: what goes wrong within the three steps is further away than rounding.
#[test]
fn a_wrong_selection_or_sum_is_caught() {
    let model = model_of(named("bottleneck"), 47, true).model();
    let expected = Expected::of(&model);
    let (after, _) = rewrite(&model, &forced());
    assert!(expected.distance(&after) < ROUNDING);
    let gathers = operators(&after, "Gather").len();
    assert!(gathers > 1);
    for nth in 0..gathers {
        let mut wrong = after.clone();
        let graph = wrong.graph.as_mut().unwrap();
        let index = graph.node.iter().filter(|n| n.op_type() == "Gather").nth(nth).unwrap().input[1].clone();
        let tensor = graph.initializer.iter_mut().find(|t| t.name() == index).unwrap();
        let mut raw = tensor.raw_data.clone().unwrap().to_vec();
        raw.rotate_left(8);
        tensor.raw_data = Some(raw.into());
        assert!(expected.distance(&wrong) > 100.0 * ROUNDING, "selection {nth}");
    }
    let convs = operators(&after, "Conv").len();
    for nth in 0..convs {
        let mut wrong = after.clone();
        let graph = wrong.graph.as_mut().unwrap();
        let weight = graph.node.iter().filter(|n| n.op_type() == "Conv").nth(nth).unwrap().input[1].clone();
        let tensor = graph.initializer.iter_mut().find(|t| t.name() == weight).unwrap();
        let mut values = read_f64(tensor).unwrap();
        let Some(one) = values.iter_mut().find(|v| **v == 1.0) else { continue };
        *one = 0.0;
        *tensor = write(&weight, &values, DataType::Float);
        assert!(expected.distance(&wrong) > 100.0 * ROUNDING, "weight {nth}");
    }
}
