//! Whether two models compute the same, found out without the verifier: both in float64, on its own inputs.

use onnx_rm::onnx::{ModelProto, TensorProto};
use onnx_rm::verify::reference::{self, Value};

use crate::mutants::feeds::many;

/// What an input shows.
pub enum Judgement {
    /// In words: how the outputs differ, for the first input that shows it.
    Differs(String),
    /// They differ, but never by more than rounding in the model's own element type does.
    Rounding,
    /// No input tells the two apart.
    Alike,
}

/// Differences over the largest value of a tensor that rounding may hide: several units in the last place.
fn visible(model: &ModelProto) -> f64 {
    let half = |t: &TensorProto| matches!(t.data_type(), 10 | 16);
    if model.graph.as_ref().unwrap().initializer.iter().any(half) { 8e-3 } else { 1e-6 }
}

/// How the outputs of `wrong` differ from those of `right`.
pub fn judge(right: &ModelProto, wrong: &ModelProto) -> Judgement {
    use Judgement::Differs;
    let visible = visible(right);
    let mut most = 0.0_f64;
    let outputs = &right.graph.as_ref().unwrap().output;
    for (number, feed) in many(right).iter().enumerate() {
        let (a, b) = (reference::run(right, feed), reference::run(wrong, feed));
        let (a, b) = match (a, b) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(_), Err(_)) => continue,
            (Ok(_), Err(e)) => return Differs(format!("input {number}: it no longer runs: {e}")),
            (Err(_), Ok(_)) => return Differs(format!("input {number}: it runs where it could not")),
        };
        for output in outputs {
            let (Some(x), Some(y)) = (a.get(output.name()), b.get(output.name())) else { continue };
            let by = apart(x, y);
            most = most.max(by);
            if by > visible {
                let shape: Vec<&[usize]> = feed.values().map(Value::shape).collect();
                return Differs(format!("by {by:.0e} of the largest value of '{}', input {shape:?}", output.name()));
            }
        }
    }
    if most > 0.0 { Judgement::Rounding } else { Judgement::Alike }
}

/// Largest difference over the largest value.
fn apart(x: &Value, y: &Value) -> f64 {
    if x.shape() != y.shape() {
        return f64::INFINITY;
    }
    let (Value::F(x), Value::F(y)) = (x, y) else { return if x == y { 0.0 } else { f64::INFINITY } };
    let largest = x.iter().filter(|v| v.is_finite()).fold(0.0_f64, |m, v| m.max(v.abs()));
    let one = |(a, b): (&f64, &f64)| if a == b || (a.is_nan() && b.is_nan()) { 0.0 } else { (a - b).abs() };
    let worst = x.iter().zip(y).map(one).fold(0.0_f64, |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
    if worst == 0.0 { 0.0 } else { worst / largest.max(f64::MIN_POSITIVE) }
}
