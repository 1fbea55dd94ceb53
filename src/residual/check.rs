//! The proof that a join can be removed: both sides have the same size, and the shortcut has a place ([`super::host`]).

use crate::graph::{NodeId, ValueId};
use crate::read::{Context, Frame, Reject, RejectCode};

use super::branch::Branch;
use super::find::Site;
use super::host::{Host, Placing};

/// How the join's shortcut is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// It is the identity.
    Identity,
    /// The branch is a single convolution, to whose kernel the shortcut's is added.
    Added,
    /// The first convolution applies it and its output is carried ("V1").
    ReserveOutput,
    /// The input is carried, and a later convolution applies it ("V2").
    ReserveInput,
    /// Two convolutions apply a part each.
    Divided,
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
    /// Where the channels stand.
    pub frame: Frame,
    /// The nodes of the shortcut, for its price.
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

    /// How `host` applies the shortcut.
    #[must_use]
    pub fn recipe(&self, host: &Host) -> Recipe {
        let mut convs = self.branch.convs().map(|(i, _)| i);
        let first = convs.next();
        match host.items.as_slice() {
            [] => Recipe::Identity,
            [_] if convs.next().is_none() => Recipe::Added,
            [item] if Some(*item) == first => Recipe::ReserveOutput,
            [_] => Recipe::ReserveInput,
            _ => Recipe::Divided,
        }
    }
}

/// Proves that the join of `site` can be removed.
///
/// # Errors
/// The first condition that does not hold.
pub fn prove(cx: Context<'_>, site: Site) -> Result<Proof, Reject> {
    let cx = cx.within(site.frame);
    let (join, output, fork) = (site.join, site.output, site.fork);
    let refuse = |code, reason: &str| Reject::tensor(cx.view, output, code, reason);
    let ends = site.steps.last().map(|s| s.output);
    let inputs = [ends, site.shortcut.origins().first().copied()];
    let (branch, shortcut) = Branch::new(cx, site)?;
    let (Some((_, first)), Some((_, last))) = (branch.convs().next(), branch.convs().last()) else {
        return Err(refuse(RejectCode::TwoBranches, "the branch has no operator"));
    };
    let axes = first.window.axes();
    let c_in =
        cx.channels(fork).ok_or_else(|| refuse(RejectCode::SizeUnknown, "the channel count of the fork is unknown"))?;
    let c_out = last.channels.1;
    // `Add` broadcasts: equal channel counts, or one that the join repeats, are a condition like equal sizes.
    for value in inputs.into_iter().flatten() {
        let fits = cx.channels(value).is_some_and(|channels| channels == 1 || channels == c_out);
        if !fits || cx.facts.rank(value) != cx.facts.rank(fork) {
            return Err(refuse(
                RejectCode::SizeUnknown,
                "the two sides are not known to have the same rank and channel count",
            ));
        }
    }
    super::size::prove_rows(cx, (fork, output), &branch, &shortcut, inputs)?;
    let ways = shortcut.pieces(cx, c_in, axes)?;
    let placing = Placing { cx, fork, output, branch: &branch };
    let mut hosts = Vec::new();
    let mut nearest: Option<Reject> = None;
    for way in &ways {
        if way.last().map(|m| m.kernel.outputs()) != Some(c_out) {
            return Err(refuse(RejectCode::SizeUnknown, "the shortcut's channel count differs from the branch's"));
        }
        for found in placing.hosts(way) {
            match found {
                Ok(host) => hosts.push(host),
                Err(reject) => nearest = nearest.or(Some(reject)),
            }
        }
    }
    if hosts.is_empty() {
        let reason = "no convolution of the branch is left to apply the shortcut: it needs more than there are, or the \
                      recipe that was asked for allows none";
        return Err(nearest.unwrap_or_else(|| refuse(RejectCode::ShortcutDoesNotFit, reason)));
    }
    let shortcut_nodes = shortcut.nodes().collect();
    Ok(Proof { join, output, fork, channels: (c_in, c_out), axes, frame: cx.frame, shortcut_nodes, branch, hosts })
}
