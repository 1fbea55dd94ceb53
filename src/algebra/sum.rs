//! Linear maps of one tensor, side by side, as one.

use ndarray::{ArrayD, Axis, IxDyn, Slice};

use super::kernel::{Geometry, Kernel, entries};
use super::window::gcd;

impl Kernel {
    /// The same map in fewer groups: zeros between the groups that become one. `None` when `group` does not divide
    /// the groups that are there, or when it is too large.
    #[must_use]
    pub fn regrouped(&self, group: usize) -> Option<Self> {
        if group == 0 || !self.group.is_multiple_of(group) {
            return None;
        }
        let (inputs, outputs, merged) = (self.group_inputs(), self.group_outputs(), self.group / group);
        let mut shape = self.weight.shape().to_vec();
        shape[1] = inputs * merged;
        entries(&shape)?;
        let mut weight = ArrayD::zeros(IxDyn(&shape));
        for (o, row) in self.weight.outer_iter().enumerate() {
            let start = (o / outputs.max(1)) % merged * inputs;
            weight.index_axis_mut(Axis(0), o).slice_axis_mut(Axis(0), Slice::from(start..start + inputs)).assign(&row);
        }
        Some(Self { weight, bias: self.bias.clone(), group })
    }

    /// `factor` times the map.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        self.weight.mapv_inplace(|w| w * factor);
        if let Some(bias) = &mut self.bias {
            bias.iter_mut().for_each(|b| *b *= factor);
        }
        self
    }
}

/// The largest number of groups in which convolutions of `groups` groups can be written side by side, or one
/// behind the other.
#[must_use]
pub fn common_group(groups: impl IntoIterator<Item = usize>) -> usize {
    groups.into_iter().fold(0, gcd)
}

/// The sum of maps of one tensor in the common `window`, in as many groups as all of them allow. `None` when a
/// map has no place in it, or when channel counts differ.
#[must_use]
pub fn sum(parts: &[(&Kernel, &Geometry)], window: &Geometry) -> Option<Kernel> {
    let group = common_group(parts.iter().map(|(k, _)| k.group));
    let mut total: Option<Kernel> = None;
    for (kernel, own) in parts {
        let part = kernel.regrouped(group)?.placed_in(own, window)?;
        total = Some(match total {
            None => part,
            Some(sum) if sum.weight.shape() == part.weight.shape() => {
                let bias = match (sum.bias, part.bias) {
                    (Some(a), Some(b)) => Some(a.iter().zip(&b).map(|(a, b)| a + b).collect()),
                    (a, b) => a.or(b),
                };
                Kernel { weight: sum.weight + part.weight, bias, group }
            }
            Some(_) => return None,
        });
    }
    total
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn depthwise_maps_stay_depthwise() {
        let wide = Geometry { kernel: vec![3], pad_begin: vec![1], pad_end: vec![1], ..Geometry::pointwise(1) };
        let weight = ArrayD::from_shape_vec(IxDyn(&[2, 1, 3]), vec![1., 2., 3., 4., 5., 6.]).unwrap();
        let depthwise = Kernel { weight, bias: Some(vec![1., 2.]), group: 2 };
        let one = Kernel { bias: Some(vec![0.5, 0.5]), ..Kernel::identity(2, 1) };
        let total = sum(&[(&depthwise, &wide), (&one, &Geometry::pointwise(1))], &wide).unwrap();
        assert_eq!(total.weight.iter().copied().collect::<Vec<_>>(), [1., 3., 3., 4., 6., 6.]);
        assert_eq!((total.group, total.bias), (2, Some(vec![1.5, 2.5])));
    }

    #[test]
    fn the_coarsest_group_that_is_needed_and_no_coarser() {
        assert_eq!(common_group([4, 6]), 2);
        let two = Kernel { weight: ArrayD::ones(IxDyn(&[4, 2, 1])), bias: None, group: 2 };
        let total = sum(
            &[(&two, &Geometry::pointwise(1)), (&Kernel::identity(4, 1), &Geometry::pointwise(1))],
            &Geometry::pointwise(1),
        )
        .unwrap();
        assert_eq!(total.group, 2);
        assert_eq!(total.weight.iter().copied().collect::<Vec<_>>(), [2., 1., 1., 2., 2., 1., 1., 2.]);
    }

    #[test]
    fn regrouping_keeps_the_map() {
        let depthwise = Kernel { weight: ArrayD::from_elem(IxDyn(&[4, 1, 1]), 3.0), bias: None, group: 4 };
        let two = depthwise.regrouped(2).unwrap();
        assert_eq!(two.weight.iter().copied().collect::<Vec<_>>(), [3., 0., 0., 3., 3., 0., 0., 3.]);
        assert_eq!(two.regrouped(1), depthwise.regrouped(1));
        assert!(depthwise.regrouped(3).is_none());
    }
}
