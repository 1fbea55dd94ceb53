//! Products, sums, reductions and choices.

use ndarray::ArrayD;
use onnx_rm::onnx::ModelProto;

use crate::common::{Rng, float, int, ints, string};
use crate::mutants::edit::{
    Words, behind, constant, find, integer, list, node, number, opset, places, set, tensor, text, two, values,
};
use crate::mutants::mutation::{Mutation, kind};

pub const KINDS: &[Mutation] = &[
    kind("Gemm: transA", |m, r| flag(m, r, &["Gemm"], "transA")),
    kind("Gemm: transB", |m, r| flag(m, r, &["Gemm"], "transB")),
    kind("Gemm: alpha", |m, r| factor(m, r, "alpha")),
    kind("Gemm: beta", |m, r| factor(m, r, "beta")),
    kind("MatMul: operands exchanged", |m, r| exchanged(m, r, &["MatMul"])),
    kind("Sub or Div: operands exchanged", |m, r| exchanged(m, r, &["Sub", "Div", "Pow"])),
    kind("Add and Sub", |m, r| other(m, r, &[("Add", "Sub"), ("Sub", "Add")])),
    kind("Mul and Add", |m, r| other(m, r, &[("Mul", "Add")])),
    kind("Mul and Div", |m, r| other(m, r, &[("Mul", "Div"), ("Div", "Mul")])),
    kind("Max and Min", |m, r| other(m, r, &[("Max", "Min"), ("Min", "Max")])),
    kind("Where inverted", |m, r| {
        let index = *places(m, r, &["Where"]).first()?;
        let condition = m.graph.as_ref()?.node[index].input[0].clone();
        if tensor(m, &condition).is_some() {
            return None;
        }
        behind(m, &condition, |b, c| b.node("Not", &[c], vec![]));
        Some(format!("'{condition}' negated"))
    }),
    kind("Where: branches exchanged", |m, r| {
        node(m, r, &["Where"], |n, _, _| {
            n.input.swap(1, 2);
            Some("branches exchanged".to_owned())
        })
    }),
    kind("a mask entry turned", |m, r| {
        constant(m, r, &["Where"], 0, |c, _, r| {
            let i = r.below(c.len());
            c.iter_mut().skip(i).take(1).for_each(|v| *v = 1.0 - *v);
            Some(format!("entry {i} of its mask turned"))
        })
    })
    .hidden("both branches may be the same in the channel"),
    kind("Greater and GreaterOrEqual", |m, r| {
        other(m, r, &[("Greater", "GreaterOrEqual"), ("Less", "LessOrEqual"), ("GreaterOrEqual", "Greater")])
    })
    .hidden("no operands may ever be equal")
    .open("only equal operands tell them apart"),
    kind("Greater and Less", |m, r| other(m, r, &[("Greater", "Less"), ("Less", "Greater")])),
    kind("And and Or", |m, r| other(m, r, &[("And", "Or"), ("Or", "And"), ("And", "Xor")])),
    kind("Round, Floor and Ceil", |m, r| other(m, r, &[("Floor", "Ceil"), ("Ceil", "Floor"), ("Round", "Floor")])),
    kind("Sin and Cos", |m, r| other(m, r, &[("Sin", "Cos"), ("Cos", "Sin"), ("Exp", "Sqrt"), ("Log", "Sqrt")])),
    kind("reduction: another one", |m, r| {
        other(
            m,
            r,
            &[
                ("ReduceMean", "ReduceMax"),
                ("ReduceMax", "ReduceMean"),
                ("ReduceSum", "ReduceSumSquare"),
                ("ReduceL2", "ReduceL1"),
            ],
        )
    }),
    kind("reduction: axes", |m, r| {
        node(m, r, &["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"], |n, _, _| {
            let mut axes = list(n, "axes");
            (axes.len() > 1).then(|| {
                axes.pop();
                set(n, ints("axes", &axes));
                format!("axes {axes:?}")
            })
        })
    }),
    kind("reduction: axes given as a tensor", |m, r| {
        constant(m, r, &["ReduceMean", "ReduceMax", "ReduceSum"], 1, |a, _, _| {
            let first = *a.iter().next()?;
            a.iter_mut().take(1).for_each(|v| *v = first - 1.0);
            Some(format!("axis {first} became one less"))
        })
    }),
    kind("reduction: keepdims", |m, r| {
        node(m, r, &["ReduceMean", "ReduceMax", "ReduceSum", "ArgMax"], |n, _, _| {
            set(n, int("keepdims", 1 - integer(n, "keepdims", 1)));
            Some("keepdims turned".to_owned())
        })
    })
    .open("one sample broadcasts over an axis that is missing")
    .hidden("a Reshape behind it may make up for it"),
    kind("Einsum: equation", |m, r| {
        node(m, r, &["Einsum"], |n, _, _| {
            let old = text(n, "equation");
            let (left, right) = old.split_once("->")?;
            let right: String = right.chars().rev().collect();
            set(n, string("equation", &format!("{left}->{right}")));
            Some("its result's axes turned".to_owned())
        })
    }),
    kind("CumSum: exclusive", |m, r| flag(m, r, &["CumSum"], "exclusive")),
    kind("CumSum: reverse", |m, r| flag(m, r, &["CumSum"], "reverse")),
    kind("Trilu: upper", |m, r| {
        node(m, r, &["Trilu"], |n, _, _| {
            set(n, int("upper", 1 - integer(n, "upper", 1)));
            Some("upper turned".to_owned())
        })
    }),
    kind("TopK: largest", |m, r| {
        node(m, r, &["TopK"], |n, _, _| {
            set(n, int("largest", 1 - integer(n, "largest", 1)));
            Some("largest turned".to_owned())
        })
    }),
    kind("TopK: sorted", |m, r| {
        node(m, r, &["TopK"], |n, _, _| {
            set(n, int("sorted", 1 - integer(n, "sorted", 1)));
            Some("sorted turned".to_owned())
        })
    })
    .open("an unsorted result may stand in any order, the sorted one too: values do not tell"),
    kind("TopK: k", |m, r| {
        constant(m, r, &["TopK"], 1, |k, _, _| {
            k.mapv_inplace(|v| v + 1.0);
            Some("one more".to_owned())
        })
    }),
    kind("ArgMax: select_last_index", |m, r| {
        node(m, r, &["ArgMax", "ArgMin"], |n, _, _| {
            set(n, int("select_last_index", 1 - integer(n, "select_last_index", 0)));
            Some("select_last_index turned".to_owned())
        })
    }),
    kind("ArgMax: axis", |m, r| {
        node(m, r, &["ArgMax"], |n, _, _| {
            let axis = integer(n, "axis", 0);
            set(n, int("axis", if axis == 1 { 2 } else { 1 }));
            Some(format!("axis is no longer {axis}"))
        })
    }),
    kind("ArgMax and ArgMin", |m, r| other(m, r, &[("ArgMax", "ArgMin"), ("ArgMin", "ArgMax")])),
    kind("embedding: one row changed", |m, r| {
        constant(m, r, &["Gather"], 0, |t, _, r| {
            let row = (t.ndim() > 1).then(|| r.below(t.shape()[0]))?;
            t.index_axis_mut(ndarray::Axis(0), row).mapv_inplace(|v| v * 1.1 + 0.1);
            Some(format!("row {row} changed"))
        })
    })
    .hidden("no index may pick the row")
    .open("a row that no index fed picks"),
    kind("embedding: two rows swapped", |m, r| {
        constant(m, r, &["Gather"], 0, |t, _, r| {
            let (i, j) = two(t.shape()[0], r).filter(|_| t.ndim() > 1)?;
            let mut order: Vec<usize> = (0..t.shape()[0]).collect();
            order.swap(i, j);
            *t = t.select(ndarray::Axis(0), &order);
            Some(format!("rows {i} and {j} swapped"))
        })
    })
    .hidden("no index may pick the rows")
    .open("rows that no index fed picks"),
    kind("scale of a quantisation off", |m, r| {
        constant(m, r, &["QuantizeLinear", "DequantizeLinear"], 1, |s, _, _| {
            s.mapv_inplace(|v| v * 1.05);
            Some("scale times 1.05".to_owned())
        })
    }),
    kind("zero point of a quantisation off", |m, r| {
        constant(m, r, &["QuantizeLinear", "DequantizeLinear"], 2, |z, _, _| {
            z.mapv_inplace(|v| v + 1.0);
            Some("zero point one more".to_owned())
        })
    }),
    kind("one quantised weight off by one", |m, r| {
        constant(m, r, &["DequantizeLinear"], 0, |w, _, r| {
            let i = r.below(w.len());
            w.iter_mut().skip(i).take(1).for_each(|v| *v = if *v > 0.0 { *v - 1.0 } else { *v + 1.0 });
            Some(format!("weight {i} off by one"))
        })
    }),
    kind("square weight of a MatMul transposed", square),
];

fn flag(m: &mut ModelProto, r: &mut Rng, ops: &[&str], name: &str) -> Words {
    node(m, r, ops, |n, _, _| {
        set(n, int(name, 1 - integer(n, name, 0)));
        Some(format!("{name} turned"))
    })
}

fn factor(m: &mut ModelProto, r: &mut Rng, name: &str) -> Words {
    node(m, r, &["Gemm"], |n, _, _| {
        let old = number(n, name, 1.0);
        (name != "beta" || n.input.len() > 2).then(|| set(n, float(name, old * 1.01)))?;
        Some(format!("{name} {old} times 1.01"))
    })
}

fn exchanged(m: &mut ModelProto, r: &mut Rng, ops: &[&str]) -> Words {
    node(m, r, ops, |n, _, _| {
        n.input.swap(0, 1);
        Some("operands exchanged".to_owned())
    })
}

/// Another operator with the same inputs.
fn other(m: &mut ModelProto, r: &mut Rng, pairs: &[(&str, &str)]) -> Words {
    let ops: Vec<&str> = pairs.iter().map(|(a, _)| *a).collect();
    let (modern, old) = (opset(m) >= 18, opset(m) < 13);
    node(m, r, &ops, |n, m, r| {
        let others: Vec<&str> = pairs.iter().filter(|(a, _)| *a == n.op_type()).map(|(_, b)| *b).collect();
        let other = others[r.below(others.len())];
        // Shapes are computed by sums and products too: only what is a float tensor is meant here.
        // A constant of ones is no factor.
        let is_one = |i: &String| values(m, i).is_some_and(|v| v.iter().all(|v| *v == 1.0));
        let whole =
            n.input.iter().filter_map(|i| tensor(m, i)).all(|t| t.data_type == Some(1)) && !n.input.iter().any(is_one);
        let reduces = n.op_type().starts_with("Reduce") && (modern || old);
        (whole && !(reduces && find(n, "axes").is_none() && n.input.len() < 2)).then(|| {
            n.op_type = Some(other.to_owned());
            format!("became {other}")
        })
    })
}

fn square(m: &mut ModelProto, r: &mut Rng) -> Words {
    let index = places(m, r, &["MatMul", "Gemm"]).into_iter().find(|i| {
        let node = &m.graph.as_ref().unwrap().node[*i];
        values(m, &node.input[1]).is_some_and(|w| w.ndim() == 2 && w.shape()[0] == w.shape()[1] && w.len() > 1)
    })?;
    let name = m.graph.as_ref()?.node[index].input[1].clone();
    let turned: ArrayD<f64> = values(m, &name)?.reversed_axes().as_standard_layout().into_owned();
    crate::mutants::edit::store(m, &name, &turned)?;
    Some(format!("'{name}' transposed"))
}
