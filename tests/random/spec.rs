//! What a random model consists of. Every number is taken modulo what fits where it is used, so that any combination
//! is a model, and shrinking one part leaves the others as they are.

use onnx_rm::options::{ActivationForm, Chain, Downsample, Objective, Options, Target};
use proptest::prelude::*;
use proptest::sample::select;

/// A convolution that keeps the size, or steps by the block's stride.
#[derive(Clone, Debug)]
pub struct Conv {
    pub width: usize,
    pub kernel: usize,
    pub dilation: usize,
    /// How much of the padding stands in front, axis by axis.
    pub front: [usize; 3],
    pub group: Group,
    pub bias: bool,
    /// Takes weights of the same shape that another convolution has.
    pub share: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Group {
    One,
    Some,
    Depthwise,
}

#[derive(Clone, Copy, Debug)]
pub enum Act {
    Relu,
    Leaky(f32),
    Slopes,
    Clip(f32, f32),
    Max(f32),
    Silu,
    HardSwish,
    HardSwishWritten,
    Gelu,
    Mish,
    QuickGelu,
    Elu,
    Tanh,
    Softplus,
    NoName,
}

#[derive(Clone, Debug)]
pub enum Step {
    Conv(Conv),
    Act(Act),
    Norm,
    Scale,
    /// Squeeze and excite; with `true` it shifts as well.
    Gate(bool),
    /// A gate of every pixel, made of the mean and the largest channel.
    PixelGate,
    /// A product with another convolution of the same tensor.
    Product,
    /// Both halves of the channels, multiplied or, with `true`, one behind the other in turned order.
    Halves(bool),
    /// A part of the channels goes through a convolution, the rest around it.
    Part(usize, Conv),
    /// Four parts, each of which is added to what the one before it gives.
    Cascade,
    Shuffle,
    /// `Pad` with a mode of its own in front of a convolution that has no padding.
    Pad(&'static str, usize),
    /// Padding in front alone, by a crop.
    Causal(usize),
    Pool,
    /// A convolution that drops what is at the border, and one that pads as much.
    Dip(usize),
    /// Two maps weighted by a softmax.
    Weighted,
    Inner(Vec<Step>),
    /// Two convolutions of the same tensor, added.
    Pair,
}

#[derive(Clone, Debug)]
pub enum Shortcut {
    Identity,
    Conv(Conv),
    Pool(Conv),
    DepthwiseThenConv(Conv, Conv),
    /// Every second entry, and channels of zeros.
    OptionA,
    Scaled,
    Norm,
    Mean,
    Dip(usize),
}

#[derive(Clone, Debug)]
pub struct Block {
    pub steps: Vec<Step>,
    pub last: Conv,
    /// What stands between the last convolution and the join.
    pub tail: Option<Step>,
    pub shortcut: Shortcut,
    pub stride: usize,
    /// The branch starts with this.
    pub first: Option<Step>,
    pub swapped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// `x W`.
    Plain,
    /// With a bias: a `Gemm` where it can be one.
    Biased,
    /// With a batch normalisation over all rows.
    Normed,
}

/// A linear layer.
#[derive(Clone, Debug)]
pub struct Layer {
    pub width: usize,
    pub kind: LayerKind,
}

#[derive(Clone, Debug)]
pub enum RowStep {
    Layer(Layer),
    Act(Act),
    Norm,
    /// Rows with a batch as rows without one, or the other way round.
    Renumber,
    Gate,
    /// One half of the channels gates the other.
    Halves,
}

/// A residual block of linear layers on the positions of a map.
#[derive(Clone, Debug)]
pub struct RowBlock {
    pub steps: Vec<RowStep>,
    pub last: Layer,
    pub tail: Option<Act>,
    /// The shortcut, where it is a layer.
    pub projection: Option<Layer>,
    /// The join stands on rows without a batch.
    pub flat: bool,
    pub swapped: bool,
}

#[derive(Clone, Debug)]
pub enum Unit {
    Maps(Box<Block>),
    Rows(RowBlock),
}

#[derive(Clone, Copy, Debug)]
pub enum Fork {
    Input,
    Signed,
    Positive,
    Bounded,
}

#[derive(Clone, Debug)]
pub struct Spec {
    pub seed: u64,
    pub axes: usize,
    pub size: usize,
    pub channels: usize,
    pub fork: Fork,
    pub blocks: Vec<Unit>,
    /// Tensors that something else reads, and whether they are graph outputs too.
    pub read: Vec<(usize, bool)>,
    pub options: Options,
}

fn conv() -> impl Strategy<Value = Conv> {
    let group = prop_oneof![3 => Just(Group::One), 1 => Just(Group::Some), 1 => Just(Group::Depthwise)];
    (1_usize..10, 1_usize..5, 1_usize..3, any::<[u8; 3]>(), group, any::<bool>(), any::<bool>()).prop_map(
        |(width, kernel, dilation, front, group, bias, share)| {
            // Mostly in the middle, where networks have it.
            let front = front.map(|f| if f < 192 { usize::MAX } else { usize::from(f) });
            Conv { width, kernel, dilation, front, group, bias, share: share && width % 2 == 0 }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    select(vec![
        Act::Relu,
        Act::Relu,
        Act::Relu,
        Act::Leaky(0.125),
        Act::Leaky(1.5),
        Act::Slopes,
        Act::Clip(0.0, 6.0),
        Act::Clip(-0.5, 0.75),
        Act::Max(0.25),
        Act::Silu,
        Act::HardSwish,
        Act::HardSwishWritten,
        Act::Gelu,
        Act::Mish,
        Act::QuickGelu,
        Act::Elu,
        Act::Tanh,
        Act::Softplus,
        Act::NoName,
    ])
}

fn step(depth: u32) -> BoxedStrategy<Step> {
    let mode = select(vec!["constant", "reflect", "edge"]);
    let leaf = prop_oneof![
        6 => conv().prop_map(Step::Conv),
        6 => act().prop_map(Step::Act),
        2 => Just(Step::Norm),
        1 => Just(Step::Scale),
        1 => any::<bool>().prop_map(Step::Gate),
        1 => Just(Step::PixelGate),
        1 => Just(Step::Product),
        1 => any::<bool>().prop_map(Step::Halves),
        1 => (1_usize..8, conv()).prop_map(|(n, c)| Step::Part(n, c)),
        1 => Just(Step::Cascade),
        1 => Just(Step::Shuffle),
        1 => (mode, 1_usize..3).prop_map(|(m, n)| Step::Pad(m, n)),
        1 => (1_usize..4).prop_map(Step::Causal),
        1 => Just(Step::Pool),
        1 => (1_usize..4).prop_map(Step::Dip),
        1 => Just(Step::Weighted),
        1 => Just(Step::Pair),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![12 => leaf, 1 => prop::collection::vec(step(depth - 1), 1..4).prop_map(Step::Inner)].boxed()
}

fn shortcut() -> impl Strategy<Value = Shortcut> {
    prop_oneof![
        6 => Just(Shortcut::Identity),
        2 => conv().prop_map(Shortcut::Conv),
        1 => conv().prop_map(|c| Shortcut::Conv(Conv { kernel: 1, ..c })),
        1 => conv().prop_map(Shortcut::Pool),
        1 => (conv(), conv()).prop_map(|(a, b)| Shortcut::DepthwiseThenConv(a, b)),
        1 => Just(Shortcut::OptionA),
        1 => Just(Shortcut::Scaled),
        1 => Just(Shortcut::Norm),
        1 => Just(Shortcut::Mean),
        1 => (1_usize..3).prop_map(Shortcut::Dip),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    let side = || {
        prop::option::weighted(0.2, prop_oneof![act().prop_map(Step::Act), Just(Step::Norm), Just(Step::Gate(false))])
    };
    let steps = prop::collection::vec(step(2), 0..6);
    (steps, conv(), side(), shortcut(), prop_oneof![3 => Just(1_usize), 1 => Just(2)], side(), any::<bool>()).prop_map(
        |(steps, last, tail, shortcut, stride, first, swapped)| Block {
            steps,
            last,
            tail,
            shortcut,
            stride,
            first,
            swapped,
        },
    )
}

fn row_block() -> impl Strategy<Value = RowBlock> {
    let layer = || {
        let kind = select(vec![LayerKind::Plain, LayerKind::Biased, LayerKind::Biased, LayerKind::Normed]);
        (1_usize..10, kind).prop_map(|(width, kind)| Layer { width, kind })
    };
    let step = prop_oneof![
        4 => layer().prop_map(RowStep::Layer),
        4 => act().prop_map(RowStep::Act),
        1 => Just(RowStep::Norm),
        1 => Just(RowStep::Renumber),
        1 => Just(RowStep::Gate),
        1 => Just(RowStep::Halves),
    ];
    let steps = prop::collection::vec(step, 0..6);
    let rest = (prop::option::weighted(0.2, act()), prop::option::weighted(0.3, layer()), any::<[bool; 2]>());
    (steps, layer(), rest).prop_map(|(steps, last, (tail, projection, [flat, swapped]))| RowBlock {
        steps,
        last,
        tail,
        projection,
        flat,
        swapped,
    })
}

fn options() -> impl Strategy<Value = Options> {
    use ActivationForm::{Auto, Minmax, Pair, Prelu, Select};
    let downsample = select(vec![Downsample::Auto, Downsample::Auto, Downsample::V1, Downsample::V2]);
    let activation = select(vec![Auto, Auto, Minmax, Pair, Prelu, Select]);
    let target = select(["generic", "onnxruntime"].map(|name| Target::named(name).unwrap()).to_vec());
    let objective = select(vec![Objective::Latency, Objective::Macs, Objective::Parameters, Objective::Memory]);
    let carry = select(vec![Chain::Auto, Chain::Conv, Chain::Blocks, Chain::Blocks]);
    let rest = (objective, carry);
    (any::<bool>(), downsample, activation, target, rest).prop_map(
        |(long_skips, downsample, activation, target, (objective, carry))| {
            let options = Options::default().long_skips(long_skips).downsample(downsample).activation(activation);
            options.target(target).objective(objective).carry(carry)
        },
    )
}

/// Any model of one to three blocks, one behind the other.
pub fn spec() -> impl Strategy<Value = Spec> {
    let axes = prop_oneof![4 => Just(2_usize), 1 => Just(1), 1 => Just(3)];
    let fork = select(vec![Fork::Input, Fork::Signed, Fork::Positive, Fork::Bounded]);
    let read = prop::collection::vec((any::<u16>().prop_map(usize::from), any::<bool>()), 0..3);
    let unit = prop_oneof![4 => block().prop_map(|b| Unit::Maps(Box::new(b))), 1 => row_block().prop_map(Unit::Rows)];
    let blocks = prop::collection::vec(unit, 1..4);
    (any::<u64>(), axes, 3_usize..8, 1_usize..7, fork, blocks, read, options()).prop_map(
        |(seed, axes, size, channels, fork, blocks, read, options)| Spec {
            seed,
            axes,
            size,
            channels,
            fork,
            blocks,
            read,
            options,
        },
    )
}
