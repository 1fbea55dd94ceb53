//! `Transpose` nodes that other orders of axes make needless.
//!
//! A `Transpose` only says in which order the axes of a tensor stand. Operators that take any order (entry by entry, along an
//! `axis`, over `axes`) pass it on, so that what exporters of channels-last frameworks put on both sides of each convolution
//! meets and goes: `net` reads tensors as orders of one another and unites those that one operator takes and gives to a
//! zone, `choose` gives each zone an order, and `build` writes the operators anew for the orders of their zones. What needs an order of its own
//! (`Conv`, a `Reshape`, the graph's inputs and outputs) keeps it, and what gains nothing is not touched.

mod build;
mod choose;
mod net;
mod operator;
mod rows;
mod write;

use std::collections::BTreeSet;

use crate::graph::Names;
use crate::read::Context;

pub use build::Moved;

use net::Net;

/// The parts of the graph that have fewer nodes with their axes in other orders.
#[must_use]
pub fn fewer(cx: Context<'_>, names: &mut Names) -> Vec<Moved> {
    let Some(net) = Net::new(cx) else { return Vec::new() };
    let parts = build::build(&net, &net.fewest(), names);
    parts.into_iter().filter(|part| part.fewer > 0).collect()
}

/// Most other orders that are given at once: each is written out before it is tried.
const MAX_GIVEN: usize = 16;

/// Most nodes that an order may need more: those at both ends of what stands in it.
const MAX_MORE: isize = 4;

/// Another order of a zone in which as many nodes are needed, or a few more.
pub struct Other {
    /// What tells it from all others of the graph, and of the graphs that come of it by other edits.
    pub key: String,
    /// The parts that it changes.
    pub parts: Vec<Moved>,
}

/// Parts of the graph that have as many nodes with their axes in other orders, or a few more, each by itself: some of those that
/// were not `tried`, the fewest nodes first. Empty when all were.
#[must_use]
pub fn others(cx: Context<'_>, names: &mut Names, tried: &BTreeSet<String>) -> Vec<Other> {
    let Some(net) = Net::new(cx) else { return Vec::new() };
    let mut found = Vec::new();
    for (zone, orders) in net.others(&net.fewest(), MAX_MORE) {
        let key = net.key(zone, &orders);
        if tried.contains(&key) {
            continue;
        }
        let parts = build::build(&net, &orders, names);
        let parts = parts.into_iter().filter(|part| part.fewer >= -MAX_MORE && part.holds(zone)).collect();
        found.push(Other { key, parts });
        if found.len() == MAX_GIVEN {
            break;
        }
    }
    found
}
