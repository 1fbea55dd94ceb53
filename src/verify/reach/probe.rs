//! The number that a bend tests, for every entry of what its node reads.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn, Zip};

use crate::verify::reference::Value;

/// What a node reads; an input that is left out is `None`.
pub(super) type Inputs<'i> = &'i [Option<Arc<Value>>];

/// Most entries of operands that broadcast: what the evaluator allows a tensor.
const MAX_ENTRIES: usize = 1 << 28;

/// A bound of a `Clip`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// Known from the file.
    Number(f64),
    /// Whatever this input holds.
    Input(usize),
}

/// Which number is tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Probe {
    /// `scale * x + shift`.
    Entry { scale: f64, shift: f64 },
    /// `x` less the largest integer that is not larger.
    Fraction,
    /// `(x - low) / (high - low)`.
    Between(Bound, Bound),
    /// `x - bound`.
    Beyond(Bound),
    /// `(x / scale + zero - low) / (high - low)`, scale and zero being inputs 1 and 2.
    Quantised { low: f64, high: f64 },
    /// The largest (else smallest) of the operands before `last`, less that.
    Choice { is_max: bool, last: usize },
    /// The first operand less the second; the other way round when swapped.
    Difference { swapped: bool },
    /// The distance of two operands.
    Distance,
    /// 1 for true, 0 for false.
    Truth,
}

impl Probe {
    /// The tested numbers, in row order. `None` when the inputs are not what the operator takes.
    pub(super) fn numbers(&self, inputs: Inputs<'_>) -> Option<ArrayD<f64>> {
        let operand = |i: usize| inputs.get(i)?.as_deref().map(floats);
        let each = |f: &dyn Fn(f64) -> f64| Some(operand(0)?.mapv(f));
        match *self {
            Self::Entry { scale, shift } => each(&|x| scale * x + shift),
            Self::Fraction => each(&|x| x - x.floor()),
            Self::Truth => each(&|x| x),
            Self::Between(low, high) => {
                let (low, high) = (low.number(inputs)?, high.number(inputs)?);
                each(&|x| (x - low) / (high - low))
            }
            Self::Beyond(bound) => {
                let bound = bound.number(inputs)?;
                each(&|x| x - bound)
            }
            Self::Quantised { low, high } => {
                let scale = Bound::Input(1).number(inputs)?;
                let zero = Bound::Input(2).number(inputs).unwrap_or(0.0);
                each(&|x| (x / scale + zero - low) / (high - low))
            }
            Self::Choice { is_max, last } => {
                let best = if is_max { f64::max } else { f64::min };
                let before =
                    (1..last).try_fold(operand(0)?, |all, i| Some(Cow::Owned(zip(&all, &*operand(i)?, best)?)));
                zip(&*before?, &*operand(last)?, |a, b| a - b)
            }
            Self::Difference { swapped: false } => zip(&*operand(0)?, &*operand(1)?, |a, b| a - b),
            Self::Difference { swapped: true } => zip(&*operand(1)?, &*operand(0)?, |a, b| a - b),
            Self::Distance => zip(&*operand(0)?, &*operand(1)?, |a, b| (a - b).abs()),
        }
    }
}

impl Bound {
    fn number(self, inputs: Inputs<'_>) -> Option<f64> {
        match self {
            Self::Number(v) => Some(v),
            Self::Input(i) => match *numbers(inputs.get(i)?.as_deref()?) {
                [one] => Some(one),
                _ => None,
            },
        }
    }
}

/// The entries of a constant operand, those of one value being one group: channels with the same bound are as good as one node.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    shape: Vec<usize>,
    /// The group of each of its entries.
    group: Vec<Option<usize>>,
    count: usize,
    /// True when a list belongs to axis 1, not to the last one.
    by_channel: bool,
}

impl Groups {
    /// `numbers` are the entries; one that is `None` bends nothing and has no group.
    pub(super) fn new(numbers: &[Option<f64>], shape: Vec<usize>, by_channel: bool) -> Self {
        let mut known: HashMap<u64, usize> = HashMap::new();
        // Both zeros are one number.
        let mut group = |number: f64| {
            let next = known.len();
            *known.entry((number + 0.0).to_bits()).or_insert(next)
        };
        let group = numbers.iter().map(|n| n.map(&mut group)).collect();
        Self { shape, group, count: known.len(), by_channel }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The group of each entry of a tensor of `shape`, in row order.
    pub(super) fn of(&self, shape: &[usize]) -> Option<Vec<Option<usize>>> {
        let mut own = self.shape.clone();
        if self.by_channel && shape.len() > 1 {
            own.extend(vec![1; shape.len() - 2]);
        }
        let all = ArrayD::from_shape_vec(IxDyn(&own), self.group.clone()).ok()?;
        Some(all.broadcast(IxDyn(shape))?.iter().copied().collect())
    }
}

/// `value` as floats.
fn floats(value: &Value) -> Cow<'_, ArrayD<f64>> {
    match value {
        Value::F(a) => Cow::Borrowed(a),
        Value::I(a) => Cow::Owned(a.mapv(|v| v as f64)),
        Value::B(a) => Cow::Owned(a.mapv(|v| f64::from(u8::from(v)))),
    }
}

/// The entries of `value` as floats, in row order.
pub(super) fn numbers(value: &Value) -> Vec<f64> {
    floats(value).iter().copied().collect()
}

/// `f` on each pair of entries, broadcast.
fn zip(a: &ArrayD<f64>, b: &ArrayD<f64>, f: impl Fn(f64, f64) -> f64) -> Option<ArrayD<f64>> {
    let shape = IxDyn(&common(a.shape(), b.shape())?);
    let (a, b) = (a.broadcast(shape.clone())?, b.broadcast(shape)?);
    Some(Zip::from(&a).and(&b).map_collect(|a, b| f(*a, *b)))
}

/// The shape that `a` and `b` broadcast to, unless it is too large.
fn common(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).and_then(|k| s.get(k).copied()).unwrap_or(1);
    let larger = |i: usize| if at(a, i) == 1 { at(b, i) } else { at(a, i) };
    let shape: Vec<usize> = (0..rank).map(larger).collect();
    let entries = shape.iter().try_fold(1_usize, |n, d| n.checked_mul((*d).max(1)));
    entries.filter(|n| *n <= MAX_ENTRIES).map(|_| shape)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn value(shape: &[usize], numbers: &[f64]) -> Option<Arc<Value>> {
        Some(Arc::new(Value::F(ArrayD::from_shape_vec(IxDyn(shape), numbers.to_vec()).unwrap())))
    }

    fn test(probe: Probe, inputs: Inputs<'_>) -> Vec<f64> {
        probe.numbers(inputs).unwrap().iter().copied().collect()
    }

    #[test]
    fn every_probe_is_what_it_says() {
        let x = value(&[3], &[-1.25, 0.0, 7.0]);
        let (two, six) = (value(&[], &[2.0]), value(&[], &[6.0]));
        let alone = [x.clone()];
        assert_eq!(test(Probe::Entry { scale: 2.0, shift: 1.0 }, &alone), [-1.5, 1.0, 15.0]);
        assert_eq!(test(Probe::Fraction, &alone), [0.75, 0.0, 0.0]);
        assert_eq!(test(Probe::Beyond(Bound::Number(1.0)), &alone), [-2.25, -1.0, 6.0]);
        let bounded = [x.clone(), two.clone(), six.clone()];
        assert_eq!(test(Probe::Between(Bound::Input(1), Bound::Input(2)), &bounded), [-0.8125, -0.5, 1.25]);
        assert_eq!(test(Probe::Choice { is_max: true, last: 1 }, &bounded), [-3.25, -2.0, 5.0]);
        assert_eq!(test(Probe::Choice { is_max: true, last: 2 }, &bounded), [-4.0, -4.0, 1.0]);
        assert_eq!(test(Probe::Choice { is_max: false, last: 2 }, &bounded), [-7.25, -6.0, -4.0]);
        assert_eq!(test(Probe::Difference { swapped: true }, &bounded), [3.25, 2.0, -5.0]);
        assert_eq!(test(Probe::Distance, &bounded), [3.25, 2.0, 5.0]);
        let quantised = Probe::Quantised { low: 0.0, high: 8.0 };
        assert_eq!(test(quantised, &[x, two.clone(), two]), [0.171875, 0.25, 0.6875]);
        let truth = Arc::new(Value::B(ArrayD::from_shape_vec(IxDyn(&[2]), vec![true, false]).unwrap()));
        assert_eq!(test(Probe::Truth, &[Some(truth)]), [1.0, 0.0]);
    }

    #[test]
    fn inputs_that_do_not_fit_give_nothing() {
        let (two, three) = (value(&[2], &[1.0; 2]), value(&[3], &[1.0; 3]));
        assert!(Probe::Distance.numbers(&[two.clone(), three]).is_none());
        assert!(Probe::Distance.numbers(&[two.clone(), None]).is_none());
        assert!(Probe::Beyond(Bound::Input(1)).numbers(&[two.clone(), two]).is_none());
        assert!(Probe::Truth.numbers(&[]).is_none());
        assert!(common(&[1 << 20, 1], &[1, 1 << 20]).is_none());
    }

    #[test]
    fn entries_of_one_value_are_one_group() {
        let groups = Groups::new(&[Some(6.0), Some(0.0), Some(6.0), Some(-0.0), None], vec![5], false);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups.of(&[5]).unwrap(), [Some(0), Some(1), Some(0), Some(1), None]);
    }

    #[test]
    fn groups_broadcast_as_the_operand_does() {
        let groups = Groups::new(&[Some(6.0), None, Some(2.0)], vec![3, 1], false);
        assert_eq!(groups.len(), 2);
        let want = [Some(0), Some(0), None, None, Some(1), Some(1)];
        assert_eq!(groups.of(&[1, 3, 2]).unwrap(), want);
        assert!(groups.of(&[1, 4, 2]).is_none());
        let old = Groups::new(&[Some(0.5), Some(0.25)], vec![2], true);
        assert_eq!(old.of(&[1, 2, 2]).unwrap(), [Some(0), Some(0), Some(1), Some(1)]);
    }
}
