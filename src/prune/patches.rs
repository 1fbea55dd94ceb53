//! What a layer reads and gives at some positions: rows of a matrix, one a position.

use ndarray::{Array2, ArrayD};

use crate::algebra::Geometry;
use crate::verify::random::Random;

use super::coupling::{Form, Layer};

/// Positions of a layer's output, of some samples.
pub(super) struct Positions {
    /// The sample within the batch and the place among all positions of its map.
    pub at: Vec<(usize, usize)>,
}

impl Positions {
    /// Up to `each` positions of every sample of a batch, whose output has `total`; the same for the same `seed`, layer and samples.
    pub(super) fn draw(places: &[usize], total: usize, each: usize, seed: u64, layer: &str) -> Self {
        let mut at = Vec::new();
        for (sample, place) in places.iter().enumerate() {
            if total <= each {
                at.extend((0..total).map(|p| (sample, p)));
                continue;
            }
            // One in every stretch, so that all of the map is seen.
            let mut random = Random::new(seed ^ *place as u64, layer);
            for i in 0..each {
                let (from, to) = (i * total / each, (i + 1) * total / each);
                at.push((sample, from + random.below(to - from)));
            }
        }
        Self { at }
    }
}

/// Positions of one channel of `y`.
pub(super) fn plane(y: &ArrayD<f64>) -> usize {
    y.shape().iter().skip(2).product()
}

/// What `layer` reads of `x` at `positions` of its output, which has `shape`: one row a position; of the group `group` the
/// entries of the window, channel by channel. `None` when sizes do not fit.
pub(super) fn inputs(
    layer: &Layer,
    x: &ArrayD<f64>,
    spatial: &[usize],
    positions: &Positions,
    group: usize,
) -> Option<Array2<f64>> {
    let channels = layer.each();
    let (n, all) = (*x.shape().first()?, *x.shape().get(1)?);
    let data = x.as_slice()?;
    if all != channels * layer.group || n == 0 {
        return None;
    }
    let Form::Conv(window) = &layer.form else {
        let rows = Array2::from_shape_fn((positions.at.len(), channels), |(r, c)| data[positions.at[r].0 * all + c]);
        return Some(rows);
    };
    let sizes = x.shape().get(2..)?;
    let inner: usize = sizes.iter().product();
    let mut rows = Array2::zeros((positions.at.len(), channels * layer.taps));
    let mut offsets = vec![None; layer.taps];
    for (mut row, (sample, place)) in rows.outer_iter_mut().zip(&positions.at) {
        reach(window, sizes, spatial, *place, &mut offsets);
        for channel in 0..channels {
            let map = &data[(sample * all + group * channels + channel) * inner..][..inner];
            for (tap, offset) in offsets.iter().enumerate() {
                if let Some(offset) = offset {
                    row[channel * layer.taps + tap] = map[*offset];
                }
            }
        }
    }
    Some(rows)
}

/// Where each tap of `window` reads for the output at `place`; `None` in the padding.
fn reach(window: &Geometry, sizes: &[usize], spatial: &[usize], place: usize, offsets: &mut [Option<usize>]) {
    let axes = sizes.len();
    let mut corner = vec![0; axes];
    let mut rest = place;
    for axis in (0..axes).rev() {
        corner[axis] = rest % spatial[axis] * window.stride[axis];
        rest /= spatial[axis];
    }
    for (tap, offset) in offsets.iter_mut().enumerate() {
        let (mut rest, mut found, mut step) = (tap, Some(0), 1);
        for axis in (0..axes).rev() {
            let at = corner[axis] + rest % window.kernel[axis] * window.dilation[axis];
            rest /= window.kernel[axis];
            let inside = at.checked_sub(window.pad_begin[axis]).filter(|at| *at < sizes[axis]);
            found = found.zip(inside).map(|(sum, at)| sum + at * step);
            step *= sizes[axis];
        }
        *offset = found;
    }
}

/// The channels `channels` of `y` at `positions`.
pub(super) fn outputs(y: &ArrayD<f64>, positions: &Positions, channels: &[usize]) -> Option<Array2<f64>> {
    let (all, plane) = (*y.shape().get(1)?, plane(y));
    let data = y.as_slice()?;
    let entry = |(r, c): (usize, usize)| {
        let (sample, place) = positions.at[r];
        data[(sample * all + channels[c]) * plane + place]
    };
    Some(Array2::from_shape_fn((positions.at.len(), channels.len()), entry))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::graph::NodeId;
    use ndarray::IxDyn;

    #[test]
    fn rows_times_weights_are_what_a_convolution_gives() {
        // Stride 2, dilation 2 and different pads on both ends: each output entry by hand.
        let window = Geometry {
            kernel: vec![2, 3],
            stride: vec![2, 1],
            dilation: vec![2, 1],
            pad_begin: vec![1, 0],
            pad_end: vec![0, 2],
        };
        let layer = Layer {
            node: NodeId(0),
            form: Form::Conv(window.clone()),
            inputs: vec![0, 1],
            outputs: vec![2],
            group: 1,
            taps: 6,
            depthwise: false,
            has_bias: true,
            refits: true,
        };
        let x = ArrayD::from_shape_fn(IxDyn(&[2, 2, 5, 4]), |i| (i[0] * 40 + i[1] * 20 + i[2] * 4 + i[3]) as f64);
        let spatial = [(5 + 1 - 3) / 2 + 1, 4 + 2 - 3 + 1];
        let total = spatial.iter().product();
        let positions = Positions::draw(&[0, 1], total, total, 0, "y");
        let rows = inputs(&layer, &x, &spatial, &positions, 0).unwrap();
        for (row, (n, place)) in rows.outer_iter().zip(&positions.at) {
            let (oy, ox) = (place / spatial[1], place % spatial[1]);
            for c in 0..2 {
                for (ky, kx) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
                    let (y, x_) = ((oy * 2 + ky * 2) as i64 - 1, (ox + kx) as i64);
                    let inside = (0..5).contains(&y) && (0..4).contains(&x_);
                    let want = if inside { x[[*n, c, y as usize, x_ as usize]] } else { 0.0 };
                    assert_eq!(row[c * 6 + ky * 3 + kx], want);
                }
            }
        }
    }

    #[test]
    fn positions_are_drawn_from_all_of_the_map_and_again_the_same() {
        let draw = |seed| Positions::draw(&[3, 9], 100, 10, seed, "y").at;
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(1).iter().enumerate().all(|(i, (n, p))| *n == i / 10 && p / 10 == i % 10));
        assert_eq!(Positions::draw(&[0], 4, 10, 0, "y").at.len(), 4);
    }
}
