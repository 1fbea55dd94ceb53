//! Whether models are what a policy says: the gate for exported models in continuous integration.

mod accepts;
mod baseline;
mod date;
mod error;
pub mod format;
mod nodes;
mod one;
mod options;
mod paths;
pub mod policy;
pub mod report;
mod rules;
mod run;
mod subject;

pub use baseline::Baseline;
pub use date::Date;
pub use error::CheckError;
pub use options::{CheckObserver, CheckOptions, CheckProgress};
pub use policy::{Policy, PolicyError};
pub use report::{Accepted, CheckReport, CheckStatus, FileReport, Finding, Level, Measures, Place, Summary};
pub use run::{check, check_watched};
