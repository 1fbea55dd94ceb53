//! The proof that a join can be removed: which convolution hosts the shortcut, and how the carried
//! channels pass everything else.

use crate::algebra::{Carry, Geometry};
use crate::facts::Interval;
use crate::graph::{NodeId, ValueId};
use crate::plan::options::Downsample;

use super::branch::{Branch, Kind};
use super::find::Site;
use super::pass::{Context, Form};
use super::reject::{Reject, RejectCode};
use super::shortcut::LinearMap;

/// One place for the shortcut, with what follows from it.
pub struct Host {
    /// Index of the item whose convolution applies the shortcut.
    pub item: usize,
    /// What each item does to the carried channels; `None` for a pass.
    carries: Vec<Option<Carry>>,
    /// How each pass lets them through; `None` for a convolution.
    forms: Vec<Option<Form>>,
}

impl Host {
    /// What the convolution at `item` does to the carried channels.
    #[must_use]
    pub fn carry(&self, item: usize) -> Option<&Carry> {
        self.carries.get(item)?.as_ref()
    }

    /// How the pass at `item` lets them through.
    #[must_use]
    pub fn form(&self, item: usize) -> Option<Form> {
        *self.forms.get(item)?
    }

    /// The most general form on the way, for the report.
    #[must_use]
    pub fn hardest_form(&self) -> Form {
        self.forms.iter().flatten().filter(|f| **f != Form::Moved).max().copied().unwrap_or(Form::Unchanged)
    }
}

/// A join that may be removed. Only [`prove`] makes one.
pub struct Proof {
    /// The join's node.
    pub join: NodeId,
    /// What the join computes.
    pub output: ValueId,
    /// Where both sides come from.
    pub fork: ValueId,
    /// Channels of the fork and of the join.
    pub channels: (usize, usize),
    /// Spatial axes.
    pub axes: usize,
    /// True when the shortcut is the identity.
    pub is_identity: bool,
    /// The convolutions on the shortcut, for its price: `(weights, taps positions)` of each.
    pub shortcut_nodes: Vec<NodeId>,
    branch: Branch,
    hosts: Vec<Host>,
}

impl Proof {
    /// The branch.
    #[must_use]
    pub fn branch(&self) -> &Branch {
        &self.branch
    }

    /// Every legal place for the shortcut.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// True when the shortcut is hosted where its output is carried ("V1").
    #[must_use]
    pub fn reserves_output(&self, host: &Host) -> bool {
        !self.is_identity
            && self.branch.convs().next().is_some_and(|(i, _)| i == host.item)
            && self.branch.convs().count() > 1
    }
}

/// Proves that the join of `site` can be removed.
///
/// # Errors
/// The first condition that does not hold.
pub fn prove(cx: Context<'_>, site: Site) -> Result<Proof, Reject> {
    let (join, output, fork) = (site.join, site.output, site.fork);
    let refuse = |code, reason: &str| Reject::tensor(cx.view, output, code, reason);
    let ends = site.steps.last().map(|s| s.output);
    let inputs = [ends, site.shortcut.origins().first().copied()];
    let (branch, shortcut) = Branch::new(cx, site)?;
    let (Some((_, first)), Some((_, last))) = (branch.convs().next(), branch.convs().last()) else {
        return Err(refuse(RejectCode::TwoBranches, "the branch has no operator"));
    };
    let axes = first.window.axes();
    let c_in = cx
        .facts
        .channels(fork)
        .ok_or_else(|| refuse(RejectCode::SizeUnknown, "the channel count of the fork is unknown"))?;
    let c_out = last.channels.1;
    // `Add` broadcasts: equal channel counts are a condition like equal sizes.
    for value in inputs.into_iter().flatten() {
        if cx.facts.channels(value) != Some(c_out) || cx.facts.rank(value) != Some(axes + 2) {
            return Err(refuse(
                RejectCode::SizeUnknown,
                "the two sides are not known to have the same rank and channel count",
            ));
        }
    }
    let map = shortcut.map(cx, c_in, axes)?;
    if map.kernel.outputs() != c_out {
        return Err(refuse(RejectCode::SizeUnknown, "the shortcut's channel count differs from the branch's"));
    }
    let windows: Vec<&Geometry> = branch.convs().map(|(_, c)| &c.window).collect();
    super::size::prove(cx, fork, output, &windows, &map.window)?;
    let hosts = hosts(cx, fork, output, &branch, &map)?;
    let shortcut_nodes = shortcut.nodes().collect();
    Ok(Proof {
        join,
        output,
        fork,
        channels: (c_in, c_out),
        axes,
        is_identity: map.is_identity,
        shortcut_nodes,
        branch,
        hosts,
    })
}

fn hosts(
    cx: Context<'_>,
    fork: ValueId,
    output: ValueId,
    branch: &Branch,
    map: &LinearMap,
) -> Result<Vec<Host>, Reject> {
    let convs: Vec<usize> = branch.convs().map(|(i, _)| i).collect();
    let (first, last) = match convs.as_slice() {
        [first, .., last] => (*first, *last),
        [only] => (*only, *only),
        [] => return Ok(Vec::new()),
    };
    let mut hosts = Vec::new();
    let mut nearest: Option<Reject> = None;
    for &item in &convs {
        let asked = map.is_identity
            || match cx.options.downsample {
                Downsample::Auto => true,
                Downsample::V1 => item == first,
                Downsample::V2 => item == last,
            };
        // The identity is the same wherever it is applied.
        if !asked || map.is_identity && item != last {
            continue;
        }
        match host(cx, fork, output, branch, map, item) {
            Ok(host) => hosts.push(host),
            Err(reject) => nearest = Some(reject),
        }
    }
    match nearest {
        Some(reject) if hosts.is_empty() => Err(reject),
        _ => Ok(hosts),
    }
}

fn host(
    cx: Context<'_>,
    fork: ValueId,
    output: ValueId,
    branch: &Branch,
    map: &LinearMap,
    item: usize,
) -> Result<Host, Reject> {
    let mut carried = cx.facts.interval(fork);
    let mut strided = false;
    let mut host = Host { item, carries: Vec::new(), forms: Vec::new() };
    for (i, entry) in branch.items.iter().enumerate() {
        match &entry.kind {
            Kind::Conv(conv) => {
                let at_host = i == item && !map.is_identity;
                let carry = if at_host {
                    if strided && !map.is_pointwise() {
                        let reason = "the shortcut's window is wider than one entry, and the branch steps before this convolution";
                        return Err(Reject::tensor(cx.view, output, RejectCode::ShortcutDoesNotFit, reason));
                    }
                    // What follows subsamples the rest of the way.
                    let own = Geometry { stride: conv.window.stride.clone(), ..map.window.clone() };
                    let placed = map.kernel.placed_in(&own, &conv.window).ok_or_else(|| {
                        let reason = "the shortcut's window does not lie inside the window of this convolution";
                        blame(cx, conv.node, output, RejectCode::ShortcutDoesNotFit, reason)
                    })?;
                    carried = image(carried, map);
                    Carry::Shortcut(placed)
                } else {
                    let tap = conv.window.dirac_tap().ok_or_else(|| {
                        let reason = "its window has no tap on the entry that it stands for, so it cannot pass a value unchanged";
                        blame(cx, conv.node, output, RejectCode::NoDiracTap, reason)
                    })?;
                    Carry::Dirac(tap)
                };
                strided |= conv.window.stride.iter().any(|s| *s != 1);
                host.carries.push(Some(carry));
                host.forms.push(None);
            }
            Kind::Pass(pass) => {
                host.forms.push(Some(pass.form(cx, carried)?));
                host.carries.push(None);
            }
        }
    }
    Ok(host)
}

fn blame(cx: Context<'_>, node: Option<NodeId>, output: ValueId, code: RejectCode, reason: &str) -> Reject {
    match node {
        Some(node) => Reject::at(cx.view, node, code, reason),
        None => Reject::tensor(cx.view, output, code, reason),
    }
}

/// The interval of the shortcut's values, given the fork's.
fn image(fork: Interval, map: &LinearMap) -> Interval {
    let positive = map.kernel.weight.iter().all(|w| *w >= 0.0)
        && map.kernel.bias.as_ref().is_none_or(|b| b.iter().all(|b| *b >= 0.0));
    if fork.lo >= 0.0 && positive {
        Interval { lo: 0.0, hi: f64::INFINITY }
    } else {
        Interval { lo: f64::NEG_INFINITY, hi: f64::INFINITY }
    }
}
