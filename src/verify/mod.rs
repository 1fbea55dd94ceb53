//! Whether two models compute the same.
//!
//! Both saved files are evaluated in float64 by [`mod@reference`] on seeded inputs of several kinds and sizes. They must agree there but
//! for what rounding the new weights once can do, which is measured on the original: its weights and results are moved at random by a
//! few half-ulps of their own type. Both are also run in their own arithmetic through tract's optimised path, which shows overflow and
//! cancellation. `run::judge` has the criterion. What the models cannot be run in is stated in the report.

mod again;
pub mod comparison;
mod labels;
#[cfg_attr(not(feature = "verify"), allow(dead_code))]
mod precision;
pub(crate) mod random;
pub mod reach;
pub mod reference;
mod report;
#[cfg(feature = "verify")]
mod run;
pub mod samples;
pub mod signature;
pub mod structure;
pub mod timing;
mod work;

pub use again::{JudgedComparison, Judgement};
pub use comparison::{ChannelErrors, Comparison, Tolerance, UlpCount, WorstElement};
pub use labels::LabelReport;
pub use report::{
    Arithmetic, BendReport, Coverage, Details, EngineReport, FirstDifference, InputReport, Measure, OutputReport,
    Runner, SCHEMA_VERSION, SizeReport, Status, Verdict, VerifyReport, WorstChannel,
};
#[cfg(feature = "verify")]
pub use run::{
    Engine, Observer, VerifyError, VerifyOptions, VerifyProgress, clock, silence_caught_panics, time, verify,
    verify_loaded, verify_models, verify_watched,
};
