//! The crate's face: the five things that the program does, with their defaults.

use std::path::Path;

use crate::engine::{self, EngineError};
use crate::io::{self, LoadError, LoadOptions, Model, SaveError, Saved};
use crate::mend::{self, Unstable};
use crate::options::Options;
use crate::report::{Outcome, Verification};
use crate::verify::VerifyReport;

/// Reads the model at `path`, with its external data. Weights are not copied again: they are slices of the
/// bytes read, so what becomes of the files later changes nothing.
///
/// ```
/// let model = onnx_rm::load("models/digits_resnet.onnx")?;
/// assert_eq!(model.proto.graph.as_ref().map(|g| g.node.len()), Some(31));
/// # Ok::<(), onnx_rm::LoadError>(())
/// ```
///
/// # Errors
/// [`LoadError`]: every message names the file and what is wrong with it. [`io::load`] takes options.
pub fn load(path: impl AsRef<Path>) -> Result<Model, LoadError> {
    io::load(path.as_ref(), &LoadOptions::default())
}

/// What [`rewrite`] would do, without changing the model: every join with its form and its price, or why it stays.
///
/// ```
/// use onnx_rm::{Options, inspect, load};
/// let outcome = inspect(&load("models/blocks/max_pool_shortcut.legacy.onnx")?, &Options::default())?;
/// let (_, reject) = outcome.kept().next().ok_or("nothing stays")?;
/// assert_eq!(reject.code, "cannot-pass");
/// assert!(reject.reason.starts_with("MaxPool on the branch"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EngineError`] when the graph is malformed.
pub fn inspect(model: &Model, options: &Options) -> Result<Outcome, EngineError> {
    engine::inspect(model, options, &mut |_| {})
}

/// Removes every join that `options` allow and folds what folds. What is not part of a rewritten region keeps its bytes.
///
/// ```
/// use onnx_rm::{Options, load, rewrite};
/// let mut model = load("models/digits_resnet.onnx")?;
/// let outcome = rewrite(&mut model, &Options::default())?;
/// assert_eq!((outcome.before.joins, outcome.after.joins), (5, 0));
/// assert!(outcome.after.macs < outcome.before.macs.map(|n| 2 * n));
/// // A second rewrite finds nothing.
/// assert_eq!(rewrite(&mut model, &Options::default())?.removed().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EngineError`] when the graph is malformed. [`engine::rewrite`] also tells of its progress.
pub fn rewrite(model: &mut Model, options: &Options) -> Result<Outcome, EngineError> {
    engine::rewrite(model, options, &mut |_| {})
}

/// Writes `model` to `path`: into a temporary place beside it first, then under its name. A model that was not edited is
/// written byte for byte as it was read. No side file of weights is ever replaced; [`Saved`] says which are no longer read.
/// [`io::stage`] lets the caller look at the files before they get their names.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("copy.onnx");
/// onnx_rm::save(&onnx_rm::load("models/digits_resnet.onnx")?, &path)?;
/// assert_eq!(std::fs::read(&path)?, std::fs::read("models/digits_resnet.onnx")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SaveError`]; an existing file at `path` is then untouched.
pub fn save(model: &Model, path: impl AsRef<Path>) -> Result<Saved, SaveError> {
    io::save(model, path.as_ref())
}

/// [`save`], but only when the files compute what they should: `compare` looks at the model that is written already, but
/// has not got its name yet. When it finds a difference, or no evidence, nothing is written and an existing file at
/// `path` is untouched. The same goes for a model that is [unstable](VerifyReport::is_unstable), unless `unstable` accepts
/// such models. Without `compare` the model is written as it is; one that was not edited needs no comparison.
///
/// # Errors
/// Those of [`save`] and of `compare`.
pub fn save_when_equal<E: From<SaveError>>(
    model: &Model,
    path: impl AsRef<Path>,
    compare: Option<impl FnOnce(&Path) -> Result<VerifyReport, E>>,
    unstable: Unstable,
) -> Result<(Verification, Saved), E> {
    let staged = io::stage(model, path.as_ref())?;
    let verification = match compare {
        _ if !model.edited => Verification::Unchanged,
        None => Verification::Off,
        Some(compare) => {
            let report = compare(&staged.path())?;
            return Ok(mend::commit(staged, report, unstable)?);
        }
    };
    Ok((verification, staged.commit()?))
}

/// Saves what [`rewrite`] made of `original`, as [`save_when_equal`] does, but one wrong rewrite does not spoil the others: where
/// `compare` finds a difference, the sites that are to blame are found, by the first tensor that differs or else by bisection,
/// and left as they are (`unverified`), until what is left is equal. Where nobody can be blamed, nothing is written.
///
/// # Errors
/// Those of [`rewrite`], [`save`] and `compare`.
pub fn save_mended<E: From<SaveError> + From<EngineError>>(
    original: &Model,
    rewritten: (Model, Outcome),
    options: &Options,
    path: impl AsRef<Path>,
    compare: &mut dyn FnMut(&Path) -> Result<VerifyReport, E>,
    unstable: Unstable,
) -> Result<(Outcome, Verification, Saved), E> {
    mend::save(original, rewritten, options, path.as_ref(), compare, unstable)
}

/// Compares what two saved models compute, with the first in float64 as the yardstick. That they differ is no error:
/// the report says so.
///
/// ```
/// use onnx_rm::{VerifyOptions, verify};
/// let (resnet, other) = ("models/digits_resnet.onnx", "models/digits_mobilenet_v2.onnx");
/// assert!(verify(resnet, resnet, &VerifyOptions::default())?.is_equal());
/// assert!(!verify(resnet, other, &VerifyOptions::default())?.is_equal());
/// # Ok::<(), onnx_rm::VerifyError>(())
/// ```
///
/// # Errors
/// [`VerifyError`](crate::VerifyError) when a model cannot be read, or when neither the models nor their rewritten regions can be run.
#[cfg(feature = "verify")]
pub fn verify(
    original: impl AsRef<Path>,
    rewritten: impl AsRef<Path>,
    options: &crate::verify::VerifyOptions,
) -> Result<crate::verify::VerifyReport, crate::verify::VerifyError> {
    crate::verify::verify(original.as_ref(), rewritten.as_ref(), options)
}
