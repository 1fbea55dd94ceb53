//! The crate's face: the five things that the program does, with their defaults.

#[cfg(feature = "verify")]
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;

use crate::engine::{self, EngineError, Watch};
use crate::io::{self, LoadError, LoadOptions, Model, SaveError, Saved, Staged};
use crate::mend::{self, Unstable};
use crate::options::{Options, Plan};
use crate::report::{Curve, Outcome, Verification};
use crate::verify::VerifyReport;
#[cfg(feature = "verify")]
use crate::verify::{Observer, VerifyError, VerifyOptions};

/// Reads the model at `path`, with its external data. Weights are not copied again: they are slices of the
/// bytes read, so what becomes of the files later changes nothing.
///
/// ```
/// let model = onnx_rm::load("models/digits_resnet.onnx")?;
/// assert_eq!(model.proto().graph.as_ref().map(|g| g.node.len()), Some(31));
/// # Ok::<(), onnx_rm::LoadError>(())
/// ```
///
/// # Errors
/// [`LoadError`]: every message names the file and what is wrong with it.
pub fn load(path: impl AsRef<Path>) -> Result<Model, LoadError> {
    io::load(path.as_ref(), &LoadOptions::default())
}

/// [`load`] with options.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Model, LoadError> {
    io::load(path.as_ref(), options)
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
    engine::inspect(model, options, &mut engine::go_on)
}

/// [`inspect`], and tells `watch` of progress; where that says [`ControlFlow::Break`](std::ops::ControlFlow::Break), it stops.
///
/// # Errors
/// As [`inspect`]; [`EngineError::Stopped`].
pub fn inspect_watched(model: &Model, options: &Options, watch: Watch<'_>) -> Result<Outcome, EngineError> {
    engine::inspect(model, options, watch)
}

/// What removal costs by how much of it is done, from no join to all, and every join in each form that can be asked for. Limits of
/// `options` are not kept.
///
/// ```
/// use onnx_rm::{Options, curve, load};
/// let curve = curve(&load("models/digits_resnet.onnx")?, &Options::default(), &mut |_| std::ops::ControlFlow::Continue(()))?;
/// let left: Vec<_> = curve.points.iter().map(|point| point.price.joins).collect();
/// assert_eq!(left, [5, 4, 3, 2, 1, 0]);
/// assert!(curve.points.is_sorted_by_key(|point| point.price.macs));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EngineError`] when the graph is malformed or `watch` asks to stop.
pub fn curve(model: &Model, options: &Options, watch: Watch<'_>) -> Result<Curve, EngineError> {
    engine::curve(model, options, watch)
}

/// The plan that does again to `model` what `outcome` says was done with `options`, or could be: [`Options::plan`] takes it,
/// perhaps edited.
///
/// ```
/// use onnx_rm::{Options, inspect, load, planned, rewrite};
/// let mut model = load("models/digits_resnet.onnx")?;
/// let options = Options::default();
/// let mut plan = planned(&model, &options, &inspect(&model, &options)?)?;
/// plan.sites[0].remove = false;
/// assert_eq!(rewrite(&mut model, &options.plan(plan))?.after.joins, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EngineError`] when the graph is malformed.
pub fn planned(model: &Model, options: &Options, outcome: &Outcome) -> Result<Plan, EngineError> {
    engine::planned(model.proto(), options, outcome)
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
/// [`EngineError`] when the graph is malformed; the model is then as it was.
pub fn rewrite(model: &mut Model, options: &Options) -> Result<Outcome, EngineError> {
    engine::rewrite(model, options, &mut engine::go_on)
}

/// [`rewrite`], and tells `watch` of progress; where that says [`ControlFlow::Break`](std::ops::ControlFlow::Break), it stops.
///
/// ```
/// use std::ops::ControlFlow;
/// use onnx_rm::{EngineError, Model, Options, rewrite_watched};
/// let mut model = Model::from_path("models/digits_resnet.onnx")?;
/// let before = model.proto().clone();
/// // The second join is one too many.
/// let mut watch = |p: &onnx_rm::Progress| if p.done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
/// let stopped = rewrite_watched(&mut model, &Options::default(), &mut watch);
/// assert!(matches!(stopped, Err(EngineError::Stopped)));
/// assert!(!model.is_edited() && *model.proto() == before);
/// # Ok::<(), onnx_rm::LoadError>(())
/// ```
///
/// # Errors
/// As [`rewrite`]; [`EngineError::Stopped`]. The model is then as it was.
pub fn rewrite_watched(model: &mut Model, options: &Options, watch: Watch<'_>) -> Result<Outcome, EngineError> {
    engine::rewrite(model, options, watch)
}

/// Writes `model` to `path`: into a temporary place beside it first, then under its name. A model that was not edited is
/// written byte for byte as it was read. No side file of weights is ever replaced; [`Saved`] says which are no longer read.
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
        _ if !model.is_edited() => Verification::Unchanged,
        None => Verification::Off,
        Some(compare) => {
            let report = compare(&staged.path())?;
            return Ok(commit(staged, mend::judge(report, unstable))?);
        }
    };
    Ok((verification, staged.commit()?))
}

/// Gives the files of `staged` their names when `verification` allows it.
fn commit(staged: Staged, verification: Verification) -> Result<(Verification, Saved), SaveError> {
    match verification {
        Verification::Passed(_) => Ok((verification, staged.commit()?)),
        _ => Ok((verification, Saved::default())),
    }
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
    let path = path.as_ref();
    if !rewritten.0.is_edited() {
        return Ok((rewritten.1, Verification::Unchanged, save(&rewritten.0, path)?));
    }
    let mut look = |model: &Model| -> Result<_, E> {
        let staged = io::stage(model, path)?;
        let report = compare(&staged.path())?;
        Ok((staged, report))
    };
    let (outcome, report, staged) = mend::mend(original, rewritten, options, &mut look)?;
    let (verification, saved) = match staged {
        Some(staged) => commit(staged, mend::judge(report, unstable))?,
        None => (Verification::Failed(report), Saved::default()),
    };
    Ok((outcome, verification, saved))
}

/// [`save_mended`] for a caller that wants the bytes of one file: they are made, read again and given to `compare` before anyone
/// gets them. `None` unless they [passed](Verification::Passed), or nothing was edited.
///
/// # Errors
/// Those of [`rewrite`], [`Model::to_bytes`] and `compare`.
pub fn encode_mended<E: From<SaveError> + From<LoadError> + From<EngineError>>(
    original: &Model,
    rewritten: (Model, Outcome),
    options: &Options,
    compare: &mut dyn FnMut(&Model) -> Result<VerifyReport, E>,
    unstable: Unstable,
) -> Result<(Outcome, Verification, Option<Bytes>), E> {
    if !rewritten.0.is_edited() {
        return Ok((rewritten.1, Verification::Unchanged, Some(rewritten.0.to_bytes()?)));
    }
    let mut look = |model: &Model| -> Result<_, E> {
        let bytes = model.to_bytes()?;
        let report = compare(&Model::from_bytes(bytes.clone())?)?;
        Ok((bytes, report))
    };
    let (outcome, report, bytes) = mend::mend(original, rewritten, options, &mut look)?;
    let verification = match bytes {
        Some(_) => mend::judge(report, unstable),
        None => Verification::Failed(report),
    };
    let bytes = bytes.filter(|_| matches!(verification, Verification::Passed(_)));
    Ok((outcome, verification, bytes))
}

/// Compares what two models compute, with the first in float64 as the yardstick. That they differ is no error: the report says
/// so.
///
/// ```
/// use onnx_rm::{Model, Options, VerifyOptions, rewrite, verify};
/// let original = Model::from_path("models/digits_resnet.onnx")?;
/// let mut chain = original.clone();
/// rewrite(&mut chain, &Options::default())?;
/// assert!(verify(&original, &chain, &VerifyOptions::default())?.is_equal());
/// let other = Model::from_path("models/digits_mobilenet_v2.onnx")?;
/// assert!(!verify(&original, &other, &VerifyOptions::default())?.is_equal());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`VerifyError`] when neither the models nor their rewritten regions can be run.
#[cfg(feature = "verify")]
pub fn verify(original: &Model, rewritten: &Model, options: &VerifyOptions) -> Result<VerifyReport, VerifyError> {
    verify_watched(original, rewritten, options, &|_| ControlFlow::Continue(()))
}

/// [`verify`], and tells `watch` of progress, from several threads; where that says [`ControlFlow::Break`], it stops before the
/// next input is tried.
///
/// # Errors
/// As [`verify`]; [`VerifyError::Stopped`].
#[cfg(feature = "verify")]
pub fn verify_watched(
    original: &Model,
    rewritten: &Model,
    options: &VerifyOptions,
    watch: Observer<'_>,
) -> Result<VerifyReport, VerifyError> {
    crate::verify::verify_loaded(original, rewritten, options, watch)
}

/// [`verify`] of two files, which are read with their external data: what [`save_when_equal`] asks for.
///
/// # Errors
/// As [`verify`], and when a file cannot be read.
#[cfg(feature = "verify")]
pub fn verify_files(
    original: impl AsRef<Path>,
    rewritten: impl AsRef<Path>,
    options: &VerifyOptions,
) -> Result<VerifyReport, VerifyError> {
    crate::verify::verify(original.as_ref(), rewritten.as_ref(), options)
}
