//! All of it in order, for every way that is tried.

use std::ops::ControlFlow;

use serde::Serialize;

use crate::engine::{self, EngineError};
use crate::facts::Facts;
use crate::graph::{self, GraphView};
use crate::io::Model;
use crate::onnx::ModelProto;
use crate::options::Options;
use crate::read::Context;
#[cfg(feature = "verify")]
use crate::verify::VerifyOptions;

use super::coupling::Coupling;
use super::error::PruneError;
use super::meter::{Measure, Meter, Taken};
use super::options::{PruneOptions, PruneWatch, Way};
use super::report::{PruneReport, WayReport};
use super::samples::Samples;
use super::select::Bound;
use super::statistics;
use super::trial::{Trial, is_named};
use super::write::{Weights, edited, masked};

/// A pruned model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pruned {
    /// The model: the original where nothing went. Whether it is fit to be used [`PruneReport::finding`] says.
    pub model: Model,
    /// What went, and what became of the outputs.
    pub report: PruneReport,
}

/// Takes channels out of `model` until `options` are met, and fits what is left to `samples`. What comes out computes something else;
/// the report says how much, on samples that were held out.
///
/// Without `samples` only what changes nothing can go ([`PruneOptions::exact_only`]); that is verified.
///
/// ```
/// use onnx_rm::{PruneOptions, load, prune};
/// let mut options = PruneOptions::default();
/// options.exact_only = true;
/// let pruned = prune(&load("models/digits_resnet.onnx")?, None, &options)?;
/// assert_eq!(pruned.report.finding, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PruneError`] when the model cannot be run on the samples, or when a limit cannot be met.
pub fn prune(model: &Model, samples: Option<&Samples>, options: &PruneOptions) -> Result<Pruned, PruneError> {
    prune_watched(model, samples, options, &mut |_, _, _| ControlFlow::Continue(()))
}

/// [`prune`], and tells `watch` of progress; where that says [`ControlFlow::Break`], it stops.
///
/// # Errors
/// As [`prune`]; [`EngineError::Stopped`] in [`PruneError::Engine`].
pub fn prune_watched(
    model: &Model,
    samples: Option<&Samples>,
    options: &PruneOptions,
    watch: PruneWatch<'_>,
) -> Result<Pruned, PruneError> {
    if samples.is_none() && !options.exact_only {
        return Err(PruneError::Samples("there are none, and without any only exact_only can be done".to_owned()));
    }
    let constant = graph::without_defaults(model.proto(), options.rewrite.constant_initializers);
    let original = graph::in_topological_order(constant.unwrap_or_else(|| model.proto().clone()))?;
    let base = measure(&original, samples, options)?;
    let mut report = PruneReport {
        macs: base.taken[0].unwrap_or_default(),
        parameters: base.taken[1].unwrap_or_default(),
        peak_memory: base.taken[2],
        latency: base.taken[3],
        fitted: 0,
        ways: Vec::new(),
        chosen: None,
        verification: None,
        finding: None,
        notes: base.notes,
    };
    for ((measure, amount), whole) in Measure::ALL.iter().zip(options.amounts()).zip(report.whole()) {
        if amount.is_some() && whole.is_none() {
            let reason =
                format!("the model takes an unknown number of {}: the size of a tensor is not known", measure.unit());
            return Err(PruneError::Limit(reason));
        }
    }
    let ways = match options.way {
        Way::Best if options.exact_only => vec![Way::Residual],
        Way::Best => vec![Way::Residual, Way::Decoupled, Way::Chain],
        one => vec![one],
    };
    let mut found: Vec<Option<ModelProto>> = Vec::new();
    for way in ways {
        let mut trial = Trial { original: &original, options, samples, way, report: &mut report, watch: &mut *watch };
        match trial.run() {
            Ok((proto, outcome)) => {
                report.ways.push(outcome);
                found.push(Some(proto));
            }
            Err(error @ PruneError::Engine(EngineError::Stopped)) => return Err(error),
            Err(error) if options.way != Way::Best => return Err(error),
            Err(error) => {
                report.ways.push(WayReport::failed(way, error.to_string()));
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
    if options.exact_only {
        verify(model, &pruned, options, &mut report, watch)?;
    }
    Ok(Pruned { model: pruned, report })
}

/// Says in `report` whether both models compute the same, as they should when only exact things were done.
#[cfg(feature = "verify")]
fn verify(
    original: &Model,
    pruned: &Model,
    options: &PruneOptions,
    report: &mut PruneReport,
    watch: PruneWatch<'_>,
) -> Result<(), PruneError> {
    if !pruned.is_edited() {
        return Ok(());
    }
    let asked = VerifyOptions { seed: options.seed, ..VerifyOptions::default() };
    let asked = asked.constant_initializers(options.rewrite.constant_initializers);
    let watch = std::sync::Mutex::new(watch);
    let tell = |p: &crate::verify::VerifyProgress| match watch.lock() {
        Ok(mut watch) => watch(p.stage, p.done, p.total),
        Err(_) => ControlFlow::Break(()),
    };
    let found = crate::verify::verify_loaded(original, pruned, &asked, &tell)?;
    report.verification = Some(found.status);
    if !found.is_equal() {
        report.finding = Some(format!("the results are not the same: {found}"));
    }
    Ok(())
}

#[cfg(not(feature = "verify"))]
fn verify(
    _: &Model,
    pruned: &Model,
    _: &PruneOptions,
    report: &mut PruneReport,
    _: PruneWatch<'_>,
) -> Result<(), PruneError> {
    if pruned.is_edited() {
        report.notes.push("this build cannot verify, so nothing was compared".to_owned());
    }
    Ok(())
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

/// Which limit the way that was taken does not keep.
fn unmet(report: &PruneReport, options: &PruneOptions) -> Option<String> {
    let quality = report.taken()?.quality.as_ref()?;
    if let Some(most) =
        options.max_error.filter(|most| quality.relative_error > *most || quality.relative_error.is_nan())
    {
        return Some(format!("the output error is {:.4}, above --max-error {most}", quality.relative_error));
    }
    match (options.min_agreement, quality.agreement) {
        (Some(least), Some(found)) if found < least => Some(format!(
            "the largest output is the same one on {found:.4} of the samples, below --min-agreement {least}"
        )),
        (Some(_), None) => {
            Some("the first output is no row of scores, so nothing is known of --min-agreement".to_owned())
        }
        _ => None,
    }
}

struct Base {
    taken: Taken,
    notes: Vec<String>,
}

/// What the original takes, at the size of the samples.
fn measure(original: &ModelProto, samples: Option<&Samples>, options: &PruneOptions) -> Result<Base, PruneError> {
    let view = GraphView::new(original)?;
    let facts = Facts::new(&view);
    let plain = Options::default();
    let cx = Context::new(&view, &facts, &plain);
    let coupling = Coupling::new(cx);
    if coupling.layers.is_empty() {
        return Err(PruneError::Nothing(
            "the model has no convolution or linear layer on [images, features]".to_owned(),
        ));
    }
    if let Some(samples) = samples {
        samples.batches(&view, &facts)?;
    }
    if let Some(glob) = options.keep.iter().find(|glob| !coupling.layers.iter().any(|l| is_named(cx, l, glob))) {
        return Err(PruneError::Limit(format!(
            "'{glob}' is to keep its channels, and no layer or output of one is called that"
        )));
    }
    let sized = samples.map_or_else(|| original.clone(), |s| s.sized(original));
    let sized_view = GraphView::new(&sized)?;
    let sized_facts = Facts::new(&sized_view);
    let sized = Context::new(&sized_view, &sized_facts, &plain);
    let positions = statistics::positions((original, sized), &coupling, samples)?;
    let meter =
        Meter::new((&sized_view, &sized_facts), &coupling, &positions, options.rewrite.rates.unwrap_or_default());
    let taken = meter.taken(&meter.size(&vec![true; coupling.len()]));
    let pinned: Vec<String> = coupling.pinned_by.iter().map(|(op, n)| format!("{op} ({n})")).collect();
    let mut notes = Vec::new();
    if !pinned.is_empty() {
        notes.push(format!("channels that these operators read or write stay: {}", pinned.join(", ")));
    }
    Ok(Base { taken, notes })
}

/// `proto` without a `share` of the groups that may go, drawn by `seed`, and `proto` with zeros for whatever reads these: both compute the
/// same. `None` when nothing can go. It is how the tests look at the coupling of channels without the fit.
///
/// # Errors
/// As [`prune`].
#[doc(hidden)]
pub fn cut_at_random(
    proto: &ModelProto,
    share: f64,
    seed: u64,
) -> Result<Option<(ModelProto, ModelProto)>, PruneError> {
    let proto = graph::in_topological_order(proto.clone())?;
    let view = GraphView::new(&proto)?;
    let facts = Facts::new(&view);
    let options = Options::default();
    let cx = Context::new(&view, &facts, &options);
    let coupling = Coupling::new(cx);
    let mut alive = vec![true; coupling.len()];
    let mut bound = Bound::new(&coupling, (1.0, 1), &alive);
    let mut random = crate::verify::random::Random::new(seed, "groups");
    for unit in &coupling.units {
        let going: Vec<_> = unit.iter().copied().filter(|r| alive[*r as usize]).collect();
        let free = !going.is_empty() && !unit.iter().any(|r| coupling.is_pinned(*r));
        if free && bound.allows(&going) && random.uniform() < share {
            going.iter().for_each(|r| alive[*r as usize] = false);
            bound.remove(&going);
        }
    }
    if alive.iter().all(|a| *a) {
        return Ok(None);
    }
    let pruned = edited(&proto, cx, &coupling, &alive, &Weights::new())?;
    let masked = edited(&proto, cx, &coupling, &vec![true; coupling.len()], &masked(cx, &coupling, &alive))?;
    Ok(Some((pruned, masked)))
}
