//! The value of a tensor.

use ndarray::ArrayD;

use super::error::{Outcome, fault};

/// A tensor: all float types are float64, all integer types int64.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Floats of any width.
    F(ArrayD<f64>),
    /// Integers of any width, signed or not.
    I(ArrayD<i64>),
    /// Booleans.
    B(ArrayD<bool>),
}

/// Evaluates the same expression for whichever array `$value` holds and wraps the result in the same variant.
macro_rules! any {
    ($value:expr, $a:ident => $body:expr) => {
        match $value {
            Value::F($a) => Value::F($body),
            Value::I($a) => Value::I($body),
            Value::B($a) => Value::B($body),
        }
    };
}
pub(super) use any;

/// Like `any!`, for two values that must hold the same kind.
macro_rules! both {
    ($x:expr, $y:expr, $a:ident, $b:ident => $body:expr) => {
        match ($x, $y) {
            (Value::F($a), Value::F($b)) => Value::F($body),
            (Value::I($a), Value::I($b)) => Value::I($body),
            (Value::B($a), Value::B($b)) => Value::B($body),
            _ => return fault!("the inputs have different kinds of elements"),
        }
    };
}
pub(super) use both;

impl Value {
    /// The dimensions, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F(a) => a.shape(),
            Self::I(a) => a.shape(),
            Self::B(a) => a.shape(),
        }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::F(a) => a.len(),
            Self::I(a) => a.len(),
            Self::B(a) => a.len(),
        }
    }

    /// The floats, when it holds floats.
    #[must_use]
    pub fn floats(&self) -> Option<&ArrayD<f64>> {
        match self {
            Self::F(a) => Some(a),
            _ => None,
        }
    }

    /// `float`, `integer` or `boolean`, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::F(_) => "float",
            Self::I(_) => "integer",
            Self::B(_) => "boolean",
        }
    }

    /// Rows contiguous, as every operator here takes for granted.
    pub(super) fn standard(self) -> Self {
        fn rows<T: Clone>(a: ArrayD<T>) -> ArrayD<T> {
            // Broadcast or reversed arrays are not in this order; ones that are cost nothing.
            if a.is_standard_layout() { a } else { a.as_standard_layout().into_owned() }
        }
        any!(self, a => rows(a))
    }

    /// The elements as floats, whatever they are.
    pub(super) fn to_floats(&self) -> ArrayD<f64> {
        match self {
            Self::F(a) => a.clone(),
            Self::I(a) => a.mapv(|v| v as f64),
            Self::B(a) => a.mapv(|v| f64::from(u8::from(v))),
        }
    }

    /// The integers in row order.
    pub(super) fn to_ints(&self) -> Outcome<Vec<i64>> {
        match self {
            Self::I(a) => Ok(a.iter().copied().collect()),
            _ => fault!("expected integers, found {} elements", self.kind()),
        }
    }
}
