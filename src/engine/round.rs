//! One round: what goes, what stays, and what is never tried again.

use std::collections::BTreeMap;

use crate::graph::{EditList, NodeId};
use crate::onnx::ModelProto;
use crate::options::Family;
use crate::read::{Context, RejectCode};
use crate::report::{RejectReport, SiteReport, SiteStatus};

use super::survivors::Known;

/// What is left alone, by kind and tensor, and why.
pub type Refused = BTreeMap<(Family, String), RejectReport>;

#[derive(Default)]
pub(super) struct Round {
    pub(super) edits: Vec<EditList>,
    pub(super) removed: Vec<SiteReport>,
    pub(super) kept: Vec<SiteReport>,
    /// The model without a pair of the inputs of a longer `Sum`.
    pub(super) parted: Option<ModelProto>,
    /// Tensors that have other names in it: see [`EditList::renamed`].
    pub(super) renamed: Vec<(String, String)>,
    /// What is known of the tensors before any edit.
    pub(super) known: Known,
    /// What contradicts what was known before the last round's.
    pub(super) fault: Option<String>,
}

impl Round {
    /// Takes what was `refused` out of what is to go. `true` when something was.
    pub(super) fn drop_refused(&mut self, refused: &Refused) -> bool {
        let reject = |site: &SiteReport| refused.get(&(site.kind, site.tensor.clone()));
        let stays: Vec<bool> = self.removed.iter().map(|site| reject(site).is_some()).collect();
        for site in self.removed.iter().filter(|site| reject(site).is_some()) {
            let status = reject(site).cloned().map_or(site.status.clone(), SiteStatus::Kept);
            self.kept.push(SiteReport { status, ..site.clone() });
        }
        let mut stay = stays.iter();
        self.removed.retain(|_| !stay.next().is_some_and(|s| *s));
        let mut stay = stays.iter();
        self.edits.retain(|_| !stay.next().is_some_and(|s| *s));
        stays.contains(&true)
    }
}

/// Leaves the join at `node`, which computes `tensor`, alone, since the user wants it to stay for this `reason`.
pub(super) fn leave(refused: &mut Refused, node: &str, tensor: &str, reason: &str) {
    let reject = RejectReport {
        node: node.to_owned(),
        tensor: tensor.to_owned(),
        ..RejectReport::new(RejectCode::NotAsked, reason.to_owned())
    };
    refused.entry((Family::Residual, tensor.to_owned())).or_insert(reject);
}

/// The report of a residual join that is never tried again.
pub(super) fn refused_site(cx: Context<'_>, refused: &Refused, join: NodeId) -> Option<SiteReport> {
    let tensor = cx.view.output(join).map(|v| cx.view.name(v).to_owned())?;
    let reject = refused.get(&(Family::Residual, tensor))?;
    Some(report(cx, Family::Residual, join, SiteStatus::Kept(reject.clone())))
}

pub(super) fn report(cx: Context<'_>, family: Family, node: NodeId, status: SiteStatus) -> SiteReport {
    let tensor = cx.view.output(node).map(|v| cx.view.name(v).to_owned()).unwrap_or_default();
    SiteReport { join: cx.view.node(node).name().to_owned(), tensor, kind: family, status }
}
