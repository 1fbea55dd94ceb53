//! Operators that run subgraphs.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, Axis, stack};

use super::Value;
use super::budget::Held;
use super::call::{Call, Table};
use super::dims;
use super::error::{Outcome, fault};
use super::value::any;

pub(super) const OPERATORS: Table = &[("If", branch), ("Loop", repeat), ("Scan", scan)];

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
    let mut columns = Columns::new(collected);
    let mut turn = 0;
    while go_on && turns.is_none_or(|t| turn < t) {
        let mut inputs =
            vec![Arc::new(Value::I(dims::filled(&[], turn)?)), Arc::new(Value::B(dims::filled(&[], true)?))];
        inputs.append(&mut state);
        let mut outputs = call.run_graph(body, inputs)?.into_iter();
        go_on = outputs.next().as_ref().map(truth).transpose()?.unwrap_or(false);
        let carried = body.output.len() - 1 - collected;
        state = outputs.by_ref().take(carried).map(Arc::new).collect();
        columns.push(call, outputs)?;
        turn += 1;
    }
    let mut results: Vec<Value> = state.into_iter().map(Arc::unwrap_or_clone).collect();
    for column in columns.values {
        results.push(stacked(&column, 0)?);
    }
    Ok(results)
}

/// What the turns of a loop give, to be stacked: one column an output.
struct Columns {
    values: Vec<Vec<Value>>,
    held: Vec<Held>,
}

impl Columns {
    fn new(count: usize) -> Self {
        Self { values: vec![Vec::new(); count], held: Vec::new() }
    }

    fn push(&mut self, call: &Call, row: impl Iterator<Item = Value>) -> Outcome<()> {
        let mut elements = 0;
        for (column, value) in self.values.iter_mut().zip(row) {
            elements += value.len();
            column.push(value);
        }
        self.held.push(call.hold(elements)?);
        Ok(())
    }
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
        let value = call.value(variables + k)?;
        let axis = dims::axis(option("scan_input_axes", k), value.shape().len())?;
        rows.push(Scanned { value, axis, reversed: option("scan_input_directions", k) != 0 });
    }
    let length = rows.first().map_or(0, Scanned::len);
    if rows.iter().any(|r| r.len() != length) {
        return fault!("the scanned axes differ in length");
    }
    let mut columns = Columns::new(collected);
    for turn in 0..length {
        let mut inputs = std::mem::take(&mut state);
        inputs.extend(rows.iter().map(|r| Arc::new(r.at(turn))));
        let mut outputs = call.run_graph(body, inputs)?.into_iter();
        state = outputs.by_ref().take(variables).map(Arc::new).collect();
        columns.push(call, outputs)?;
    }
    let mut results: Vec<Value> = state.into_iter().map(Arc::unwrap_or_clone).collect();
    for (k, mut column) in columns.values.into_iter().enumerate() {
        if option("scan_output_directions", k) != 0 {
            column.reverse();
        }
        results.push(stacked(&column, option("scan_output_axes", k))?);
    }
    Ok(results)
}

/// A tensor that is taken apart along an axis, one part a turn.
struct Scanned<'v> {
    value: &'v Value,
    axis: usize,
    reversed: bool,
}

impl Scanned<'_> {
    fn len(&self) -> usize {
        self.value.shape()[self.axis]
    }

    fn at(&self, turn: usize) -> Value {
        fn part<T: Clone>(a: &ArrayD<T>, axis: usize, i: usize) -> ArrayD<T> {
            a.index_axis(Axis(axis), i).to_owned()
        }
        let i = if self.reversed { self.len() - 1 - turn } else { turn };
        any!(self.value, a => part(a, self.axis, i)).standard()
    }
}
