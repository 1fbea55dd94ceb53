//! What is demanded of a model before it is given out: `--require` and `--require-ops`.

use crate::engine::EngineError;
use crate::facts::Facts;
use crate::graph::{self, GraphView, NodeId, ValueId};
use crate::onnx::ModelProto;
use crate::options::{Family, Options, Target};
use crate::report::Outcome;

/// A demand without further words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Demand {
    /// Something could be removed or folded
    Removal,
    /// Every tensor of data has one reader
    Chain,
}

/// All that is demanded.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Demands {
    /// Those without further words.
    pub of: Vec<Demand>,
    /// The only operators that there may be; any when there is none.
    pub operators: Vec<String>,
}

impl Demands {
    /// What is demanded by these words.
    #[must_use]
    pub fn new(of: Vec<Demand>, operators: Vec<String>) -> Self {
        Self { of, operators }
    }

    /// True when something is demanded.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.of.is_empty() || !self.operators.is_empty()
    }

    /// True when something is demanded of the model that comes out, and not of the rewrite alone.
    #[must_use]
    pub fn of_model(&self) -> bool {
        self.of.contains(&Demand::Chain) || !self.operators.is_empty()
    }

    /// The first demand that does not hold for `model`, which `outcome` says the making of, in words.
    ///
    /// # Errors
    /// When the graph is malformed.
    pub fn unmet(&self, model: &ModelProto, outcome: &Outcome) -> Result<Option<String>, EngineError> {
        // How an operator is written is no removal.
        let any = outcome.removed().any(|(site, _)| site.kind != Family::Legalize);
        if self.of.contains(&Demand::Removal) && !any {
            return Ok(Some("no join could be removed".to_owned()));
        }
        if !self.of_model() {
            return Ok(None);
        }
        let view = GraphView::new(model)?;
        let mut fault = None;
        if self.of.contains(&Demand::Chain) {
            fault = fork(&view);
        }
        Ok(fault.or_else(|| self.other(&view)))
    }

    /// An operator that is none of those asked for, at any depth.
    fn other(&self, view: &GraphView<'_>) -> Option<String> {
        if self.operators.is_empty() {
            return None;
        }
        // A weight that is written as a node is none the less a weight.
        let is_other = |op: &str| op != "Constant" && self.operators.iter().all(|o| o != op);
        let found = view.nodes().find_map(|node| {
            if is_other(view.op(node)) {
                return Some(words(view, node));
            }
            let inner = graph::inner_nodes(view.node(node)).into_iter().find(|n| is_other(&graph::operator(n)))?;
            Some(format!("node '{}' ({}) in a subgraph of {}", inner.name(), graph::operator(inner), words(view, node)))
        })?;
        Some(format!("{found} is none of the operators asked for: {}", self.operators.join(", ")))
    }
}

/// The first join that the plan of `options` has go and that stays, in words.
#[must_use]
pub fn unplanned(options: &Options, outcome: &Outcome) -> Option<String> {
    let plan = options.plan.as_ref()?;
    plan.sites.iter().filter(|site| site.remove).find_map(|planned| {
        let here = |tensor: &str| tensor == planned.tensor;
        if let Some((site, reject)) = outcome.kept().find(|(site, _)| site.is_residual() && here(&site.tensor)) {
            return Some(format!("the plan has join '{}' go, and it stays: {}", site.join, reject.reason));
        }
        let gone = outcome.removed().any(|(site, _)| here(&site.tensor));
        let why = "it is no residual join, or none is looked for (--only, --skip)";
        (!gone).then(|| format!("the plan has the sum that computes '{}' go, and it stays: {why}", planned.tensor))
    })
}

/// What `target` asks of a model and `model` is not, in words: nothing that a rewrite could change.
///
/// # Errors
/// When the graph is malformed.
pub fn wishes(target: &Target, model: &ModelProto) -> Result<Vec<String>, EngineError> {
    let mut found = Vec::new();
    if !target.wants_chain() && target.opset().is_none() {
        return Ok(found);
    }
    let view = GraphView::new(model)?;
    let name = target.name();
    if let Some(opset) = target.opset().filter(|opset| *opset != view.opset()) {
        found.push(format!("{name} reads opset {opset}, and the model has {}: export it so", view.opset()));
    }
    if let Some(fork) = fork(&view).filter(|_| target.wants_chain()) {
        found.push(format!("{name} takes chains: {fork}"));
    }
    Ok(found)
}

/// A tensor of data that is read more than once.
fn fork(view: &GraphView<'_>) -> Option<String> {
    let facts = Facts::new(view);
    let forks = |v: &ValueId| facts.is_data(*v) && readers(view, *v).len() > 1;
    // In the order of the graph, its inputs first.
    let computed = view.nodes().flat_map(|n| view.outputs(n)).flatten().copied();
    let value = view.values().filter(|v| view.is_input(*v)).chain(computed).find(forks)?;
    let from = view.def(value).map_or_else(|| "a graph input".to_owned(), |node| format!("of {}", words(view, node)));
    let readers = readers(view, value).join(", ");
    let name = view.name(value);
    Some(format!("no chain: tensor '{name}' ({from}) is read more than once: by {readers}"))
}

/// What reads `value`, one entry a read.
fn readers(view: &GraphView<'_>, value: ValueId) -> Vec<String> {
    let mut found: Vec<String> = view.uses(value).iter().map(|u| words(view, u.node)).collect();
    if view.is_captured(value) {
        found.push("a subgraph".to_owned());
    }
    if view.is_output(value) {
        found.push("the caller, as a graph output".to_owned());
    }
    found
}

fn words(view: &GraphView<'_>, node: NodeId) -> String {
    format!("node '{}' ({})", view.node(node).name(), view.op(node))
}
