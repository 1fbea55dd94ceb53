//! Running two models and comparing what they give: everything that needs tract.

mod archive;
mod attempt;
mod bisect;
mod bodies;
mod course;
mod dump;
mod effort;
mod error;
mod errors;
mod evidence;
mod extent;
mod given;
mod inputs;
mod job;
mod judge;
#[cfg(feature = "onnxruntime")]
mod library;
mod narrow;
mod noise;
mod obstacle;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod options;
mod pair;
mod profile;
mod range;
mod regions;
mod runner;
mod runtime;
mod sample;
mod save;
mod shapes;
mod stage;
mod support;
mod time;
mod tolerance;
mod trial;
mod verdict;
mod verification;
mod watch;

use super::{precision, random, signature};

pub use error::VerifyError;
pub use options::{Engine, Observer, VerifyOptions, VerifyProgress};
pub use stage::silence_caught_panics;
pub use time::{clock, time};
pub use verification::{verify, verify_loaded, verify_models, verify_watched};
