//! Convolutions and pools of every shape.

use onnx_rm::onnx::ModelProto;

use super::{Net, fixed, maps, model};
use crate::common::{Build, conv, int, ints, string};

pub const NETS: &[Net] = &[
    ("rectangles", rectangles),
    ("same", same),
    ("same at one size", same_fixed),
    ("groups", groups),
    ("even groups", even_groups),
    ("transposed", transposed),
    ("pools", pools),
    ("pools rounded up", ceil),
    ("global pools", global),
    ("reductions", reductions),
];

fn rectangles() -> ModelProto {
    let mut b = Build::new(1);
    let x = maps(&mut b);
    let w = b.random(&[6, 3, 3, 5], 0.4);
    let args = vec![ints("kernel_shape", &[3, 5]), ints("strides", &[2, 1]), ints("pads", &[1, 2, 1, 2])];
    let y = b.node("Conv", &[&x, &w], args);
    let y = b.relu(&y);
    let w = b.random(&[6, 6, 1, 3], 0.4);
    let args = vec![ints("kernel_shape", &[1, 3]), ints("strides", &[1, 2]), ints("pads", &[0, 2, 0, 0])];
    let y = b.node("Conv", &[&y, &w], args);
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(6, 4, 3).stride(2).pads(&[0, 1, 1, 0]));
    let y = b.conv(&y, &conv(4, 4, 3).dilation(2));
    model(b, 17, &[&y])
}

fn same() -> ModelProto {
    let mut b = Build::new(2);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3).stride(2).auto_pad("SAME_UPPER"));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(6, 6, 2).auto_pad("SAME_LOWER"));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(6, 4, 3).stride(2).auto_pad("SAME_UPPER"));
    model(b, 17, &[&y])
}

fn same_fixed() -> ModelProto {
    let mut b = Build::new(3);
    let x = fixed(&mut b, 9);
    let y = b.conv(&x, &conv(3, 6, 2).auto_pad("SAME_UPPER"));
    let args = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2]), string("auto_pad", "SAME_LOWER")];
    let y = b.node("MaxPool", &[&y], args);
    let y = b.conv(&y, &conv(6, 4, 3).stride(2).auto_pad("SAME_LOWER"));
    model(b, 17, &[&y])
}

fn groups() -> ModelProto {
    let mut b = Build::new(4);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 8, 3));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(8, 8, 3).group(4));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(8, 16, 3).group(8).pads(&[2, 1, 0, 1]));
    let y = b.conv(&y, &conv(16, 4, 1).group(2));
    model(b, 17, &[&y])
}

fn even_groups() -> ModelProto {
    let mut b = Build::new(5);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 8, 3));
    let y = b.conv(&y, &conv(8, 8, 2).group(2).pad(0));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(8, 8, 2).group(4).pad(0));
    let y = b.node("GlobalAveragePool", &[&y], vec![]);
    model(b, 17, &[&y])
}

fn transposed() -> ModelProto {
    let mut b = Build::new(6);
    let x = maps(&mut b);
    let (w, bias) = (b.random(&[3, 6, 3, 3], 0.5), b.random(&[6], 0.5));
    let args = vec![ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1]), ints("output_padding", &[1, 1])];
    let y = b.node("ConvTranspose", &[&x, &w, &bias], args);
    let y = b.relu(&y);
    let (w, bias) = (b.random(&[6, 2, 2, 2], 0.5), b.random(&[4], 0.5));
    let y = b.node("ConvTranspose", &[&y, &w, &bias], vec![ints("strides", &[2, 1]), int("group", 2)]);
    model(b, 17, &[&y])
}

fn pools() -> ModelProto {
    let mut b = Build::new(7);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let window = || vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])];
    let p = b.node("MaxPool", &[&y], window());
    let q = b.node("AveragePool", &[&y], window());
    let counted = [window(), vec![int("count_include_pad", 1)]].concat();
    let r = b.node("AveragePool", &[&y], counted);
    let s = b.node("LpPool", &[&y], [window(), vec![int("p", 2)]].concat());
    let y = b.concat(&[&p, &q, &r, &s]);
    let y = b.conv(&y, &conv(24, 4, 1));
    model(b, 17, &[&y])
}

fn ceil() -> ModelProto {
    let mut b = Build::new(8);
    let x = fixed(&mut b, 8);
    let y = b.conv(&x, &conv(3, 6, 3));
    let window = |mode| vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), int("ceil_mode", mode)];
    let p = b.node("MaxPool", &[&y], window(1));
    let q = b.node("AveragePool", &[&y], window(1));
    let y = b.add(&p, &q);
    let y = b.node(
        "AveragePool",
        &[&y],
        vec![ints("kernel_shape", &[2, 2]), ints("strides", &[1, 1]), ints("pads", &[0, 0, 1, 1])],
    );
    let y = b.conv(&y, &conv(6, 4, 1));
    model(b, 17, &[&y])
}

fn global() -> ModelProto {
    let mut b = Build::new(9);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let p = b.node("GlobalAveragePool", &[&y], vec![]);
    let q = b.node("GlobalMaxPool", &[&y], vec![]);
    let y = b.node("Sub", &[&y, &p], vec![]);
    let y = b.node("Mul", &[&y, &q], vec![]);
    let z = b.node("Flatten", &[&q], vec![int("axis", 1)]);
    let (w, bias) = (b.random(&[4, 6], 0.7), b.random(&[4], 0.5));
    let args = vec![int("transB", 1), crate::common::float("alpha", 0.5), crate::common::float("beta", 2.0)];
    let z = b.node("Gemm", &[&z, &w, &bias], args);
    model(b, 17, &[&y, &z])
}

fn reductions() -> ModelProto {
    let mut b = Build::new(10);
    let x = maps(&mut b);
    let y = b.conv(&x, &conv(3, 6, 3));
    let over = |axes: &[i64]| vec![ints("axes", axes), int("keepdims", 1)];
    let p = b.node("ReduceMean", &[&y], over(&[2, 3]));
    let q = b.node("ReduceMax", &[&y], over(&[1]));
    let r = b.node("ReduceL2", &[&y], over(&[2, 3]));
    let axes = b.ints(&[3]);
    let s = b.node("ReduceSum", &[&y, &axes], vec![int("keepdims", 1)]);
    let y = b.node("Mul", &[&y, &p], vec![]);
    let y = b.add(&y, &q);
    let y = b.node("Div", &[&y, &r], vec![]);
    let y = b.node("Sub", &[&y, &s], vec![]);
    model(b, 17, &[&y])
}
