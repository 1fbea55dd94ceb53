//! The linear side of a join, as one linear map that a convolution of the branch can host.

use crate::algebra::{Geometry, Kernel, compose, sum};
use crate::graph::{NodeId, ValueId};
use crate::read::step::{self, LinearStep};
use crate::read::{Context, Reject, RejectCode};

use super::cropped::Crop;
use super::join::Applied;

/// The chain of linear operators that ends at one input of the join.
pub struct Shortcut {
    /// Operators from the join towards the graph's input.
    steps: Vec<(NodeId, LinearStep)>,
    /// `values[i]` is what the first `i` steps are applied to; `values[0]` is the join's input.
    values: Vec<ValueId>,
    /// What the join itself does to the result.
    joined: Vec<(NodeId, LinearStep)>,
}

/// Longest chain that is looked at.
const MAX_STEPS: usize = 64;

impl Shortcut {
    /// Walks from `value` towards the graph's input as long as the operators are linear.
    #[must_use]
    pub fn walk(cx: Context<'_>, value: ValueId) -> Self {
        let mut chain = Self { steps: Vec::new(), values: vec![value], joined: Vec::new() };
        let mut at = value;
        while chain.steps.len() < MAX_STEPS {
            let Some((node, step, input)) = step::read(cx, at) else { break };
            chain.steps.push((node, step));
            chain.values.push(input);
            at = input;
        }
        chain
    }

    /// Tensors that the shortcut is a linear map of, the nearest first.
    #[must_use]
    pub fn origins(&self) -> &[ValueId] {
        &self.values
    }

    /// Keeps the part behind the `origin`-th tensor.
    #[must_use]
    pub fn from_origin(mut self, origin: usize) -> Self {
        self.steps.truncate(origin);
        self.values.truncate(origin + 1);
        self
    }

    /// The same with what `join` does to its result.
    #[must_use]
    pub(super) fn joined(mut self, join: NodeId, applied: Vec<Applied>) -> Self {
        self.joined = applied.into_iter().map(|step| (join, step.beside())).collect();
        self
    }

    /// True when it numbers rows in another way.
    pub fn numbers_rows(&self) -> bool {
        self.steps.iter().any(|(_, step)| matches!(step, LinearStep::Rows))
    }

    /// The nodes of the chain.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.steps.iter().map(|(node, _)| *node)
    }

    /// Every way to write the chain as at most [`MAX_PIECES`] maps one after the other, fewest first. Different
    /// convolutions of the branch may apply them: average pooling where the branch steps, the 1x1 where it merges.
    ///
    /// # Errors
    /// A [`Reject`] when a weight cannot be read, or when the chain composes into no so few maps.
    pub fn pieces(&self, cx: Context<'_>, channels: usize, axes: usize) -> Result<Vec<Vec<LinearMap>>, Reject> {
        let maps = self.maps(cx, channels, axes)?;
        let mut ways: Vec<Vec<LinearMap>> = Vec::new();
        for cuts in cuts(maps.len()) {
            let pieces: Option<Vec<LinearMap>> =
                cuts.windows(2).map(|w| LinearMap::composed(cx, &maps[w[0]..w[1]])).collect();
            ways.extend(pieces);
        }
        if maps.is_empty() {
            ways.push(vec![LinearMap::identity(channels, axes)]);
        }
        match (ways.is_empty(), self.steps.first()) {
            (true, Some((node, _))) => {
                let reason = format!(
                    "the shortcut has several windows one after the other, or a bias before padding, or would be a very large \
                     window: it does not compose into {MAX_PIECES} kernels"
                );
                Err(Reject::at(cx.view, *node, RejectCode::ShortcutDoesNotFit, reason))
            }
            _ => Ok(ways),
        }
    }

    /// One map for each operator that computes, from the fork to the join; per-channel maps join their neighbour.
    fn maps(&self, cx: Context<'_>, channels: usize, axes: usize) -> Result<Vec<LinearMap>, Reject> {
        let mut maps: Vec<LinearMap> = Vec::new();
        let mut width = channels;
        let fits = |node: NodeId, entries: usize| match entries <= cx.most_weights {
            true => Ok(()),
            false => Err(too_large(cx, node, entries)),
        };
        for (node, step) in self.steps.iter().rev().chain(&self.joined) {
            let next = match step {
                LinearStep::Nothing | LinearStep::Rows => continue,
                LinearStep::Affine(scale, shift) => {
                    if scale.len() != width || shift.len() != width {
                        return Err(channel_count(cx, *node));
                    }
                    match maps.last_mut() {
                        Some(last) => {
                            last.kernel = last.kernel.clone().then_affine(scale, shift);
                            last.crop = last.crop.take().map(|crop| crop.then_affine(scale, shift));
                            continue;
                        }
                        None => (Kernel::identity(width, axes).then_affine(scale, shift), Geometry::pointwise(axes)),
                    }
                }
                LinearStep::Conv(conv) => {
                    let kernel = conv.kernel(cx.facts).ok_or_else(|| weight_lost(cx, *node))?;
                    (kernel, conv.window.clone())
                }
                LinearStep::Average(window) => {
                    fits(*node, width.saturating_mul(window.taps()))?;
                    let kernel = compose::average(width, window).ok_or_else(|| too_large(cx, *node, usize::MAX))?;
                    (kernel, window.clone())
                }
                LinearStep::Subsample(stride) => {
                    let window = Geometry { stride: stride.clone(), ..Geometry::pointwise(axes) };
                    (Kernel::identity(width, axes), window)
                }
                LinearStep::Crop(crop) => {
                    // Crops compose: one for each axis is one.
                    let before = maps.pop_if(|last| last.crop.is_some()).and_then(|last| last.crop);
                    let crop = match before {
                        Some(before) => before.and(crop),
                        None => Crop::new(crop.clone(), width),
                    };
                    if crop.entries.len() != axes {
                        return Err(channel_count(cx, *node));
                    }
                    fits(*node, crop.kernel.weight.len().saturating_mul(crop.window().taps()))?;
                    maps.push(LinearMap::cropped(crop).ok_or_else(|| too_large(cx, *node, usize::MAX))?);
                    continue;
                }
                LinearStep::Select(from) => {
                    fits(*node, width.saturating_mul(from.len()))?;
                    let kernel = Kernel::selection(from, width, axes).ok_or_else(|| channel_count(cx, *node))?;
                    (kernel, Geometry::pointwise(axes))
                }
            };
            let (kernel, window) = next;
            if kernel.inputs() != width || window.axes() != axes {
                return Err(channel_count(cx, *node));
            }
            width = kernel.outputs();
            maps.push(LinearMap { kernel, window, is_identity: false, crop: None });
        }
        Ok(maps)
    }
}

/// Most convolutions of the branch among which a shortcut is divided.
pub const MAX_PIECES: usize = 2;

/// Longest shortcut that is divided; a longer one is applied as a whole.
const MAX_MAPS: usize = 8;

/// Every way to cut `0..count` into at most [`MAX_PIECES`] runs, as their bounds.
fn cuts(count: usize) -> Vec<Vec<usize>> {
    let inner = if count <= MAX_MAPS { 1..count } else { 1..1 };
    let whole = if count > 0 { vec![vec![0, count]] } else { Vec::new() };
    whole.into_iter().chain(inner.map(|cut| vec![0, cut, count])).collect()
}

fn channel_count(cx: Context<'_>, node: NodeId) -> Reject {
    Reject::at(cx.view, node, RejectCode::BadConvolution, "the channel counts on the shortcut do not fit each other")
}

/// The refusal of `node`, which would be a kernel of so many entries.
fn too_large(cx: Context<'_>, node: NodeId, entries: usize) -> Reject {
    Reject::at(cx.view, node, RejectCode::TooLarge, cx.too_large("as a convolution it", entries))
}

fn weight_lost(cx: Context<'_>, node: NodeId) -> Reject {
    Reject::at(cx.view, node, RejectCode::WeightNotConstant, "the weight of the shortcut is not a constant")
}

/// A shortcut as a value.
#[derive(Clone)]
pub struct LinearMap {
    /// Weights and bias.
    pub kernel: Kernel,
    /// Its window.
    pub window: Geometry,
    /// True when it is the identity, so that no convolution has to host it.
    pub is_identity: bool,
    /// What it drops at the borders, when it looks at one position only.
    pub(super) crop: Option<Crop>,
}

impl LinearMap {
    /// The maps one after the other as one, where borders allow it.
    fn composed(cx: Context<'_>, maps: &[Self]) -> Option<Self> {
        let (first, rest) = maps.split_first()?;
        rest.iter().try_fold(first.clone(), |so_far, next| so_far.then(next, cx.most_weights))
    }

    fn identity(channels: usize, axes: usize) -> Self {
        let window = Geometry::pointwise(axes);
        Self { kernel: Kernel::identity(channels, axes), window, is_identity: true, crop: None }
    }

    /// `None` when its kernel is too large.
    fn cropped(crop: Crop) -> Option<Self> {
        let window = crop.window();
        let kernel = crop.applied_in(&window, &crop.begins())?;
        Some(Self { kernel, window, is_identity: false, crop: Some(crop) })
    }

    /// As a crop of nothing, when it looks at one position.
    fn as_crop(&self) -> Option<Crop> {
        let pointwise = self.window == Geometry::pointwise(self.window.axes());
        let whole = || Crop { entries: vec![(0, 0); self.window.axes()], kernel: self.kernel.clone() };
        self.crop.clone().or_else(|| pointwise.then(whole))
    }

    /// True when it looks at one position only.
    #[must_use]
    pub fn is_pointwise(&self) -> bool {
        let one = Geometry::pointwise(self.window.axes());
        Geometry { stride: one.stride.clone(), ..self.window.clone() } == one
    }

    fn then(self, next: &Self, most: usize) -> Option<Self> {
        let window = self.window.then(&next.window, self.kernel.is_biased(), &[]).ok()?;
        let entries = next.kernel.outputs().saturating_mul(self.kernel.inputs()).saturating_mul(window.taps());
        if entries / sum::common_group([self.kernel.group, next.kernel.group]).max(1) > most {
            return None;
        }
        let kernel = compose::compose(&self.kernel, &self.window, &next.kernel, &next.window, &window)?;
        let crop = if self.crop.is_some() || next.crop.is_some() { self.as_crop().zip(next.as_crop()) } else { None };
        let crop = match crop {
            Some((first, second)) => Some(first.then(&second)?),
            None => None,
        };
        Some(Self { kernel, window, is_identity: false, crop })
    }
}
