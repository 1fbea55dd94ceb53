//! What a convolution has to do, in outline: all that costs are made of.

/// A convolution, in outline.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Groups.
    pub group: usize,
    /// Taps of the window.
    pub taps: usize,
    /// Positions of the input and of the output.
    pub positions: (f64, f64),
}

impl Work {
    /// Its weights.
    #[must_use]
    pub fn weights(&self) -> usize {
        (self.inputs / self.group.max(1)).saturating_mul(self.outputs).saturating_mul(self.taps)
    }

    /// Elements that it reads and writes.
    pub(super) fn moved(&self) -> f64 {
        self.inputs as f64 * self.positions.0 + self.outputs as f64 * self.positions.1
    }
}
