//! What the models are run on: seeded values of several kinds.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};

use crate::onnx::GraphProto;
use crate::onnx::tensor_proto::DataType;
use crate::verify::report::InputReport;

use super::error::VerifyError;
use super::precision::Precision;
use super::random::Random;
use super::signature::Port;
use crate::verify::reference::Value;

/// Values by tensor name.
pub(super) type Feed = BTreeMap<String, Value>;

/// A tensor to make values for.
#[derive(Clone)]
pub(super) struct InputTensor {
    pub(super) name: String,
    pub(super) dtype: DataType,
    pub(super) shape: Vec<usize>,
}

impl InputTensor {
    /// The input `port` in the shape of `input`.
    ///
    /// # Errors
    /// [`VerifyError::Input`] when its type is unknown.
    pub(super) fn of(port: &Port, input: &InputReport) -> Result<Self, VerifyError> {
        let untyped =
            || VerifyError::Input { name: port.name.clone(), reason: "it is no tensor of a known type".to_owned() };
        Ok(Self { name: port.name.clone(), dtype: port.dtype.ok_or_else(untyped)?, shape: input.shape.clone() })
    }
}

/// A kind of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputKind {
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
    /// Normal, times 10: bounds that a normalised input leaves alone, such as 6.
    Tens,
    /// In `[0, 255]`, as the bytes of an image are.
    Bytes,
    /// Normal, times 1000.
    Thousands,
    /// All entries alike: a plain image.
    Level,
}

impl InputKind {
    /// The most telling first.
    pub(super) const ALL: [Self; 10] = [
        Self::Normal,
        Self::Uniform,
        Self::Zero,
        Self::Large,
        Self::Negative,
        Self::OneHot,
        Self::Tens,
        Self::Bytes,
        Self::Thousands,
        Self::Level,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Uniform => "uniform",
            Self::Zero => "zero",
            Self::Large => "large",
            Self::Negative => "negative",
            Self::OneHot => "one-hot",
            Self::Tens => "tens",
            Self::Bytes => "bytes",
            Self::Thousands => "thousands",
            Self::Level => "level",
        }
    }

    /// Values of this kind for `slot`, each a number of its element type.
    ///
    /// # Errors
    /// [`VerifyError::Input`] for an element type that is no number.
    pub(super) fn values(self, slot: &InputTensor, graph: &GraphProto, seed: u64) -> Result<Value, VerifyError> {
        let mut random = Random::new(seed, &format!("{}/{}", slot.name, self.name()));
        if let Some(precision) = Precision::of(slot.dtype) {
            return Ok(Value::F(self.floats(&slot.shape, precision, &mut random)));
        }
        if slot.dtype == DataType::Bool {
            return Ok(Value::B(self.integers(&slot.shape, (0, 1), &mut random).mapv(|v| v == 1)));
        }
        if let DataType::Float8e4m3fn
        | DataType::Float8e4m3fnuz
        | DataType::Float8e5m2
        | DataType::Float8e5m2fnuz
        | DataType::Float4e2m1 = slot.dtype
        {
            // Halves up to 2: numbers of all small floats.
            let values = self.floats(&slot.shape, Precision::Float32, &mut random);
            return Ok(Value::F(values.mapv(|v| (2.0 * v).round().clamp(-4.0, 4.0) / 2.0)));
        }
        match self.range(slot, graph) {
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
            Self::Tens => 10.0 * random.normal(),
            Self::Bytes => (256.0 * random.uniform()).floor(),
            Self::Thousands => 1000.0 * random.normal(),
            Self::Level => 0.625,
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
            Self::Normal | Self::Uniform | Self::Tens | Self::Bytes | Self::Thousands => any(random, low, high),
            Self::Large => any(random, high - (high - low) / 8, high),
            Self::Negative => any(random, low, (low + (high - low) / 2).min(-1).max(low)),
            Self::Zero | Self::OneHot => zero,
            Self::Level => high,
        });
        if self == Self::OneHot {
            let at = random.below(values.len());
            values.iter_mut().skip(at).take(1).for_each(|v| *v = high);
        }
        values
    }

    /// Integers that make sense for `slot`: rows of the table that it picks from; else what masks, indices, images, time steps and
    /// samples of sound hold, each in a kind of its own, for a model may refuse those that it was not made for. `None` for what is no
    /// integer.
    fn range(self, slot: &InputTensor, graph: &GraphProto) -> Option<(i64, i64)> {
        let (least, most) = match slot.dtype {
            DataType::Uint4 => (0, 15),
            DataType::Int4 => (-8, 7),
            DataType::Uint8 => (0, 255),
            DataType::Int8 => (-128, 127),
            DataType::Int16 => (-32_768, 32_767),
            DataType::Uint16 => (0, 65_535),
            DataType::Int32 | DataType::Int64 => (-32_768, 32_767),
            DataType::Uint32 | DataType::Uint64 => (0, 65_535),
            _ => return None,
        };
        if let Some(rows) = rows(&slot.name, graph) {
            return Some((0, (rows - 1).min(most)));
        }
        if most <= 255 {
            return Some((least, most));
        }
        let (low, high) = match self {
            Self::Normal | Self::Zero | Self::OneHot | Self::Level => (0, 1),
            Self::Uniform => (0, 2),
            Self::Tens => (0, 10),
            Self::Bytes => (0, 255),
            Self::Thousands => (0, 1000),
            Self::Large => (least, most),
            Self::Negative => (-128, 0),
        };
        Some((low.max(least), high.min(most)))
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

/// Values of one kind for all of `slots`.
///
/// # Errors
/// [`VerifyError::Input`] for an element type that is no number.
pub(super) fn feed(slots: &[InputTensor], kind: InputKind, graph: &GraphProto, seed: u64) -> Result<Feed, VerifyError> {
    slots.iter().map(|s| Ok((s.name.clone(), kind.values(s, graph, seed)?))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn values(kind: InputKind, dtype: DataType) -> Vec<f64> {
        let slot = InputTensor { name: "x".to_owned(), dtype, shape: vec![2, 50] };
        match kind.values(&slot, &GraphProto::default(), 3).unwrap() {
            Value::F(a) => a.into_iter().collect(),
            Value::I(a) => a.into_iter().map(|v| v as f64).collect(),
            Value::B(a) => a.into_iter().map(|v| f64::from(u8::from(v))).collect(),
        }
    }

    #[test]
    fn every_kind_is_what_it_says() {
        let f = |kind| values(kind, DataType::Float);
        assert!(f(InputKind::Normal).iter().any(|v| *v < -1.0) && f(InputKind::Normal).iter().any(|v| *v > 1.0));
        assert!(f(InputKind::Uniform).iter().all(|v| (0.0..=1.0).contains(v)));
        assert!(f(InputKind::Negative).iter().all(|v| *v <= 0.0) && f(InputKind::Negative).iter().any(|v| *v < -0.5));
        assert!(f(InputKind::Large).iter().any(|v| *v > 1e3));
        assert!(
            f(InputKind::Tens).iter().any(|v| v.abs() > 6.0) && f(InputKind::Thousands).iter().any(|v| v.abs() > 600.0)
        );
        assert!(f(InputKind::Bytes).iter().all(|v| (0.0..256.0).contains(v) && v.fract() == 0.0));
        assert!(f(InputKind::Zero).iter().all(|v| *v == 0.0));
        assert_eq!(f(InputKind::OneHot).iter().filter(|v| **v == 1.0).count(), 1);
        assert_eq!(f(InputKind::OneHot).iter().sum::<f64>(), 1.0);
    }

    #[test]
    fn values_are_numbers_of_the_type() {
        for kind in InputKind::ALL {
            assert!(values(kind, DataType::Float).iter().all(|v| f64::from(*v as f32) == *v));
            assert!(values(kind, DataType::Float16).iter().all(|v| half::f16::from_f64(*v).to_f64() == *v));
            assert!(values(kind, DataType::Uint8).iter().all(|v| (0.0..=255.0).contains(v)));
            assert!(values(kind, DataType::Int8).iter().all(|v| (-128.0..=127.0).contains(v)));
            assert!(values(kind, DataType::Int4).iter().all(|v| (-8.0..=7.0).contains(v)));
            assert!(values(kind, DataType::Float4e2m1).iter().all(|v| (2.0 * v).fract() == 0.0 && v.abs() <= 2.0));
            assert!(values(kind, DataType::Uint32).iter().all(|v| (0.0..=65_535.0).contains(v)));
            assert!(values(kind, DataType::Bool).iter().all(|v| (0.0..=1.0).contains(v)));
        }
        assert!(values(InputKind::Normal, DataType::Uint8).iter().any(|v| *v > 200.0));
        assert!(
            values(InputKind::Normal, DataType::Int64).iter().all(|v| (0.0..=1.0).contains(v)),
            "a mask or an index"
        );
        assert!(values(InputKind::Bytes, DataType::Int64).iter().any(|v| *v > 200.0), "an image");
        assert!(values(InputKind::Large, DataType::Int16).iter().any(|v| v.abs() > 20_000.0), "sound");
        let slot = InputTensor { name: "x".to_owned(), dtype: DataType::String, shape: vec![1] };
        assert!(InputKind::Normal.values(&slot, &GraphProto::default(), 0).is_err());
    }
}
