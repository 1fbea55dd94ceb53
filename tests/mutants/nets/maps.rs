//! Maps that are padded, resized, cut and put together.

use onnx_rm::onnx::ModelProto;

use super::{Net, fixed, input, maps, model};
use crate::common::{Build, conv, int, ints, string};

pub const NETS: &[Net] = &[
    ("pads", pads),
    ("resize nearest", nearest),
    ("resize linear", linear),
    ("resize cubic", cubic),
    ("depth to space", depth_to_space),
    ("cut and joined", cut),
    ("reshaped", reshaped),
    ("picked", picked),
    ("tiled", tiled),
    ("shapes computed", computed),
    ("one hot", one_hot),
];

fn pads() -> ModelProto {
    let mut b = Build::new(1);
    let x = maps(&mut b);
    let mut y = x;
    for (mode, inputs) in [("reflect", 3), ("edge", 6), ("constant", 6)] {
        let amounts = b.ints(&[0, 0, 1, 2, 0, 0, 2, 1]);
        let value = b.scalar(0.5);
        let given = [y.as_str(), &amounts, &value];
        let padded = b.node("Pad", if mode == "constant" { &given } else { &given[..2] }, vec![string("mode", mode)]);
        y = b.conv(&padded, &conv(inputs, 6, 3).pad(0));
    }
    model(b, 17, &[&y])
}

fn resized(seed: u64, scale: f64, attributes: Vec<onnx_rm::onnx::AttributeProto>) -> ModelProto {
    let mut b = Build::new(seed);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let scales = b.floats(&[4], vec![1.0, 1.0, scale, scale]);
    let y = b.node("Resize", &[&y, "", &scales], attributes);
    let y = b.conv(&y, &conv(6, 4, 3));
    model(b, 17, &[&y])
}

fn nearest() -> ModelProto {
    let how = ["asymmetric", "floor"];
    let names = ["coordinate_transformation_mode", "nearest_mode"];
    resized(
        2,
        1.5,
        [vec![string("mode", "nearest")], names.iter().zip(how).map(|(n, v)| string(n, v)).collect()].concat(),
    )
}

fn linear() -> ModelProto {
    resized(3, 2.0, vec![string("mode", "linear"), string("coordinate_transformation_mode", "half_pixel")])
}

fn cubic() -> ModelProto {
    let coefficient = crate::common::float("cubic_coeff_a", -0.5);
    resized(4, 2.0, vec![string("mode", "cubic"), string("coordinate_transformation_mode", "asymmetric"), coefficient])
}

fn depth_to_space() -> ModelProto {
    let mut b = Build::new(5);
    let x = fixed(&mut b, 6);
    let y = b.conv(&x, &conv(3, 8, 3));
    let y = b.node("DepthToSpace", &[&y], vec![int("blocksize", 2), string("mode", "CRD")]);
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(2, 8, 3));
    let y = b.node("DepthToSpace", &[&y], vec![int("blocksize", 2), string("mode", "DCR")]);
    let y = b.node("SpaceToDepth", &[&y], vec![int("blocksize", 4)]);
    model(b, 17, &[&y])
}

fn cut() -> ModelProto {
    let mut b = Build::new(6);
    let x = fixed(&mut b, 8);
    let y = b.conv(&x, &conv(3, 9, 3));
    let parts = b.split(&y, &[4, 2, 3]);
    let (starts, ends, axes, steps) = (b.ints(&[1]), b.ints(&[7]), b.ints(&[2]), b.ints(&[2]));
    let p = b.node("Slice", &[&parts[0], &starts, &ends, &axes, &steps], vec![]);
    let q = b.conv(&parts[1], &conv(2, 4, 3));
    let q = b.node("Slice", &[&q, &starts, &ends, &axes, &steps], vec![]);
    let y = b.concat(&[&p, &q]);
    let (starts, ends, axes, steps) = (b.ints(&[-1]), b.ints(&[i64::MIN + 1]), b.ints(&[3]), b.ints(&[-1]));
    let y = b.node("Slice", &[&y, &starts, &ends, &axes, &steps], vec![]);
    let z = b.concat(&[&parts[2], &parts[1]]);
    model(b, 17, &[&y, &z])
}

fn reshaped() -> ModelProto {
    let mut b = Build::new(7);
    let x = fixed(&mut b, 4);
    let y = b.conv(&x, &conv(3, 6, 3));
    let shape = b.ints(&[-1, 6, 2, 8]);
    let y = b.node("Reshape", &[&y, &shape], vec![]);
    let y = b.node("Transpose", &[&y], vec![ints("perm", &[0, 2, 1, 3])]);
    let axis = b.ints(&[1]);
    let y = b.node("Unsqueeze", &[&y, &axis], vec![]);
    let y = b.node("Tanh", &[&y], vec![]);
    let axis = b.ints(&[1]);
    let y = b.node("Squeeze", &[&y, &axis], vec![]);
    let y = b.node("Flatten", &[&y], vec![int("axis", 1)]);
    let (w, bias) = (b.random(&[96, 5], 0.2), b.random(&[5], 0.5));
    let y = b.node("Gemm", &[&y, &w, &bias], vec![]);
    model(b, 17, &[&y])
}

fn picked() -> ModelProto {
    let mut b = Build::new(8);
    let ids = input(&mut b, "ids", &[-1, 5]);
    crate::mutants::nets::control::integers(&mut b);
    let table = b.random(&[12, 6], 1.0);
    let rows = b.node("Gather", &[&table, &ids], vec![int("axis", 0)]);
    let order = b.ints(&[4, 2, 0, 1, 3]);
    let y = b.node("Gather", &[&rows, &order], vec![int("axis", 1)]);
    let w = b.random(&[6, 6], 0.5);
    let y = b.node("MatMul", &[&y, &w], vec![]);
    let y = b.node("Tanh", &[&y], vec![]);
    let y = b.node("CumSum", &[&y, "at"], vec![]);
    let at = b.ints(&[1]);
    let tensor = b.graph.initializer.iter_mut().find(|t| t.name() == at).unwrap();
    (tensor.name, tensor.dims) = (Some("at".into()), vec![]);
    model(b, 17, &[&y])
}

fn tiled() -> ModelProto {
    let mut b = Build::new(9);
    let x = fixed(&mut b, 4);
    let y = b.conv(&x, &conv(3, 4, 3));
    let m = b.node("GlobalAveragePool", &[&y], vec![]);
    let repeats = b.ints(&[1, 1, 4, 4]);
    let m = b.node("Tile", &[&m, &repeats], vec![]);
    let y = b.node("Mul", &[&y, &m], vec![]);
    let y = b.node("Trilu", &[&y], vec![int("upper", 0)]);
    let y = b.node("Einsum", &[&y, &m], vec![string("equation", "bchw,bcwk->bchk")]);
    model(b, 17, &[&y])
}

fn computed() -> ModelProto {
    let mut b = Build::new(10);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let shape = b.node("Shape", &[&y], vec![]);
    let zero = b.ints(&[0]);
    let batch = b.node("Gather", &[&shape, &zero], vec![int("axis", 0)]);
    let rest = b.ints(&[6, -1]);
    let shape = b.node("Concat", &[&batch, &rest], vec![int("axis", 0)]);
    let y = b.node("Reshape", &[&y, &shape], vec![]);
    let w = b.random(&[6, 6], 0.5);
    let y = b.node("MatMul", &[&w, &y], vec![]);
    let y = b.relu(&y);
    model(b, 17, &[&y])
}

fn one_hot() -> ModelProto {
    let mut b = Build::new(11);
    let ids = input(&mut b, "ids", &[-1, 5]);
    crate::mutants::nets::control::integers(&mut b);
    let (depth, values) = (b.ints(&[12]), b.floats(&[2], vec![0.0, 1.0]));
    let hot = b.node("OneHot", &[&ids, &depth, &values], vec![int("axis", 1)]);
    let w = b.random(&[7, 12], 0.5);
    let y = b.node("MatMul", &[&w, &hot], vec![]);
    model(b, 17, &[&y])
}
