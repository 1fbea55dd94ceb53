//! What the models are run on: seeded values of several kinds.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};

use crate::onnx::GraphProto;
use crate::onnx::tensor_proto::DataType;

use super::error::VerifyError;
use super::precision::Precision;
use super::random::Random;
use crate::verify::reference::Value;

/// Values by tensor name.
pub(super) type Feed = BTreeMap<String, Value>;

/// One run of the models.
pub(super) struct Case {
    /// The kind of values, for people.
    pub(super) name: String,
    /// The kind of what has to be made up.
    pub(super) kind: Kind,
    pub(super) feed: Feed,
}

impl Case {
    /// The same with the values of `names` only.
    pub(super) fn keep(&self, names: &[&str]) -> Self {
        let kept = self.feed.iter().filter(|(n, _)| names.contains(&n.as_str()));
        Self { feed: kept.map(|(n, v)| (n.clone(), v.clone())).collect(), name: self.name.clone(), kind: self.kind }
    }
}

/// A tensor to make values for.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) dtype: DataType,
    pub(super) shape: Vec<usize>,
}

/// A kind of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Standard normal.
    Normal,
    /// In `[0, 1)`, as images are.
    Uniform,
    /// Nothing but biases reaches the output.
    Zero,
    /// Normal, times a large number: saturation, and the upper bounds of activations.
    Large,
    /// In `(-1, 0]`: what rests on a tensor that was thought non-negative shows.
    Negative,
    /// A single 1: a shifted tap moves it.
    OneHot,
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::Normal, Self::Uniform, Self::Zero, Self::Large, Self::Negative, Self::OneHot];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Uniform => "uniform",
            Self::Zero => "zero",
            Self::Large => "large",
            Self::Negative => "negative",
            Self::OneHot => "one-hot",
        }
    }

    /// Values of this kind for `slot`, each a number of its element type.
    ///
    /// # Errors
    /// [`VerifyError::Input`] for an element type that is no number.
    pub(super) fn values(self, slot: &Slot, graph: &GraphProto, seed: u64) -> Result<Value, VerifyError> {
        let mut random = Random::new(seed, &format!("{}/{}", slot.name, self.name()));
        if let Some(precision) = Precision::of(slot.dtype) {
            return Ok(Value::F(self.floats(&slot.shape, precision, &mut random)));
        }
        if slot.dtype == DataType::Bool {
            return Ok(Value::B(self.integers(&slot.shape, (0, 1), &mut random).mapv(|v| v == 1)));
        }
        match range(slot, graph) {
            Some(range) => Ok(Value::I(self.integers(&slot.shape, range, &mut random))),
            None => Err(VerifyError::Input {
                name: slot.name.clone(),
                reason: format!("no values can be made for type {}", slot.dtype.as_str_name()),
            }),
        }
    }

    fn floats(self, shape: &[usize], precision: Precision, random: &mut Random) -> ArrayD<f64> {
        let dims = IxDyn(shape);
        let mut value = || match self {
            Self::Normal => random.normal(),
            Self::Uniform => random.uniform(),
            Self::Large => random.normal() * precision.large(),
            Self::Negative => -random.uniform(),
            Self::Zero | Self::OneHot => 0.0,
        };
        let mut values = ArrayD::from_shape_simple_fn(dims, || precision.round(value()));
        if self == Self::OneHot {
            let at = random.below(values.len());
            values.iter_mut().skip(at).take(1).for_each(|v| *v = 1.0);
        }
        values
    }

    fn integers(self, shape: &[usize], (low, high): (i64, i64), random: &mut Random) -> ArrayD<i64> {
        let dims = IxDyn(shape);
        let zero = 0_i64.clamp(low, high);
        let any = |random: &mut Random, low: i64, high: i64| low + random.below((high - low + 1) as usize) as i64;
        let mut values = ArrayD::from_shape_simple_fn(dims, || match self {
            Self::Normal | Self::Uniform => any(random, low, high),
            Self::Large => any(random, high - (high - low) / 8, high),
            Self::Negative => any(random, low, (low + (high - low) / 2).min(-1).max(low)),
            Self::Zero | Self::OneHot => zero,
        });
        if self == Self::OneHot {
            let at = random.below(values.len());
            values.iter_mut().skip(at).take(1).for_each(|v| *v = high);
        }
        values
    }
}

/// Integers that make sense for `slot`: the whole range of a byte, rows of the table that it picks from, else 0 and 1, which serve as
/// mask, index and count alike. `None` for what is no integer.
fn range(slot: &Slot, graph: &GraphProto) -> Option<(i64, i64)> {
    match slot.dtype {
        DataType::Uint8 => Some((0, 255)),
        DataType::Int8 => Some((-128, 127)),
        DataType::Int16 | DataType::Int32 | DataType::Int64 => Some((0, rows(&slot.name, graph).unwrap_or(2) - 1)),
        DataType::Uint16 | DataType::Uint32 | DataType::Uint64 => Some((0, 1)),
        _ => None,
    }
}

/// Rows of the smallest constant table that a `Gather` picks from by `name`.
fn rows(name: &str, graph: &GraphProto) -> Option<i64> {
    let picks = graph.node.iter().filter(|n| n.op_type() == "Gather" && n.input.get(1).is_some_and(|i| i == name));
    let tables = picks.filter_map(|n| {
        let table = graph.initializer.iter().find(|t| Some(t.name()) == n.input.first().map(String::as_str))?;
        let axis = n.attribute.iter().find(|a| a.name() == "axis").map_or(0, |a| a.i());
        table.dims.get(usize::try_from(axis).ok()?).copied().filter(|rows| *rows > 0)
    });
    tables.min()
}

/// One case a kind, for the same slots.
///
/// # Errors
/// [`VerifyError::Input`] for an element type that is no number.
pub(super) fn cases(slots: &[Slot], graph: &GraphProto, seed: u64) -> Result<Vec<Case>, VerifyError> {
    let case = |kind: Kind| {
        let value = |s: &Slot| Ok((s.name.clone(), kind.values(s, graph, seed)?));
        let feed = slots.iter().map(value).collect::<Result<Feed, VerifyError>>()?;
        Ok(Case { name: kind.name().to_owned(), kind, feed })
    };
    Kind::ALL.into_iter().map(case).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn values(kind: Kind, dtype: DataType) -> Vec<f64> {
        let slot = Slot { name: "x".to_owned(), dtype, shape: vec![2, 50] };
        match kind.values(&slot, &GraphProto::default(), 3).unwrap() {
            Value::F(a) => a.into_iter().collect(),
            Value::I(a) => a.into_iter().map(|v| v as f64).collect(),
            Value::B(a) => a.into_iter().map(|v| f64::from(u8::from(v))).collect(),
        }
    }

    #[test]
    fn every_kind_is_what_it_says() {
        let f = |kind| values(kind, DataType::Float);
        assert!(f(Kind::Normal).iter().any(|v| *v < -1.0) && f(Kind::Normal).iter().any(|v| *v > 1.0));
        assert!(f(Kind::Uniform).iter().all(|v| (0.0..=1.0).contains(v)));
        assert!(f(Kind::Negative).iter().all(|v| *v <= 0.0) && f(Kind::Negative).iter().any(|v| *v < -0.5));
        assert!(f(Kind::Large).iter().any(|v| *v > 1e3));
        assert!(f(Kind::Zero).iter().all(|v| *v == 0.0));
        assert_eq!(f(Kind::OneHot).iter().filter(|v| **v == 1.0).count(), 1);
        assert_eq!(f(Kind::OneHot).iter().sum::<f64>(), 1.0);
    }

    #[test]
    fn values_are_numbers_of_the_type() {
        for kind in Kind::ALL {
            assert!(values(kind, DataType::Float).iter().all(|v| f64::from(*v as f32) == *v));
            assert!(values(kind, DataType::Float16).iter().all(|v| half::f16::from_f64(*v).to_f64() == *v));
            assert!(values(kind, DataType::Uint8).iter().all(|v| (0.0..=255.0).contains(v)));
            assert!(values(kind, DataType::Int8).iter().all(|v| (-128.0..=127.0).contains(v)));
            assert!(values(kind, DataType::Int64).iter().all(|v| (0.0..=1.0).contains(v)));
            assert!(values(kind, DataType::Bool).iter().all(|v| (0.0..=1.0).contains(v)));
        }
        assert!(values(Kind::Normal, DataType::Uint8).iter().any(|v| *v > 200.0));
        let slot = Slot { name: "x".to_owned(), dtype: DataType::String, shape: vec![1] };
        assert!(Kind::Normal.values(&slot, &GraphProto::default(), 0).is_err());
    }
}
