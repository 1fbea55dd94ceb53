//! One way of pruning, round by round.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use wildmatch::WildMatch;

use crate::algebra::solve;
use crate::engine::{self, EngineError};
use crate::facts::Facts;
use crate::graph::{self, GraphView};
use crate::onnx::ModelProto;
use crate::options::{Families, Options, Selector};
use crate::read::Context;

use super::coupling::{Coupling, Layer};
use super::decouple;
use super::error::PruneError;
use super::exact::merge_copies;
use super::meter::{Measure, Meter, Taken};
use super::options::{PruneOptions, PruneWatch, Way};
use super::quality;
use super::refit::{self, Fit, Origin};
use super::report::{LayerReport, PruneReport, Quality, WayReport};
use super::samples::{Batch, Samples};
use super::select::{self, Limits};
use super::sensitivity;
use super::statistics::{self, Covariance, Statistics};
use super::write::{edited, masked, own_constants};

/// Multiply-accumulates that the estimate of sensitivities may take.
const SENSITIVITY_MACS: f64 = 4e11;

/// Elements that tensors may take while layers are fitted anew: 4 GiB.
const MAX_HELD: usize = 1 << 29;

/// From round to round.
struct Rounds<'a> {
    /// The model that the first round began with: what the layers are fitted to.
    full: &'a ModelProto,
    now: ModelProto,
    /// Which of its channels are left.
    origin: Origin,
    /// What layers on shortcuts give.
    shortcuts: &'a BTreeSet<String>,
}

/// One way of pruning.
pub(super) struct Trial<'a, 'w> {
    pub original: &'a ModelProto,
    pub options: &'a PruneOptions,
    pub samples: Option<&'a Samples>,
    pub way: Way,
    pub report: &'a mut PruneReport,
    pub watch: PruneWatch<'w>,
}

impl Trial<'_, '_> {
    /// The model that comes out, and what became of it.
    ///
    /// # Errors
    /// As [`super::prune`].
    pub(super) fn run(&mut self) -> Result<(ModelProto, WayReport), PruneError> {
        let folded = graph::in_topological_order(self.folded()?)?;
        let (full, copies) = self.without_copies(folded)?;
        let (full, shortcuts) = self.apart(full)?;
        let Some(samples) = self.samples.filter(|_| !self.options.exact_only) else {
            return self.outcome((&full, &full), copies, None);
        };
        let (fit, held) = {
            let view = GraphView::new(&full)?;
            samples.batches(&view, &Facts::new(&view))?
        };
        self.report.fitted = fit.iter().map(|b| b.places.len()).sum();
        let mut rounds = Rounds { full: &full, now: full.clone(), origin: Origin::new(), shortcuts: &shortcuts };
        let targets = self.targets();
        let count = targets.len();
        for (i, target) in targets.into_iter().enumerate() {
            self.round(&mut rounds, target, (i + 1, count), samples, &fit)?;
        }
        let (pruned, selections) = decouple::selected(&rounds.now, &shortcuts)?;
        if !shortcuts.is_empty() {
            quality::same(&rounds.now, &pruned, fit.get(..1).unwrap_or_default())?;
            self.report.notes.push(format!(
                "decoupled: of {} shortcuts {selections} select channels, the others are 1x1 convolutions",
                shortcuts.len()
            ));
        }
        let quality = quality::measure(self.original, &pruned, (samples, &held))?;
        if !quality.relative_error.is_finite() {
            let reason = "what comes out gives values that are not finite on the held-out samples";
            return Err(PruneError::Limit(reason.to_owned()));
        }
        self.outcome((&full, &pruned), copies, Some(quality))
    }

    /// What may be left after each round: the last ones are what was asked for.
    fn targets(&self) -> Vec<Taken> {
        let (asked, whole) = (self.options.amounts(), self.report.whole());
        let rounds = self.options.rounds.max(1);
        let at = |i: usize, measure: usize| {
            let (last, all) = asked[measure].zip(whole[measure]).map(|(amount, all)| (amount.of(all), all))?;
            Some(all * (last / all).min(1.0).powf(i as f64 / rounds as f64))
        };
        (1..=rounds).map(|i| std::array::from_fn(|measure| at(i, measure))).collect()
    }

    fn round(
        &mut self,
        rounds: &mut Rounds<'_>,
        most: Taken,
        (number, count): (usize, usize),
        samples: &Samples,
        fit: &[Batch],
    ) -> Result<(), PruneError> {
        let view = GraphView::new(&rounds.now)?;
        let facts = Facts::new(&view);
        let cx = Context::new(&view, &facts, &self.options.rewrite);
        let coupling = Coupling::new(cx);
        let free = self.free(cx, &coupling);
        let (watch, way) = (&mut *self.watch, self.way);
        let mut tell = |stage: &str, done: usize, total: usize| -> Result<(), PruneError> {
            match watch(&format!("{way}, round {number} of {count}: {stage}"), done, total) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(EngineError::Stopped.into()),
            }
        };
        let model = (&rounds.now, &view, &facts);
        let statistics = statistics::collect(model, &coupling, fit, self.options.seed, &mut |d, t| {
            tell("looking at the samples", d, t)
        })?;
        let positions = statistics.positions.clone();
        if number == 1 {
            warn(self.report, &statistics);
        }
        let sized = samples.sized(&rounds.now);
        let sized_view = GraphView::new(&sized)?;
        let meter = Meter::new(
            (&sized_view, &Facts::new(&sized_view)),
            &coupling,
            &positions,
            self.options.rewrite.rates.unwrap_or_default(),
        );
        let [whole, ..] = meter.taken(&meter.size(&vec![true; coupling.len()])).map(Option::unwrap_or_default);
        let fixed = samples.check(&view, &facts)?.is_some();
        let few = few(fit, fixed, SENSITIVITY_MACS / (whole * coupling.layers.len().max(1) as f64));
        let states = select::states(statistics.systems)?;
        let known = (states.as_slice(), positions.as_slice());
        let sensitivity = sensitivity::estimate(&rounds.now, cx, &coupling, known, &free, &few, &mut |d, t| {
            tell("how errors arrive at the outputs", d, t)
        })?;
        let multiple = self.options.multiple.max(1);
        let limits = Limits { most, free: &free, ratio: self.options.ratio, multiple };
        let mut alive = vec![true; coupling.len()];
        let mut first = None;
        let model = (&coupling, &meter);
        select::select(model, (states, &positions), &sensitivity, &limits, &mut alive, &mut |over| {
            let first = *first.get_or_insert(over.max(f64::MIN_POSITIVE));
            tell("choosing channels", (100.0 * (1.0 - over / first)) as usize, 100)
        })?;
        let narrow = edited(&rounds.now, cx, &coupling, &alive, &own_constants(cx, &coupling, &alive))?;
        let narrow = graph::in_topological_order(narrow)?;
        let all = vec![true; coupling.len()];
        let masked = edited(&rounds.now, cx, &coupling, &all, &masked(cx, &coupling, &alive))?;
        quality::same(&masked, &narrow, &few)?;
        let held_back = bounded(fit, peak(&view, &facts));
        if held_back.len() < fit.len() && number == 1 {
            let note =
                format!("{} of {} batches are fitted to: more would not fit into memory", held_back.len(), fit.len());
            self.report.notes.push(note);
        }
        let task = Fit {
            view: &view,
            facts: &facts,
            coupling: &coupling,
            alive: &alive,
            models: (rounds.full, &narrow),
            origin: &rounds.origin,
            shortcuts: rounds.shortcuts,
            batches: held_back,
            seed: self.options.seed,
        };
        let weights = refit::refit(&task, &mut |d, t| tell("fitting layers", d, t))?;
        let pruned = graph::in_topological_order(edited(&rounds.now, cx, &coupling, &alive, &weights)?)?;
        let origin = left(cx, &coupling, &alive, &rounds.origin);
        rounds.origin = origin;
        rounds.now = pruned;
        Ok(())
    }

    /// What became of `full`.
    fn outcome(
        &self,
        (full, pruned): (&ModelProto, &ModelProto),
        copies: usize,
        quality: Option<Quality>,
    ) -> Result<(ModelProto, WayReport), PruneError> {
        let (views, options) = ((GraphView::new(full)?, GraphView::new(pruned)?), Options::default());
        let facts = (Facts::new(&views.0), Facts::new(&views.1));
        let (cx, now) = (Context::new(&views.0, &facts.0, &options), Context::new(&views.1, &facts.1, &options));
        let (before, after) = (Coupling::new(cx), Coupling::new(now));
        let sized = self.samples.map_or_else(|| pruned.clone(), |s| s.sized(pruned));
        let sized_view = GraphView::new(&sized)?;
        let sized_facts = Facts::new(&sized_view);
        let sized = Context::new(&sized_view, &sized_facts, &options);
        let positions = statistics::positions((pruned, sized), &after, self.samples)?;
        let meter =
            Meter::new((&sized_view, &sized_facts), &after, &positions, self.options.rewrite.rates.unwrap_or_default());
        let taken = meter.taken(&meter.size(&vec![true; after.len()]));
        for ((measure, taken), most) in Measure::ALL.iter().zip(taken).zip(self.targets().pop().unwrap_or_default()) {
            if let Some((taken, most)) = taken.zip(most).filter(|(taken, most)| *taken > most * (1.0 + 1e-9)) {
                let reason =
                    format!("the limit is not met: {taken:.0} {} are left of at most {most:.0}", measure.unit());
                return Err(PruneError::Limit(reason));
            }
        }
        let [macs, parameters, memory, latency] = taken;
        let groups =
            |c: &Coupling, free: &[bool]| (0..c.len()).filter(|r| free[*r] && c.root(*r as u32) as usize == *r).count();
        let (all, left) = (groups(&before, &self.free(cx, &before)), groups(&after, &self.free(now, &after)));
        let outcome = WayReport {
            way: self.way,
            macs: macs.unwrap_or_default(),
            parameters: parameters.unwrap_or_default(),
            peak_memory: memory,
            latency,
            groups: (all + copies, all - left.min(all) + copies),
            copies,
            quality,
            layers: layers((cx, &before), (now, &after)),
            failed: None,
        };
        Ok((pruned.clone(), outcome))
    }

    /// Folds what folds, and removes residual connections where that is the way.
    fn folded(&mut self) -> Result<ModelProto, PruneError> {
        let mut proto = self.original.clone();
        let skip: &[Selector] = if self.way == Way::Chain { &[] } else { &[Selector::Residual] };
        let families = Families::new(&[Selector::All], skip);
        let options = Options { families, ..self.options.rewrite.clone() };
        let (watch, way) = (&mut *self.watch, self.way);
        let mut tell = |p: &engine::Progress| watch(&format!("{way}: folding"), p.done, p.total);
        let outcome = engine::rewrite_proto(&mut proto, &options, &mut tell)?;
        if self.way == Way::Chain && outcome.before.joins == outcome.after.joins {
            return Err(PruneError::Nothing("no residual connection can be removed, so there is no chain".to_owned()));
        }
        Ok(proto)
    }

    /// `proto` with layers on its shortcuts where that is the way, and what these give.
    fn apart(&self, proto: ModelProto) -> Result<(ModelProto, BTreeSet<String>), PruneError> {
        if self.way != Way::Decoupled {
            return Ok((proto, BTreeSet::new()));
        }
        let view = GraphView::new(&proto)?;
        let facts = Facts::new(&view);
        decouple::apart(&proto, Context::new(&view, &facts, &self.options.rewrite))
    }

    /// `proto` without copies of channels, and how many there were.
    fn without_copies(&self, proto: ModelProto) -> Result<(ModelProto, usize), PruneError> {
        let next = {
            let view = GraphView::new(&proto)?;
            let facts = Facts::new(&view);
            let cx = Context::new(&view, &facts, &self.options.rewrite);
            let coupling = Coupling::new(cx);
            let mut alive = vec![true; coupling.len()];
            let weights = merge_copies(&facts, &coupling, &self.free(cx, &coupling), &mut alive);
            let gone = alive.iter().filter(|a| !**a).count();
            if gone == 0 { None } else { Some((edited(&proto, cx, &coupling, &alive, &weights)?, gone)) }
        };
        match next {
            Some((next, gone)) => Ok((graph::in_topological_order(next)?, gone)),
            None => Ok((proto, 0)),
        }
    }

    /// Groups that may go.
    fn free(&self, cx: Context<'_>, coupling: &Coupling) -> Vec<bool> {
        let mut free: Vec<bool> = (0..coupling.len()).map(|r| !coupling.is_pinned(r as u32)).collect();
        for layer in &coupling.layers {
            if self.options.keep.iter().any(|glob| is_named(cx, layer, glob)) {
                coupling.roots(&layer.outputs).into_iter().for_each(|r| free[r as usize] = false);
            }
        }
        free
    }
}

/// True when `glob` matches the node of `layer` or what it gives.
pub(super) fn is_named(cx: Context<'_>, layer: &Layer, glob: &str) -> bool {
    let output = cx.view.output(layer.node).map_or("", |v| cx.view.name(v));
    [cx.view.node(layer.node).name(), output].iter().any(|name| WildMatch::new(glob).matches(name))
}

/// Layers that have lost channels, with how many they had.
fn layers((cx, before): (Context<'_>, &Coupling), (now, after): (Context<'_>, &Coupling)) -> Vec<LayerReport> {
    let is = statistics::by_output(now.view, after);
    let reported = before.layers.iter().filter_map(|l| {
        let tensor = cx.view.name(cx.view.output(l.node)?);
        let small = &after.layers[*is.get(tensor)?];
        Some(LayerReport {
            node: cx.view.node(l.node).name().to_owned(),
            tensor: tensor.to_owned(),
            before: (l.inputs.len(), l.outputs.len()),
            after: (small.inputs.len(), small.outputs.len()),
        })
    });
    reported.filter(|l| l.before != l.after).collect()
}

/// Which channels of the first model's layers are left, where `origin` says which there were.
fn left(cx: Context<'_>, coupling: &Coupling, alive: &[bool], origin: &Origin) -> Origin {
    let of = |l: &Layer| {
        let name = cx.view.name(cx.view.output(l.node)?).to_owned();
        let kept = (0..l.outputs.len()).filter(|o| alive[coupling.root(l.outputs[*o]) as usize]);
        let places = match origin.get(&name) {
            Some(all) => kept.filter_map(|o| all.get(o).copied()).collect(),
            None => kept.collect(),
        };
        Some((name, places))
    };
    coupling.layers.iter().filter_map(of).collect()
}

/// Says of how many layers the samples do not tell the entries apart that these read: the rank of their normal equations is too small.
fn warn(report: &mut PruneReport, statistics: &Statistics) {
    let ranks = statistics.systems.iter().filter_map(|s| match &s.covariance {
        Covariance::Whole(all) => Some((s.layer, solve::rank(all.view())?)),
        Covariance::Apart(_) => None,
    });
    let short: BTreeMap<usize, (usize, usize)> = ranks.filter(|(_, (rank, all))| rank < all).collect();
    let share = |(rank, all): &(usize, usize)| *rank as f64 / *all as f64;
    if let Some((rank, all)) = short.values().min_by(|a, b| share(a).total_cmp(&share(b))) {
        report.notes.push(format!(
            "there are few samples for {} of the layers: what these read varies in fewer directions than it has entries, in {rank} of {all} where that is fewest",
            short.len()
        ));
    }
}

/// The first samples, as many as `most` runs allow, and two at least.
fn few(fit: &[Batch], fixed: bool, most: f64) -> Vec<Batch> {
    let most = (most as usize).clamp(2, 64);
    let Some(first) = fit.first() else { return Vec::new() };
    let whole = Batch { places: first.places.clone(), inputs: first.inputs.clone() };
    vec![whole.take(most, fixed)]
}

/// Elements of the tensors that are alive at once, of one sample, as far as shapes say.
fn peak(view: &GraphView<'_>, facts: &Facts<'_>) -> usize {
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
