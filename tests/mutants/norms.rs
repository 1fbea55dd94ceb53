//! Normalisations.

use crate::common::{float, int};
use crate::mutants::edit::{constant, integer, node, number, two};
use crate::mutants::mutation::{Mutation, kind};

const NORMS: &[&str] = &["BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"];

const ONE_ENTRY: &str = "no input shows it: it lies within rounding, or in a channel that is always zero";

pub const KINDS: &[Mutation] = &[
    kind("epsilon of a batch normalisation times 100", |m, r| epsilon(m, r, &["BatchNormalization"])).hidden(ONE_ENTRY),
    kind("epsilon of a layer normalisation times 100", |m, r| epsilon(m, r, &["LayerNormalization"])).hidden(ONE_ENTRY),
    kind("epsilon of an instance normalisation times 100", |m, r| {
        epsilon(m, r, &["InstanceNormalization", "GroupNormalization"])
    })
    .hidden(ONE_ENTRY),
    kind("mean and variance swapped", |m, r| {
        node(m, r, &["BatchNormalization"], |n, _, _| {
            let read = integer(n, "training_mode", 0) == 0;
            read.then(|| n.input.swap(3, 4)).map(|()| "mean and variance swapped".to_owned())
        })
    }),
    kind("gamma and beta swapped", |m, r| {
        node(m, r, NORMS, |n, _, _| {
            (n.input.len() > 2).then(|| n.input.swap(1, 2)).map(|()| "gamma and beta swapped".to_owned())
        })
    }),
    kind("gamma of one channel off", |m, r| channel(m, r, 1))
        .open("a difference of a few thousandths is taken for rounding")
        .hidden(ONE_ENTRY),
    kind("beta of one channel off", |m, r| channel(m, r, 2)).hidden(ONE_ENTRY),
    kind("two variances swapped", |m, r| {
        constant(m, r, &["BatchNormalization"], 4, |v, _, r| {
            let (i, j) = two(v.len(), r)?;
            v.as_slice_mut()?.swap(i, j);
            Some(format!("variances {i} and {j} swapped"))
        })
    })
    .hidden(ONE_ENTRY),
    kind("normalisation dropped", |m, r| {
        node(m, r, NORMS, |n, _, _| {
            crate::mutants::edit::turn_into(n, "Identity", 1, vec![]);
            n.output.truncate(1);
            Some("it does nothing".to_owned())
        })
    }),
    kind("batch normalisation in training mode", |m, r| {
        node(m, r, &["BatchNormalization"], |n, m, _| {
            (crate::mutants::edit::opset(m) >= 14 && integer(n, "training_mode", 0) == 0).then(|| {
                crate::mutants::edit::set(n, int("training_mode", 1));
                "training_mode set".to_owned()
            })
        })
    })
    .open("tract does not know of training mode, and only it runs the second model"),
    kind("axis of a layer normalisation", |m, r| {
        node(m, r, &["LayerNormalization"], |n, _, _| {
            let axis = integer(n, "axis", -1);
            crate::mutants::edit::set(n, int("axis", if axis < 0 { axis - 1 } else { axis + 1 }));
            Some(format!("axis is no longer {axis}"))
        })
    }),
    kind("groups of a group normalisation", |m, r| {
        node(m, r, &["GroupNormalization"], |n, _, _| {
            crate::mutants::edit::set(n, int("num_groups", 1));
            Some("one group".to_owned())
        })
    }),
    kind("size of a response normalisation", |m, r| {
        node(m, r, &["LRN"], |n, _, _| {
            crate::mutants::edit::set(n, int("size", integer(n, "size", 1) + 2));
            Some("size two larger".to_owned())
        })
    }),
    kind("norm of a normalisation", |m, r| {
        node(m, r, &["LpNormalization"], |n, _, _| {
            crate::mutants::edit::set(n, int("p", 3 - integer(n, "p", 2)));
            Some("p of 1 and 2 exchanged".to_owned())
        })
    }),
];

fn epsilon(m: &mut onnx_rm::onnx::ModelProto, r: &mut crate::common::Rng, ops: &[&str]) -> crate::mutants::edit::Words {
    node(m, r, ops, |n, _, _| {
        let old = number(n, "epsilon", 1e-5);
        crate::mutants::edit::set(n, float("epsilon", old * 100.0));
        Some(format!("epsilon {old} times 100"))
    })
}

fn channel(m: &mut onnx_rm::onnx::ModelProto, r: &mut crate::common::Rng, slot: usize) -> crate::mutants::edit::Words {
    constant(m, r, NORMS, slot, |v, _, r| {
        let i = r.below(v.len());
        v.iter_mut().skip(i).take(1).for_each(|v| *v = *v * 1.01 + 0.001);
        Some(format!("entry {i} of input {slot} off by a hundredth"))
    })
}
