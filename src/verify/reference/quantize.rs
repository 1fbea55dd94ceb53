//! Numbers that are stored as small integers.

use ndarray::{ArrayD, Dimension};

use super::Value;
use super::call::Call;
use super::dims;
use super::error::{Outcome, fault};
use super::registry::Table;

pub(super) const OPERATORS: Table = &[("DequantizeLinear", dequantize)];

/// `(x - zero_point) * scale`. There is one scale for all, one for each entry along an axis, or one for each block along it.
fn dequantize(call: &mut Call) -> Outcome<Vec<Value>> {
    let x = call.value(0)?.to_floats();
    let scale = call.floats(1)?.clone();
    let zero = call.optional(2).map(Value::to_floats);
    if zero.as_ref().is_some_and(|z| z.shape() != scale.shape()) {
        return fault!("the zero point has not the shape of the scale");
    }
    let block = usize::try_from(call.int("block_size", 0)).unwrap_or(0);
    let place = Place::new(call, x.shape(), scale.shape(), block)?;
    let value = |i: ndarray::IxDyn| {
        let at = place.of(i.slice());
        let zero = zero.as_ref().map_or(0.0, |z| z[at.as_slice()]);
        (x[&i] - zero) * scale[at.as_slice()]
    };
    Ok(vec![Value::F(ArrayD::from_shape_fn(x.shape(), value))])
}

/// Where the scale of an entry stands.
enum Place {
    /// The only one, in a tensor of so many axes.
    Only(usize),
    /// Along this axis.
    Along(usize),
    /// In blocks of so many along this axis.
    Block(usize, usize),
}

impl Place {
    fn new(call: &Call, x: &[usize], scale: &[usize], block: usize) -> Outcome<Self> {
        if scale.len() < 2 && scale.iter().product::<usize>() == 1 {
            return Ok(Self::Only(scale.len()));
        }
        let axis = dims::axis(call.int("axis", 1), x.len())?;
        let blocks = |n: usize, i: usize| if i == axis { n.div_ceil(block.max(1)) } else { n };
        if block > 0 && scale.len() == x.len() && x.iter().enumerate().all(|(i, n)| scale[i] == blocks(*n, i)) {
            return Ok(Self::Block(axis, block));
        }
        if block == 0 && scale == [x[axis]] {
            return Ok(Self::Along(axis));
        }
        fault!("a scale of shape {scale:?} for {x:?}")
    }

    fn of(&self, i: &[usize]) -> Vec<usize> {
        match self {
            Self::Only(rank) => vec![0; *rank],
            Self::Along(axis) => vec![i[*axis]],
            Self::Block(axis, size) => {
                i.iter().enumerate().map(|(a, n)| if a == *axis { n / size } else { *n }).collect()
            }
        }
    }
}
