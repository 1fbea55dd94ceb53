//! How long an operator takes, roughly: what `--objective latency` adds up.
//!
//! The rates were measured with ONNX Runtime 1.32 on one thread of an x86-64 processor with AVX-512, which computes
//! convolutions on channels in blocks of sixteen. Three kinds of convolutions differ by the order: dense ones and such whose groups
//! are whole blocks; those with smaller groups, which it copies window by window; and depthwise ones. A selection leaves
//! the blocked order, so that its input and its output are reordered too. Only relations matter, and `benches/latency.py` measures them.

use super::work::Work;

/// Channels that stand side by side in memory.
const BLOCK: usize = 16;

/// Nanoseconds for a multiply-accumulate in whole blocks.
const MAC: f64 = 0.0085;
/// For one in smaller groups, and for one of a depthwise convolution.
const SMALL_MAC: f64 = 0.012;
const DEPTHWISE_MAC: f64 = 0.025;
/// For an element that a convolution in whole blocks reads or writes, for one that is copied, for one that is reordered.
const BLOCKED: f64 = 0.02;
const COPIED: f64 = 0.13;
const REORDERED: f64 = 0.1;
/// For an element that a selection writes, and for one that an elementwise operator moves, as part of a convolution or alone.
const SELECTED: f64 = 0.07;
const PASSED: f64 = 0.01;
const UNFUSED: f64 = 0.15;
/// For a weight that is read once.
const WEIGHT: f64 = 0.025;
/// For a group that is smaller than a block, and for an operator.
const GROUP: f64 = 70.0;
const NODE: f64 = 1000.0;

/// A convolution.
#[must_use]
pub fn conv(work: &Work) -> f64 {
    let weights = work.weights() as f64;
    let macs = weights * work.positions.1;
    let (width, height) = (work.inputs / work.group.max(1), work.outputs / work.group.max(1));
    let rest = if work.group == 1 || width.is_multiple_of(BLOCK) && height.is_multiple_of(BLOCK) {
        // A block of outputs reads each input once.
        MAC * macs * (1.0 + 4.0 / width.max(BLOCK) as f64) + BLOCKED * work.moved()
    } else if width == 1 && height == 1 {
        DEPTHWISE_MAC * macs + BLOCKED * work.moved()
    } else {
        let copied = work.inputs as f64 * work.taps as f64 * work.positions.1 + work.outputs as f64 * work.positions.1;
        SMALL_MAC * macs + COPIED * copied + GROUP * work.group as f64
    };
    NODE + WEIGHT * weights + rest
}

/// A selection of channels.
#[must_use]
pub fn select(inputs: usize, outputs: usize, positions: f64) -> f64 {
    let reordered = (inputs + outputs) as f64;
    3.0 * NODE + (SELECTED * outputs as f64 + REORDERED * reordered) * positions
}

/// An operator that leaves every channel where it is and moves so many elements; one that is `plain` becomes part of the
/// convolution in front of it.
#[must_use]
pub fn pass(moved: f64, plain: bool) -> f64 {
    if plain { PASSED * moved } else { 2.0 * NODE + UNFUSED * moved }
}
