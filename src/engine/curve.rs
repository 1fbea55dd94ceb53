//! What removal costs by how much of it is done, and each join by the form it is done in.

use crate::io::Model;
use crate::options::{Chain, Downsample, Family, Limit, Limits, Options};
use crate::read::RejectCode;
use crate::report::{Curve, CurvePoint, Outcome, PricedForm, RejectReport, SiteForms};

use super::budget::cheapest_first;
use super::error::EngineError;
use super::round::Refused;
use super::watch::Watch;
use super::{net, rewrite_under};

/// Most rewrites that a curve is made of: between them many joins go at once.
const MAX_POINTS: usize = 25;

/// The curve of `model`. Limits in `options` are not kept.
///
/// # Errors
/// [`EngineError`] when the graph is malformed or `watch` asks to stop.
pub fn curve(model: &Model, options: &Options, watch: Watch<'_>) -> Result<Curve, EngineError> {
    let options = options.clone().limits(Limits::default());
    let mut plan = |options: &Options, refused: Refused| {
        let mut copy = model.proto().clone();
        rewrite_under((&net, None), &mut copy, options, refused, watch)
    };
    let all = plan(&options, Refused::new())?;
    let sites = forms(&options, &all, &mut plan)?;
    // By multiply-accumulates, or weights where these are more.
    let shares = Limits::default().macs(Limit::Thousandths(1000)).parameters(Limit::Thousandths(1000));
    let joins = cheapest_first(&shares, &all.before, &all);
    let mut points = Vec::new();
    for some in steps(joins.len()) {
        let kept = &joins[some..];
        let reject = |tensor: &String| {
            let why = RejectReport::new(RejectCode::NotAsked, "it stays on this point of the curve".to_owned());
            ((Family::Residual, tensor.clone()), RejectReport { tensor: tensor.clone(), ..why })
        };
        let outcome = if kept.is_empty() { all.clone() } else { plan(&options, kept.iter().map(reject).collect())? };
        let gone = outcome.before.joins - outcome.after.joins.min(outcome.before.joins);
        points.push(CurvePoint { removed: gone, price: outcome.after, kept: kept.to_vec() });
    }
    Ok(Curve { points: best(points), sites })
}

/// Numbers of joins of `all` to look at: none, all, and evenly between.
fn steps(all: usize) -> Vec<usize> {
    let count = all.min(MAX_POINTS - 1);
    let mut steps: Vec<usize> = (0..=count).map(|i| (i * all).checked_div(count).unwrap_or(0)).collect();
    steps.dedup();
    steps
}

/// Without the points that cost as much as one that removes more; where no price is known all stay.
fn best(points: Vec<CurvePoint>) -> Vec<CurvePoint> {
    let beaten = |p: &CurvePoint| {
        points.iter().any(|other| {
            let cheaper = match (other.price.macs, p.price.macs) {
                (Some(a), Some(b)) => a <= b && other.price.params <= p.price.params,
                _ => false,
            };
            other.removed > p.removed && cheaper
        })
    };
    let keep: Vec<bool> = points.iter().map(|p| !beaten(p)).collect();
    points.into_iter().zip(keep).filter_map(|(p, keep)| keep.then_some(p)).collect()
}

/// What else can be asked of every join that `all` removes.
fn forms(
    options: &Options,
    all: &Outcome,
    plan: &mut dyn FnMut(&Options, Refused) -> Result<Outcome, EngineError>,
) -> Result<Vec<SiteForms>, EngineError> {
    let mut sites: Vec<SiteForms> = Vec::new();
    let mut add = |options: &Options, outcome: &Outcome, is_first: bool| {
        for (site, change) in outcome.removed().filter(|(site, _)| site.is_residual()) {
            let form = PricedForm { carry: options.carry, downsample: options.downsample, change: change.clone() };
            match sites.iter_mut().find(|s| s.tensor == site.tensor) {
                Some(known) if known.forms.iter().all(|f| f.change != form.change) => known.forms.push(form),
                None if is_first => {
                    sites.push(SiteForms { join: site.join.clone(), tensor: site.tensor.clone(), forms: vec![form] })
                }
                _ => {}
            }
        }
    };
    add(options, all, true);
    let others = [
        options.clone().carry(Chain::Auto),
        options.clone().carry(Chain::Conv),
        options.clone().downsample(Downsample::V1),
        options.clone().downsample(Downsample::V2),
    ];
    for other in others.iter().filter(|other| *other != options) {
        add(other, &plan(other, Refused::new())?, false);
    }
    Ok(sites)
}
