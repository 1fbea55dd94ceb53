//! Removes residual connections from trained ONNX networks without changing what they compute.
//!
//! A residual join is `y = branch(x) + shortcut(x)`. It goes by *reserving* `x` as extra channels of the branch, *passing*
//! them unchanged through everything that stands there, and *merging* them in the branch's last convolution (RMNet,
//! arXiv 2111.00687). Linear operators that meet in a sum, or follow each other, fold into one convolution. What is not proved
//! exact stays, with a reason.
//!
//! ```
//! use onnx_rm::{Options, load, rewrite, save};
//!
//! let folder = tempfile::tempdir()?;
//! let mut model = load("models/digits_resnet.onnx")?;
//! let outcome = rewrite(&mut model, &Options::default())?;
//! for (site, change) in outcome.removed() {
//!     println!("{}: {}", site.join, change.form);
//! }
//! assert_eq!(outcome.after.joins, 0);
//! save(&model, folder.path().join("chain.onnx"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Public API
//! What is listed below, at the root of the crate: [`load`], [`inspect`], [`rewrite`], `verify` (feature `verify`, on by default) and
//! [`save`] on a [`Model`], which may as well come from bytes; [`Options`] says what is asked for, [`Outcome`] what was found and done,
//! [`prune()`] takes channels out of a model and fits what is left to [`Samples`], [`Report`] is one run of the program as text and JSON. [`check()`] holds files to a [`Policy`]. The functions called `..._watched` tell of their progress and can be
//! stopped. Everything can be sent to another thread. All this keeps to semantic versioning; the crate's modules are hidden, open
//! to its own tests and tools, and may change in any version.
//!
//! # Data flow
//! ```text
//! bytes --io::load--> Model --GraphView--> view + Facts           read-only, made again each round
//!   linear, residual:   find -> prove, or Reject
//!   plan:               choose among proofs by cost -> build -> EditList
//!   graph::apply (checks, then edits) -> clean -> validate -> again, to a fixed point or a named limit
//! io::stage -> both files are run and compared -> names, the model's last -> Report -> exit code
//! ```
//! `io` reads and writes files, `graph` is the read-only view and the only code that edits, `facts` is what is known of
//! a tensor, `algebra` is arithmetic that knows no ONNX, `read` says what one node is, `residual` and `linear` find and
//! prove, `plan` chooses, `engine` repeats all of that, `verify` compares, `report` tells, `page` draws it, `check` holds files to a policy, `cli` is the program.
//!
//! # Invariants
//! * Only `graph::apply` and `graph::clean` change a graph.
//! * Layers point one way, as `docs/ARCHITECTURE.md` lists them; nothing but `io` touches files.
//! * A run that applies nothing writes its input, byte for byte; what is not rewritten is kept byte for byte.
//! * Initializers are copied before they are edited; names are never used to match.
//! * Unknown means refuse, and every refusal is a `Reject` that names node, tensor and reason.
//! * Nothing is written unless verification passed or was turned off, and the same input gives the same bytes.

#[doc(hidden)]
pub mod algebra;
mod api;
#[doc(hidden)]
pub mod calibrate;
#[doc(hidden)]
pub mod check;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod deliver;
#[doc(hidden)]
pub mod demand;
#[doc(hidden)]
pub mod emit;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod facts;
#[doc(hidden)]
pub mod graph;
#[doc(hidden)]
pub mod io;
#[doc(hidden)]
pub mod linear;
mod mend;
#[doc(hidden)]
pub mod onnx;
#[doc(hidden)]
pub mod operators;
#[doc(hidden)]
pub mod options;
#[cfg(feature = "cli")]
mod page;
#[doc(hidden)]
pub mod plan;
mod printable;
#[doc(hidden)]
pub mod prune;
#[doc(hidden)]
pub mod read;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod residual;
mod tasks;
#[doc(hidden)]
pub mod transpose;
#[doc(hidden)]
pub mod verify;

pub use api::{
    curve, encode_mended, inspect, inspect_watched, load, load_with, planned, rewrite, rewrite_watched, save,
    save_mended, save_when_equal,
};
#[cfg(feature = "verify")]
pub use api::{verify, verify_files, verify_watched};
pub use check::{
    Accepted, Baseline, CheckError, CheckObserver, CheckOptions, CheckProgress, CheckReport, CheckStatus, Date,
    FileReport, Finding, Level, Measures, Place, Policy, PolicyError, Summary, check, check_watched,
};
pub use engine::{EngineError, Progress, Watch};
pub use graph::{ApplyError, GraphError};
pub use io::{Digest, ExternalError, LoadError, LoadOptions, Model, SaveError, Saved, SideFile, UnknownField};
pub use mend::Unstable;
pub use onnx::ModelProto;
pub use options::{
    ActivationForm, Chain, Downsample, Families, Family, FusePointwise, Groups, Limit, Limits, Objective, Options,
    Pads, Plan, PlannedNote, PlannedSite, Rates, Selector, Target, TargetError,
};
pub use plan::change::{Change, Channels, Exactness, Price};
pub use prune::{
    Amount, LayerReport, PruneError, PruneOptions, PruneReport, PruneWatch, Pruned, Quality, Samples, Way, WayReport,
    prune, prune_watched,
};
pub use read::RejectCode;
pub use report::{
    Action, Curve, CurvePoint, NotInspected, Outcome, PricedForm, RejectReport, Report, SiteForms, SiteReport,
    SiteStatus, StopReason, Verification,
};
pub use verify::reach::Missed;
pub use verify::samples::{Layout, Order, Preprocess, Resize};
pub use verify::{
    Arithmetic, BendReport, ChannelErrors, Comparison, Coverage, Details, EngineReport, FirstDifference, InputReport,
    JudgedComparison, Judgement, LabelReport, Measure, OutputReport, Runner, SizeReport, Status, Tolerance, UlpCount,
    Verdict, VerifyReport, WorstChannel, WorstElement,
};
#[cfg(feature = "verify")]
pub use verify::{Engine, Observer, VerifyError, VerifyOptions, VerifyProgress};

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
