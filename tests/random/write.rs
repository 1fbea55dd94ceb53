//! From a specification to a model.

use std::collections::BTreeMap;

use onnx_rm::onnx::ModelProto;

use super::spec::{Act, Block, Conv, Fork, Group, Shortcut, Spec, Step, Unit};
use crate::common::{Build, ConvArgs, float, int, ints, string};

/// The model of `spec`.
pub fn model(spec: &Spec) -> ModelProto {
    let mut w = Writer { b: Build::new(spec.seed), axes: spec.axes, size: spec.size, shared: BTreeMap::new() };
    let mut shape = vec![-1, spec.channels as i64];
    shape.extend(vec![spec.size as i64; spec.axes]);
    let input = w.b.input("x", &shape);
    let mut at = Tensor { name: input, channels: spec.channels };
    at = match spec.fork {
        Fork::Input => at,
        Fork::Signed => w.plain(&at, at.channels, 1, 1),
        Fork::Positive => {
            let y = w.plain(&at, at.channels, 1, 1);
            w.act(&y, Act::Relu)
        }
        Fork::Bounded => w.act(&at, Act::Clip(0.0, 6.0)),
    };
    for block in &spec.blocks {
        at = match block {
            Unit::Maps(block) => w.block(at, block),
            Unit::Rows(block) => w.row_block(&at, block),
        };
        at = w.act(&at, Act::Leaky(0.5));
    }
    w.b.output(&at.name);
    let maps: Vec<String> = w.b.graph.node.iter().flat_map(|n| n.output.clone()).collect();
    for (index, given) in &spec.read {
        let tensor = &maps[index % maps.len()];
        let read = w.b.node("Neg", &[tensor], vec![]);
        w.b.output(if *given { tensor } else { &read });
    }
    w.b.model()
}

#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub channels: usize,
}

pub struct Writer {
    pub b: Build,
    pub axes: usize,
    /// Entries along each axis.
    pub size: usize,
    /// Weights by their shape.
    shared: BTreeMap<Vec<usize>, String>,
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Writer {
    fn map(&mut self, op: &str, inputs: &[&str], channels: usize) -> Tensor {
        Tensor { name: self.b.node(op, inputs, vec![]), channels }
    }

    fn block(&mut self, x: Tensor, block: &Block) -> Tensor {
        let size = self.size;
        let mut y = x.clone();
        for step in block.first.iter().chain(&block.steps) {
            y = self.step(y, step);
        }
        let identity = matches!(
            block.shortcut,
            Shortcut::Identity | Shortcut::Scaled | Shortcut::Norm | Shortcut::Mean | Shortcut::Dip(_)
        );
        let wanted = if identity { x.channels } else { x.channels.max(block.last.width) };
        let stride = if identity { 1 } else { block.stride };
        y = self.conv(&y, &Conv { width: wanted, ..block.last.clone() }, stride);
        if let Some(tail) = &block.tail {
            y = self.step(y, tail);
        }
        self.size = size;
        let s = self.shortcut(&x, &block.shortcut, wanted, stride);
        let sides = if block.swapped { [&s.name, &y.name] } else { [&y.name, &s.name] };
        let out = self.map("Add", &[sides[0], sides[1]], wanted);
        self.size = size.div_ceil(stride);
        out
    }

    fn shortcut(&mut self, x: &Tensor, shortcut: &Shortcut, wanted: usize, stride: usize) -> Tensor {
        match shortcut {
            Shortcut::Identity => x.clone(),
            Shortcut::Conv(c) => self.conv(x, &Conv { width: wanted, ..c.clone() }, stride),
            Shortcut::Pool(c) => {
                let n = self.axes;
                let windows = [ints("kernel_shape", &vec![2; n]), ints("strides", &vec![stride as i64; n])];
                let attributes = match stride {
                    // The size must be kept: one more entry behind.
                    1 => {
                        let pads = [vec![0; n], vec![1; n]].concat();
                        [&windows[..], &[ints("pads", &pads), int("count_include_pad", 1)]].concat()
                    }
                    _ => [&windows[..], &[int("ceil_mode", 1)]].concat(),
                };
                let pooled = Tensor { name: self.b.node("AveragePool", &[&x.name], attributes), ..x.clone() };
                self.size = self.size.div_ceil(stride);
                self.conv(&pooled, &Conv { width: wanted, kernel: 1, ..c.clone() }, 1)
            }
            Shortcut::DepthwiseThenConv(a, c) => {
                let depthwise = Conv { group: Group::Depthwise, width: x.channels, ..a.clone() };
                let y = self.conv(x, &depthwise, stride);
                self.conv(&y, &Conv { width: wanted, kernel: 1, ..c.clone() }, 1)
            }
            Shortcut::OptionA => {
                let axes: Vec<i64> = (2..self.axes as i64 + 2).collect();
                let n = self.axes;
                let (starts, ends) = (self.b.ints(&vec![0; n]), self.b.ints(&vec![i64::MAX; n]));
                let (axes, steps) = (self.b.ints(&axes), self.b.ints(&vec![stride as i64; n]));
                let s = self.b.node("Slice", &[&x.name, &starts, &ends, &axes, &steps], vec![]);
                let more = (wanted - x.channels) as i64;
                let mut pads = vec![0; 2 * (n + 2)];
                (pads[1], pads[n + 3]) = (more / 2, more - more / 2);
                let pads = self.b.ints(&pads);
                self.map("Pad", &[&s, &pads], wanted)
            }
            Shortcut::Scaled => {
                let mut shape = vec![1; self.axes + 1];
                shape[0] = x.channels;
                let k = self.b.random(&shape, 1.0);
                self.map("Mul", &[&k, &x.name], x.channels)
            }
            Shortcut::Norm => self.norm(x),
            Shortcut::Mean => self.pool(x),
            Shortcut::Dip(by) => self.dip(x, *by),
        }
    }

    fn step(&mut self, x: Tensor, step: &Step) -> Tensor {
        match step {
            Step::Conv(c) => self.conv(&x, c, 1),
            Step::Act(act) => self.act(&x, *act),
            Step::Norm => self.norm(&x),
            Step::Scale => {
                let k = self.b.scalar(0.75);
                self.map("Mul", &[&x.name, &k], x.channels)
            }
            Step::Gate(shifts) => self.gate(&x, *shifts),
            Step::PixelGate => self.pixel_gate(&x),
            Step::Product => {
                let (p, q) = (self.plain(&x, x.channels, 1, 1), self.plain(&x, x.channels, 3, 1));
                let q = self.b.node("Sigmoid", &[&q.name], vec![]);
                self.map("Mul", &[&p.name, &q], x.channels)
            }
            Step::Halves(turned) if x.channels.is_multiple_of(2) => {
                let half = (x.channels / 2) as i64;
                let parts = self.b.split(&x.name, &[half, half]);
                if *turned {
                    return Tensor { name: self.b.concat(&[&parts[1], &parts[0]]), ..x };
                }
                self.map("Mul", &[&parts[0], &parts[1]], x.channels / 2)
            }
            Step::Halves(_) => x,
            Step::Part(at, c) => self.part(&x, *at, c),
            Step::Cascade => self.cascade(&x),
            Step::Shuffle => self.shuffle(&x),
            Step::Pad(mode, by) => self.padded(&x, mode, (*by).min(self.size - 1)),
            Step::Causal(by) => self.causal(&x, *by),
            Step::Pool => self.pool(&x),
            Step::Dip(by) => self.dip(&x, *by),
            Step::Weighted => self.weighted(&x),
            Step::Inner(steps) => {
                let y = steps.iter().fold(x.clone(), |y, s| self.step(y, s));
                let y = self.plain(&y, x.channels, 3, 1);
                self.map("Add", &[&y.name, &x.name], x.channels)
            }
            Step::Pair => {
                let (p, q) = (self.plain(&x, x.channels, 3, 1), self.plain(&x, x.channels, 1, 1));
                self.map("Add", &[&p.name, &q.name], x.channels)
            }
        }
    }

    fn plain(&mut self, x: &Tensor, width: usize, kernel: usize, group: usize) -> Tensor {
        let args =
            ConvArgs { kernel: vec![kernel; self.axes], group, ..crate::common::conv(x.channels, width, kernel) };
        Tensor { name: self.b.conv(&x.name, &args), channels: width }
    }

    fn conv(&mut self, x: &Tensor, c: &Conv, stride: usize) -> Tensor {
        let (width, group) = match c.group {
            Group::One => (c.width, 1),
            Group::Some => (c.width, gcd(x.channels, c.width)),
            Group::Depthwise if c.width.is_multiple_of(x.channels) => (c.width, x.channels),
            Group::Depthwise => (c.width, gcd(x.channels, c.width)),
        };
        let reach = c.dilation * (c.kernel - 1);
        let front = (0..self.axes).map(|a| if c.front[a] == usize::MAX { reach / 2 } else { c.front[a] % (reach + 1) });
        let front: Vec<usize> = front.collect();
        let pads: Vec<i64> = front.iter().map(|f| *f as i64).chain(front.iter().map(|f| (reach - f) as i64)).collect();
        let args = ConvArgs {
            kernel: vec![c.kernel; self.axes],
            stride,
            dilation: c.dilation,
            group,
            bias: c.bias,
            pads: Some(pads),
            ..crate::common::conv(x.channels, width, 1)
        };
        let mut shape = vec![width, x.channels / group];
        shape.extend(&args.kernel);
        let name = match self.shared.get(&shape).filter(|_| c.share) {
            Some(weight) => self.b.conv_with(&[&x.name, &weight.clone()], &args),
            None => self.b.conv(&x.name, &args),
        };
        let weight = self.b.graph.node.last().map(|n| n.input[1].clone()).unwrap_or_default();
        self.shared.insert(shape, weight);
        Tensor { name, channels: width }
    }

    pub fn norm(&mut self, x: &Tensor) -> Tensor {
        Tensor { name: self.b.batch_norm(&x.name, x.channels), ..x.clone() }
    }

    pub fn act(&mut self, x: &Tensor, act: Act) -> Tensor {
        let b = &mut self.b;
        let y = x.name.as_str();
        let name = match act {
            Act::Relu => b.relu(y),
            Act::Leaky(slope) => b.node("LeakyRelu", &[y], vec![float("alpha", slope)]),
            Act::Slopes => {
                let mut shape = vec![1; self.axes + 1];
                shape[0] = x.channels;
                let slope = b.random(&shape, 1.0);
                b.node("PRelu", &[y, &slope], vec![])
            }
            Act::Clip(lo, hi) => {
                let (lo, hi) = (b.scalar(lo.into()), b.scalar(hi.into()));
                b.node("Clip", &[y, &lo, &hi], vec![])
            }
            Act::Max(lo) => {
                let lo = b.scalar(lo.into());
                b.node("Max", &[&lo, y], vec![])
            }
            Act::Silu => {
                let s = b.node("Sigmoid", &[y], vec![]);
                b.node("Mul", &[&s, y], vec![])
            }
            Act::HardSwish => b.node("HardSwish", &[y], vec![]),
            Act::HardSwishWritten => {
                let [three, zero, six] = [3.0, 0.0, 6.0].map(|v| b.scalar(v));
                let t = b.node("Add", &[y, &three], vec![]);
                let t = b.node("Clip", &[&t, &zero, &six], vec![]);
                let t = b.node("Div", &[&t, &six], vec![]);
                b.node("Mul", &[y, &t], vec![])
            }
            Act::Gelu => {
                let [root, one, half] = [std::f64::consts::SQRT_2, 1.0, 0.5].map(|v| b.scalar(v));
                let t = b.node("Div", &[y, &root], vec![]);
                let t = b.node("Erf", &[&t], vec![]);
                let t = b.node("Add", &[&t, &one], vec![]);
                let t = b.node("Mul", &[y, &t], vec![]);
                b.node("Mul", &[&t, &half], vec![])
            }
            Act::Mish => {
                let t = b.node("Softplus", &[y], vec![]);
                let t = b.node("Tanh", &[&t], vec![]);
                b.node("Mul", &[y, &t], vec![])
            }
            Act::QuickGelu => {
                let k = b.scalar(1.702);
                let t = b.node("Mul", &[y, &k], vec![]);
                let t = b.node("Sigmoid", &[&t], vec![]);
                b.node("Mul", &[y, &t], vec![])
            }
            Act::Elu => b.node("Elu", &[y], vec![]),
            Act::Tanh => b.node("Tanh", &[y], vec![]),
            Act::Softplus => b.node("Softplus", &[y], vec![]),
            Act::NoName => {
                let t = b.node("Abs", &[y], vec![]);
                let t = b.node("Neg", &[&t], vec![]);
                let t = b.node("Exp", &[&t], vec![]);
                b.node("Sub", &[y, &t], vec![])
            }
        };
        Tensor { name, channels: x.channels }
    }

    fn gate(&mut self, x: &Tensor, shifts: bool) -> Tensor {
        let mean = self.map("GlobalAveragePool", &[&x.name], x.channels);
        let g = self.plain(&mean, x.channels, 1, 1);
        let g = self.b.node("Sigmoid", &[&g.name], vec![]);
        let y = self.map("Mul", &[&x.name, &g], x.channels);
        if !shifts {
            return y;
        }
        let shift = self.plain(&mean, x.channels, 1, 1);
        self.map("Add", &[&shift.name, &y.name], x.channels)
    }

    fn pixel_gate(&mut self, x: &Tensor) -> Tensor {
        let over = |b: &mut Build, op: &str| b.node(op, &[&x.name], vec![ints("axes", &[1])]);
        let (mean, largest) = (over(&mut self.b, "ReduceMean"), over(&mut self.b, "ReduceMax"));
        let both = Tensor { name: self.b.concat(&[&mean, &largest]), channels: 2 };
        let g = self.plain(&both, 1, 3, 1);
        let g = self.b.node("Sigmoid", &[&g.name], vec![]);
        self.map("Mul", &[&x.name, &g], x.channels)
    }

    /// Channels `from..to`.
    fn range(&mut self, x: &Tensor, from: usize, to: usize) -> Tensor {
        Tensor { name: self.b.slice(&x.name, from as i64, to as i64), channels: to - from }
    }

    fn part(&mut self, x: &Tensor, at: usize, c: &Conv) -> Tensor {
        if x.channels < 2 {
            return x.clone();
        }
        let at = 1 + at % (x.channels - 1);
        let (p, q) = (self.range(x, 0, at), self.range(x, at, x.channels));
        let q = self.conv(&q, c, 1);
        let sides = if c.bias { [&p.name, &q.name] } else { [&q.name, &p.name] };
        Tensor { name: self.b.concat(&sides.map(String::as_str)), channels: p.channels + q.channels }
    }

    fn cascade(&mut self, x: &Tensor) -> Tensor {
        let each = x.channels / 4;
        if each == 0 {
            return x.clone();
        }
        let widths = [each, each, each, x.channels - 3 * each];
        let parts = self.b.split(&x.name, &widths.map(|w| w as i64));
        let mut done = vec![parts[3].clone()];
        let mut last: Option<String> = None;
        for part in &parts[..3] {
            let from = last.map_or_else(|| part.clone(), |l| self.b.add(&l, part));
            let y = self.plain(&Tensor { name: from, channels: each }, each, 3, 1);
            let y = self.act(&y, Act::Relu);
            done.push(y.name.clone());
            last = Some(y.name);
        }
        let names: Vec<&str> = done.iter().map(String::as_str).collect();
        Tensor { name: self.b.concat(&names), channels: x.channels }
    }

    fn shuffle(&mut self, x: &Tensor) -> Tensor {
        let Some(groups) = [3, 2].into_iter().find(|g| x.channels.is_multiple_of(*g) && x.channels > *g) else {
            return x.clone();
        };
        let spatial = vec![self.size as i64; self.axes];
        let parted = [vec![0, groups as i64, (x.channels / groups) as i64], spatial.clone()].concat();
        let whole = [vec![0, x.channels as i64], spatial].concat();
        let (parted, whole) = (self.b.ints(&parted), self.b.ints(&whole));
        let y = self.b.node("Reshape", &[&x.name, &parted], vec![]);
        let perm: Vec<i64> = [0, 2, 1].into_iter().chain(3..self.axes as i64 + 3).collect();
        let y = self.b.node("Transpose", &[&y], vec![ints("perm", &perm)]);
        self.map("Reshape", &[&y, &whole], x.channels)
    }

    fn padded(&mut self, x: &Tensor, mode: &str, by: usize) -> Tensor {
        let side: Vec<i64> = [0, 0].into_iter().chain(vec![by as i64; self.axes]).collect();
        let pads = self.b.ints(&[side.clone(), side].concat());
        let fill = self.b.scalar(0.5);
        let inputs = [&x.name, &pads, &fill].map(String::as_str);
        let inputs = if mode == "constant" { &inputs[..] } else { &inputs[..2] };
        let y = self.b.node("Pad", inputs, vec![string("mode", mode)]);
        let kernel = vec![2 * by + 1; self.axes];
        let args = ConvArgs { kernel, pad: 0, ..crate::common::conv(x.channels, x.channels, 1) };
        Tensor { name: self.b.conv(&y, &args), channels: x.channels }
    }

    fn causal(&mut self, x: &Tensor, by: usize) -> Tensor {
        let kernel = vec![by + 1; self.axes];
        let args = ConvArgs { kernel, pad: by, ..crate::common::conv(x.channels, x.channels, 1) };
        let y = self.b.conv(&x.name, &args);
        let axes: Vec<i64> = (2..self.axes as i64 + 2).collect();
        let (starts, ends) = (self.b.ints(&vec![0; self.axes]), self.b.ints(&vec![-(by as i64); self.axes]));
        let axes = self.b.ints(&axes);
        self.map("Slice", &[&y, &starts, &ends, &axes], x.channels)
    }

    fn dip(&mut self, x: &Tensor, by: usize) -> Tensor {
        let by = by.min(self.size - 1);
        let args = ConvArgs { kernel: vec![by + 1; self.axes], ..crate::common::conv(x.channels, x.channels, 1) };
        let y = self.b.conv(&x.name, &args.clone().pad(0));
        Tensor { name: self.b.conv(&y, &args.pad(by)), ..x.clone() }
    }

    fn pool(&mut self, x: &Tensor) -> Tensor {
        let n = self.axes;
        let pool = vec![ints("kernel_shape", &vec![3; n]), ints("pads", &vec![1; 2 * n]), int("count_include_pad", 1)];
        Tensor { name: self.b.node("AveragePool", &[&x.name], pool), channels: x.channels }
    }

    fn weighted(&mut self, x: &Tensor) -> Tensor {
        let (p, q) = (self.plain(x, x.channels, 3, 1), self.plain(x, x.channels, 1, 1));
        let mean = self.map("GlobalAveragePool", &[&x.name], x.channels);
        let g = self.plain(&mean, 2 * x.channels, 1, 1);
        let shape = [vec![0, 2, x.channels as i64], vec![1; self.axes]].concat();
        let (shape, axis) = (self.b.ints(&shape), self.b.ints(&[1]));
        let g = self.b.node("Reshape", &[&g.name, &shape], vec![]);
        let g = self.b.node("Softmax", &[&g], vec![int("axis", 1)]);
        let (u, v) =
            (self.b.node("Unsqueeze", &[&p.name, &axis], vec![]), self.b.node("Unsqueeze", &[&q.name, &axis], vec![]));
        let stack = self.b.concat(&[&u, &v]);
        let y = self.b.node("Mul", &[&stack, &g], vec![]);
        Tensor { name: self.b.node("ReduceSum", &[&y, &axis], vec![int("keepdims", 0)]), channels: x.channels }
    }
}
