//! Windows of convolutions and pools.

use onnx_rm::onnx::{ModelProto, NodeProto};

use crate::common::{Rng, int, ints, string};
use crate::mutants::edit::{
    Words, find, float_inputs, graph, integer, list, node, opset, places, set, text, turn_into, values,
};
use crate::mutants::mutation::{Mutation, kind};

const WINDOWED: &[&str] = &["Conv", "MaxPool", "AveragePool", "ConvTranspose", "LpPool"];
const POOLS: &[&str] = &["MaxPool", "AveragePool", "LpPool"];

pub const KINDS: &[Mutation] = &[
    kind("pads: begin and end swapped", |m, r| {
        pads(m, r, |p| {
            let half = p.len() / 2;
            (0..half).for_each(|a| p.swap(a, a + half));
        })
    }),
    kind("pads: height and width swapped", |m, r| {
        pads(m, r, |p| {
            let half = p.len() / 2;
            if half > 1 {
                p.swap(half - 1, half - 2);
                p.swap(2 * half - 1, 2 * half - 2);
            }
        })
    }),
    kind("pads: the window moved by one", |m, r| {
        pads(m, r, |p| {
            let half = p.len() / 2;
            let axis = half - 1;
            if p[axis + half] > 0 {
                p[axis] += 1;
                p[axis + half] -= 1;
            }
        })
    }),
    kind("pads: one more all around", |m, r| pads(m, r, |p| p.iter_mut().for_each(|p| *p += 1))),
    kind("dilation, with pads that keep the size", |m, r| {
        node(m, r, &["Conv"], |n, m, _| {
            let kernel = values(m, n.input.get(1)?)?.shape()[2..].to_vec();
            let pads = list(n, "pads");
            let mut dilations = list(n, "dilations");
            dilations.resize(kernel.len(), 1);
            let axis = kernel.iter().position(|k| *k == 3)?;
            let by = if dilations[axis] > 1 { -1 } else { 1 };
            let mut pads = if pads.is_empty() { vec![0; 2 * kernel.len()] } else { pads };
            dilations[axis] += by;
            let axes = kernel.len();
            (pads[axis], pads[axis + axes]) = (pads[axis] + by, pads[axis + axes] + by);
            let fits = pads.iter().all(|p| *p >= 0) && text(n, "auto_pad").is_empty();
            fits.then(|| {
                let words = format!("dilations {dilations:?} with pads {pads:?}");
                set(n, ints("dilations", &dilations));
                set(n, ints("pads", &pads));
                words
            })
        })
    }),
    kind("dilation alone", |m, r| {
        node(m, r, &["Conv", "MaxPool"], |n, m, _| {
            let kernel = kernel(n, m)?;
            kernel.iter().any(|k| *k > 1).then(|| {
                let mut dilations = list(n, "dilations");
                dilations.resize(kernel.len(), 1);
                dilations.iter_mut().for_each(|d| *d += 1);
                set(n, ints("dilations", &dilations));
                format!("dilations {dilations:?}")
            })
        })
    }),
    kind("phase of a stride", |m, r| {
        node(m, r, WINDOWED, |n, m, _| {
            let axis = list(n, "strides").iter().position(|s| *s > 1)?;
            let axes = kernel(n, m)?.len();
            let mut pads = list(n, "pads");
            pads.resize(2 * axes, 0);
            if pads[axis] > 0 {
                (pads[axis], pads[axis + axes]) = (pads[axis] - 1, pads[axis + axes] + 1);
            } else {
                (pads[axis], pads[axis + axes]) = (1, (pads[axis + axes] - 1).max(0));
            }
            text(n, "auto_pad").is_empty().then(|| {
                set(n, ints("pads", &pads));
                format!("pads {pads:?}")
            })
        })
    }),
    kind("strides of height and width swapped", |m, r| {
        node(m, r, WINDOWED, |n, _, _| {
            let mut strides = list(n, "strides");
            strides.reverse();
            (!strides.is_empty()).then(|| set(n, ints("strides", &strides))).map(|()| format!("strides {strides:?}"))
        })
    }),
    kind("auto_pad: upper and lower", |m, r| {
        node(m, r, WINDOWED, |n, _, _| {
            let other = match text(n, "auto_pad").as_str() {
                "SAME_UPPER" => "SAME_LOWER",
                "SAME_LOWER" => "SAME_UPPER",
                _ => return None,
            };
            set(n, string("auto_pad", other));
            Some(other.to_owned())
        })
    }),
    kind("auto_pad: none", |m, r| {
        node(m, r, WINDOWED, |n, _, _| {
            text(n, "auto_pad").starts_with("SAME").then_some(())?;
            n.attribute.retain(|a| a.name() != "auto_pad");
            Some("auto_pad dropped".to_owned())
        })
    }),
    // What SAME means depends on the size once there is a stride: these pads are right for even sizes only.
    kind("auto_pad: pads of even sizes", |m, r| {
        node(m, r, WINDOWED, |n, m, _| {
            let stride = *list(n, "strides").first()?;
            let upper = text(n, "auto_pad") == "SAME_UPPER";
            let kernel = kernel(n, m)?;
            (upper && stride == 2).then(|| {
                let all: Vec<i64> = kernel.iter().map(|k| (k - 2).max(0)).collect();
                let front: Vec<i64> = all.iter().map(|a| a / 2).collect();
                let back: Vec<i64> = all.iter().zip(&front).map(|(a, f)| a - f).collect();
                n.attribute.retain(|a| a.name() != "auto_pad");
                set(n, ints("pads", &[front, back].concat()));
                "explicit pads in place of SAME_UPPER".to_owned()
            })
        })
    })
    .open("free sizes are tried at one value only"),
    kind("ceil_mode", rounded_up).open("the windows of some sizes alone end before the map does"),
    kind("count_include_pad", |m, r| {
        node(m, r, &["AveragePool"], |n, _, _| {
            let pads = list(n, "pads").iter().any(|p| *p > 0);
            let turned = int("count_include_pad", 1 - integer(n, "count_include_pad", 0));
            pads.then(|| set(n, turned)).map(|()| "count_include_pad turned".to_owned())
        })
    }),
    kind("pool kernel", |m, r| {
        node(m, r, POOLS, |n, _, _| {
            let mut kernel = list(n, "kernel_shape");
            *kernel.last_mut()? += 1;
            set(n, ints("kernel_shape", &kernel));
            Some(format!("kernel_shape {kernel:?}"))
        })
    })
    .open("tract accepts a window that is larger than the map"),
    kind("pool kernel, with pads that keep the size", |m, r| {
        node(m, r, POOLS, |n, _, _| {
            let (mut kernel, mut pads) = (list(n, "kernel_shape"), list(n, "pads"));
            let axes = kernel.len();
            // A window as large as the map sees all of it anyway.
            (pads.len() == 2 * axes && axes > 0 && kernel[axes - 1] < 8).then(|| {
                kernel[axes - 1] += 1;
                pads[2 * axes - 1] += 1;
                set(n, ints("kernel_shape", &kernel));
                set(n, ints("pads", &pads));
                format!("kernel_shape {kernel:?}, pads {pads:?}")
            })
        })
    }),
    kind("maximum for average, and the other way", |m, r| {
        node(m, r, &["MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"], |n, _, _| {
            let other = match n.op_type() {
                "MaxPool" if n.output.len() == 1 && find(n, "dilations").is_none() => "AveragePool",
                "AveragePool" => "MaxPool",
                "GlobalMaxPool" => "GlobalAveragePool",
                "GlobalAveragePool" => "GlobalMaxPool",
                _ => return None,
            };
            n.op_type = Some(other.into());
            n.attribute.retain(|a| !matches!(a.name(), "count_include_pad" | "storage_order"));
            Some(format!("became {other}"))
        })
    }),
    kind("norm of a pool", |m, r| {
        node(m, r, &["LpPool", "GlobalLpPool"], |n, _, _| {
            set(n, int("p", integer(n, "p", 2) + 1));
            Some("p one larger".to_owned())
        })
    }),
    // Right at the size that is tried first, and at no other.
    kind("global pool as a window of one size", windowed).open("free sizes are tried at one value only"),
    kind("global pool along one axis less", |m, r| {
        let maps = float_inputs(m, r).iter().all(|(_, dims)| dims.len() == 4) && opset(m) < 18;
        node(m, r, &["GlobalAveragePool"], |n, _, _| {
            maps.then(|| turn_into(n, "ReduceMean", 1, vec![ints("axes", &[2])])).map(|()| "along axis 2 alone".into())
        })
    }),
    kind("transposed convolution: pads and output padding", |m, r| {
        node(m, r, &["ConvTranspose"], |n, m, _| {
            let axes = kernel(n, m)?.len();
            let mut pads = list(n, "pads");
            pads.resize(2 * axes, 0);
            let (begin, end) = pads.split_at_mut(axes);
            begin.iter_mut().for_each(|p| *p += 1);
            end.iter_mut().for_each(|p| *p -= 1);
            end.iter().all(|p| *p >= 0).then(|| set(n, ints("pads", &pads)))?;
            Some(format!("pads {pads:?}"))
        })
    }),
    kind("kernel and pads exchanged with the stride of the other axis", rectangular),
    kind("output padding on the other side", |m, r| {
        node(m, r, &["ConvTranspose"], |n, m, _| {
            let axes = kernel(n, m)?.len();
            let mut pads = list(n, "pads");
            pads.resize(2 * axes, 0);
            list(n, "output_padding").iter().any(|p| *p > 0).then(|| {
                n.attribute.retain(|a| a.name() != "output_padding");
                (0..axes).for_each(|a| pads[a] -= 1);
                set(n, ints("pads", &pads));
                format!("pads {pads:?} in place of output_padding")
            })
        })
    }),
];

/// The window, of a pool or of a constant weight.
fn kernel(n: &NodeProto, m: &ModelProto) -> Option<Vec<i64>> {
    let said = list(n, "kernel_shape");
    if !said.is_empty() {
        return Some(said);
    }
    Some(values(m, n.input.get(1)?)?.shape().get(2..)?.iter().map(|d| *d as i64).collect())
}

fn pads(m: &mut ModelProto, r: &mut Rng, change: impl Fn(&mut Vec<i64>)) -> Words {
    node(m, r, WINDOWED, |n, _, _| {
        let old = list(n, "pads");
        let mut new = old.clone();
        if !new.is_empty() {
            change(&mut new);
        }
        (new != old).then(|| {
            set(n, ints("pads", &new));
            format!("pads {old:?} became {new:?}")
        })
    })
}

/// Sizes of the tensor called `name` for free sizes of `side`.
fn size_of(m: &ModelProto, name: &str, side: usize) -> Option<Vec<i64>> {
    let feed = crate::mutants::feeds::square(m, side);
    let trace = onnx_rm::verify::reference::run_to(m, &feed, &[name]).ok()?;
    Some(trace.get(name)?.shape().iter().map(|d| *d as i64).collect())
}

/// `ceil_mode` where the last window does not end with the map.
fn rounded_up(m: &mut ModelProto, r: &mut Rng) -> Words {
    node(m, r, POOLS, |n, m, _| {
        let (kernel, strides, mut pads) = (list(n, "kernel_shape"), list(n, "strides"), list(n, "pads"));
        pads.resize(2 * kernel.len(), 0);
        let uneven = |side| {
            let size = size_of(m, &n.input[0], side)?;
            let rest = |a: usize| (size[a + 2] + pads[a] + pads[a + kernel.len()] - kernel[a]) % strides[a];
            (0..strides.len()).any(|a| strides[a] > 1 && rest(a) != 0).then_some(())
        };
        [8, 7].into_iter().find_map(uneven)?;
        set(n, int("ceil_mode", 1 - integer(n, "ceil_mode", 0)));
        Some("ceil_mode turned".to_owned())
    })
}

/// A global pool whose window is that of free sizes of 64.
fn windowed(m: &mut ModelProto, r: &mut Rng) -> Words {
    float_inputs(m, r).iter().any(|(_, dims)| dims.iter().skip(2).any(Option::is_none)).then_some(())?;
    node(m, r, &["GlobalAveragePool", "GlobalMaxPool"], |n, m, _| {
        let window = size_of(m, &n.input[0], 64)?.split_off(2);
        let op = n.op_type().trim_start_matches("Global").to_owned();
        turn_into(n, &op, 1, vec![ints("kernel_shape", &window)]);
        Some(format!("{op} of {window:?}"))
    })
}

/// A convolution with other sides in height and width, turned.
fn rectangular(m: &mut ModelProto, r: &mut Rng) -> Words {
    let index = places(m, r, &["Conv"]).into_iter().find(|i| {
        let node = &m.graph.as_ref().unwrap().node[*i];
        kernel(node, m).is_some_and(|k| k.len() == 2 && k[0] != k[1])
    })?;
    let name = m.graph.as_ref()?.node[index].input[1].clone();
    let mut weight = values(m, &name)?;
    weight.swap_axes(2, 3);
    let weight = weight.as_standard_layout().into_owned();
    crate::mutants::edit::store(m, &name, &weight)?;
    let place = &mut graph(m).node[index];
    for what in ["kernel_shape", "strides", "dilations"] {
        let turned: Vec<i64> = list(place, what).into_iter().rev().collect();
        if !turned.is_empty() {
            set(place, ints(what, &turned));
        }
    }
    if let [a, b, c, d] = list(place, "pads")[..] {
        set(place, ints("pads", &[b, a, d, c]));
    }
    Some(crate::mutants::edit::at(place, "its window turned"))
}
