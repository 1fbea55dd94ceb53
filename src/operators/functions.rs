//! Elementwise functions of one tensor: every entry is mapped by the same function, whose only parameters are attributes.
//!
//! Columns are explained at [`Function`]. A row that lacks one does not compile; `tests/facts/functions.rs` compares every
//! column with what the float64 evaluator computes.

use super::rounding::Rounding::{self, Approximates, Jumps, Moves, Rounds};

const INF: f64 = f64::INFINITY;

/// An elementwise function.
#[derive(Debug)]
pub struct Function {
    /// Its name; that of another domain is `domain::name`.
    pub name: &'static str,
    /// Between which values its results lie, for inputs between others.
    pub image: Image,
    /// What it does to the digits of its input.
    pub rounding: Rounding,
    /// True when it maps 0 to 0, whatever its attributes, of which each is a finite number.
    pub zero: bool,
    /// True when `f(k x) = k f(x)` for every `k > 0`.
    pub homogeneous: bool,
    /// Whether it makes a number, never NaN, of every number, the infinite ones included.
    pub numbers: Numbers,
    /// Bounds that no runtime's result passes, by a last bit either: it may be the gate of a function that is written out.
    pub gate: Option<(f64, f64)>,
    /// In which form channels pass it that must stay as they are.
    pub carry: Carry,
    /// Where it goes from one regime into another.
    pub bend: Bend,
    /// How it is evaluated on constants; functions with attributes are not, nor those that make much of a last bit.
    pub value: Option<Value>,
}

/// The least interval that is known to hold all `f(x)` for `x` in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Image {
    /// Nothing is known.
    Any,
    /// `x` clipped to these bounds, exactly.
    Clipped(f64, f64),
    /// Inside of these bounds whatever `x` is: they are cut off, or have room for every approximation.
    Within(f64, f64),
    /// Inside of these bounds but for a rounding: runtimes approximate.
    Near(f64, f64),
    /// `|x|`, in the type of the tensor.
    Size,
    /// `-x`, in the type of the tensor.
    Opposite,
    /// `x` where it is not negative, and what has the sign of `-slope` elsewhere.
    Leaky(Parameter),
    /// From `depth` divided by the parameter upwards, but for a rounding, where that is positive.
    Valley(f64, Parameter),
    /// `x` or 0.
    OrZero,
}

impl Image {
    /// The largest absolute value in it whatever the input is; `None` where nothing bounds that.
    #[must_use]
    pub fn largest(self) -> Option<f64> {
        match self {
            Self::Clipped(lo, hi) | Self::Within(lo, hi) | Self::Near(lo, hi) => Some(lo.abs().max(hi.abs())),
            _ => None,
        }
        .filter(|bound| bound.is_finite())
    }
}

/// An attribute and its default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter(pub &'static str, pub f32);

impl Parameter {
    /// Its value, where `attribute` gives those that the node has.
    pub fn of(self, attribute: impl Fn(&str) -> Option<f32>) -> f64 {
        f64::from(attribute(self.0).unwrap_or(self.1))
    }
}

/// Whether a function makes numbers of all numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numbers {
    /// It does.
    Always,
    /// Where these are finite, and the first is not 0: it computes `first * x + second`.
    Affine(Parameter, Parameter),
    /// It does not, or that is not known.
    Unknown,
}

/// In which form channels that must stay as they are pass a function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Carry {
    /// It is `min(max(x, lo), hi)`: unchanged inside of these bounds, else by bounds of their own.
    Bounds(f64, f64),
    /// It is `x` above 0, and `slope * x` below: unchanged above, else by a slope of their own.
    Slope(Parameter),
    /// By `Where`, or as a pair: `f(x) - f(-x) = x`.
    Odd,
    /// By `Where`.
    Select,
}

/// Where a function goes from one regime into another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bend {
    /// Nowhere, or nobody looked.
    None,
    /// A kink at 0.
    Kink,
    /// A kink at 0, unless this is 1.
    KinkUnlessOne(Parameter),
    /// A kink at this.
    KinkAt(Parameter),
    /// Bounds where `scale * x + shift` is 0 and 1, unless the scale is 0.
    Range(Parameter, Parameter),
    /// Bounds where `scale * x + 1/2` is 0 and 1.
    Centred(f64),
    /// Bounds at plus and minus this, where it is positive.
    Band(Parameter),
    /// A kink at 0, and flat far below it, in units of this.
    Knee(Parameter),
    /// Curved around 0, flat or straight far from it, in units of one over this.
    Curve(Parameter),
    /// At every integer, or half of one.
    Step,
}

/// How a function is evaluated on constants.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// On floats.
    pub float: fn(f64) -> f64,
    /// On integers, which may have no result; `None` for a function of floats alone.
    pub integer: Option<fn(i64) -> Option<i64>>,
}

const fn real(float: fn(f64) -> f64) -> Option<Value> {
    Some(Value { float, integer: None })
}

const fn both(float: fn(f64) -> f64, integer: fn(i64) -> Option<i64>) -> Option<Value> {
    Some(Value { float, integer: Some(integer) })
}

/// For attributes that there are not.
const ONE: Parameter = Parameter("", 1.0);
const ALPHA: Parameter = Parameter("alpha", 1.0);
const LEAK: Parameter = Parameter("alpha", 0.01);
const HARD: (Parameter, Parameter) = (Parameter("alpha", 0.2), Parameter("beta", 0.5));
const QUICK: Parameter = Parameter("alpha", 1.702);
const LAMBDA: Parameter = Parameter("lambd", 0.5);

use Numbers::{Affine, Always, Unknown};

macro_rules! functions {
    ($($name:literal $image:expr, $rounding:expr, $zero:expr, $homogeneous:expr, $numbers:expr, $gate:expr, $carry:expr,
       $bend:expr, $value:expr;)*) => {
        &[$(Function {
            name: $name, image: $image, rounding: $rounding, zero: $zero, homogeneous: $homogeneous, numbers: $numbers,
            gate: $gate, carry: $carry, bend: $bend, value: $value,
        }),*]
    };
}

/// Every elementwise function of one tensor. The minima of `HardSwish`, `Gelu` and `Mish` are -3/8, -0.1701 and -0.3089; half
/// precision and approximations may pass them by a tenth. `x * sigmoid(a x)` is SiLU(a x) / a, whose minimum is -0.2785 / a.
/// Softplus is odd in the sense of [`Carry::Odd`] too, but runtimes that compute it by `exp` overflow on half of a pair.
#[rustfmt::skip]
pub const FUNCTIONS: &[Function] = functions! {
    // name             image                      rounding      zero   homog. numbers   gate              carry                      bend                  value
    "Relu"              Image::Clipped(0.0, INF),  Moves,        true,  true,  Always,   None,             Carry::Bounds(0.0, INF),   Bend::Kink,           both(relu, |v| Some(v.max(0)));
    "LeakyRelu"         Image::Leaky(LEAK),        Rounds,       true,  true,  Unknown,  None,             Carry::Slope(LEAK),        Bend::KinkUnlessOne(LEAK), None;
    "ThresholdedRelu"   Image::OrZero,             Moves,        true,  false, Unknown,  None,             Carry::Select,             Bend::KinkAt(ALPHA),  None;
    "Elu"               Image::Any,                Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::Knee(ONE),      None;
    "Selu"              Image::Any,                Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::Knee(ONE),      None;
    "Celu"              Image::Any,                Approximates, false, false, Unknown,  None,             Carry::Select,             Bend::Knee(ALPHA),    None;
    "Sigmoid"           Image::Near(0.0, 1.0),     Approximates, false, false, Always,   Some((0.0, 1.0)), Carry::Select,             Bend::Curve(ONE),     real(|v| 1.0 / (1.0 + (-v).exp()));
    "HardSigmoid"       Image::Within(0.0, 1.0),   Rounds,       false, false, Affine(HARD.0, HARD.1), Some((0.0, 1.0)), Carry::Select, Bend::Range(HARD.0, HARD.1), None;
    "HardSwish"         Image::Within(-0.42, INF), Rounds,       true,  false, Unknown,  None,             Carry::Odd,                Bend::Centred(1.0 / 6.0), None;
    "Swish"             Image::Valley(-0.3, ALPHA), Approximates, true, false, Unknown,  None,             Carry::Odd,                Bend::Curve(ALPHA),   None;
    "Mish"              Image::Within(-0.35, INF), Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::Curve(ONE),     None;
    "Gelu"              Image::Within(-0.2, INF),  Approximates, true,  false, Unknown,  None,             Carry::Odd,                Bend::Curve(ONE),     None;
    "com.microsoft::Gelu"      Image::Within(-0.2, INF), Approximates, true, false, Unknown, None,         Carry::Odd,                Bend::Curve(ONE),     None;
    "com.microsoft::FastGelu"  Image::Within(-0.2, INF), Approximates, true, false, Unknown, None,         Carry::Odd,                Bend::Curve(ONE),     None;
    "com.microsoft::QuickGelu" Image::Valley(-0.3, QUICK), Approximates, true, false, Unknown, None,       Carry::Odd,                Bend::Curve(QUICK),   None;
    "Softplus"          Image::Within(0.0, INF),   Approximates, false, false, Always,   None,             Carry::Select,             Bend::Curve(ONE),     real(|v| v.max(0.0) + (-v.abs()).exp().ln_1p());
    "Softsign"          Image::Near(-1.0, 1.0),    Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::Curve(ONE),     real(|v| v / (1.0 + v.abs()));
    "Shrink"            Image::Any,                Rounds,       false, false, Unknown,  None,             Carry::Select,             Bend::Band(LAMBDA),   None;
    "Tanh"              Image::Near(-1.0, 1.0),    Approximates, true,  false, Always,   None,             Carry::Select,             Bend::Curve(ONE),     real(f64::tanh);
    "Erf"               Image::Near(-1.0, 1.0),    Approximates, true,  false, Always,   None,             Carry::Select,             Bend::Curve(ONE),     real(erf);
    "Exp"               Image::Within(0.0, INF),   Approximates, false, false, Always,   None,             Carry::Select,             Bend::None,           real(f64::exp);
    "Log"               Image::Any,                Approximates, false, false, Unknown,  None,             Carry::Select,             Bend::None,           real(f64::ln);
    "Sqrt"              Image::Within(0.0, INF),   Rounds,       true,  false, Unknown,  None,             Carry::Select,             Bend::None,           real(f64::sqrt);
    "Reciprocal"        Image::Any,                Approximates, false, false, Unknown,  None,             Carry::Select,             Bend::None,           real(f64::recip);
    "Abs"               Image::Size,               Moves,        true,  true,  Always,   None,             Carry::Select,             Bend::Kink,           both(f64::abs, i64::checked_abs);
    "Neg"               Image::Opposite,           Moves,        true,  true,  Always,   None,             Carry::Select,             Bend::None,           both(|v| -v, i64::checked_neg);
    "Sign"              Image::Within(-1.0, 1.0),  Jumps,        true,  false, Always,   None,             Carry::Select,             Bend::Kink,           both(sign, |v| Some(v.signum()));
    "Floor"             Image::Any,                Jumps,        true,  false, Always,   None,             Carry::Select,             Bend::Step,           real(f64::floor);
    "Ceil"              Image::Any,                Jumps,        true,  false, Always,   None,             Carry::Select,             Bend::Step,           real(f64::ceil);
    "Round"             Image::Any,                Jumps,        true,  false, Always,   None,             Carry::Select,             Bend::Step,           real(f64::round_ties_even);
    "Sin"               Image::Near(-1.0, 1.0),    Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::None,           real(f64::sin);
    "Cos"               Image::Near(-1.0, 1.0),    Approximates, false, false, Unknown,  None,             Carry::Select,             Bend::None,           real(f64::cos);
    "Tan"               Image::Any,                Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::None,           None;
    "Asin"              Image::Any,                Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::None,           None;
    "Acos"              Image::Any,                Approximates, false, false, Unknown,  None,             Carry::Select,             Bend::None,           None;
    "Atan"              Image::Any,                Approximates, true,  false, Always,   None,             Carry::Select,             Bend::None,           real(f64::atan);
    "Sinh"              Image::Any,                Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::None,           None;
    "Cosh"              Image::Any,                Approximates, false, false, Unknown,  None,             Carry::Select,             Bend::None,           None;
    "Asinh"             Image::Any,                Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::None,           real(f64::asinh);
    "Acosh"             Image::Any,                Approximates, false, false, Unknown,  None,             Carry::Select,             Bend::None,           None;
    "Atanh"             Image::Any,                Approximates, true,  false, Unknown,  None,             Carry::Select,             Bend::None,           None;
};

/// The row of `op`.
#[must_use]
pub fn function(op: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name == op)
}

/// A NaN stays one.
fn relu(v: f64) -> f64 {
    if v < 0.0 { 0.0 } else { v }
}

fn sign(v: f64) -> f64 {
    if v == 0.0 { 0.0 } else { v.signum() }
}

/// The error function: `2 / sqrt(pi) * exp(-x^2) * sum_n 2^n x^(2n+1) / (2n+1)!!`, of which all terms have one sign (Abramowitz
/// and Stegun, 7.1.6).
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while (term / sum).abs() > f64::EPSILON / 4.0 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn the_error_function_is_that_of_the_tables() {
        for (x, want) in [
            (0.0, 0.0),
            (1e-300, 1.128_379_167_095_512_6e-300),
            (0.5, 0.520_499_877_813_046_5),
            (-1.0, -0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (3.5, 0.999_999_256_901_627_7),
            (6.5, 1.0),
        ] {
            let is = erf(x);
            assert!((is - want).abs() <= 2e-15 * f64::abs(want), "{x}: {is:e}");
        }
        assert!(erf(f64::NAN).is_nan());
    }
}
