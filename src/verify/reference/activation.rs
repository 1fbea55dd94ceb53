//! Activations.

use std::f64::consts::FRAC_2_PI;

use super::Value;
use super::binary::zip;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::special::{normal_cdf, sigmoid, softplus};
use super::unary::map;

pub(super) const OPERATORS: Table = &[
    ("LeakyRelu", |c| {
        let slope = c.float("alpha", 0.01);
        map(c, |x| if x < 0.0 { slope * x } else { x })
    }),
    ("PRelu", prelu),
    ("ThresholdedRelu", |c| {
        let alpha = c.float("alpha", 1.0);
        map(c, |x| if x <= alpha { 0.0 } else { x })
    }),
    ("Elu", |c| {
        let alpha = c.float("alpha", 1.0);
        map(c, |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
    }),
    ("Celu", |c| {
        let alpha = c.float("alpha", 1.0);
        map(c, |x| if x < 0.0 { alpha * (x / alpha).exp_m1() } else { x })
    }),
    ("Selu", |c| {
        let (alpha, gamma) = (c.float("alpha", 1.673_263_2), c.float("gamma", 1.050_701));
        map(c, |x| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x })
    }),
    ("Sigmoid", |c| map(c, sigmoid)),
    ("HardSigmoid", |c| {
        let (alpha, beta) = (c.float("alpha", 0.2), c.float("beta", 0.5));
        map(c, |x| (alpha * x + beta).clamp(0.0, 1.0))
    }),
    ("HardSwish", |c| map(c, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0))),
    ("Softplus", |c| map(c, softplus)),
    ("Softsign", |c| map(c, |x| x / (1.0 + x.abs()))),
    ("Mish", |c| map(c, |x| x * softplus(x).tanh())),
    ("Swish", |c| {
        let alpha = c.float("alpha", 1.0);
        map(c, |x| x * sigmoid(alpha * x))
    }),
    ("Gelu", gelu),
    ("Shrink", |c| {
        let (lambda, bias) = (c.float("lambd", 0.5), c.float("bias", 0.0));
        map(c, |x| {
            if x < -lambda {
                x + bias
            } else if x > lambda {
                x - bias
            } else {
                0.0
            }
        })
    }),
];

fn gelu(call: &mut Call) -> Outcome<Vec<Value>> {
    match call.string("approximate", "none")? {
        "none" => map(call, |x| x * normal_cdf(x)),
        "tanh" => map(call, |x| {
            let inner = FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }),
        other => fault!("approximate '{other}' is not known"),
    }
}

/// The slope broadcasts to the input; before opset 7 a vector of slopes meant one a channel.
fn prelu(call: &mut Call) -> Outcome<Vec<Value>> {
    let mut slope = call.floats(1)?.clone();
    let rank = call.value(0)?.shape().len();
    if call.opset() < 7 && slope.ndim() == 1 && slope.len() > 1 && rank > 2 {
        let mut shape = vec![1; rank - 1];
        shape[0] = slope.len();
        slope = dims::reshape(slope, &shape)?;
    }
    let x = call.take_floats(0)?;
    if dims::broadcast(x.shape(), slope.shape())? != x.shape() {
        return fault!("slopes of shape {:?} for an input of shape {:?}", slope.shape(), x.shape());
    }
    Ok(vec![Value::F(zip(x, &slope, |x, slope| if x < 0.0 { slope * x } else { x })?)])
}
