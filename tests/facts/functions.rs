//! Every column of the table of elementwise functions, against what the float64 evaluator computes.

use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::operators::functions::{Bend, Carry, FUNCTIONS, Function, Image, Numbers, Parameter};
use onnx_rm::operators::{Rounding, function, keeps_zero};

use super::world::World;
use crate::common::float;

const FINITE: &[f64] = &[0.0, 0.125, 0.5, 1.0, 1.25, 2.5, 3.0, 7.0, 40.0, 700.0, 1e4];

/// The attributes that the columns of a function name.
fn parameters(f: &Function) -> Vec<Parameter> {
    let image = match f.image {
        Image::Leaky(p) | Image::Valley(_, p) => Some(p),
        _ => None,
    };
    let carry = match f.carry {
        Carry::Slope(p) => Some(p),
        _ => None,
    };
    let bend: Vec<Parameter> = match f.bend {
        Bend::Range(a, b) => vec![a, b],
        Bend::KinkUnlessOne(p) | Bend::KinkAt(p) | Bend::Band(p) | Bend::Knee(p) | Bend::Curve(p) => vec![p],
        _ => vec![],
    };
    let mut all: Vec<Parameter> = image.into_iter().chain(carry).chain(bend).filter(|p| !p.0.is_empty()).collect();
    all.dedup();
    all
}

/// `f` of every entry of `x`, with each of its attributes at `value`, or as they are by default.
fn computed(f: &Function, x: &[f64], value: Option<f32>) -> Vec<f64> {
    let mut w = World::new(1, 24);
    let x = w.floats(DataType::Double, &[x.len()], x);
    let attributes = value.map_or_else(Vec::new, |v| parameters(f).iter().map(|p| float(p.0, v)).collect());
    w.node(f.name, &[&x], &[DataType::Double], attributes).unwrap_or_else(|| panic!("{} is not evaluated", f.name));
    w.tensors.last().unwrap().floats()
}

fn both_signs() -> Vec<f64> {
    FINITE.iter().flat_map(|v| [*v, -*v]).collect()
}

/// Settings of the attributes under which a column must hold; `None` are the defaults.
fn settings(f: &Function) -> Vec<Option<f32>> {
    let some = if parameters(f).is_empty() { vec![] } else { vec![Some(0.25), Some(1.0), Some(3.0)] };
    [None].into_iter().chain(some).collect()
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

#[test]
fn zeros_and_positive_factors() {
    for f in FUNCTIONS {
        for set in settings(f) {
            let zeros = computed(f, &[0.0, -0.0], set).iter().all(|y| *y == 0.0);
            // `Shrink` and `Celu` may be without a value at 0, or have one that is not 0, by their attributes.
            assert!(zeros || !f.zero, "{} {set:?} of 0", f.name);
            let x = both_signs();
            let four = computed(f, &x.iter().map(|v| 4.0 * v).collect::<Vec<_>>(), set);
            let scaled = computed(f, &x, set).iter().zip(&four).all(|(y, z)| 4.0 * y == *z);
            assert!(scaled || !f.homogeneous, "{} {set:?} is not homogeneous", f.name);
        }
        let always = computed(f, &[0.0], None)[0] == 0.0;
        assert!(f.zero || !always || matches!(f.name, "Shrink" | "Celu"), "{} keeps zero", f.name);
        assert_eq!(keeps_zero(f.name), f.zero);
    }
}

#[test]
fn numbers_and_gates() {
    let wild = [f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MAX, f64::MIN, 5e-324, 1.5, -1.5];
    for f in FUNCTIONS.iter().filter(|f| f.numbers != Numbers::Unknown) {
        for set in settings(f) {
            assert!(computed(f, &wild, set).iter().all(|y| !y.is_nan()), "{} {set:?}", f.name);
        }
    }
    for f in FUNCTIONS {
        let Some((lo, hi)) = f.gate else { continue };
        assert!(computed(f, &wild, None).iter().all(|y| (lo..=hi).contains(y)), "{}", f.name);
        assert!(matches!(f.image, Image::Near(a, b) | Image::Within(a, b) if (a, b) == (lo, hi)), "{}", f.name);
    }
}

#[test]
fn forms_in_which_channels_pass() {
    let x = both_signs();
    let opposite: Vec<f64> = x.iter().map(|v| -v).collect();
    for f in FUNCTIONS {
        for set in settings(f) {
            let (y, z) = (computed(f, &x, set), computed(f, &opposite, set));
            let odd = x.iter().enumerate().all(|(i, x)| near(y[i] - z[i], *x));
            let all = |is: &dyn Fn(f64) -> f64| x.iter().zip(&y).all(|(x, y)| *y == is(*x));
            match f.carry {
                Carry::Bounds(lo, hi) => assert!(all(&|x| x.max(lo).min(hi)), "{}", f.name),
                Carry::Slope(p) => {
                    let slope = p.of(|_| set);
                    assert!(all(&|x| if x < 0.0 { slope * x } else { x }), "{} {set:?}", f.name);
                }
                Carry::Odd => assert!(odd, "{} {set:?}", f.name),
                Carry::Select => {}
            }
        }
    }
}

#[test]
fn digits() {
    let x: Vec<f64> = both_signs().into_iter().chain([0.3, -0.7, 1e-3]).collect();
    for f in FUNCTIONS {
        let y = computed(f, &x, None);
        let moved = x.iter().zip(&y).all(|(x, y)| *y == 0.0 || y.abs() == x.abs());
        match f.rounding {
            Rounding::Moves => assert!(moved, "{}", f.name),
            Rounding::Jumps => assert!(y.iter().all(|y| y.fract() == 0.0), "{}", f.name),
            // `Shrink` has a bias, 0 by default.
            Rounding::Rounds | Rounding::Approximates => assert!(!moved || f.name == "Shrink", "{}", f.name),
        }
    }
}

#[test]
fn constants_are_evaluated_as_the_function_is() {
    let x: Vec<f64> = both_signs().into_iter().filter(|v| v.abs() < 100.0).collect();
    let mut seen = 0;
    for f in FUNCTIONS {
        let Some(value) = f.value else { continue };
        assert!(parameters(f).is_empty(), "{} has attributes", f.name);
        for (x, y) in x.iter().zip(computed(f, &x, None)) {
            let own = (value.float)(*x);
            assert!(near(own, y) || own.is_nan() && y.is_nan(), "{}({x}) is {y}, not {own}", f.name);
            if let Some(integer) = value.integer.filter(|_| x.fract() == 0.0) {
                assert_eq!(integer(*x as i64).map(|v| v as f64), Some(y), "{}({x})", f.name);
            }
        }
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

/// Straight on both sides of a kink, and not straight over it; elsewhere curved where a function is said to be.
#[test]
fn bends() {
    let straight = |f: &Function, at: [f64; 3], set| {
        let y = computed(f, &at, set);
        let slope = |i: usize| (y[i + 1] - y[i]) / (at[i + 1] - at[i]);
        near(slope(0), slope(1))
    };
    for f in FUNCTIONS {
        let over = |at: f64| straight(f, [at - 1e-3, at, at + 2e-3], None);
        match f.bend {
            Bend::None | Bend::Curve(_) | Bend::Step => {}
            Bend::Kink | Bend::KinkUnlessOne(_) => {
                assert!(straight(f, [-3.0, -2.0, -1.0], None) && straight(f, [1.0, 2.0, 3.0], None), "{}", f.name);
                assert!(!over(0.0), "{}", f.name);
            }
            Bend::KinkAt(p) => assert!(!over(p.of(|_| None)), "{}", f.name),
            Bend::Range(scale, shift) => {
                let (scale, shift) = (scale.of(|_| None), shift.of(|_| None));
                assert!(!over(-shift / scale) && !over((1.0 - shift) / scale), "{}", f.name);
            }
            Bend::Centred(scale) => assert!(!over(-0.5 / scale) && !over(0.5 / scale), "{}", f.name),
            Bend::Band(p) => assert!(!over(p.of(|_| None)) && !over(-p.of(|_| None)), "{}", f.name),
            Bend::Knee(_) => assert!(straight(f, [1.0, 2.0, 3.0], None) && !over(0.0), "{}", f.name),
        }
        if let Bend::Curve(_) = f.bend {
            assert!(!straight(f, [-1.0, 0.5, 2.0], None), "{}", f.name);
        }
    }
}

#[test]
fn an_operator_that_is_not_there_has_no_row() {
    assert!(function("Conv").is_none() && function("relu").is_none() && function("elsewhere::Relu").is_none());
}
