//! Pooling over one to three axes, and over all of them.

use ndarray::ArrayD;

use super::Value;
use super::binary::larger;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::window::{AXES, Rounding, Window, three, windows};
use crate::tasks;

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

/// How a window becomes one number.
struct Fold<T, L, F> {
    /// What an empty window is.
    empty: T,
    /// What the element of this offset in its channel is.
    lift: L,
    fold: F,
}

impl<T, L, F> Fold<T, L, F>
where
    T: Copy,
    L: Fn(usize, f64) -> T + Sync,
    F: Fn(T, T) -> T + Sync,
{
    /// Calls `done` with each output, its position and what its window folds to. The channels go in parallel, and axis after axis in
    /// each: a window costs the sum of its sizes and not their product, and no more than the map when it is larger.
    fn pool<R: Clone + Send>(
        &self,
        x: &[f64],
        axes: &[Window; AXES],
        mut y: ArrayD<R>,
        done: impl Fn(&mut R, [usize; AXES], T) + Sync,
    ) -> Outcome<ArrayD<R>>
    where
        T: Send + Sync,
    {
        let inner: usize = axes.iter().map(|w| w.input).product();
        let outer: usize = axes.iter().map(|w| w.output).product();
        if inner == 0 || outer == 0 {
            return Ok(y);
        }
        let work = y.len().saturating_mul(axes.iter().map(|w| w.kernel.min(w.input)).sum());
        let Some(out) = y.as_slice_mut() else { return fault!("an array is not contiguous") };
        let tasks = x.chunks_exact(inner).zip(out.chunks_exact_mut(outer));
        tasks::each(work, tasks, |space: &mut Vec<T>, (x, out)| self.channel(x, axes, space, out, &done));
        Ok(y)
    }

    fn channel<R>(
        &self,
        x: &[f64],
        [a, b, c]: &[Window; AXES],
        space: &mut Vec<T>,
        out: &mut [R],
        done: &impl Fn(&mut R, [usize; AXES], T),
    ) {
        let plane = b.input * c.input;
        space.resize(plane + c.input, self.empty);
        let (planes, row) = space.split_at_mut(plane);
        let mut out = out.iter_mut();
        for p in 0..a.output {
            planes.fill(self.empty);
            for z in a.covered(p) {
                let x = x[z * plane..(z + 1) * plane].iter().enumerate();
                planes.iter_mut().zip(x).for_each(|(t, (i, v))| *t = (self.fold)(*t, (self.lift)(z * plane + i, *v)));
            }
            for q in 0..b.output {
                row.fill(self.empty);
                for line in b.covered(q) {
                    let line = &planes[line * c.input..(line + 1) * c.input];
                    row.iter_mut().zip(line).for_each(|(t, v)| *t = (self.fold)(*t, *v));
                }
                for (r, out) in (0..c.output).zip(out.by_ref()) {
                    let window = c.covered(r).map(|i| row[i]).fold(self.empty, &self.fold);
                    done(out, [p, q, r], window);
                }
            }
        }
    }
}

fn max_pool(call: &mut Call) -> Outcome<Vec<Value>> {
    let is_integer = matches!(call.value(0)?, Value::I(_));
    // Integer pools are of eight bits, which float64 holds exactly.
    let x = call.value(0)?.to_floats();
    let (axes, shape) = geometry(call, x.shape())?;
    let values = dims::rows(&x)?;
    let most = Fold { empty: f64::NEG_INFINITY, lift: |_, v| v, fold: larger };
    let y = most.pool(values, &axes, dims::filled(&shape, 0.0)?, |y, _, most| *y = most)?;
    let y = if is_integer { Value::I(y.mapv(|v| v as i64)) } else { Value::F(y) };
    if call.outputs() < 2 {
        return Ok(vec![y]);
    }
    let column_major = call.flag("storage_order", false);
    let first = Fold { empty: (usize::MAX, f64::NEG_INFINITY), lift: |i, v| (i, v), fold: first_of_largest };
    let mut indices = first.pool(values, &axes, dims::filled(&shape, 0_i64)?, |y, _, (i, _)| {
        *y = if i == usize::MAX { -1 } else { (if column_major { transposed(i, &axes) } else { i }) as i64 };
    })?;
    let inner: i64 = axes.iter().map(|w| w.input as i64).product();
    let outer: usize = axes.iter().map(|w| w.output).product();
    // Counted over the whole tensor, not in each channel.
    indices.iter_mut().enumerate().for_each(|(n, v)| *v += (n / outer.max(1)) as i64 * inner);
    Ok(vec![y, Value::I(indices)])
}

/// Of two elements with their offsets the larger, of equal ones the first; a NaN is larger than all.
fn first_of_largest(a: (usize, f64), b: (usize, f64)) -> (usize, f64) {
    let a_first = a.0 < b.0;
    match (a.1.is_nan(), b.1.is_nan()) {
        (false, false) if a.1 == b.1 => {
            if a_first {
                a
            } else {
                b
            }
        }
        (true, true) => {
            if a_first {
                a
            } else {
                b
            }
        }
        (a_nan, false) => {
            if a_nan || a.1 > b.1 {
                a
            } else {
                b
            }
        }
        (false, true) => b,
    }
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
    let sum = Fold { empty: 0.0, lift: |_, v| v, fold: |a, b| a + b };
    let y = sum.pool(dims::rows(x)?, &axes, dims::filled(&shape, 0.0)?, |y, o, sum| {
        let along = |(w, o): (&Window, usize)| if with_padding { w.padded(o) } else { w.covered(o).len() };
        *y = sum / axes.iter().zip(o).map(along).product::<usize>() as f64;
    })?;
    Ok(vec![Value::F(y)])
}

fn lp_pool(call: &mut Call) -> Outcome<Vec<Value>> {
    let p = call.int("p", 2) as f64;
    let x = call.floats(0)?;
    let (axes, shape) = geometry(call, x.shape())?;
    let powers = Fold { empty: 0.0, lift: |_, v: f64| v.abs().powf(p), fold: |a, b| a + b };
    let y = powers.pool(dims::rows(x)?, &axes, dims::filled(&shape, 0.0)?, |y, _, sum| *y = sum.powf(1.0 / p))?;
    Ok(vec![Value::F(y)])
}
