//! Tensors that are put together or repeated.

use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};

use super::Value;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::value::any;

pub(super) const OPERATORS: Table = &[("Concat", concat), ("Expand", expand), ("Tile", tile)];

fn concat(call: &mut Call) -> Outcome<Vec<Value>> {
    let rank = call.value(0)?.shape().len();
    // An older version had a default axis.
    let axis = Axis(dims::axis(call.int("axis", 1), rank)?);
    let parts = (0..call.inputs()).map(|i| call.value(i)).collect::<Outcome<Vec<_>>>()?;
    if let Some(other) = parts.iter().find(|v| v.shape().len() != rank) {
        return fault!("shape {:?} among others of rank {rank}", other.shape());
    }
    let total: usize = parts.iter().map(|v| v.shape().iter().product::<usize>()).sum();
    dims::count(&[total])?;
    macro_rules! join {
        ($variant:ident) => {{
            let views = parts.iter().map(|v| match v {
                Value::$variant(a) => Ok(a.view()),
                other => fault!("{} elements among others", other.kind()),
            });
            let views: Vec<ArrayViewD<_>> = views.collect::<Outcome<_>>()?;
            Value::$variant(concatenate(axis, &views)?)
        }};
    }
    Ok(vec![match call.value(0)? {
        Value::F(_) => join!(F),
        Value::I(_) => join!(I),
        Value::B(_) => join!(B),
    }])
}

/// Both shapes broadcast: a 1 in the target keeps what is there.
fn expand(call: &mut Call) -> Outcome<Vec<Value>> {
    let target = dims::dims(&call.ints(1)?)?;
    let x = call.value(0)?;
    let shape = dims::broadcast(x.shape(), &target)?;
    Ok(vec![any!(x, a => dims::expand(a, &shape)?)])
}

fn tile(call: &mut Call) -> Outcome<Vec<Value>> {
    let repeats = dims::dims(&call.ints(1)?)?;
    let x = call.value(0)?;
    if repeats.len() != x.shape().len() {
        return fault!("repeats {repeats:?} for shape {:?}", x.shape());
    }
    Ok(vec![any!(x, a => tiled(a, &repeats)?)])
}

/// Each axis is split in two, of which the first is broadcast.
fn tiled<T: Clone>(a: &ArrayD<T>, repeats: &[usize]) -> Outcome<ArrayD<T>> {
    let split: Vec<usize> = a.shape().iter().flat_map(|d| [1, *d]).collect();
    let repeated: Vec<usize> = a.shape().iter().zip(repeats).flat_map(|(d, r)| [*r, *d]).collect();
    dims::count(&repeated)?;
    let joined: Vec<usize> = a.shape().iter().zip(repeats).map(|(d, r)| d * r).collect();
    dims::reshape(dims::expand(&dims::reshape(a.clone(), &split)?, &repeated)?, &joined)
}
