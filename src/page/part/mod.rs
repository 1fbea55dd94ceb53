//! The parts of a page, one file each.

mod checked;
mod errors;
mod files;
mod graphs;
mod prices;
mod sites;
mod spot;
mod stays;
mod summary;

pub(super) use checked::{checked, found, status};
pub(super) use errors::errors;
pub(super) use files::{files, options};
pub(super) use graphs::{graphs, section as graph_section};
pub(super) use prices::prices;
pub(super) use spot::Spot;
pub(super) use stays::stays;
pub(super) use summary::summary;
