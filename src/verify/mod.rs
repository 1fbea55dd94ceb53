//! Whether two models compute the same.
//!
//! The yardstick is the original, evaluated in float64 by [`mod@reference`]. Both saved files are run in their own arithmetic through
//! tract's optimised path on seeded inputs of several kinds; the second may be no further from float64 than the first, times a
//! small factor, plus a few units in the last place (`compare`). What the models cannot be run in is stated in the report.

pub mod reference;
mod report;

#[cfg(feature = "verify")]
mod attempt;
#[cfg(feature = "verify")]
mod bisect;
#[cfg(feature = "verify")]
mod compare;
#[cfg(feature = "verify")]
mod error;
#[cfg(feature = "verify")]
mod inputs;
#[cfg(feature = "verify")]
mod narrow;
#[cfg(feature = "verify")]
mod npz;
#[cfg(feature = "verify")]
mod pair;
#[cfg(feature = "verify")]
mod precision;
#[cfg(feature = "verify")]
mod random;
#[cfg(feature = "verify")]
mod regions;
#[cfg(feature = "verify")]
mod runner;
#[cfg(feature = "verify")]
mod session;
#[cfg(feature = "verify")]
mod shapes;
#[cfg(feature = "verify")]
mod signature;
#[cfg(feature = "verify")]
mod support;
#[cfg(feature = "verify")]
mod verification;

#[cfg(feature = "verify")]
pub use error::VerifyError;
pub use report::{Arithmetic, Coverage, FirstDifference, InputReport, Measure, OutputReport, Status, VerifyReport};
#[cfg(feature = "verify")]
pub use verification::{Observer, Progress, VerifyOptions, verify, verify_models, verify_watched};
