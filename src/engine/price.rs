//! What a model costs.

use crate::facts::Facts;
use crate::graph::GraphView;
use crate::io::Model;
use crate::onnx::ModelProto;
use crate::options::Options;
use crate::plan::change::Price;
use crate::plan::cost;
use crate::read::Context;
use crate::residual::find;

use super::bodies;
use super::defaults;
use super::error::EngineError;

/// What `model` costs as it is.
///
/// # Errors
/// [`EngineError`] when the graph is malformed.
pub fn price(model: &Model) -> Result<Price, EngineError> {
    priced(&defaults::as_constants(model.proto(), &Options::default()))
}

pub(super) fn priced(model: &ModelProto) -> Result<Price, EngineError> {
    let view = GraphView::new(model)?;
    let facts = Facts::new(&view);
    Ok(cost::price(model, &view, &facts, joins(&view, &facts)))
}

/// The joins of a graph and of the bodies in it. A body that is broken has none that anybody looks at.
fn joins(view: &GraphView<'_>, facts: &Facts<'_>) -> usize {
    let options = Options::default();
    let cx = Context::new(view, facts, &options);
    let own: usize = view.nodes().map(|node| find::joins_of(cx, node)).sum();
    let (bodies, _) = bodies::open(view, facts);
    let inside = bodies.iter().filter_map(|body| {
        let view = GraphView::new(&body.model).ok()?;
        Some(joins(&view, &Facts::new(&view)))
    });
    own + inside.sum::<usize>()
}
