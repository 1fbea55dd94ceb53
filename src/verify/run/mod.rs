//! Running two models and comparing what they give: everything that needs tract.

mod attempt;
mod bisect;
mod course;
mod dump;
mod effort;
mod error;
mod evidence;
mod extent;
mod inputs;
mod job;
mod judge;
mod narrow;
mod noise;
mod npz;
mod obstacle;
mod options;
mod pair;
mod precision;
mod profile;
mod range;
mod regions;
mod runner;
mod sample;
mod shapes;
mod signature;
mod stage;
mod support;
mod time;
mod trial;
mod verdict;
mod verification;
mod watch;

use super::random;

pub use error::VerifyError;
pub use options::{Observer, Progress, VerifyOptions};
pub use stage::silence_caught_panics;
pub use time::time;
pub use verification::{verify, verify_loaded, verify_models, verify_watched};
