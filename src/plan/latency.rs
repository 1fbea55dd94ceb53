//! How long an operator takes, roughly: what `--objective latency` adds up.
//!
//! The rates were measured with ONNX Runtime 1.32 on one thread of an x86-64 processor with AVX-512, which computes
//! convolutions on channels in blocks of sixteen. Three kinds of convolutions differ by the order: dense ones and such whose groups
//! are whole blocks; those with smaller groups, which it copies window by window; and depthwise ones. A selection leaves
//! the blocked order, so that its input and its output are reordered too. Only relations matter. The rates are data
//! ([`Rates`]), and every time is a sum of rates times amounts, so that `calibrate` can fit them.

use crate::options::Rates;

use super::work::Work;

/// Channels that stand side by side in memory.
const BLOCK: usize = 16;

/// A convolution.
#[must_use]
pub fn conv(work: &Work, rates: &Rates) -> f64 {
    let weights = work.weights() as f64;
    let macs = weights * work.positions.1;
    let (width, height) = (work.inputs / work.group.max(1), work.outputs / work.group.max(1));
    let rest = if work.group == 1 || width.is_multiple_of(BLOCK) && height.is_multiple_of(BLOCK) {
        // A block of outputs reads each input once.
        rates.mac * macs * (1.0 + 4.0 / width.max(BLOCK) as f64) + rates.blocked * work.moved()
    } else if width == 1 && height == 1 {
        rates.depthwise_mac * macs + rates.blocked * work.moved()
    } else {
        let copied = work.inputs as f64 * work.taps as f64 * work.positions.1 + work.outputs as f64 * work.positions.1;
        rates.small_mac * macs + rates.copied * copied + rates.group * work.group as f64
    };
    rates.node + rates.weight * weights + rest
}

/// A selection of channels.
#[must_use]
pub fn select(inputs: usize, outputs: usize, positions: f64, rates: &Rates) -> f64 {
    let reordered = (inputs + outputs) as f64;
    3.0 * rates.node + (rates.selected * outputs as f64 + rates.reordered * reordered) * positions
}

/// An operator that leaves every channel where it is and moves so many elements; one that is `plain` becomes part of the
/// convolution in front of it.
#[must_use]
pub fn pass(moved: f64, plain: bool, rates: &Rates) -> f64 {
    if plain { rates.passed * moved } else { 2.0 * rates.node + rates.unfused * moved }
}
