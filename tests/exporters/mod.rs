//! What other exporters write: weights listed as inputs, local functions, fused operators, old operator sets.

mod bodies;
mod calls;
mod defaults;
mod old;

use onnx_rm::onnx::ModelProto;

use crate::common::*;

/// A residual block of two convolutions between two others.
fn block(opset: i64, between: impl Fn(&mut Build, &str) -> String) -> Build {
    let mut b = Build::new(5);
    b.opset = opset;
    let x = b.input("x", &[1, 3, 8, 8]);
    let x = b.conv(&x, &conv(3, 6, 3));
    let y = b.conv(&x, &conv(6, 8, 3));
    let y = between(&mut b, &y);
    let y = b.conv(&y, &conv(8, 6, 3));
    let y = b.add(&y, &x);
    let y = b.conv(&y, &conv(6, 4, 1));
    b.output(&y);
    b
}

fn inputs(model: &ModelProto) -> Vec<&str> {
    model.graph.as_ref().unwrap().input.iter().map(|i| i.name()).collect()
}

fn ops(model: &ModelProto) -> Vec<&str> {
    model.graph.as_ref().unwrap().node.iter().map(|n| n.op_type()).collect()
}
