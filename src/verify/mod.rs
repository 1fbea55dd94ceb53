//! Whether two models compute the same.

pub mod reference;
mod report;

pub use report::{Coverage, FirstDifference, InputReport, OutputReport, Status, VerifyReport};
