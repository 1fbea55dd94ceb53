//! A region of the graph as one linear map: first in outline, to prove and to price it; then with its weights.

use crate::algebra::{Border, Geometry, Kernel, compose, sum};

/// A linear map without its weights.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Groups.
    pub group: usize,
    /// Its window.
    pub window: Geometry,
    /// True when it adds a bias.
    pub biased: bool,
}

impl Outline {
    /// The identity.
    #[must_use]
    pub fn identity(channels: usize, axes: usize) -> Self {
        Self { inputs: channels, outputs: channels, group: channels, window: Geometry::pointwise(axes), biased: false }
    }

    /// Number of weights.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.outputs.saturating_mul(self.inputs / self.group.max(1)).saturating_mul(self.window.taps())
    }

    /// Products of two weights that composing it with `next` takes.
    fn products(&self, next: &Self) -> usize {
        (self.inputs / self.group.max(1)).saturating_mul(self.window.taps()).saturating_mul(next.weights())
    }
}

/// Most products of two weights that one composition may take: some seconds. Selections and sums in a row, which a chain of blocks
/// consists of, are few weights and would be a great many products.
const MAX_PRODUCTS: usize = 1 << 34;

/// Why maps are not one map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Their channel counts or their spatial axes do not fit.
    Channels,
    /// A border decides.
    Border(Border),
    /// Their outputs are not proved to have the same size along this axis.
    Size(usize),
    /// A kernel would have so many entries.
    TooLarge(usize),
    /// To multiply them out would take so many products.
    TooDear(usize),
    /// A weight could not be read.
    Weights,
}

/// An outline, with the weights when they were asked for.
#[derive(Clone, Debug)]
pub struct Map {
    /// The outline.
    pub outline: Outline,
    /// The weights.
    pub kernel: Option<Kernel>,
    is_identity: bool,
}

impl Map {
    /// The identity.
    #[must_use]
    pub fn identity(channels: usize, axes: usize, weights: bool) -> Self {
        let kernel = weights.then(|| Kernel::identity(channels, axes));
        Self { outline: Outline::identity(channels, axes), kernel, is_identity: true }
    }

    /// This map of a tensor of the given `size`, then another.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn then(&self, next: &Outline, kernel: Option<Kernel>, size: &[Option<i64>]) -> Result<Self, Misfit> {
        let own = &self.outline;
        if own.outputs != next.inputs || own.window.axes() != next.window.axes() {
            return Err(Misfit::Channels);
        }
        if self.is_identity {
            return Ok(Self { outline: next.clone(), kernel, is_identity: false });
        }
        let window = own.window.then(&next.window, own.biased, size).map_err(Misfit::Border)?;
        let products = own.products(next);
        if products > MAX_PRODUCTS {
            return Err(Misfit::TooDear(products));
        }
        let kernel = match (&self.kernel, kernel) {
            (Some(first), Some(second)) => {
                Some(compose::compose(first, &own.window, &second, &next.window, &window).ok_or(Misfit::Channels)?)
            }
            _ => None,
        };
        let outline = Outline {
            inputs: own.inputs,
            outputs: next.outputs,
            group: sum::common_group([own.group, next.group]),
            window,
            biased: own.biased || next.biased,
        };
        Ok(Self { outline, kernel, is_identity: false })
    }

    /// The sum of maps of one tensor of the given `size`, each times a factor.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn sum(parts: &[(&Self, f64)], size: &[Option<i64>]) -> Result<Self, Misfit> {
        let Some((first, _)) = parts.first() else { return Err(Misfit::Channels) };
        let first = &first.outline;
        for (part, _) in parts {
            let o = &part.outline;
            if o.outputs != first.outputs || o.inputs != first.inputs || o.window.axes() != first.window.axes() {
                return Err(Misfit::Channels);
            }
            let agrees = |axis: &usize| o.window.agrees(&first.window, *axis, size.get(*axis).copied().flatten());
            if let Some(axis) = (0..o.window.axes()).find(|a| !agrees(a)) {
                return Err(Misfit::Size(axis));
            }
        }
        let windows: Vec<&Geometry> = parts.iter().map(|(p, _)| &p.outline.window).collect();
        let window = Geometry::union_of(&windows).ok_or(Misfit::Border(Border::TooLarge))?;
        let scaled: Option<Vec<Kernel>> = parts.iter().map(|(p, f)| Some(p.kernel.clone()?.times(*f))).collect();
        let kernel = match scaled {
            Some(kernels) => {
                let placed: Vec<(&Kernel, &Geometry)> = kernels.iter().zip(windows).collect();
                Some(sum::sum(&placed, &window).ok_or(Misfit::Channels)?)
            }
            None => None,
        };
        let outline = Outline {
            inputs: first.inputs,
            outputs: first.outputs,
            group: sum::common_group(parts.iter().map(|(p, _)| p.outline.group)),
            window,
            biased: parts.iter().any(|(p, _)| p.outline.biased),
        };
        Ok(Self { outline, kernel, is_identity: false })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Without weights, as proofs go.
    fn outlined(inputs: usize, outputs: usize, group: usize, taps: usize) -> Outline {
        let window = Geometry { kernel: vec![taps], ..Geometry::pointwise(1) };
        Outline { inputs, outputs, group, window, biased: false }
    }

    #[test]
    fn what_would_take_too_many_products_is_refused_before_it_is_tried() {
        let first = Map::identity(1000, 1, false).then(&outlined(1000, 9000, 1, 9), None, &[None]).unwrap();
        let then = |next: &Outline| first.then(next, None, &[None]).map(|map| map.outline.outputs);
        // A selection among many channels, written out.
        assert_eq!(then(&outlined(9000, 9000, 1, 1)), Err(Misfit::TooDear(729_000_000_000)));
        assert_eq!(then(&outlined(9000, 9000, 9000, 1)), Ok(9000), "one product a channel");
        assert_eq!(then(&outlined(9000, 3, 1, 1)), Ok(3));
    }
}
