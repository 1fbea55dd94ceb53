//! Pooling over one to three axes, and over all of them.

use ndarray::ArrayD;

use super::Value;
use super::binary::larger;
use super::call::Call;
use super::dims;
use super::error::{Outcome, fault};
use super::parallel;
use super::registry::Table;
use super::window::{AXES, Rounding, Window, three, windows};

pub(super) const OPERATORS: Table = &[
    ("MaxPool", max_pool),
    ("AveragePool", average_pool),
    ("LpPool", lp_pool),
    ("GlobalMaxPool", |c| global(c, |v| v.iter().copied().fold(f64::NEG_INFINITY, larger))),
    ("GlobalAveragePool", |c| global(c, |v| v.iter().sum::<f64>() / v.len() as f64)),
    ("GlobalLpPool", |c| {
        let p = c.int("p", 2) as f64;
        global(c, move |v| norm(v.iter().copied(), p))
    }),
];

fn norm(values: impl Iterator<Item = f64>, p: f64) -> f64 {
    values.map(|v| v.abs().powf(p)).sum::<f64>().powf(1.0 / p)
}

fn global(call: &mut Call, f: impl Fn(&[f64]) -> f64) -> Outcome<Vec<Value>> {
    let x = call.floats(0)?;
    let &[batch, channels, ref spatial @ ..] = x.shape() else {
        return fault!("an input of shape {:?}", x.shape());
    };
    let mut shape = vec![batch, channels];
    shape.extend(spatial.iter().map(|_| 1));
    let plane = spatial.iter().product::<usize>();
    if plane == 0 {
        return fault!("an input of shape {:?}", x.shape());
    }
    let values = dims::rows(x)?.chunks_exact(plane).map(f).collect();
    Ok(vec![Value::F(dims::array(&shape, values)?)])
}

/// The windows, and the shape of the output.
fn geometry(call: &Call, shape: &[usize]) -> Outcome<([Window; AXES], Vec<usize>)> {
    let &[batch, channels, ref spatial @ ..] = shape else { return fault!("an input of shape {shape:?}") };
    let kernel = dims::dims(call.int_list("kernel_shape").unwrap_or_default())?;
    let rounding = if call.flag("ceil_mode", false) { Rounding::Ceil } else { Rounding::Floor };
    let axes = windows(call, spatial, &kernel, rounding)?;
    let mut shape = vec![batch, channels];
    shape.extend(axes.iter().map(|w| w.output));
    dims::count(&shape)?;
    Ok((three(&axes), shape))
}

/// Calls `f(values, position)` for each output position of each channel, the channels in parallel.
fn pool<T: Clone + Send + Sync>(
    x: &[f64],
    axes: &[Window; AXES],
    shape: &[usize],
    zero: T,
    f: impl Fn(&[f64], [usize; AXES]) -> T + Sync,
) -> Outcome<ArrayD<T>> {
    let mut y = dims::filled(shape, zero)?;
    let inner: usize = axes.iter().map(|w| w.input).product();
    let outer: usize = axes.iter().map(|w| w.output).product();
    if inner == 0 || outer == 0 {
        return Ok(y);
    }
    let Some(out) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
    let tasks: Vec<_> = x.chunks_exact(inner).zip(out.chunks_exact_mut(outer)).collect();
    let [_, b, c] = axes;
    parallel::each(tasks, |(x, out)| {
        for (i, o) in out.iter_mut().enumerate() {
            *o = f(x, [i / (b.output * c.output), i / c.output % b.output, i % c.output]);
        }
    });
    Ok(y)
}

/// Positions in the input that the window at `o` reads, as offsets in its channel.
fn taps(axes: &[Window; AXES], o: [usize; AXES]) -> impl Iterator<Item = usize> {
    let [a, b, c] = *axes;
    let along = move |w: Window, o: usize| (0..w.kernel).filter_map(move |k| w.at(o, k));
    along(a, o[0]).flat_map(move |i| {
        along(b, o[1]).flat_map(move |j| along(c, o[2]).map(move |k| (i * b.input + j) * c.input + k))
    })
}

fn max_pool(call: &mut Call) -> Outcome<Vec<Value>> {
    let is_integer = matches!(call.value(0)?, Value::I(_));
    // Integer pools are of eight bits, which float64 holds exactly.
    let x = call.value(0)?.to_floats();
    let (axes, shape) = geometry(call, x.shape())?;
    let values = dims::rows(&x)?;
    let y = pool(values, &axes, &shape, 0.0, |x, o| taps(&axes, o).map(|i| x[i]).fold(f64::NEG_INFINITY, larger))?;
    let y = if is_integer { Value::I(y.mapv(|v| v as i64)) } else { Value::F(y) };
    if call.outputs() < 2 {
        return Ok(vec![y]);
    }
    let column_major = call.flag("storage_order", false);
    let first = |x: &[f64], o| {
        taps(&axes, o).fold(None, |best: Option<usize>, i| match best {
            Some(b) if x[b] >= x[i] || x[b].is_nan() => Some(b),
            _ => Some(i),
        })
    };
    let mut indices = pool(values, &axes, &shape, 0_i64, |x, o| {
        first(x, o).map_or(-1, |i| if column_major { transposed(i, &axes) } else { i } as i64)
    })?;
    let inner: i64 = axes.iter().map(|w| w.input as i64).product();
    let outer: usize = axes.iter().map(|w| w.output).product();
    // Counted over the whole tensor, not in each channel.
    indices.iter_mut().enumerate().for_each(|(n, v)| *v += (n / outer.max(1)) as i64 * inner);
    Ok(vec![y, Value::I(indices)])
}

/// The offset of element `i` when the first of the two or three axes runs fastest.
fn transposed(i: usize, axes: &[Window; AXES]) -> usize {
    let [a, b, c] = axes.map(|w| w.input);
    let (p, q, r) = (i / (b * c), i / c % b, i % c);
    (r * b + q) * a + p
}

fn average_pool(call: &mut Call) -> Outcome<Vec<Value>> {
    let with_padding = call.flag("count_include_pad", false);
    let x = call.floats(0)?;
    let (axes, shape) = geometry(call, x.shape())?;
    let y = pool(dims::rows(x)?, &axes, &shape, 0.0, |x, o| {
        let (sum, n) = taps(&axes, o).fold((0.0, 0_usize), |(sum, n), i| (sum + x[i], n + 1));
        let n = if with_padding { padded_taps(&axes, o) } else { n };
        sum / n as f64
    })?;
    Ok(vec![Value::F(y)])
}

/// Taps of the window at `o` that lie in the input or its padding: what `ceil_mode` hangs over does not count.
fn padded_taps(axes: &[Window; AXES], o: [usize; AXES]) -> usize {
    let along = |(w, o): (&Window, usize)| {
        let size = w.input + w.begin + w.end;
        (0..w.kernel).filter(|k| o * w.stride + k * w.dilation < size).count()
    };
    axes.iter().zip(o).map(along).product()
}

fn lp_pool(call: &mut Call) -> Outcome<Vec<Value>> {
    let p = call.int("p", 2) as f64;
    let x = call.floats(0)?;
    let (axes, shape) = geometry(call, x.shape())?;
    let y = pool(dims::rows(x)?, &axes, &shape, 0.0, |x, o| norm(taps(&axes, o).map(|i| x[i]), p))?;
    Ok(vec![Value::F(y)])
}
