//! What becomes of a rewritten model when it has been compared with the original: it is given out, it is not, or it is rewritten
//! again without the sites that are to blame.

use crate::engine::{self, EngineError, Refused};
use crate::graph;
use crate::io::Model;
use crate::options::{Family, Options};
use crate::read::RejectCode;
use crate::report::{Outcome, RejectReport, Verification};
use crate::verify::{Status, VerifyReport};

/// What becomes of a model that agrees with the original in float64, where rounding decides what the original computes in
/// its own type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unstable {
    /// It is not written: in that type its answers are other ones.
    Keep,
    /// It is written all the same.
    Accept,
}

/// Most comparisons that look for the sites whose rewrite is wrong.
const MAX_COMPARISONS: usize = 24;

/// What `report` says of a rewritten model: only one that has [passed](Verification::Passed) may be given out.
pub(crate) fn judge(report: VerifyReport, unstable: Unstable) -> Verification {
    let accepted = unstable == Unstable::Accept && report.agrees_in_float64();
    if report.is_unstable() && unstable == Unstable::Keep {
        Verification::Unstable(report)
    } else if !report.is_equal() && !accepted {
        Verification::Failed(report)
    } else {
        Verification::Passed(report)
    }
}

/// Makes what is compared of a rewritten model, and compares it.
pub(crate) type Look<'a, S, E> = &'a mut dyn FnMut(&Model) -> Result<(S, VerifyReport), E>;

/// What was made of a rewritten model, and how it compares with the original.
struct Attempt<S> {
    outcome: Outcome,
    made: S,
    report: VerifyReport,
}

/// Makes and compares rewrites of one model.
struct Mender<'a, S, E> {
    original: &'a Model,
    options: &'a Options,
    look: Look<'a, S, E>,
    left: usize,
}

impl<S, E: From<EngineError>> Mender<'_, S, E> {
    /// `None` for a model in which nothing was rewritten.
    fn look(&mut self, (model, outcome): (Model, Outcome)) -> Result<Option<Attempt<S>>, E> {
        if !model.is_edited() {
            return Ok(None);
        }
        let (made, report) = (self.look)(&model)?;
        Ok(Some(Attempt { outcome, made, report }))
    }

    fn without(&mut self, refused: &Refused) -> Result<Option<Attempt<S>>, E> {
        self.left = self.left.saturating_sub(1);
        let mut model = self.original.clone();
        let outcome = engine::rewrite_without(&mut model, self.options, refused, &mut engine::go_on)?;
        self.look((model, outcome))
    }

    /// The site that is to blame for what `attempt` found; `None` when there are no comparisons left.
    fn culprit(&mut self, attempt: &Attempt<S>, refused: &Refused) -> Result<Option<Site>, E> {
        let sites: Vec<Site> = attempt.outcome.removed().map(|(s, _)| (s.kind, s.tensor.clone())).collect();
        let difference = attempt.report.first_difference.as_ref();
        if let Some(tensor) = difference.map(|d| &d.tensor).or_else(|| attempt.report.idle.first()) {
            let inside = graph::defined_inside(self.original.proto(), tensor);
            let named = sites.iter().find(|(_, site)| site == tensor);
            if let Some(site) = named.or_else(|| sites.iter().find(|(_, site)| inside.contains(site.as_str()))) {
                return Ok(Some(site.clone()));
            }
        }
        // The first `good` sites alone are right, the first `bad` are not.
        let (mut good, mut bad) = (0, sites.len());
        while bad - good > 1 {
            if self.left == 0 {
                return Ok(None);
            }
            let middle = usize::midpoint(good, bad);
            let mut fewer = refused.clone();
            fewer.extend(
                sites[middle..].iter().map(|site| (site.clone(), RejectReport::new(RejectCode::Unverified, ""))),
            );
            match self.without(&fewer)? {
                Some(attempt) if is_wrong(&attempt.report) => bad = middle,
                _ => good = middle,
            }
        }
        Ok(sites.get(good).cloned())
    }
}

/// Kind and tensor.
type Site = (Family, String);

/// What is left of a rewrite: how it compares, and what `look` made of it, when something is left that is not wrong.
pub(crate) type Mended<S> = (Outcome, VerifyReport, Option<S>);

/// Compares an edited model with the original by `look`. Where it is wrong, the sites that are to blame are left as they are,
/// until what is left is right or nobody can be blamed.
///
/// # Errors
/// Those of a rewrite and of `look`.
pub(crate) fn mend<S, E: From<EngineError>>(
    original: &Model,
    (model, outcome): (Model, Outcome),
    options: &Options,
    look: Look<'_, S, E>,
) -> Result<Mended<S>, E> {
    let mut mender = Mender { original, options, look, left: MAX_COMPARISONS };
    let mut refused = Refused::new();
    let (made, report) = (mender.look)(&model)?;
    let mut attempt = Attempt { outcome: outcome.clone(), made, report };
    let mut first = None;
    while is_wrong(&attempt.report) {
        let culprit = if mender.left == 0 { None } else { mender.culprit(&attempt, &refused)? };
        let reject = culprit.map(|site| (unverified(&site, &attempt.report), site));
        let wrong = first.get_or_insert(attempt.report).clone();
        let Some((reject, site)) = reject else { return Ok((outcome, wrong, None)) };
        // What the wrong attempt made is gone before the next is made.
        drop(attempt.made);
        refused.insert(site, reject);
        match mender.without(&refused)? {
            Some(next) => attempt = next,
            None => return Ok((outcome, wrong, None)),
        }
    }
    Ok((attempt.outcome, attempt.report, Some(attempt.made)))
}

/// True when the report shows that something differs, or that nothing runs a rewritten body; without other evidence nobody is to blame.
fn is_wrong(report: &VerifyReport) -> bool {
    report.status == Status::Mismatch || report.first_difference.is_some() || !report.idle.is_empty()
}

fn unverified((_, tensor): &Site, found: &VerifyReport) -> RejectReport {
    let folder = found.reproducer.as_ref().map(|folder| format!("the files in '{folder}'"));
    let what = folder.unwrap_or_else(|| "the files that --dump DIR writes".to_owned());
    RejectReport {
        tensor: tensor.clone(),
        hint: format!("this is an error of onnx-rm: please report it with {what}"),
        ..RejectReport::new(RejectCode::Unverified, format!("verification refuses its rewrite: {}", found.message))
    }
}
