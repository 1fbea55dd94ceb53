//! Functions of one element.

use super::Value;
use super::call::{Call, Table};
use super::error::{Outcome, fault};
use super::special;

pub(super) const OPERATORS: Table = &[
    ("Exp", |c| map(c, f64::exp)),
    ("Log", |c| map(c, f64::ln)),
    ("Sqrt", |c| map(c, f64::sqrt)),
    ("Reciprocal", |c| map(c, f64::recip)),
    ("Floor", |c| map(c, f64::floor)),
    ("Ceil", |c| map(c, f64::ceil)),
    ("Round", |c| map(c, special::round)),
    ("Erf", |c| map(c, special::erf)),
    ("Sin", |c| map(c, f64::sin)),
    ("Cos", |c| map(c, f64::cos)),
    ("Tan", |c| map(c, f64::tan)),
    ("Asin", |c| map(c, f64::asin)),
    ("Acos", |c| map(c, f64::acos)),
    ("Atan", |c| map(c, f64::atan)),
    ("Sinh", |c| map(c, f64::sinh)),
    ("Cosh", |c| map(c, f64::cosh)),
    ("Tanh", |c| map(c, f64::tanh)),
    ("Asinh", |c| map(c, f64::asinh)),
    ("Acosh", |c| map(c, f64::acosh)),
    ("Atanh", |c| map(c, f64::atanh)),
    ("Abs", |c| map_numbers(c, f64::abs, i64::wrapping_abs)),
    ("Neg", |c| map_numbers(c, |x| -x, i64::wrapping_neg)),
    ("Sign", |c| map_numbers(c, sign, i64::signum)),
    ("Relu", |c| map_numbers(c, |x| if x < 0.0 { 0.0 } else { x }, |x| x.max(0))),
    ("IsNaN", |c| test(c, f64::is_nan)),
    ("IsInf", is_inf),
    ("Not", not),
    ("Clip", clip),
];

/// Applies `f` to every element of the first input.
pub(super) fn map(call: &mut Call, f: impl Fn(f64) -> f64) -> Outcome<Vec<Value>> {
    Ok(vec![Value::F(call.take_floats(0)?.mapv_into(f))])
}

fn map_numbers(call: &mut Call, f: impl Fn(f64) -> f64, g: impl Fn(i64) -> i64) -> Outcome<Vec<Value>> {
    Ok(vec![match call.take(0)? {
        Value::F(a) => Value::F(a.mapv_into(f)),
        Value::I(a) => Value::I(a.mapv_into(g)),
        Value::B(_) => return fault!("booleans are no numbers"),
    }])
}

fn test(call: &mut Call, f: impl Fn(f64) -> bool) -> Outcome<Vec<Value>> {
    Ok(vec![Value::B(call.floats(0)?.mapv(f))])
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

fn is_inf(call: &mut Call) -> Outcome<Vec<Value>> {
    let (negative, positive) = (call.flag("detect_negative", true), call.flag("detect_positive", true));
    test(call, |x| x.is_infinite() && if x > 0.0 { positive } else { negative })
}

fn not(call: &mut Call) -> Outcome<Vec<Value>> {
    match call.take(0)? {
        Value::B(a) => Ok(vec![Value::B(a.mapv_into(|v| !v))]),
        other => fault!("{} elements are no booleans", other.kind()),
    }
}

/// Bounds as attributes before opset 11, as inputs since. The upper bound wins where they cross.
fn clip(call: &mut Call) -> Outcome<Vec<Value>> {
    if let Some(Value::I(_)) = call.optional(0) {
        return clip_integers(call);
    }
    let attribute = |name| call.optional_float(name).map(f64::from);
    let low = call.scalar(1)?.or(attribute("min")).unwrap_or(f64::NEG_INFINITY);
    let high = call.scalar(2)?.or(attribute("max")).unwrap_or(f64::INFINITY);
    map(call, |x| {
        // Comparisons, for a NaN to stay.
        let x = if x < low { low } else { x };
        if x > high { high } else { x }
    })
}

fn clip_integers(call: &mut Call) -> Outcome<Vec<Value>> {
    let bound = |i| Ok(call.optional_ints(i)?.and_then(|b| b.first().copied()));
    let bounds: Outcome<_> = bound(1).and_then(|low| Ok((low, bound(2)?)));
    let (low, high) = bounds?;
    map_numbers(call, |x| x, |x| x.max(low.unwrap_or(i64::MIN)).min(high.unwrap_or(i64::MAX)))
}
