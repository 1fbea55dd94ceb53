//! A model under check: what several keys ask for is found out once, and only if one asks.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use crate::engine::{self, EngineError};
use crate::facts::Facts;
use crate::graph::{GraphView, ValueId};
use crate::io::Model;
use crate::onnx::TensorProto;
use crate::options::{Families, Options, Selector};
use crate::plan::change::Price;
use crate::report::{Outcome, SiteReport, SiteStatus};

use super::nodes::{Placed, domain, nodes, operator, other_constants};
use super::policy::{NOT_INSPECTED, REMOVABLE};
use super::report::{Measures, Place};

/// ONNX operators that multiply, and that `plan::cost` does not count.
const UNCOUNTED: [&str; 12] = [
    "Attention",
    "ConvInteger",
    "DeformConv",
    "Einsum",
    "GRU",
    "LSTM",
    "LinearAttention",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "RNN",
    "DFT",
];

/// Operators that are linear maps with weights.
const WEIGHTED: [&str; 5] = ["BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul"];

/// A model under check.
pub(super) struct Subject<'a> {
    /// As it stands in the file.
    pub(super) model: &'a Model,
    /// With the calls of local functions and the fused operators written out that can be.
    pub(super) view: &'a GraphView<'a>,
    /// Of the same.
    pub(super) facts: &'a Facts<'a>,
    /// Those of the file.
    pub(super) nodes: Vec<Placed<'a>>,
    /// Those of what is written out.
    open: Vec<Placed<'a>>,
    price: Price,
    long_skips: bool,
    stop: &'a dyn Fn() -> ControlFlow<()>,
    joins: OnceCell<(u64, Vec<Place>)>,
    folds: OnceCell<Vec<Place>>,
}

impl<'a> Subject<'a> {
    /// A model as it stands in the file and with its calls written out; `view` and `facts` are those of the latter.
    ///
    /// # Errors
    /// When the graph is malformed.
    pub(super) fn new(
        (model, open): (&'a Model, &'a Model),
        (view, facts): (&'a GraphView<'a>, &'a Facts<'a>),
        long_skips: bool,
        stop: &'a dyn Fn() -> ControlFlow<()>,
    ) -> Result<Self, EngineError> {
        let price = engine::price(open)?;
        let (nodes, open) = (nodes(model.proto()), nodes(open.proto()));
        let (joins, folds) = (OnceCell::new(), OnceCell::new());
        Ok(Self { model, view, facts, nodes, open, price, long_skips, stop, joins, folds })
    }

    fn inspected(&self, options: &Options) -> Result<Outcome, EngineError> {
        engine::inspect(self.model, options, &mut |_| (self.stop)())
    }

    /// How many joins there are, and every one that was looked at, with `removable` or the code for which it stays; and what was not
    /// looked into.
    pub(super) fn joins(&self) -> Result<(u64, &[Place]), EngineError> {
        if let Some((count, joins)) = self.joins.get() {
            return Ok((*count, joins));
        }
        let outcome = self.inspected(&Options::default().long_skips(self.long_skips))?;
        let place = |site: &SiteReport, code: &str, reason: &str| Place {
            node: site.join.clone(),
            tensor: site.tensor.clone(),
            code: Some(code.to_owned()),
            reason: reason.to_owned(),
        };
        let joins = outcome.sites.iter().filter(|site| site.is_residual()).map(|site| match &site.status {
            SiteStatus::Candidate(change) | SiteStatus::Removed(change) => place(site, REMOVABLE, &change.form),
            SiteStatus::Kept(reject) => place(site, reject.code.as_str(), &reject.reason),
        });
        let mut joins: Vec<Place> = joins.collect();
        let hidden = outcome.not_inspected;
        for (count, what) in [(hidden.in_subgraphs, "graphs inside of nodes"), (hidden.in_functions, "local functions")]
        {
            if count > 0 {
                joins.push(not_inspected(format!("{count} sums in {what} are not looked into")));
            }
        }
        let (count, joins) = self.joins.get_or_init(|| (outcome.before.joins as u64, joins));
        Ok((*count, joins))
    }

    /// Every linear fold that could be made, and what was not looked into.
    pub(super) fn folds(&self) -> Result<&[Place], EngineError> {
        if let Some(folds) = self.folds.get() {
            return Ok(folds);
        }
        let outcome = self.inspected(&Options::default().families(Families::new(&[Selector::Linear], &[])))?;
        let mut folds: Vec<Place> = outcome
            .removed()
            .map(|(site, change)| Place {
                node: site.join.clone(),
                tensor: site.tensor.clone(),
                code: None,
                reason: format!("{}: {}", site.kind, change.form),
            })
            .collect();
        let hidden = self.open.iter().filter(|p| !p.is_seen && WEIGHTED.contains(&p.node.op_type())).count();
        if hidden > 0 {
            folds.push(not_inspected(format!(
                "{hidden} linear operators in graphs inside of nodes or in local functions are not looked into"
            )));
        }
        Ok(self.folds.get_or_init(|| folds))
    }

    /// Why the multiply-accumulates are not known, when they are not.
    pub(super) fn macs(&self) -> Result<u64, String> {
        let uncounted = |p: &&Placed<'_>| {
            let is_own = domain(p.node) == "ai.onnx";
            let is_function = p.is_main
                && self
                    .view
                    .model()
                    .functions
                    .iter()
                    .any(|f| f.name() == p.node.op_type() && f.domain() == p.node.domain());
            (!is_own && !is_function)
                || is_own && UNCOUNTED.contains(&p.node.op_type())
                || !p.is_main && WEIGHTED.contains(&p.node.op_type())
        };
        if let Some(placed) = self.open.iter().find(uncounted) {
            let place = if placed.is_main { "" } else { ", in an inner graph or a local function" };
            return Err(format!(
                "those of {} (node '{}'{place}) are not counted",
                operator(placed.node),
                placed.node.name()
            ));
        }
        self.price.macs.ok_or_else(|| "a size in the model is not fixed".to_owned())
    }

    /// Elements of all weights, wherever they stand.
    pub(super) fn parameters(&self) -> u64 {
        let elements =
            |t: &TensorProto| t.dims.iter().fold(1_u64, |n, d| n.saturating_mul(u64::try_from(*d).unwrap_or(0)));
        let main = self.model.proto().graph.iter().flat_map(|g| &g.initializer);
        main.chain(other_constants(self.model.proto())).map(elements).fold(0, u64::saturating_add)
    }

    /// Bytes of the file and of the files with its weights.
    pub(super) fn bytes(&self) -> u64 {
        let side: usize = self.model.side_files().iter().map(|f| f.content.len()).sum();
        (self.model.source().len() + side) as u64
    }

    pub(super) fn activation_bytes(&self) -> Option<u64> {
        self.price.activation_bytes
    }

    /// Nodes of the main graph, as it stands in the file.
    pub(super) fn count_of_nodes(&self) -> u64 {
        self.nodes.iter().filter(|p| p.is_main).count() as u64
    }

    pub(super) fn ir_version(&self) -> u64 {
        u64::try_from(self.model.proto().ir_version.unwrap_or(0)).unwrap_or(0)
    }

    pub(super) fn opset(&self) -> u64 {
        u64::try_from(self.view.opset()).unwrap_or(0)
    }

    /// Tensors of data and how often each is read: by nodes, as an output of the graph, and by inner graphs.
    pub(super) fn reads(&self) -> impl Iterator<Item = (ValueId, u64)> + '_ {
        let data = self.view.values().filter(|v| self.facts.is_data(*v));
        data.map(|v| {
            let own = self.view.uses(v).len() as u64;
            (v, own + u64::from(self.view.is_output(v)) + u64::from(self.view.is_captured(v)))
        })
    }

    /// Nodes that nothing looks into: those of inner graphs, and of functions that cannot be written out.
    pub(super) fn hidden(&self) -> usize {
        self.open.iter().filter(|p| !p.is_main).count()
    }

    /// All that is known by now.
    pub(super) fn measures(&self) -> Measures {
        let count = |places: Option<&Vec<Place>>, code: Option<&str>| {
            places.map(|list| list.iter().filter(|p| p.code.as_deref() == code).count() as u64)
        };
        Measures {
            ir_version: self.ir_version() as i64,
            opset: self.opset() as i64,
            nodes: self.count_of_nodes(),
            joins: self.joins.get().map_or(self.price.joins as u64, |(count, _)| *count),
            removable_joins: count(self.joins.get().map(|(_, joins)| joins), Some(REMOVABLE)),
            folds: count(self.folds.get(), None),
            macs: self.macs().ok(),
            parameters: self.parameters(),
            bytes: self.bytes(),
            activation_bytes: self.activation_bytes(),
            readers: self.reads().map(|(_, n)| n).max().unwrap_or(0),
        }
    }
}

/// Stands for what nothing looks into.
pub(super) fn not_inspected(reason: String) -> Place {
    Place { code: Some(NOT_INSPECTED.to_owned()), reason, ..Place::default() }
}
