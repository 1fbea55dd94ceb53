//! What may be fed to one input, and patterns over it.

use std::collections::BTreeMap;

use half::{bf16, f16};
use ndarray::{ArrayD, Axis, Dimension, IxDyn};

use crate::onnx::tensor_proto::DataType;
use crate::verify::random::Random;
use crate::verify::reference::Value;

use super::InputSpec;

/// The level that fills the range of an input which has one; others take every level.
const FULL: f64 = 8.0;

/// One input: which numbers it takes, and which of its axes are channels and which are positions.
pub(super) struct Space<'s> {
    spec: &'s InputSpec,
    /// The least and the largest number, of the whole or of each entry of axis 1.
    ranges: Vec<(f64, f64)>,
    /// What level 1 stands for, and level 0.
    scale: f64,
    centre: f64,
    channel: Option<usize>,
    positions: Vec<usize>,
}

/// A pattern: random levels in cells of positions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// Cells along each axis of positions; 1 gives a constant.
    pub(super) cells: usize,
    /// Every channel has levels of its own.
    pub(super) is_coloured: bool,
    /// Cells run into each other.
    pub(super) is_smooth: bool,
}

impl<'s> Space<'s> {
    /// `None` for an element type that is no number. Bytes take their whole range, floats every number, other integers what
    /// lies between those in `fed`: they may be indices.
    pub(super) fn new(spec: &'s InputSpec, fed: &[BTreeMap<String, Value>]) -> Option<Self> {
        let range = match spec.dtype {
            DataType::Float16 | DataType::Bfloat16 | DataType::Float | DataType::Double => (f64::MIN, f64::MAX),
            DataType::Uint8 => (0.0, 255.0),
            DataType::Int8 => (-128.0, 127.0),
            DataType::Bool => (0.0, 1.0),
            DataType::Int16 | DataType::Uint16 | DataType::Int32 => fed_range(&spec.name, fed)?,
            DataType::Uint32 | DataType::Int64 | DataType::Uint64 => fed_range(&spec.name, fed)?,
            _ => return None,
        };
        let (scale, centre) = match range {
            (f64::MIN, _) => (1.0, 0.0),
            (low, high) => ((high - low) / 2.0 / FULL, (high + low) / 2.0),
        };
        let (channel, positions) = axes(&spec.shape);
        Some(Self { spec, ranges: vec![range], scale, centre, channel, positions })
    }

    /// A tensor inside a model: `ranges` bound it, one for the whole or one for each entry of axis 1, and level 1 stands for `scale`.
    pub(super) fn within(spec: &'s InputSpec, ranges: Vec<(f64, f64)>, scale: f64) -> Self {
        let (channel, positions) = axes(&spec.shape);
        Self { spec, ranges, scale, centre: 0.0, channel, positions }
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.spec.shape.iter().product()
    }

    /// Levels as a value of the input's type.
    pub(super) fn value(&self, levels: &ArrayD<f64>) -> Value {
        let mut numbers = levels.mapv(|level| self.centre + self.scale * level);
        let clamp = |v: f64, (low, high): (f64, f64)| v.max(low).min(high);
        match *self.ranges {
            [range] => numbers.mapv_inplace(|v| clamp(v, range)),
            _ if numbers.ndim() > 1 => {
                for (mut part, range) in numbers.axis_iter_mut(Axis(1)).zip(&self.ranges) {
                    part.mapv_inplace(|v| clamp(v, *range));
                }
            }
            _ => {}
        }
        match self.spec.dtype {
            DataType::Float16 => Value::F(numbers.mapv(|v| f16::from_f64(v).to_f64())),
            DataType::Bfloat16 => Value::F(numbers.mapv(|v| bf16::from_f64(v).to_f64())),
            DataType::Float => Value::F(numbers.mapv(|v| f64::from(v as f32))),
            DataType::Double => Value::F(numbers),
            DataType::Bool => Value::B(levels.mapv(|l| l > 0.0)),
            _ => Value::I(numbers.mapv(|v| v.round() as i64)),
        }
    }

    /// The levels that give `value`.
    pub(super) fn levels(&self, value: &Value) -> ArrayD<f64> {
        let level = |v: f64| (v - self.centre) / if self.scale == 0.0 { 1.0 } else { self.scale };
        match value {
            Value::F(a) => a.mapv(level),
            Value::I(a) => a.mapv(|v| level(v as f64)),
            Value::B(a) => a.mapv(|v| if v { FULL } else { -FULL }),
        }
    }

    /// The same number everywhere.
    pub(super) fn constant(&self, level: f64) -> ArrayD<f64> {
        ArrayD::from_elem(IxDyn(&self.spec.shape), level)
    }

    /// A random field of mean square 1.
    pub(super) fn field(&self, pattern: Pattern, random: &mut Random) -> ArrayD<f64> {
        let shape = &self.spec.shape;
        let mut coarse = shape.clone();
        // One pattern for all of a batch would leave its entries the same.
        for axis in &self.positions {
            coarse[*axis] = coarse[*axis].min(pattern.cells.max(1));
        }
        if let Some(axis) = self.channel.filter(|_| !pattern.is_coloured) {
            coarse[axis] = coarse[axis].min(1);
        }
        let cells = ArrayD::from_shape_simple_fn(IxDyn(&coarse), || random.normal());
        let mut place = vec![0; shape.len()];
        let mut field = ArrayD::from_shape_fn(IxDyn(shape), |at| {
            for (axis, i) in at.as_array_view().iter().enumerate() {
                place[axis] = i * coarse[axis] / shape[axis].max(1);
            }
            cells[place.as_slice()]
        });
        for axis in self.positions.iter().filter(|_| pattern.is_smooth) {
            blur(&mut field, *axis, shape[*axis] / pattern.cells.max(1));
        }
        let rms = rms(&field);
        if rms > 0.0 {
            field /= rms;
        }
        field
    }

    /// A random box of positions: begin and end along each axis; other axes whole.
    pub(super) fn patch(&self, random: &mut Random) -> Vec<(usize, usize)> {
        let mut ends: Vec<(usize, usize)> = self.spec.shape.iter().map(|d| (0, *d)).collect();
        for axis in &self.positions {
            let size = self.spec.shape[*axis];
            let (a, b) = (random.below(size + 1), random.below(size + 1));
            ends[*axis] = if a == b { (0, size) } else { (a.min(b), a.max(b)) };
        }
        ends
    }

    /// `levels` enlarged twofold around a random place.
    pub(super) fn zoomed(&self, levels: &ArrayD<f64>, random: &mut Random) -> ArrayD<f64> {
        let shape = &self.spec.shape;
        let mut from = vec![0; shape.len()];
        for axis in &self.positions {
            from[*axis] = random.below(shape[*axis] / 2 + 1);
        }
        let mut place = vec![0; shape.len()];
        ArrayD::from_shape_fn(IxDyn(shape), |at| {
            for (axis, i) in at.as_array_view().iter().enumerate() {
                let is_position = self.positions.contains(&axis);
                place[axis] = if is_position { (from[axis] + i / 2).min(shape[axis] - 1) } else { *i };
            }
            levels[place.as_slice()]
        })
    }
}

/// The root of the mean square.
pub(super) fn rms(field: &ArrayD<f64>) -> f64 {
    let squares: f64 = field.iter().map(|v| v * v).sum();
    (squares / (field.len() as f64).max(1.0)).sqrt()
}

/// The channel axis and the axes of positions. Images have few channels: where the last axis is short, it has them.
fn axes(shape: &[usize]) -> (Option<usize>, Vec<usize>) {
    let rank = shape.len();
    let channel = match *shape {
        [] | [_] => None,
        [_, _] => Some(1),
        [_, a, b] => Some(if a <= b { 1 } else { 2 }),
        [_, a, .., z] => Some(if z <= 4 && a > 4 { rank - 1 } else { 1 }),
    };
    let first = usize::from(rank > 1);
    (channel, (first..rank).filter(|a| Some(*a) != channel).collect())
}

/// A moving mean over `width` entries along `axis`, twice.
fn blur(field: &mut ArrayD<f64>, axis: usize, width: usize) {
    if width < 2 {
        return;
    }
    for mut lane in field.lanes_mut(Axis(axis)).into_iter().flat_map(|l| [l]) {
        for _ in 0..2 {
            let mut sums = vec![0.0];
            for v in &lane {
                sums.push(sums.last().copied().unwrap_or(0.0) + v);
            }
            let n = lane.len();
            for (i, v) in lane.iter_mut().enumerate() {
                let (from, to) = (i.saturating_sub(width / 2), (i + width.div_ceil(2)).min(n));
                *v = (sums[to] - sums[from]) / (to - from).max(1) as f64;
            }
        }
    }
}

/// The least and the largest integer that was fed as `name`.
fn fed_range(name: &str, fed: &[BTreeMap<String, Value>]) -> Option<(f64, f64)> {
    let values = fed.iter().filter_map(|feed| match feed.get(name)? {
        Value::I(a) => Some(a),
        _ => None,
    });
    let all = values.flat_map(|a| a.iter().copied());
    let (low, high) = all.fold((i64::MAX, i64::MIN), |(low, high), v| (low.min(v), high.max(v)));
    (low <= high).then_some((low as f64, high as f64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn spec(dtype: DataType, shape: &[usize]) -> InputSpec {
        InputSpec { name: "x".to_owned(), dtype, shape: shape.to_vec() }
    }

    fn all(value: &Value) -> Vec<f64> {
        super::super::probe::numbers(value)
    }

    #[test]
    fn values_are_numbers_of_the_type_and_range() {
        let mut random = Random::new(1, "x");
        let pattern = Pattern { cells: 4, is_coloured: true, is_smooth: false };
        let mut made = |dtype| {
            let spec = spec(dtype, &[1, 3, 8, 8]);
            let fed = [BTreeMap::from([("x".to_owned(), Value::I(ArrayD::from_elem(IxDyn(&[1]), 5)))])];
            let space = Space::new(&spec, &fed).unwrap();
            let levels = space.field(pattern, &mut random) * 1e4;
            all(&space.value(&levels))
        };
        assert!(made(DataType::Uint8).iter().all(|v| *v == 0.0 || *v == 255.0));
        assert!(made(DataType::Int8).iter().any(|v| *v == -128.0));
        assert!(made(DataType::Int64).iter().all(|v| *v == 5.0), "an index stays where indices are");
        assert!(made(DataType::Float).iter().all(|v| f64::from(*v as f32) == *v));
        assert!(made(DataType::Float16).iter().all(|v| f16::from_f64(*v).to_f64() == *v));
        assert!(made(DataType::Bool).iter().all(|v| *v == 0.0 || *v == 1.0));
        assert!(Space::new(&spec(DataType::String, &[1]), &[]).is_none());
        assert!(Space::new(&spec(DataType::Int64, &[1]), &[]).is_none());
    }

    #[test]
    fn levels_and_values_are_inverse() {
        for dtype in [DataType::Uint8, DataType::Float, DataType::Double] {
            let spec = spec(dtype, &[1, 2]);
            let space = Space::new(&spec, &[]).unwrap();
            let value = space.value(&space.constant(3.0));
            assert_eq!(space.value(&space.levels(&value)), value);
        }
    }

    #[test]
    fn fields_have_the_pattern_that_was_asked_for() {
        let spec = spec(DataType::Float, &[1, 3, 8, 8]);
        let space = Space::new(&spec, &[]).unwrap();
        let mut random = Random::new(2, "x");
        let mut field =
            |cells, is_coloured, is_smooth| space.field(Pattern { cells, is_coloured, is_smooth }, &mut random);
        let grey = field(1, false, false);
        assert!(grey.iter().all(|v| (v.abs() - 1.0).abs() < 1e-9 && *v == grey[[0, 0, 0, 0]]));
        let blocks = field(2, true, false);
        assert_eq!(blocks[[0, 1, 0, 0]], blocks[[0, 1, 3, 3]]);
        assert_ne!(blocks[[0, 1, 0, 0]], blocks[[0, 1, 0, 4]]);
        assert_ne!(blocks[[0, 1, 0, 0]], blocks[[0, 2, 0, 0]]);
        let step = |f: &ArrayD<f64>| (f[[0, 0, 0, 3]] - f[[0, 0, 0, 4]]).abs();
        assert!(step(&field(2, true, true)) < step(&blocks));
        assert!((rms(&blocks) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn images_are_known_whichever_axis_is_last() {
        assert_eq!(axes(&[1, 3, 32, 32]), (Some(1), vec![2, 3]));
        assert_eq!(axes(&[1, 32, 32, 3]), (Some(3), vec![1, 2]));
        assert_eq!(axes(&[1, 128, 64]), (Some(2), vec![1]));
        assert_eq!(axes(&[1, 10]), (Some(1), vec![]));
        assert_eq!(axes(&[10]), (None, vec![0]));
        assert_eq!(axes(&[]), (None, vec![]));
    }

    #[test]
    fn tensors_without_entries_are_no_trouble() {
        for shape in [vec![], vec![0], vec![1, 0], vec![1, 3, 0, 5]] {
            let spec = spec(DataType::Float, &shape);
            let space = Space::new(&spec, &[]).unwrap();
            let mut random = Random::new(3, "x");
            let field = space.field(Pattern { cells: 4, is_coloured: true, is_smooth: true }, &mut random);
            assert_eq!(field.shape(), shape);
            assert_eq!(space.zoomed(&field, &mut random).shape(), shape);
            assert_eq!(space.patch(&mut random).len(), shape.len());
        }
    }
}
