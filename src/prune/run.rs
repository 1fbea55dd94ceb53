//! All of it in order, for every way that is tried.

use std::ops::ControlFlow;

use serde::Serialize;
use wildmatch::WildMatch;

use crate::engine::{self, EngineError};
use crate::facts::Facts;
use crate::graph::{self, GraphView, Names};
use crate::io::Model;
use crate::onnx::ModelProto;
use crate::options::{Families, Options, Selector};
use crate::read::Context;

use super::coupling::{Coupling, Form};
use super::error::PruneError;
use super::exact::merge_copies;
use super::options::{PruneOptions, Way};
use super::quality;
use super::refit::{self, Fit};
use super::report::{LayerReport, PruneReport, WayReport};
use super::samples::{Batch, Samples};
use super::select::{self, Limits, Size};
use super::sensitivity;
use super::statistics::{self, Statistics};
use super::write::{self, Weights};

/// Is told what is done, and how far it is; says whether to go on.
pub type PruneWatch<'w> = &'w mut dyn FnMut(&str, usize, usize) -> ControlFlow<()>;

/// Multiply-accumulates that the estimate of sensitivities may take.
const SENSITIVITY_MACS: f64 = 4e11;

/// Elements that tensors may take while layers are fitted anew: 4 GiB.
const MAX_HELD: usize = 1 << 29;

/// Samples that are needed to fit as many weights as the widest layer has for each output.
const WARN_BELOW: f64 = 2.0;

/// Prunes `model`; see [`prune_watched`].
///
/// # Errors
/// As there.
pub fn prune(
    model: &Model,
    samples: Option<&Samples>,
    options: &PruneOptions,
) -> Result<(Model, PruneReport), PruneError> {
    prune_watched(model, samples, options, &mut |_, _, _| ControlFlow::Continue(()))
}

/// Takes channels out of `model` until `options` are met, and fits what is left to `samples`. What comes out computes something else;
/// the report says how much, on samples that were held out. `samples` may be missing for [`PruneOptions::exact_only`].
///
/// # Errors
/// [`PruneError`] when the model cannot be run on the samples, or when a limit cannot be met.
pub fn prune_watched(
    model: &Model,
    samples: Option<&Samples>,
    options: &PruneOptions,
    watch: PruneWatch<'_>,
) -> Result<(Model, PruneReport), PruneError> {
    let original = graph::in_topological_order(model.proto().clone())?;
    let base = measure(&original, samples)?;
    let mut report = PruneReport {
        macs: base.macs,
        parameters: base.parameters,
        fitted: 0,
        ways: Vec::new(),
        chosen: None,
        finding: None,
        notes: base.notes,
    };
    let ways = match options.way {
        Way::Best if options.exact_only => vec![Way::Residual],
        Way::Best => vec![Way::Residual, Way::Chain],
        one => vec![one],
    };
    let mut found: Vec<Option<ModelProto>> = Vec::new();
    for way in ways {
        let mut trial = Trial { original: &original, options, samples, way, report: &mut report, watch: &mut *watch };
        match trial.run() {
            Ok((proto, outcome)) => {
                report.ways.push(outcome);
                found.push(proto);
            }
            Err(error @ PruneError::Engine(EngineError::Stopped)) => return Err(error),
            Err(error) if options.way != Way::Best => return Err(error),
            Err(error) => {
                report.ways.push(failed(way, error.to_string()));
                found.push(None);
            }
        }
    }
    let error = |w: &WayReport| w.quality.as_ref().map_or(f64::MAX, |q| q.relative_error);
    let tried = report.ways.iter().zip(&found).enumerate().filter(|(_, (_, proto))| proto.is_some());
    let best = tried.min_by(|a, b| error(a.1.0).total_cmp(&error(b.1.0))).map(|(i, _)| i);
    let Some(best) = best else {
        let reasons: Vec<&str> = report.ways.iter().filter_map(|w| w.failed.as_deref()).collect();
        return Err(PruneError::Nothing(reasons.join("; ")));
    };
    report.chosen = report.ways.get(best).map(|w| w.way);
    report.finding = unmet(&report, options);
    let mut pruned = model.clone();
    if let Some(mut proto) = found.swap_remove(best)
        && report.taken().is_some_and(|w| w.groups.1 > 0)
    {
        engine::mark_pruned(&mut proto, &Mark::new(&report));
        pruned.replace(proto);
    }
    Ok((pruned, report))
}

/// What a pruned file says of itself.
#[derive(Serialize)]
struct Mark {
    version: &'static str,
    way: Option<Way>,
    macs_ratio: f64,
    relative_error: Option<f64>,
    exact: bool,
}

impl Mark {
    fn new(report: &PruneReport) -> Self {
        let taken = report.taken();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            way: report.chosen,
            macs_ratio: taken.map_or(1.0, |w| w.macs / report.macs),
            relative_error: taken.and_then(|w| w.quality.as_ref()).map(|q| q.relative_error),
            exact: taken.is_some_and(|w| w.groups.1 == w.copies),
        }
    }
}

fn failed(way: Way, reason: String) -> WayReport {
    WayReport {
        way,
        macs: 0.0,
        parameters: 0.0,
        groups: (0, 0),
        copies: 0,
        quality: None,
        layers: Vec::new(),
        failed: Some(reason),
    }
}

/// Which limit the way that was taken does not keep.
fn unmet(report: &PruneReport, options: &PruneOptions) -> Option<String> {
    let quality = report.taken()?.quality.as_ref()?;
    if let Some(most) = options.max_error.filter(|most| quality.relative_error > *most || quality.relative_error.is_nan()) {
        return Some(format!("the output error is {:.4}, above --max-error {most}", quality.relative_error));
    }
    match (options.min_agreement, quality.agreement) {
        (Some(least), Some(found)) if found < least => {
            Some(format!("the largest output is the same one on {found:.4} of the samples, below --min-agreement {least}"))
        }
        (Some(_), None) => Some("the first output is no row of scores, so nothing is known of --min-agreement".to_owned()),
        _ => None,
    }
}

struct Base {
    macs: f64,
    parameters: f64,
    notes: Vec<String>,
}

/// What the original takes, at the size of the samples.
fn measure(original: &ModelProto, samples: Option<&Samples>) -> Result<Base, PruneError> {
    let view = GraphView::new(original)?;
    let facts = Facts::new(&view);
    let options = Options::default();
    let cx = Context::new(&view, &facts, &options);
    let coupling = Coupling::new(cx);
    let positions = match samples {
        Some(samples) => {
            let (fit, _) = samples.batches(&view, &facts)?;
            let first = fit.get(..1).unwrap_or_default();
            statistics::collect((original, &view, &facts), &coupling, first, 0, &mut |_, _| Ok(()))?.positions
        }
        None => known_positions(cx, &coupling),
    };
    let size = Size::new(&coupling, &vec![true; coupling.len()]);
    let (macs, parameters) = (size.macs(&coupling, &positions), size.parameters(&coupling));
    if macs == 0.0 {
        return Err(PruneError::Nothing("the model has no convolution or linear layer on [images, features]".to_owned()));
    }
    let pinned: Vec<String> = coupling.pinned_by.iter().map(|(op, n)| format!("{op} ({n})")).collect();
    let mut notes = Vec::new();
    if !pinned.is_empty() {
        notes.push(format!("channels that these operators read or write stay: {}", pinned.join(", ")));
    }
    Ok(Base { macs, parameters, notes })
}

/// Positions of each layer as far as shapes say; 1 where they do not.
fn known_positions(cx: Context<'_>, coupling: &Coupling) -> Vec<f64> {
    let positions = |value: Option<crate::graph::ValueId>| {
        let dims = value.and_then(|v| cx.facts.shape(v)).and_then(|s| s.get(2..)).unwrap_or_default();
        dims.iter().map(|d| d.known().unwrap_or(1) as f64).product()
    };
    let of = |l: &super::coupling::Layer| match l.form {
        Form::Transposed => positions(cx.view.input(l.node, 0)),
        _ => positions(cx.view.output(l.node)),
    };
    coupling.layers.iter().map(of).collect()
}

/// One way of pruning.
struct Trial<'a, 'w> {
    original: &'a ModelProto,
    options: &'a PruneOptions,
    samples: Option<&'a Samples>,
    way: Way,
    report: &'a mut PruneReport,
    watch: PruneWatch<'w>,
}

impl Trial<'_, '_> {
    fn run(&mut self) -> Result<(Option<ModelProto>, WayReport), PruneError> {
        let mut proto = self.original.clone();
        self.rewrite(&mut proto)?;
        let mut proto = graph::in_topological_order(proto)?;
        let copies = self.exact(&mut proto)?;
        let view = GraphView::new(&proto)?;
        let facts = Facts::new(&view);
        let cx = Context::new(&view, &facts, &self.options.rewrite);
        let coupling = Coupling::new(cx);
        let mut alive = vec![true; coupling.len()];
        let free = self.free(cx, &coupling);
        let groups = (0..coupling.len()).filter(|r| free[*r] && coupling.root(*r as u32) as usize == *r).count();
        let Some(samples) = self.samples.filter(|_| !self.options.exact_only) else {
            let positions = known_positions(cx, &coupling);
            let size = Size::new(&coupling, &alive);
            let outcome = WayReport {
                macs: size.macs(&coupling, &positions),
                parameters: size.parameters(&coupling),
                groups: (groups + copies, copies),
                copies,
                failed: None,
                ..failed(self.way, String::new())
            };
            return Ok((Some(proto), outcome));
        };
        let (fit, held) = samples.batches(&view, &facts)?;
        let (watch, way) = (&mut *self.watch, self.way);
        let mut tell = |stage: &str, done: usize, total: usize| -> Result<(), PruneError> {
            match watch(&format!("{way}: {stage}"), done, total) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(EngineError::Stopped.into()),
            }
        };
        let statistics = statistics::collect((&proto, &view, &facts), &coupling, &fit, self.options.seed, &mut |d, t| {
            tell("looking at the samples", d, t)
        })?;
        let positions = statistics.positions.clone();
        let whole = Size::new(&coupling, &alive).macs(&coupling, &positions);
        self.report.fitted = fit.iter().map(|b| b.places.len()).sum();
        warn(self.report, &coupling, &statistics);
        let fixed = samples.check(&view, &facts)?.is_some();
        let few = few(&fit, fixed, SENSITIVITY_MACS / (whole * coupling.layers.len().max(1) as f64));
        let sensitivity = sensitivity::estimate((&proto, &view), &coupling, &few, self.options.seed, &mut |d, t| {
            tell("how errors arrive at the outputs", d, t)
        })?;
        let limits = Limits {
            macs: self.options.macs.map(|a| a.of(self.report.macs)),
            parameters: self.options.parameters.map(|a| a.of(self.report.parameters)),
            free: &free,
            ratio: self.options.ratio,
        };
        let mut first = None;
        select::select(&coupling, statistics, &sensitivity, &limits, &mut alive, &mut |over| {
            let first = *first.get_or_insert(over.max(f64::MIN_POSITIVE));
            tell("choosing channels", (100.0 * (1.0 - over / first)) as usize, 100)
        })?;
        let gone = (0..coupling.len()).filter(|r| !alive[*r] && coupling.root(*r as u32) as usize == *r).count();
        let narrow = edited(&proto, cx, &coupling, &alive, &own_constants(cx, &coupling))?;
        let narrow = graph::in_topological_order(narrow)?;
        let masked = edited(&proto, cx, &coupling, &vec![true; coupling.len()], &write::masked(cx, &coupling, &alive))?;
        quality::same(&masked, &narrow, &few)?;
        let held_back = bounded(&fit, statistics_peak(&view, &facts));
        let task = Fit {
            view: &view,
            facts: &facts,
            coupling: &coupling,
            alive: &alive,
            models: (&proto, &narrow),
            batches: held_back,
            seed: self.options.seed,
        };
        if held_back.len() < fit.len() {
            let note = format!("{} of {} batches are fitted to: more would not fit into memory", held_back.len(), fit.len());
            self.report.notes.push(note);
        }
        let weights = refit::refit(&task, &mut |d, t| tell("fitting layers", d, t))?;
        let pruned = edited(&proto, cx, &coupling, &alive, &weights)?;
        tell("comparing the outputs", 0, 1)?;
        let quality = quality::measure(self.original, &pruned, (samples, &held))?;
        let size = Size::new(&coupling, &alive);
        let outcome = WayReport {
            way: self.way,
            macs: size.macs(&coupling, &positions),
            parameters: size.parameters(&coupling),
            groups: (groups + copies, gone + copies),
            copies,
            quality: Some(quality),
            layers: layers(cx, &coupling, &alive),
            failed: None,
        };
        Ok((Some(pruned), outcome))
    }

    /// Folds what folds, and removes residual connections where that is the way.
    fn rewrite(&mut self, proto: &mut ModelProto) -> Result<(), PruneError> {
        let skip: &[Selector] = if self.way == Way::Chain { &[] } else { &[Selector::Residual] };
        let families = Families::new(&[Selector::All], skip);
        let options = Options { families, ..self.options.rewrite.clone() };
        let (watch, way) = (&mut *self.watch, self.way);
        let mut tell = |p: &engine::Progress| watch(&format!("{way}: folding"), p.done, p.total);
        let outcome = engine::rewrite_proto(proto, &options, &mut tell)?;
        if self.way == Way::Chain && outcome.before.joins == outcome.after.joins {
            return Err(PruneError::Nothing("no residual connection can be removed, so there is no chain".to_owned()));
        }
        Ok(())
    }

    /// Takes copies of channels away; returns how many.
    fn exact(&mut self, proto: &mut ModelProto) -> Result<usize, PruneError> {
        let next = {
            let view = GraphView::new(proto)?;
            let facts = Facts::new(&view);
            let cx = Context::new(&view, &facts, &self.options.rewrite);
            let coupling = Coupling::new(cx);
            let mut alive = vec![true; coupling.len()];
            let weights = merge_copies(&facts, &coupling, &self.free(cx, &coupling), &mut alive);
            let gone = alive.iter().filter(|a| !**a).count();
            if gone == 0 {
                return Ok(0);
            }
            (edited(proto, cx, &coupling, &alive, &weights)?, gone)
        };
        *proto = graph::in_topological_order(next.0)?;
        Ok(next.1)
    }

    /// Groups that may go.
    fn free(&self, cx: Context<'_>, coupling: &Coupling) -> Vec<bool> {
        let mut free: Vec<bool> = (0..coupling.len()).map(|r| !coupling.is_pinned(r as u32)).collect();
        for layer in &coupling.layers {
            let output = cx.view.output(layer.node).map_or("", |v| cx.view.name(v));
            let names = [cx.view.node(layer.node).name(), output];
            if self.options.keep.iter().any(|glob| names.iter().any(|n| WildMatch::new(glob).matches(n))) {
                coupling.roots(&layer.outputs).into_iter().for_each(|r| free[r as usize] = false);
            }
        }
        free
    }
}

/// `proto` without the groups that are not `alive`.
fn edited(
    proto: &ModelProto,
    cx: Context<'_>,
    coupling: &Coupling,
    alive: &[bool],
    weights: &Weights,
) -> Result<ModelProto, PruneError> {
    let mut names = Names::new(proto);
    let edit = write::edit(cx, &mut names, coupling, alive, weights)?;
    let mut next = proto.clone();
    let touched = graph::apply(&mut next, &[edit])?;
    graph::clean(&mut next, &touched);
    graph::validate(&next)?;
    Ok(next)
}

/// A weight and a bias of its own for every layer that is fitted anew.
fn own_constants(cx: Context<'_>, coupling: &Coupling) -> Weights {
    let mut weights = Weights::new();
    for layer in coupling.layers.iter().filter(|l| l.refits) {
        for slot in [1, 2] {
            match cx.view.input(layer.node, slot).and_then(|v| cx.facts.constant(v)) {
                Some(constant) => _ = weights.insert((layer.node, slot), constant.data.clone()),
                None if slot == 2 && layer.has_bias => {
                    _ = weights.insert((layer.node, 2), ndarray::ArrayD::zeros(vec![layer.outputs.len()]));
                }
                None => {}
            }
        }
    }
    weights
}

fn layers(cx: Context<'_>, coupling: &Coupling, alive: &[bool]) -> Vec<LayerReport> {
    let left = |list: &[u32]| list.iter().filter(|c| alive[coupling.root(**c) as usize]).count();
    let reported = coupling.layers.iter().map(|l| LayerReport {
        node: cx.view.node(l.node).name().to_owned(),
        tensor: cx.view.output(l.node).map_or("", |v| cx.view.name(v)).to_owned(),
        before: (l.inputs.len(), l.outputs.len()),
        after: (left(&l.inputs), left(&l.outputs)),
    });
    reported.filter(|l| l.before != l.after).collect()
}

/// Says of how many layers the samples cannot tell the columns apart.
fn warn(report: &mut PruneReport, coupling: &Coupling, statistics: &Statistics) {
    let wide = |s: &&statistics::System| (statistics.rows as f64) < WARN_BELOW * s.weights.nrows() as f64;
    let count = statistics.systems.iter().filter(wide).count();
    let _ = coupling;
    if count > 0 {
        report.notes.push(format!(
            "there are few samples for {count} of the layers: fewer than {WARN_BELOW} positions for each of their weights"
        ));
    }
}

/// The first samples, as many as `most` runs allow, and two at least.
fn few(fit: &[Batch], fixed: bool, most: f64) -> Vec<Batch> {
    let most = (most as usize).clamp(2, 32);
    let Some(first) = fit.first() else { return Vec::new() };
    let whole = Batch { places: first.places.clone(), inputs: first.inputs.clone() };
    vec![whole.take(most, fixed)]
}

/// Elements of the tensors that are alive at once, of one sample, as far as shapes say.
fn statistics_peak(view: &GraphView<'_>, facts: &Facts<'_>) -> usize {
    let bytes = crate::plan::memory::peak(view, facts).map_or(0, |p| p.bytes);
    usize::try_from(bytes / 4).unwrap_or(usize::MAX)
}

/// As many batches as can be held twice.
fn bounded(fit: &[Batch], peak: usize) -> &[Batch] {
    let samples = MAX_HELD / (2 * peak).max(1);
    let mut count = 0;
    let whole = fit.iter().take_while(|b| {
        count += b.places.len();
        count <= samples
    });
    let n = whole.count().max(1).min(fit.len());
    &fit[..n]
}

/// `proto` without a `share` of the groups that may go, drawn by `seed`, and `proto` with zeros for whatever reads these: both compute the
/// same. `None` when nothing can go. It is how the tests look at the coupling of channels without the fit.
///
/// # Errors
/// As [`prune`].
#[doc(hidden)]
pub fn cut_at_random(proto: &ModelProto, share: f64, seed: u64) -> Result<Option<(ModelProto, ModelProto)>, PruneError> {
    let proto = graph::in_topological_order(proto.clone())?;
    let view = GraphView::new(&proto)?;
    let facts = Facts::new(&view);
    let options = Options::default();
    let cx = Context::new(&view, &facts, &options);
    let coupling = Coupling::new(cx);
    let mut alive = vec![true; coupling.len()];
    let mut bound = select::Bound::new(&coupling, 1.0, &alive);
    let mut random = crate::verify::random::Random::new(seed, "groups");
    for root in 0..coupling.len() {
        let own = coupling.root(root as u32) as usize == root && !coupling.is_pinned(root as u32);
        if own && bound.allows(root as u32) && random.uniform() < share {
            alive[root] = false;
            bound.remove(root as u32);
        }
    }
    if alive.iter().all(|a| *a) {
        return Ok(None);
    }
    let pruned = edited(&proto, cx, &coupling, &alive, &Weights::new())?;
    let masked = edited(&proto, cx, &coupling, &vec![true; coupling.len()], &write::masked(cx, &coupling, &alive))?;
    Ok(Some((pruned, masked)))
}
