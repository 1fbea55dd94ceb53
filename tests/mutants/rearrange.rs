//! Operators that move values about.

use onnx_rm::onnx::ModelProto;

use crate::common::{Rng, int, ints, string};
use crate::mutants::edit::{Words, constant, find, integer, list, node, number, set, tensor, text, two};
use crate::mutants::mutation::{Mutation, kind};

pub const KINDS: &[Mutation] = &[
    kind("Concat: order", |m, r| {
        node(m, r, &["Concat"], |n, m, r| {
            let data = n.input.iter().all(|i| tensor(m, i).is_none());
            let (i, j) = two(n.input.len(), r).filter(|_| data)?;
            n.input.swap(i, j);
            Some(format!("inputs {i} and {j} exchanged"))
        })
    }),
    kind("Concat: axis", |m, r| {
        node(m, r, &["Concat"], |n, _, _| {
            let axis = integer(n, "axis", 1);
            (axis > 0).then(|| set(n, int("axis", axis + 1))).map(|()| format!("axis {axis} became one more"))
        })
    }),
    kind("Split: outputs exchanged", |m, r| {
        node(m, r, &["Split"], |n, _, r| {
            let (i, j) = two(n.output.len(), r)?;
            n.output.swap(i, j);
            Some(format!("outputs {i} and {j} exchanged"))
        })
    })
    .hidden("both may be factors of one product"),
    kind("Split: sizes exchanged", |m, r| {
        constant(m, r, &["Split"], 1, |s, _, _| {
            let flat = s.as_slice_mut()?;
            let i = (1..flat.len()).find(|i| flat[*i] != flat[0])?;
            flat.swap(0, i);
            Some(format!("sizes {flat:?}"))
        })
    }),
    kind("Slice: start and end moved by one", |m, r| slice(m, r, &[1, 2], 1.0)),
    kind("Slice: start one later", |m, r| slice(m, r, &[1], 1.0))
        .open("where only a constant differs, the regions that are compared end before its reader"),
    kind("Slice: end one earlier", |m, r| slice(m, r, &[2], -1.0)),
    kind("Slice: axis", |m, r| {
        constant(m, r, &["Slice"], 3, |a, _, _| {
            let old = *a.iter().next()?;
            a.iter_mut().take(1).for_each(|v| *v = if *v == 2.0 { 3.0 } else { 2.0 });
            (a.len() == 1).then(|| format!("axis {old} became another"))
        })
    }),
    kind("Slice: step", |m, r| {
        constant(m, r, &["Slice"], 4, |s, _, _| {
            let step = s.iter_mut().find(|v| **v != 1.0)?;
            *step = -*step;
            Some("step negated".to_owned())
        })
    }),
    kind("Gather: two indices exchanged", |m, r| {
        constant(m, r, &["Gather"], 1, |i, _, r| {
            let (a, b) = two(i.len(), r)?;
            i.as_slice_mut()?.swap(a, b);
            Some(format!("indices {a} and {b} exchanged"))
        })
    })
    .hidden("both entries may be alike"),
    kind("Gather: one index off", |m, r| {
        constant(m, r, &["Gather"], 1, |i, n, _| {
            (integer(n, "axis", 0) > 0 && !i.is_empty()).then(|| {
                i.iter_mut().take(1).for_each(|v| *v = if *v > 0.0 { *v - 1.0 } else { *v + 1.0 });
                "its first index off by one".to_owned()
            })
        })
    }),
    kind("Gather: axis", |m, r| {
        node(m, r, &["Gather"], |n, m, _| {
            let data = tensor(m, n.input.first()?).is_none() && integer(n, "axis", 0) > 0;
            data.then(|| set(n, int("axis", integer(n, "axis", 0) + 1))).map(|()| "axis one more".to_owned())
        })
    }),
    kind("Transpose: perm", |m, r| {
        node(m, r, &["Transpose"], |n, _, _| {
            let mut perm = list(n, "perm");
            let count = perm.len();
            (count > 2).then(|| perm.swap(count - 1, count - 2))?;
            set(n, ints("perm", &perm));
            Some(format!("perm {perm:?}"))
        })
    }),
    kind("Transpose dropped", |m, r| {
        node(m, r, &["Transpose"], |n, _, _| {
            crate::mutants::edit::turn_into(n, "Identity", 1, vec![]);
            Some("it does nothing".to_owned())
        })
    }),
    kind("Reshape: two sizes exchanged", |m, r| {
        constant(m, r, &["Reshape"], 1, |s, _, _| {
            let flat = s.as_slice_mut()?;
            let n = flat.len();
            (n > 2 && flat[n - 1] != flat[n - 2]).then(|| flat.swap(n - 1, n - 2))?;
            Some(format!("shape {flat:?}"))
        })
    }),
    kind("Reshape: the batch flattened", |m, r| {
        constant(m, r, &["Reshape"], 1, |s, _, _| {
            let flat = s.as_slice_mut()?;
            (flat.len() > 1 && flat[0] <= 0.0 && flat[1..].iter().all(|d| *d > 0.0)).then(|| flat[0] = 1.0)?;
            let last = flat.len() - 1;
            flat[last] = -1.0;
            Some(format!("shape {flat:?}"))
        })
    })
    .open("free sizes are tried at one value only"),
    kind("Flatten: axis", |m, r| {
        node(m, r, &["Flatten"], |n, _, _| {
            let axis = integer(n, "axis", 1);
            set(n, int("axis", axis + 1));
            Some(format!("axis {axis} became one more"))
        })
    }),
    kind("Squeeze or Unsqueeze: axis", |m, r| {
        constant(m, r, &["Squeeze", "Unsqueeze"], 1, |a, _, _| {
            let first = *a.iter().next()?;
            a.iter_mut().take(1).for_each(|v| *v += if first > 0.0 { -1.0 } else { 1.0 });
            Some(format!("axis {first} became another"))
        })
    })
    .open("one sample broadcasts over an axis in another place")
    .hidden("a Reshape behind it may make up for it"),
    kind("Pad: mode", |m, r| {
        node(m, r, &["Pad"], |n, _, r| {
            let modes = ["constant", "edge", "reflect"];
            let now = find(n, "mode").map_or("constant".to_owned(), |_| text(n, "mode"));
            let others: Vec<&str> = modes.into_iter().filter(|m| *m != now).collect();
            let other = others[r.below(others.len())];
            n.input.truncate(2);
            set(n, string("mode", other));
            Some(format!("{now} became {other}"))
        })
    })
    .hidden("nothing may be padded"),
    kind("Pad: value", |m, r| {
        constant(m, r, &["Pad"], 2, |v, _, _| {
            v.mapv_inplace(|v| v + 0.05);
            Some("its value 0.05 more".to_owned())
        })
    }),
    kind("Pad: value dropped", |m, r| {
        node(m, r, &["Pad"], |n, m, _| {
            let value = crate::mutants::edit::values(m, n.input.get(2)?)?;
            (value.iter().any(|v| *v != 0.0)).then(|| n.input.truncate(2)).map(|()| "its value dropped".to_owned())
        })
    }),
    kind("Pad: begin and end exchanged", |m, r| {
        constant(m, r, &["Pad"], 1, |p, _, _| {
            let flat = p.as_slice_mut()?;
            let half = flat.len() / 2;
            (0..half).for_each(|i| flat.swap(i, i + half));
            Some(format!("pads {flat:?}"))
        })
    }),
    kind("Pad: moved by one", |m, r| {
        constant(m, r, &["Pad"], 1, |p, _, _| {
            let flat = p.as_slice_mut()?;
            let half = flat.len() / 2;
            let i = (0..half).find(|i| flat[i + half] > 0.0)?;
            (flat[i], flat[i + half]) = (flat[i] + 1.0, flat[i + half] - 1.0);
            Some(format!("pads {flat:?}"))
        })
    }),
    kind("Resize: mode", |m, r| {
        node(m, r, &["Resize"], |n, _, _| {
            let now = find(n, "mode").map_or("nearest".to_owned(), |_| text(n, "mode"));
            let other = if now == "linear" { "cubic" } else { "linear" };
            set(n, string("mode", other));
            Some(format!("{now} became {other}"))
        })
    }),
    kind("Resize: coordinates", |m, r| {
        node(m, r, &["Resize"], |n, _, r| {
            let now = text(n, "coordinate_transformation_mode");
            let modes = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"];
            let others: Vec<&str> =
                modes.into_iter().filter(|m| *m != now && (!now.is_empty() || *m != "half_pixel")).collect();
            let other = others[r.below(others.len())];
            set(n, string("coordinate_transformation_mode", other));
            Some(format!("'{now}' became {other}"))
        })
    })
    .hidden("both mean the same unless an axis is resized to one entry")
    .open("pytorch_half_pixel is half_pixel unless an axis is resized to one entry"),
    kind("Resize: nearest", |m, r| {
        node(m, r, &["Resize"], |n, _, _| {
            let nearest = find(n, "mode").is_none_or(|_| text(n, "mode") == "nearest");
            let other = if text(n, "nearest_mode") == "ceil" { "floor" } else { "ceil" };
            nearest.then(|| set(n, string("nearest_mode", other))).map(|()| format!("nearest_mode {other}"))
        })
    }),
    kind("Resize: coefficient of cubic", |m, r| {
        node(m, r, &["Resize"], |n, _, _| {
            let cubic = text(n, "mode") == "cubic";
            let old = number(n, "cubic_coeff_a", -0.75);
            cubic
                .then(|| set(n, crate::common::float("cubic_coeff_a", old + 0.25)))
                .map(|()| "a quarter more".to_owned())
        })
    }),
    kind("Resize: scale", |m, r| {
        constant(m, r, &["Resize"], 2, |s, _, _| {
            let last = s.iter_mut().last()?;
            *last += 1.0;
            Some("the last scale one more".to_owned())
        })
    }),
    kind("DepthToSpace: mode", |m, r| {
        node(m, r, &["DepthToSpace"], |n, _, _| {
            let other = if text(n, "mode") == "CRD" { "DCR" } else { "CRD" };
            set(n, string("mode", other));
            Some(format!("mode {other}"))
        })
    }),
    kind("Tile: repeats", |m, r| {
        constant(m, r, &["Tile"], 1, |t, _, _| {
            let last = t.iter_mut().last()?;
            *last += 1.0;
            Some("the last one more".to_owned())
        })
    }),
    kind("ScatterND or ScatterElements: index", |m, r| {
        constant(m, r, &["ScatterND", "ScatterElements", "GatherND", "GatherElements"], 1, |i, _, _| {
            let last = i.iter_mut().last()?;
            *last = if *last > 0.0 { *last - 1.0 } else { *last + 1.0 };
            Some("the last index off by one".to_owned())
        })
    }),
    kind("OneHot: values", |m, r| {
        constant(m, r, &["OneHot"], 2, |v, _, _| {
            v.as_slice_mut()?.swap(0, 1);
            Some("on and off exchanged".to_owned())
        })
    }),
];

/// Slices of data, not of shapes: those have an axis that is not the first.
fn slice(m: &mut ModelProto, r: &mut Rng, slots: &[usize], by: f64) -> Words {
    let index = crate::mutants::edit::places(m, r, &["Slice"]).into_iter().find(|i| {
        let node = &m.graph.as_ref().unwrap().node[*i];
        let axis = node.input.get(3).and_then(|a| crate::mutants::edit::values(m, a));
        // With a step, or at the end of a stepping one, an entry more or less may be none.
        let plain = node
            .input
            .get(4)
            .is_none_or(|s| crate::mutants::edit::values(m, s).is_some_and(|s| s.iter().all(|s| *s == 1.0)));
        plain
            && axis.is_some_and(|a| a.iter().all(|a| *a != 0.0))
            && slots.iter().all(|s| tensor(m, &node.input[*s]).is_some())
    })?;
    let node = m.graph.as_ref()?.node[index].clone();
    for slot in slots {
        let mut v = crate::mutants::edit::values(m, &node.input[*slot])?;
        let last = v.iter_mut().last()?;
        // The largest integer stands for the end of the axis.
        *last = if last.abs() > 1e9 { -1.0 } else { *last + by };
        crate::mutants::edit::store(m, &node.input[*slot], &v)?;
    }
    Some(crate::mutants::edit::at(&node, &format!("inputs {slots:?} by {by}")))
}
