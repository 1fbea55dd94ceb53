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
//! [`load`], [`inspect`], [`rewrite`], `verify` (feature `verify`, on by default) and [`save`]; [`Options`] says what is asked
//! for, [`Outcome`] what was found and done, [`Report`] is one run of the program as text and JSON. These keep to semantic
//! versioning. The modules below are public for tests and tools; they may change in any version.
//!
//! # Data flow
//! ```text
//! bytes --io::load--> Model --GraphView--> view + Facts           read-only, made again each round
//!   linear, residual:   find -> prove, or Reject
//!   plan:               choose among proofs by cost -> build -> EditList
//!   graph::apply (checks, then edits) -> clean -> validate -> again, to a fixed point or a named limit
//! io::stage -> both files are run and compared -> names, the model's last -> Report -> exit code
//! ```
//! [`io`] reads and writes files, [`graph`] is the read-only view and the only code that edits, [`facts`] is what is known of
//! a tensor, [`algebra`] is arithmetic that knows no ONNX, [`read`] says what one node is, [`residual`] and [`linear`] find and
//! prove, [`plan`] chooses, [`engine`] repeats all of that, [`mod@verify`] compares, [`report`] tells, [`cli`] is the program.
//!
//! # Invariants
//! * Only [`graph::apply`] and [`graph::clean`] change a graph.
//! * Layers point one way, as `docs/ARCHITECTURE.md` lists them; nothing but `io` touches files.
//! * A run that applies nothing writes its input, byte for byte; what is not rewritten is kept byte for byte.
//! * Initializers are copied before they are edited; names are never used to match.
//! * Unknown means refuse, and every refusal is a [`read::Reject`] that names node, tensor and reason.
//! * Nothing is written unless verification passed or was turned off, and the same input gives the same bytes.

pub mod algebra;
mod api;
pub mod cli;
pub mod emit;
pub mod engine;
pub mod facts;
pub mod graph;
pub mod io;
pub mod linear;
mod mend;
pub mod onnx;
pub mod options;
pub mod plan;
mod printable;
pub mod read;
pub mod report;
pub mod residual;
pub mod verify;

#[cfg(feature = "verify")]
pub use api::verify;
pub use api::{inspect, load, rewrite, save, save_mended, save_when_equal};
pub use engine::EngineError;
pub use io::{LoadError, LoadOptions, Model, SaveError, Saved};
pub use mend::Unstable;
pub use options::{ActivationForm, Downsample, Families, FusePointwise, Options, Selector, Target};
pub use plan::change::{Change, Exactness, Price};
pub use read::RejectCode;
pub use report::{Outcome, RejectReport, Report, SiteReport, SiteStatus, Verification};
pub use verify::VerifyReport;
#[cfg(feature = "verify")]
pub use verify::{VerifyError, VerifyOptions};

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
