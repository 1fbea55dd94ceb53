//! Whether a model computes what a reference computes: a verification, as `onnx-rm verify` makes it.

use std::path::Path;

use crate::check::report::{Finding, Level};

use super::around::Around;

pub(super) fn findings(key: &str, template: &str, around: &Around<'_>) -> Vec<Finding> {
    match around.other(key, template) {
        Ok(reference) => compare(key, &reference, around).into_iter().collect(),
        Err(finding) => vec![*finding],
    }
}

#[cfg(feature = "verify")]
fn compare(key: &str, reference: &Path, around: &Around<'_>) -> Option<Finding> {
    use crate::verify::{VerifyOptions, verify_watched};
    let _turn = around.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let stop = around.stop;
    match verify_watched(reference, around.path, &VerifyOptions::default(), &|_| stop()) {
        Ok(report) if report.is_equal() => None,
        Ok(report) => {
            let message = format!("compared with '{}': {report}", reference.display());
            Some(Finding::new(key, Level::Failure, message))
        }
        Err(error) => {
            let message = format!("it cannot be compared with '{}': {error}", reference.display());
            Some(Finding::new(key, Level::Error, message))
        }
    }
}

#[cfg(not(feature = "verify"))]
fn compare(key: &str, _: &Path, around: &Around<'_>) -> Option<Finding> {
    let _ = around.turn;
    let message = "this build cannot verify: it was built without the feature 'verify'";
    Some(Finding::new(key, Level::Error, message))
}
