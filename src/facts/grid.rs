//! The numbers that quantised weights can stand for.

use ndarray::{ArrayD, Axis};

use crate::graph::ValueId;
use crate::onnx::TensorProto;
use crate::onnx::tensor_proto::DataType;

use super::{Facts, element, nibbles, tensor};

/// A scale and the integer that stands for zero.
type Step = (f64, f64);

/// Rows of a weight as integers of four or eight bits, each row with a scale and a zero point of its own: what `DequantizeLinear` gives along
/// axis 0, `(q - zero) * scale` rounded to the type of the scale.
#[derive(Clone, Debug)]
pub struct Grid {
    integer: DataType,
    float: DataType,
    steps: Vec<Step>,
}

/// How many entries are tried on a step at most, and how many more for each that the weight has. Rows of real files stand in the order
/// that they had; where all steps must be tried for each, time would grow with the square of the channels.
const MOST_TRIES: (usize, usize) = (1 << 26, 64);

/// A weight on a grid.
pub struct OnGrid {
    /// The integers.
    pub weight: TensorProto,
    /// A scale a row.
    pub scale: TensorProto,
    /// A zero point a row; `None` where all are 0.
    pub zero: Option<TensorProto>,
}

impl Facts<'_> {
    /// The grid of the weight `value`, where that is one: `DequantizeLinear` of constants, with one scale for all or one a row.
    #[must_use]
    pub fn grid(&self, value: ValueId) -> Option<Grid> {
        let view = self.view();
        let node = view.def(value).filter(|n| view.op(*n) == "DequantizeLinear" && view.opset() >= 13)?;
        let constant = |slot: usize| self.constant(view.input(node, slot)?);
        let (integers, scale) = (constant(0)?, constant(1)?);
        let zero = match view.input(node, 2) {
            Some(_) => Some(constant(2)?),
            None => None,
        };
        let axis = view.attr_i(node, "axis").unwrap_or(1);
        let by_row = axis == 0 || axis == -(integers.data.ndim() as i64);
        let fits = |n: usize| n == 1 || by_row && Some(&n) == integers.data.shape().first();
        let blocks = view.attr_i(node, "block_size").unwrap_or(0) != 0;
        let is_small = matches!(integers.dtype, DataType::Int8 | DataType::Uint8) || nibbles::has(integers.dtype);
        if blocks || !is_small || !fits(scale.data.len()) || !zero.as_ref().is_none_or(|z| fits(z.data.len())) {
            return None;
        }
        let count = scale.data.len().max(zero.as_ref().map_or(1, |z| z.data.len()));
        let at = |values: &ArrayD<f64>, i: usize| values.iter().nth(if values.len() == 1 { 0 } else { i }).copied();
        let step = |i: usize| Some((at(&scale.data, i)?, zero.as_ref().map_or(Some(0.0), |z| at(&z.data, i))?));
        let mut steps: Vec<Step> = (0..count).map(step).collect::<Option<_>>()?;
        // A row of zeros and ones is on the grid of the integers themselves.
        steps.push((1.0, 0.0));
        Some(Grid { integer: integers.dtype, float: scale.dtype, steps })
    }
}

impl Grid {
    /// `weight` on the grid under names of its own, when each row of it is on it exactly. `name` makes them.
    pub fn place(&self, weight: &ArrayD<f64>, name: &mut dyn FnMut(&str) -> String) -> Option<OnGrid> {
        let (mut integers, mut scales, mut zeros) = (Vec::with_capacity(weight.len()), Vec::new(), Vec::new());
        let count = self.steps.len();
        let mut last = count - 1;
        let mut tries = weight.len().saturating_mul(MOST_TRIES.1).saturating_add(MOST_TRIES.0);
        for row in weight.axis_iter(Axis(0)) {
            // Rows mostly stand in the order that they had, and those that carry behind each other: on the step behind the last one, or on that.
            let order = [1, 0].into_iter().chain(2..count).map(|i| (last + i) % count);
            let mut found = order.map_while(|i| {
                let row = self.row(row.iter().inspect(|_| tries = tries.saturating_sub(1)).copied(), self.steps[i]);
                (tries > 0).then_some((i, row))
            });
            let (at, row) = found.find_map(|(i, row)| Some((i, row?)))?;
            last = at;
            integers.extend(row);
            scales.push(self.steps[at].0);
            zeros.push(self.steps[at].1);
        }
        let bytes = |values: &[f64]| match nibbles::has(self.integer) {
            true => nibbles::write(values),
            false => values.iter().map(|v| (*v as i64) as u8).collect(),
        };
        let integer = |name: String, dims: &[usize], values: &[f64]| TensorProto {
            name: Some(name),
            dims: dims.iter().map(|d| *d as i64).collect(),
            data_type: Some(self.integer as i32),
            raw_data: Some(bytes(values).into()),
            ..TensorProto::default()
        };
        let rows = zeros.len();
        let zero = zeros.iter().any(|z| *z != 0.0).then(|| integer(name("zero"), &[rows], &zeros));
        let scale = tensor::write(&name("scale"), &ndarray::Array1::from(scales).into_dyn(), self.float);
        Some(OnGrid { weight: integer(name("quantised"), weight.shape(), &integers), scale, zero })
    }

    /// The integers of a row; `None` when one of its entries is no step.
    fn row(&self, row: impl Iterator<Item = f64>, (scale, zero): Step) -> Option<Vec<f64>> {
        let (least, most) = element::integer(self.integer)?;
        let format = element::float(self.float)?;
        let step = |v: f64| {
            let q = (v / scale).round() + zero;
            let is_exact = (least..=most).contains(&q) && format.nearest((q - zero) * scale) == v;
            is_exact.then_some(q)
        };
        row.map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::IxDyn;

    use super::*;

    #[test]
    fn rows_are_on_the_grid_exactly_or_not_at_all() {
        let third = f64::from(1.0_f32 / 3.0);
        let grid = Grid { integer: DataType::Int8, float: DataType::Float, steps: vec![(third, -3.0), (1.0, 0.0)] };
        let held = |q: i32| f64::from(q as f32 * third as f32);
        let weight = |values: &[f64]| ArrayD::from_shape_vec(IxDyn(&[2, 3]), values.to_vec()).unwrap();
        let mut name = |what: &str| what.to_owned();
        let found = grid.place(&weight(&[held(130), held(-7), 0.0, 0.0, 1.0, 0.0]), &mut name).unwrap();
        let read = |t: &TensorProto| tensor::read_f64(t).unwrap().into_raw_vec_and_offset().0;
        assert_eq!(read(&found.weight), [127.0, -10.0, -3.0, 0.0, 1.0, 0.0]);
        assert_eq!((read(&found.scale), read(&found.zero.unwrap())), (vec![third, 1.0], vec![-3.0, 0.0]));
        let off = [held(131), third * 1.5, f64::from(f32::EPSILON), f64::NAN, f64::INFINITY];
        assert!(off.iter().all(|v| grid.place(&weight(&[*v, 0.0, 0.0, 0.0, 1.0, 0.0]), &mut name).is_none()));
    }
}
