//! Operators that run subgraphs.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, Axis, stack};

use super::Value;
use super::call::Call;
use super::dims;
use super::error::{Outcome, fault};
use super::registry::Table;
use super::value::any;

pub(super) const OPERATORS: Table = &[("If", branch), ("Loop", repeat), ("Scan", scan)];

/// Most turns of a loop, for one that never ends to be an error.
const MOST_TURNS: i64 = 1 << 16;

fn truth(value: &Value) -> Outcome<bool> {
    match value {
        Value::B(a) if a.len() == 1 => Ok(a.iter().all(|v| *v)),
        other => fault!("a condition of {} elements of shape {:?}", other.kind(), other.shape()),
    }
}

fn branch(call: &mut Call) -> Outcome<Vec<Value>> {
    let name = if truth(call.value(0)?)? { "then_branch" } else { "else_branch" };
    call.run_graph(call.graph(name)?, Vec::new())
}

fn repeat(call: &mut Call) -> Outcome<Vec<Value>> {
    let body = call.graph("body")?;
    let turns = call.optional_ints(0)?.and_then(|t| t.first().copied());
    let mut go_on = call.optional(1).map(truth).transpose()?.unwrap_or(true);
    let mut state: Vec<Arc<Value>> = Vec::new();
    for i in 2..call.inputs() {
        state.push(call.shared(i).map_or_else(|| fault!("input {i} is missing"), Ok)?);
    }
    let Some(collected) = body.output.len().checked_sub(1 + state.len()) else {
        return fault!("the body has {} outputs for {} variables", body.output.len(), state.len());
    };
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); collected];
    let mut turn = 0;
    while go_on && turns.is_none_or(|t| turn < t) {
        if turn >= MOST_TURNS {
            return fault!("more than {MOST_TURNS} turns");
        }
        let mut inputs =
            vec![Arc::new(Value::I(dims::filled(&[], turn)?)), Arc::new(Value::B(dims::filled(&[], true)?))];
        inputs.append(&mut state);
        let mut outputs = call.run_graph(body, inputs)?.into_iter();
        go_on = outputs.next().as_ref().map(truth).transpose()?.unwrap_or(false);
        let carried = body.output.len() - 1 - collected;
        state = outputs.by_ref().take(carried).map(Arc::new).collect();
        columns.iter_mut().zip(outputs).for_each(|(column, v)| column.push(v));
        turn += 1;
    }
    let mut results: Vec<Value> = state.into_iter().map(Arc::unwrap_or_clone).collect();
    for column in columns {
        results.push(stacked(&column, 0)?);
    }
    Ok(results)
}

/// `values` along a new axis; floats of length 0 when there are none.
fn stacked(values: &[Value], axis: i64) -> Outcome<Value> {
    let Some(first) = values.first() else { return Ok(Value::F(dims::filled(&[0], 0.0)?)) };
    let axis = Axis(dims::axis(axis, first.shape().len() + 1)?);
    dims::count(&[values.len(), dims::count(first.shape())?])?;
    macro_rules! pile {
        ($variant:ident) => {{
            let views = values.iter().map(|v| match v {
                Value::$variant(a) => Ok(a.view()),
                other => fault!("{} elements among others", other.kind()),
            });
            let views: Vec<ArrayViewD<_>> = views.collect::<Outcome<_>>()?;
            Value::$variant(stack(axis, &views)?)
        }};
    }
    Ok(match first {
        Value::F(_) => pile!(F),
        Value::I(_) => pile!(I),
        Value::B(_) => pile!(B),
    })
}

/// `Scan` since opset 9: without a batch axis of its own.
fn scan(call: &mut Call) -> Outcome<Vec<Value>> {
    if call.opset() < 9 {
        return fault!("opset {} has a batch axis, which is not handled", call.opset());
    }
    let body = call.graph("body")?;
    let scanned = dims::dim(call.int("num_scan_inputs", 0))?;
    let Some(variables) = call.inputs().checked_sub(scanned).filter(|_| scanned > 0) else {
        return fault!("{} inputs of which {scanned} are scanned", call.inputs());
    };
    let Some(collected) = body.output.len().checked_sub(variables) else {
        return fault!("the body has {} outputs for {variables} variables", body.output.len());
    };
    let mut state: Vec<Arc<Value>> = Vec::new();
    for i in 0..variables {
        state.push(call.shared(i).map_or_else(|| fault!("input {i} is missing"), Ok)?);
    }
    let option = |name: &str, k: usize| call.int_list(name).and_then(|l| l.get(k).copied()).unwrap_or(0);
    let mut rows = Vec::new();
    for k in 0..scanned {
        let mut slices = slices(call.value(variables + k)?, option("scan_input_axes", k))?;
        if option("scan_input_directions", k) != 0 {
            slices.reverse();
        }
        rows.push(slices);
    }
    let length = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|r| r.len() != length) {
        return fault!("the scanned axes differ in length");
    }
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); collected];
    for turn in 0..length {
        let mut inputs = std::mem::take(&mut state);
        inputs.extend(rows.iter().map(|r| Arc::clone(&r[turn])));
        let mut outputs = call.run_graph(body, inputs)?.into_iter();
        state = outputs.by_ref().take(variables).map(Arc::new).collect();
        columns.iter_mut().zip(outputs).for_each(|(column, v)| column.push(v));
    }
    let mut results: Vec<Value> = state.into_iter().map(Arc::unwrap_or_clone).collect();
    for (k, mut column) in columns.into_iter().enumerate() {
        if option("scan_output_directions", k) != 0 {
            column.reverse();
        }
        results.push(stacked(&column, option("scan_output_axes", k))?);
    }
    Ok(results)
}

/// The parts of `value` along `axis`.
fn slices(value: &Value, axis: i64) -> Outcome<Vec<Arc<Value>>> {
    fn part<T: Clone>(a: &ArrayD<T>, axis: usize, i: usize) -> ArrayD<T> {
        a.index_axis(Axis(axis), i).to_owned()
    }
    let axis = dims::axis(axis, value.shape().len())?;
    let one = |i: usize| Arc::new(any!(value, a => part(a, axis, i)).standard());
    Ok((0..value.shape()[axis]).map(one).collect())
}
