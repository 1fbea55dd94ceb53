//! Structured pruning: whole channels go, and what reads them is fitted anew by least squares.
//!
//! This changes what a model computes. Nothing here calls that equal.
//!
//! `coupling` says which channels must go together, `write` takes them out of the graph. `exact` finds those that change
//! nothing. For the others, `statistics` holds the normal equations of every layer that reads channels, on calibration samples;
//! `select` takes away, one group at a time, what costs the least output error per multiply-accumulate saved; `refit` then solves
//! every layer again, in order, for what the original computed; `quality` measures what became of the outputs on samples that
//! nothing was fitted to. `trial` puts these in order, `run` chooses between ways.

mod coupling;
mod decouple;
mod error;
mod exact;
mod flat;
mod meter;
mod options;
mod patches;
mod quality;
mod refit;
mod report;
mod run;
mod samples;
mod select;
mod sensitivity;
mod source;
mod statistics;
mod trial;
mod walk;
mod write;

pub use error::PruneError;
pub use options::{Amount, PruneOptions, PruneWatch, Way};
pub use quality::against_labels;
pub use report::{LayerReport, PruneReport, Quality, WayReport};
#[doc(hidden)]
pub use run::cut_at_random;
pub use run::{Pruned, prune, prune_watched};
pub use samples::Samples;
