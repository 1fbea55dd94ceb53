//! The linear side of a join, as one linear map that a convolution of the branch can host.

use crate::algebra::{Geometry, Kernel, compose, sum};
use crate::graph::{NodeId, ValueId};
use crate::read::step::{self, LinearStep};
use crate::read::{Context, Reject, RejectCode};

/// The chain of linear operators that ends at one input of the join.
pub struct Shortcut {
    /// Operators from the join towards the graph's input.
    steps: Vec<(NodeId, LinearStep)>,
    /// `values[i]` is what the first `i` steps are applied to; `values[0]` is the join's input.
    values: Vec<ValueId>,
}

/// Longest chain that is looked at.
const MAX_STEPS: usize = 64;

impl Shortcut {
    /// Walks from `value` towards the graph's input as long as the operators are linear.
    #[must_use]
    pub fn walk(cx: Context<'_>, value: ValueId) -> Self {
        let mut chain = Self { steps: Vec::new(), values: vec![value] };
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
        for (node, step) in self.steps.iter().rev() {
            let next = match step {
                LinearStep::Nothing | LinearStep::Rows => continue,
                LinearStep::Affine(scale, shift) => {
                    if scale.len() != width || shift.len() != width {
                        return Err(channel_count(cx, *node));
                    }
                    match maps.last_mut() {
                        Some(last) => {
                            last.kernel = last.kernel.clone().then_affine(scale, shift);
                            last.crop = None;
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
                    let kernel = crop.iter().map(|(begin, end)| begin + end + 1).collect();
                    let window = Geometry { kernel, ..Geometry::pointwise(axes) };
                    let tap: Vec<usize> = crop.iter().map(|(begin, _)| *begin).collect();
                    fits(*node, width.saturating_mul(window.taps()))?;
                    let kernel = Kernel::dirac(width, &window, &tap);
                    (kernel.ok_or_else(|| too_large(cx, *node, usize::MAX))?, window)
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
            let crop = if let LinearStep::Crop(crop) = step { Some(crop.clone()) } else { None };
            maps.push(LinearMap { kernel, window, is_identity: false, crop });
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
    /// What it drops at the borders, when it does nothing else.
    pub crop: Option<Vec<(usize, usize)>>,
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
        Some(Self { kernel, window, is_identity: false, crop: None })
    }
}
