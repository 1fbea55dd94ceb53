//! Whether two models compute the same, found out without the verifier: both in float64, on its own inputs.

use onnx_rm::onnx::ModelProto;
use onnx_rm::verify::reference::{self, Value};

use crate::feeds::many;

/// Differences over the largest value of a tensor that rounding of float32 may hide.
const VISIBLE: f64 = 1e-6;

/// How the outputs of `wrong` differ from those of `right`, for the first of many inputs that shows it; `None` when none does.
pub fn difference(right: &ModelProto, wrong: &ModelProto) -> Option<String> {
    let outputs = &right.graph.as_ref().unwrap().output;
    for (number, feed) in many(right).iter().enumerate() {
        let (a, b) = (reference::run(right, feed), reference::run(wrong, feed));
        let (a, b) = match (a, b) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(_), Err(_)) => continue,
            (Ok(_), Err(e)) => return Some(format!("input {number}: it no longer runs: {e}")),
            (Err(_), Ok(_)) => return Some(format!("input {number}: it runs where it could not")),
        };
        for output in outputs {
            let (Some(x), Some(y)) = (a.get(output.name()), b.get(output.name())) else { continue };
            if let Some(by) = apart(x, y) {
                let shape: Vec<&[usize]> = feed.values().map(Value::shape).collect();
                return Some(format!("by {by:.0e} of the largest value of '{}', input {shape:?}", output.name()));
            }
        }
    }
    None
}

/// Largest difference over the largest value, where it can be seen.
fn apart(x: &Value, y: &Value) -> Option<f64> {
    if x.shape() != y.shape() {
        return Some(f64::INFINITY);
    }
    let (Value::F(x), Value::F(y)) = (x, y) else { return (x != y).then_some(f64::INFINITY) };
    let largest = x.iter().filter(|v| v.is_finite()).fold(0.0_f64, |m, v| m.max(v.abs()));
    let one = |(a, b): (&f64, &f64)| if a == b || (a.is_nan() && b.is_nan()) { 0.0 } else { (a - b).abs() };
    let worst = x.iter().zip(y).map(one).fold(0.0_f64, |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
    (worst > VISIBLE * largest && worst > 0.0).then(|| worst / largest.max(f64::MIN_POSITIVE))
}
