//! Two linear maps one after the other, as one.

use ndarray::{ArrayD, IxDyn};

use super::kernel::{Geometry, Kernel};

/// `first`, then the pointwise `second` (kernel 1, stride 1, no padding), as one kernel in the window of
/// `first`. Exact at borders: nothing is padded between them.
#[must_use]
pub fn then_pointwise(first: &Kernel, second: &Kernel) -> Option<Kernel> {
    if second.weight.shape()[2..].iter().any(|k| *k != 1) || second.inputs() != first.outputs() {
        return None;
    }
    let (a, b) = (first.dense(), second.dense());
    let taps: usize = a.weight.shape()[2..].iter().product();
    let (outputs, middle, inputs) = (b.outputs(), a.outputs(), a.inputs());
    let left = b.weight.to_shape((outputs, middle)).ok()?;
    let right = a.weight.to_shape((middle, inputs * taps)).ok()?;
    let mut shape = a.weight.shape().to_vec();
    shape[0] = outputs;
    let weight: ArrayD<f64> = left.dot(&right).into_shape_with_order(IxDyn(&shape)).ok()?;
    let bias = match (&a.bias, &b.bias) {
        (None, None) => None,
        (first, second) => Some(
            (0..outputs)
                .map(|o| {
                    let through = first.as_ref().map_or(0.0, |v| (0..middle).map(|m| left[[o, m]] * v[m]).sum());
                    through + second.as_ref().map_or(0.0, |v| v[o])
                })
                .collect(),
        ),
    };
    Some(Kernel { weight, bias, group: 1 })
}

/// A pointwise kernel without bias (any stride), then `second`, in the window of `second`.
///
/// Legal because padding reads 0 on both sides and the first map sends 0 to 0.
#[must_use]
pub fn pointwise_then(first: &Kernel, second: &Kernel) -> Option<Kernel> {
    if first.bias.is_some() || first.weight.shape()[2..].iter().any(|k| *k != 1) || second.inputs() != first.outputs() {
        return None;
    }
    let (a, b) = (first.dense(), second.dense());
    let taps: usize = b.weight.shape()[2..].iter().product();
    let (outputs, middle, inputs) = (b.outputs(), a.outputs(), a.inputs());
    let left = b.weight.to_shape((outputs, middle, taps)).ok()?;
    let right = a.weight.to_shape((middle, inputs)).ok()?;
    let mut weight = ndarray::Array3::<f64>::zeros((outputs, inputs, taps));
    for t in 0..taps {
        let slice = left.index_axis(ndarray::Axis(2), t);
        weight.index_axis_mut(ndarray::Axis(2), t).assign(&slice.dot(&right));
    }
    let mut shape = b.weight.shape().to_vec();
    shape[1] = inputs;
    let weight = weight.into_shape_with_order(IxDyn(&shape)).ok()?;
    Some(Kernel { weight, bias: b.bias, group: 1 })
}

/// The average over a window as a depthwise kernel on `channels` channels. Exact only where the pool
/// divides by the full window everywhere (`count_include_pad`, or no padding and no ceil overhang).
#[must_use]
pub fn average(channels: usize, window: &Geometry) -> Kernel {
    let taps: usize = window.kernel.iter().product();
    let mut shape = vec![channels, 1];
    shape.extend(&window.kernel);
    Kernel { weight: ArrayD::from_elem(IxDyn(&shape), 1.0 / taps as f64), bias: None, group: channels }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kernel(shape: &[usize], values: &[f64], bias: Option<Vec<f64>>) -> Kernel {
        Kernel { weight: ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap(), bias, group: 1 }
    }

    #[test]
    fn bias_goes_through_the_second_map() {
        let a = kernel(&[2, 1, 3], &[1., 2., 3., 4., 5., 6.], Some(vec![1., 2.]));
        let b = kernel(&[1, 2, 1], &[10., 100.], Some(vec![5.]));
        let c = then_pointwise(&a, &b).unwrap();
        assert_eq!(c.weight.iter().copied().collect::<Vec<_>>(), [410., 520., 630.]);
        assert_eq!(c.bias, Some(vec![215.]));
    }

    #[test]
    fn a_bias_before_padding_is_refused() {
        let a = kernel(&[1, 1, 1], &[2.], Some(vec![1.]));
        let b = kernel(&[1, 1, 3], &[1., 2., 3.], None);
        assert!(pointwise_then(&a, &b).is_none());
        let a = kernel(&[1, 1, 1], &[2.], None);
        assert_eq!(pointwise_then(&a, &b).unwrap().weight.iter().copied().collect::<Vec<_>>(), [2., 4., 6.]);
    }

    #[test]
    fn an_average_is_a_depthwise_kernel() {
        let g = Geometry { kernel: vec![2], ..Geometry::pointwise(1) };
        let k = average(2, &g);
        assert_eq!(k.weight.iter().copied().collect::<Vec<_>>(), [0.5; 4]);
        assert_eq!(k.group, 2);
    }
}
