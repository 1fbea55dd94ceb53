//! What a run gives out of a rewrite: a file or bytes, compared before anyone gets them, and the report. The program and the Python
//! package have this in common.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::api::{encode_mended, save, save_mended, save_when_equal};
use crate::demand::{Demands, unplanned, wishes};
use crate::engine::{self, EngineError};
use crate::io::{LoadError, Model, SaveError, Saved};
use crate::mend::{Unstable, judge};
use crate::report::{Outcome, Report, Verification};
use crate::verify::VerifyReport;

/// What a run may give out.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What becomes of a model in which rounding decides.
    pub unstable: Unstable,
    /// Nothing is given out unless all of these hold.
    pub demands: Demands,
    /// Nothing is given out.
    pub dry_run: bool,
}

/// Compares the original with a rewritten model, or does not.
pub type Compare<'a, T, E> = Option<&'a mut dyn FnMut(&T) -> Result<VerifyReport, E>>;

/// Where the rewritten model goes.
#[allow(missing_debug_implementations)]
pub enum Goal<'a, E> {
    /// To this path; the file is compared before it gets its name.
    File(&'a Path, Compare<'a, Path, E>),
    /// To the caller, as the bytes of one file; what is read from them is compared.
    Bytes(Compare<'a, Model, E>),
}

/// What came of a run.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Delivery {
    /// Why nothing was given out, in words, where that is a finding.
    pub finding: Option<String>,
    /// The model, where bytes were asked for.
    pub bytes: Option<Bytes>,
    /// Side files of a model that was replaced, which nothing reads now.
    pub left: Vec<PathBuf>,
}

/// Gives out `rewritten`, which a rewrite made of `original` as `report` says, and completes the report.
///
/// # Errors
/// Those of writing and comparing.
pub fn deliver<E: From<SaveError> + From<LoadError> + From<EngineError>>(
    original: &Model,
    rewritten: Model,
    report: &mut Report,
    terms: &Terms,
    goal: Goal<'_, E>,
) -> Result<Delivery, E> {
    let mut delivery = Delivery::default();
    report.unmet = terms.demands.unmet(rewritten.proto(), &report.outcome)?;
    report.unmet = report.unmet.take().or_else(|| unplanned(&report.options, &report.outcome));
    report.notes = wishes(&report.options.target, rewritten.proto())?;
    if report.unmet.is_some() || terms.dry_run {
        delivery.finding = report.unmet.clone();
        return Ok(delivery);
    }
    let rewritten = (rewritten, report.outcome.clone());
    let verification = match goal {
        Goal::File(path, compare) => {
            let (verification, saved) = file(original, rewritten, report, terms, (path, compare))?;
            delivery.left = saved.left;
            verification
        }
        Goal::Bytes(compare) => {
            let (verification, bytes) = bytes(original, rewritten, report, terms, compare)?;
            delivery.bytes = bytes;
            verification
        }
    };
    delivery.finding = match &verification {
        Verification::Failed(found) => Some(found.to_string()),
        Verification::Unstable(_) if terms.demands.any() => {
            report.unmet = Some("the model is left as it is, for rounding decides what it computes".to_owned());
            report.unmet.clone()
        }
        _ => None,
    };
    report.verification = Some(verification);
    Ok(delivery)
}

type Rewritten = (Model, Outcome);

fn file<E: From<SaveError> + From<EngineError>>(
    original: &Model,
    rewritten: Rewritten,
    report: &mut Report,
    terms: &Terms,
    (path, compare): (&Path, Compare<'_, Path, E>),
) -> Result<(Verification, Saved), E> {
    let (verification, mut saved) = match compare {
        None => save_when_equal(&rewritten.0, path, None::<fn(&Path) -> Result<VerifyReport, E>>, terms.unstable)?,
        Some(compare) if is_settled(report, terms) => {
            save_when_equal(&rewritten.0, path, Some(compare), terms.unstable)?
        }
        Some(compare) => {
            let (outcome, verification, saved) =
                save_mended(original, rewritten, &report.options, path, compare, terms.unstable)?;
            report.outcome = outcome;
            (verification, saved)
        }
    };
    if leave(&verification, report, terms) {
        saved = save(original, path)?;
    }
    if is_given(&verification, terms) {
        report.output = Some(path.display().to_string());
    }
    Ok((verification, saved))
}

fn bytes<E: From<SaveError> + From<LoadError> + From<EngineError>>(
    original: &Model,
    rewritten: Rewritten,
    report: &mut Report,
    terms: &Terms,
    compare: Compare<'_, Model, E>,
) -> Result<(Verification, Option<Bytes>), E> {
    let Some(compare) = compare else {
        let verification = if rewritten.0.is_edited() { Verification::Off } else { Verification::Unchanged };
        return Ok((verification, Some(rewritten.0.to_bytes()?)));
    };
    let (outcome, verification, mut bytes) = match is_settled(report, terms) && rewritten.0.is_edited() {
        true => {
            let bytes = rewritten.0.to_bytes()?;
            let found = compare(&Model::from_bytes(bytes.clone())?)?;
            let verification = judge(found, terms.unstable);
            let passed = matches!(verification, Verification::Passed(_));
            (rewritten.1, verification, passed.then_some(bytes))
        }
        false => encode_mended(original, rewritten, &report.options, compare, terms.unstable)?,
    };
    report.outcome = outcome;
    if leave(&verification, report, terms) {
        bytes = Some(original.to_bytes()?);
    }
    Ok((verification, bytes))
}

/// True where the model is given out as it is or not at all: what is mended has other operators than what was looked at, and joins that
/// a plan has go.
fn is_settled(report: &Report, terms: &Terms) -> bool {
    terms.demands.of_model() || report.options.plan.is_some()
}

/// Says of an unstable model that it stays as it is. True when it is what is given out.
fn leave(verification: &Verification, report: &mut Report, terms: &Terms) -> bool {
    let Verification::Unstable(found) = verification else { return false };
    let (dtype, message) = (&found.arithmetic.element_type, &found.message);
    engine::leave_unstable(&mut report.outcome, dtype, message, found.agrees_in_float64());
    is_given(verification, terms)
}

fn is_given(verification: &Verification, terms: &Terms) -> bool {
    match verification {
        Verification::Failed(_) => false,
        Verification::Unstable(_) => !terms.demands.any(),
        Verification::Passed(_) | Verification::Off | Verification::Unchanged => true,
    }
}
