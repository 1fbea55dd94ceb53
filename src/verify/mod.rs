//! Whether two models compute the same.
//!
//! The yardstick is the original, evaluated in float64 by [`mod@reference`]. Both saved files are run in their own arithmetic through
//! tract's optimised path on seeded inputs of several kinds; the second may be no further from float64 than the first, times a
//! small factor, plus a few units in the last place (`run::compare`). What the models cannot be run in is stated in the report.

pub mod reference;
mod report;
#[cfg(feature = "verify")]
mod run;

pub use report::{Arithmetic, Coverage, FirstDifference, InputReport, Measure, OutputReport, Status, VerifyReport};
#[cfg(feature = "verify")]
pub use run::{Observer, Progress, VerifyError, VerifyOptions, verify, verify_models, verify_watched};
