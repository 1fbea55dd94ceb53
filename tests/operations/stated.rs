//! What rewritten blocks state of themselves, and what was asked for and did not fit.

use onnx_rm::facts::Facts;
use onnx_rm::graph::GraphView;
use onnx_rm::options::{ActivationForm, Downsample};

use crate::common::*;
use crate::operations::blocks::{all, model_of, named};
use crate::operations::{assert_removed, options};

#[test]
fn both_recipes_of_a_projection_compute_the_same() {
    for name in
        ["projection with stride", "projection with stride in the second convolution", "grouped projection", "option A"]
    {
        let block = named(name);
        for downsample in [Downsample::V1, Downsample::V2] {
            assert_removed(name, &model_of(block, 11, true).model(), &options().downsample(downsample));
        }
    }
}

/// Runtimes that bring the channels behind the spatial axes go by the rank of a constant, and some know no defaults.
#[test]
fn what_is_new_has_the_rank_of_the_data_and_states_its_attributes() {
    use ActivationForm::{Minmax, Prelu, Select};
    let mut looked = [0; 2];
    for (name, block) in all() {
        let before = model_of(block, 29, true).model();
        let old = before.graph.as_ref().unwrap();
        for activation in [Minmax, Prelu, Select] {
            let (after, _) = rewrite(&before, &options().activation(activation));
            let view = GraphView::new(&after).unwrap();
            let facts = Facts::new(&view);
            for node in view.nodes().filter(|n| !old.node.contains(view.node(*n))) {
                let op = view.op(node);
                if op == "Conv" {
                    let stated = |a: &&str| view.attr(node, a).is_some();
                    let all = ["dilations", "group", "kernel_shape", "pads", "strides"].iter().all(stated);
                    assert!(all, "{name} {activation:?}: {:?}", view.node(node));
                    looked[0] += 1;
                }
                let constants = view.inputs(node).iter().flatten().filter_map(|v| view.initializer(*v));
                for constant in constants.filter(|t| !t.dims.is_empty() && !old.initializer.contains(t)) {
                    if matches!(op, "Max" | "Min" | "Where" | "PRelu") {
                        let rank = facts.rank(view.output(node).unwrap()).unwrap();
                        assert_eq!(constant.dims.len(), rank, "{name} {activation:?}: {op} {}", constant.name());
                        looked[1] += 1;
                    }
                }
            }
        }
    }
    assert!(looked.iter().all(|n| *n > 100), "{looked:?}");
}

/// A wish that does not fit is met by what does, and said.
#[test]
fn a_form_of_activations_that_does_not_fit_is_said() {
    let forms = |name: &str, activation| {
        let (_, outcome) = rewrite(&model_of(named(name), 31, true).model(), &options().activation(activation));
        outcome.removed().map(|(_, change)| change.form.clone()).collect::<Vec<_>>().join("; ")
    };
    let words = "--activation pair does not fit there";
    assert!(forms("clip on both sides", ActivationForm::Pair).contains(words));
    assert!(!forms("bottleneck", ActivationForm::Pair).contains("does not fit"));
    assert!(!forms("clip on both sides", ActivationForm::Minmax).contains("does not fit"));
    assert!(!forms("clip on both sides", ActivationForm::Auto).contains("does not fit"));
}
