//! What becomes of a rewritten model when both files have been compared: it gets its name, it stays unwritten, or it is rewritten
//! again without the sites that are to blame.

use std::path::Path;

use crate::engine::{self, EngineError, Refused};
use crate::io::{self, Model, SaveError, Saved, Staged};
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

/// Gives the files of `staged` their names when `report` allows it.
pub(crate) fn commit(
    staged: Staged,
    report: VerifyReport,
    unstable: Unstable,
) -> Result<(Verification, Saved), SaveError> {
    let accepted = unstable == Unstable::Accept && report.agrees_in_float64();
    if report.is_unstable() && unstable == Unstable::Keep {
        return Ok((Verification::Unstable(report), Saved::default()));
    }
    if !report.is_equal() && !accepted {
        return Ok((Verification::Failed(report), Saved::default()));
    }
    Ok((Verification::Passed(report), staged.commit()?))
}

/// Files without a name yet, and how they compare with the original.
struct Attempt {
    outcome: Outcome,
    staged: Staged,
    report: VerifyReport,
}

/// Makes and compares rewrites of one model.
struct Mender<'a, E> {
    original: &'a Model,
    options: &'a Options,
    path: &'a Path,
    compare: &'a mut dyn FnMut(&Path) -> Result<VerifyReport, E>,
    left: usize,
}

impl<E: From<SaveError> + From<EngineError>> Mender<'_, E> {
    /// `None` for a model in which nothing was rewritten.
    fn look(&mut self, (model, outcome): (Model, Outcome)) -> Result<Option<Attempt>, E> {
        if !model.is_edited() {
            return Ok(None);
        }
        let staged = io::stage(&model, self.path)?;
        let report = (self.compare)(&staged.path())?;
        Ok(Some(Attempt { outcome, staged, report }))
    }

    fn without(&mut self, refused: &Refused) -> Result<Option<Attempt>, E> {
        self.left = self.left.saturating_sub(1);
        let mut model = self.original.clone();
        let outcome = engine::rewrite_without(&mut model, self.options, refused, &mut engine::go_on)?;
        self.look((model, outcome))
    }

    /// The site that is to blame for what `attempt` found; `None` when there are no comparisons left.
    fn culprit(&mut self, attempt: &Attempt, refused: &Refused) -> Result<Option<Site>, E> {
        let sites: Vec<Site> = attempt.outcome.removed().map(|(s, _)| (s.kind, s.tensor.clone())).collect();
        let difference = attempt.report.first_difference.as_ref();
        if let Some(site) = difference.and_then(|d| sites.iter().find(|(_, tensor)| *tensor == d.tensor)) {
            return Ok(Some(site.clone()));
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

/// See [`crate::save_mended`].
pub(crate) fn save<E: From<SaveError> + From<EngineError>>(
    original: &Model,
    (model, outcome): (Model, Outcome),
    options: &Options,
    path: &Path,
    compare: &mut dyn FnMut(&Path) -> Result<VerifyReport, E>,
    unstable: Unstable,
) -> Result<(Outcome, Verification, Saved), E> {
    let mut mender = Mender { original, options, path, compare, left: MAX_COMPARISONS };
    if !model.is_edited() {
        return Ok((outcome, Verification::Unchanged, io::stage(&model, path)?.commit()?));
    }
    let mut refused = Refused::new();
    let mut attempt = mender.look((model, outcome.clone()))?;
    let mut first = None;
    while let Some(wrong) = attempt.take_if(|a| is_wrong(&a.report)) {
        let culprit = if mender.left == 0 { None } else { mender.culprit(&wrong, &refused)? };
        let reject = culprit.map(|site| (unverified(&site, &wrong.report), site));
        first.get_or_insert(wrong.report);
        let Some((reject, site)) = reject else { break };
        // The files of the wrong attempt are gone before the next ones are written.
        drop(wrong.staged);
        refused.insert(site, reject);
        attempt = mender.without(&refused)?;
    }
    match (attempt, first) {
        (Some(Attempt { outcome, staged, report }), _) => {
            let (verification, saved) = commit(staged, report, unstable)?;
            Ok((outcome, verification, saved))
        }
        (None, Some(report)) => Ok((outcome, Verification::Failed(report), Saved::default())),
        (None, None) => Ok((outcome, Verification::Unchanged, Saved::default())),
    }
}

/// True when the report shows that something differs; without evidence nobody is to blame.
fn is_wrong(report: &VerifyReport) -> bool {
    report.status == Status::Mismatch || report.first_difference.is_some()
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
