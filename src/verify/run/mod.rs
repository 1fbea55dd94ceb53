//! Running two models and comparing what they give: everything that needs tract.

mod appeal;
mod attempt;
mod bisect;
mod compare;
mod error;
mod inputs;
mod narrow;
mod npz;
mod pair;
mod precision;
mod random;
mod regions;
mod runner;
mod session;
mod shapes;
mod signature;
mod support;
mod verification;
mod work;

pub use error::VerifyError;
pub use verification::{Observer, Progress, VerifyOptions, verify, verify_models, verify_watched};
