//! `Einsum`: sums of products, by letters that name the axes.

use ndarray::ArrayD;

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};

pub(super) const OPERATORS: Table = &[("Einsum", einsum)];

/// Sums of products by index letters, term after term: small tensors only.
fn einsum(call: &mut Call) -> Outcome<Vec<Value>> {
    let text: String = call.string("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = text.split_once("->").map_or((text.as_str(), None), |(l, r)| (l, Some(r)));
    let operands = (0..call.inputs()).map(|i| call.floats(i)).collect::<Outcome<Vec<_>>>()?;
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != operands.len() {
        return fault!("equation '{text}' for {} inputs", operands.len());
    }
    let terms = terms.iter().zip(&operands).map(|(t, a)| letters(t, a.ndim())).collect::<Outcome<Vec<_>>>()?;
    let sizes = sizes(&terms, &operands)?;
    let output = match right {
        Some(r) => output_letters(r, &terms)?,
        None => implicit(&terms),
    };
    let inner: Vec<char> = sizes.iter().map(|(c, _)| *c).filter(|c| !output.contains(c)).collect();
    let size =
        |c: &char| sizes.iter().find(|(l, _)| l == c).map_or_else(|| fault!("no input has '{c}'"), |(_, n)| Ok(*n));
    let shape = output.iter().map(size).collect::<Outcome<Vec<_>>>()?;
    let summed = inner.iter().map(size).collect::<Outcome<Vec<_>>>()?;
    let order: Vec<char> = output.iter().chain(&inner).copied().collect();
    let strides: Vec<Vec<usize>> = terms.iter().zip(&operands).map(|(t, a)| steps(t, a.shape(), &order)).collect();
    let data = operands.iter().map(|a| dims::rows(a)).collect::<Outcome<Vec<_>>>()?;
    let total = dims::count(&shape)?;
    // Every product is computed by itself: this is the work, and nothing is kept of it.
    if total.checked_mul(dims::count(&summed)?).is_none_or(|work| work > MAX_PRODUCTS) {
        return fault!("equation '{text}' needs more than {MAX_PRODUCTS} products");
    }
    let (outside, inside) = strides.iter().map(|s| s.split_at(shape.len())).unzip::<_, _, Vec<_>, Vec<_>>();
    let (mut place, mut sums) = (Odometer::new(&shape, outside), Odometer::new(&summed, inside));
    let mut values = Vec::with_capacity(total);
    for _ in 0..total {
        let mut sum = 0.0;
        for _ in 0..sums.count {
            let factor = |((d, o), i): ((&&[f64], &usize), &usize)| d[o + i];
            sum += data.iter().zip(&place.offsets).zip(&sums.offsets).map(factor).product::<f64>();
            sums.step();
        }
        values.push(sum);
        place.step();
    }
    Ok(vec![Value::F(dims::array(&shape, values)?)])
}

/// Most products of one equation.
const MAX_PRODUCTS: usize = 1 << 32;

/// Goes through the indices of a shape in row order, with the offsets that they mean in each operand. Behind the last it stands at
/// the first again.
struct Odometer<'a> {
    shape: &'a [usize],
    strides: Vec<&'a [usize]>,
    index: Vec<usize>,
    offsets: Vec<usize>,
    /// How many indices there are.
    count: usize,
}

impl<'a> Odometer<'a> {
    fn new(shape: &'a [usize], strides: Vec<&'a [usize]>) -> Self {
        let (index, offsets) = (vec![0; shape.len()], vec![0; strides.len()]);
        Self { shape, strides, index, offsets, count: shape.iter().product() }
    }

    fn step(&mut self) {
        for (axis, (i, n)) in self.index.iter_mut().zip(self.shape).enumerate().rev() {
            *i += 1;
            let back = if *i == *n { std::mem::take(i) } else { 0 };
            for (offset, strides) in self.offsets.iter_mut().zip(&self.strides) {
                *offset = *offset + strides[axis] - back * strides[axis];
            }
            if back == 0 {
                return;
            }
        }
    }
}

/// The letters of a term of rank `rank`. An ellipsis becomes digits, the last axis `0`.
fn letters(term: &str, rank: usize) -> Outcome<Vec<char>> {
    let named = term.chars().filter(|c| *c != '.').count();
    let Some(hidden) = rank.checked_sub(named).filter(|h| *h < 10 && (*h == 0 || term.contains("..."))) else {
        return fault!("term '{term}' for rank {rank}");
    };
    let digits: String = (0..hidden).rev().filter_map(|d| char::from_digit(d as u32, 10)).collect();
    Ok(term.replace("...", &digits).chars().collect())
}

fn output_letters(right: &str, terms: &[Vec<char>]) -> Outcome<Vec<char>> {
    let hidden = terms.iter().map(|t| t.iter().filter(|c| c.is_ascii_digit()).count()).max().unwrap_or(0);
    let named = right.chars().filter(|c| *c != '.').count();
    letters(right, named + if right.contains("...") { hidden } else { 0 })
}

/// Without `->`: the ellipsis, then every letter that stands once, by the alphabet.
fn implicit(terms: &[Vec<char>]) -> Vec<char> {
    let all: Vec<char> = terms.iter().flatten().copied().collect();
    let mut digits: Vec<char> = all.iter().filter(|c| c.is_ascii_digit()).copied().collect();
    digits.sort_unstable_by(|a, b| b.cmp(a));
    digits.dedup();
    let mut once: Vec<char> =
        all.iter().filter(|c| !c.is_ascii_digit() && all.iter().filter(|d| d == c).count() == 1).copied().collect();
    once.sort_unstable();
    digits.extend(once);
    digits
}

/// Size of every letter.
fn sizes(terms: &[Vec<char>], operands: &[&ArrayD<f64>]) -> Outcome<Vec<(char, usize)>> {
    let mut sizes: Vec<(char, usize)> = Vec::new();
    for (c, n) in terms.iter().zip(operands).flat_map(|(t, a)| t.iter().zip(a.shape())) {
        match sizes.iter_mut().find(|(l, _)| l == c) {
            None => sizes.push((*c, *n)),
            Some((_, m)) if *m == 1 => *m = *n,
            Some((_, m)) if *m == *n || *n == 1 => {}
            Some((_, m)) => return fault!("'{c}' is both {m} and {n}"),
        }
    }
    Ok(sizes)
}

/// By how much an operand's offset grows with each letter of `order`.
fn steps(term: &[char], shape: &[usize], order: &[char]) -> Vec<usize> {
    let strides = dims::strides(shape);
    let of = |c: &char| {
        term.iter().zip(shape).zip(&strides).filter(|((t, n), _)| *t == c && **n != 1).map(|(_, s)| *s).sum()
    };
    order.iter().map(of).collect()
}
