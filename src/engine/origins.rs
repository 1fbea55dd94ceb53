//! Which tensor of the file a tensor stands for: what is carried past a join that stays makes it wider, and gives it another name.

use std::collections::BTreeMap;

use crate::report::{SiteReport, SiteStatus};

use super::round::Refused;

/// The names of the file, by those that stand for them now.
#[derive(Default)]
pub(super) struct Origins(BTreeMap<String, String>);

impl Origins {
    /// Notes that tensors were `renamed`. What was refused stays so.
    pub(super) fn note(&mut self, renamed: &[(String, String)], refused: &mut Refused) {
        for (old, new) in renamed {
            let first = self.of(old).to_owned();
            let stay: Vec<_> = refused.iter().filter(|((_, tensor), _)| tensor == old).collect();
            let stay: Vec<_> =
                stay.into_iter().map(|((kind, _), reject)| ((*kind, new.clone()), reject.clone())).collect();
            refused.extend(stay);
            self.0.insert(new.clone(), first);
        }
    }

    fn of<'t>(&'t self, tensor: &'t str) -> &'t str {
        self.0.get(tensor).map_or(tensor, String::as_str)
    }

    /// `site` under the names that the file has.
    pub(super) fn named(&self, mut site: SiteReport) -> SiteReport {
        site.tensor = self.of(&site.tensor).to_owned();
        if let SiteStatus::Kept(reject) = &mut site.status {
            reject.tensor = self.of(&reject.tensor).to_owned();
        }
        site
    }
}
