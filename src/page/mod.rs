//! A report as one HTML page that needs nothing beside it: the graphs before and after, prices, errors, refusals, digests.
//!
//! [`Page`] says what stands on it, [`render`] writes it. Everything out of a file is escaped twice: control characters as on a terminal,
//! then HTML. Script and style stand in the page and are named in its policy by their digests, so nothing else runs. Without the script
//! everything is there; it adds search, zoom and keys.

mod chart;
mod graph;
mod part;
mod policy;
mod render;
mod what;
mod words;

pub(crate) use graph::Net;
pub(crate) use render::render;
pub(crate) use what::{ModelPart, Page, Source, Tone, Verdict};
