//! Joins that may stay, and which of the policy's words let them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::date::Date;
use super::policy::Accept;
use super::report::{Accepted, Place};

/// The accepts that hold for one file.
pub(super) struct Accepts<'a> {
    list: &'a [Accept],
    today: Date,
    /// What was accepted. Several keys may look at the same join.
    found: RefCell<Vec<Accepted>>,
}

impl<'a> Accepts<'a> {
    pub(super) fn new(list: &'a [Accept], today: Date) -> Self {
        Self { list, today, found: RefCell::default() }
    }

    /// Takes those of `places` away that are accepted. Where only an accept that is over would do so, the reason says it.
    pub(super) fn sift(&self, places: Vec<Place>) -> Vec<Place> {
        places.into_iter().filter_map(|place| self.look(place)).collect()
    }

    fn look(&self, mut place: Place) -> Option<Place> {
        let means = |a: &&Accept| {
            place.code.as_ref() == Some(&a.code)
                && a.site.as_ref().is_none_or(|s| s.matches(&place.node) || s.matches(&place.tensor))
        };
        let meant: Vec<&Accept> = self.list.iter().filter(means).collect();
        let lasts = |a: &&&Accept| a.until.is_none_or(|until| self.today <= until);
        if let Some(accept) = meant.iter().find(lasts) {
            let (because, until) = (accept.reason.clone(), accept.until);
            let accepted = Accepted { place, because, until, line: accept.line };
            if !self.found.borrow().contains(&accepted) {
                self.found.borrow_mut().push(accepted);
            }
            return None;
        }
        if let Some((until, line)) = meant.iter().find_map(|a| Some((a.until?, a.line))) {
            place.reason.push_str(&format!(" (line {line} of the policy accepted it until {until})"));
        }
        Some(place)
    }

    pub(super) fn into_accepted(self) -> Vec<Accepted> {
        self.found.into_inner()
    }
}

/// The lines of accepts that `found` shows to be needed.
pub(super) fn used<'f>(found: impl Iterator<Item = &'f Accepted>) -> BTreeSet<usize> {
    found.map(|a| a.line).collect()
}
