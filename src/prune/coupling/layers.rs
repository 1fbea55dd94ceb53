//! Layers with weights: they start new channels.

use crate::facts::ConvSpec;
use crate::graph::NodeId;
use crate::read::conv::window;
use crate::read::layer;

use super::{Builder, Count, Cut, Form, Layer};

impl Builder<'_> {
    /// A `Conv`. The groups of a grouped one stay equally large. A depthwise one hands channels on.
    pub(super) fn conv(&mut self, node: NodeId) -> Option<()> {
        let cx = self.cx;
        let spec = ConvSpec::new(cx.view, cx.facts, node).ok()?;
        let read = self.input(node, 0)?;
        let constant = cx.facts.is_constant(spec.weight) && spec.bias.is_none_or(|b| cx.facts.is_constant(b));
        let empty = read.len() < spec.group || spec.out_channels < spec.group;
        if !constant || empty || read.len() != spec.in_channels {
            return None;
        }
        let each = spec.in_channels / spec.group;
        let depthwise = each == 1 && spec.group > 1;
        let outputs = if depthwise {
            read.iter().flat_map(|c| std::iter::repeat_n(*c, spec.out_channels / spec.group)).collect()
        } else {
            self.fresh(spec.out_channels)
        };
        self.give(node, outputs.clone())?;
        self.cut(node, 1, 0, &outputs);
        if spec.bias.is_some() {
            self.cut(node, 2, 0, &outputs);
        }
        if spec.group > 1 {
            self.counts.insert(node, Count::Groups { read: read.clone(), each });
        }
        if !depthwise {
            self.cuts.push(Cut { node, slot: 1, axis: 1, channels: read.clone(), entries: each });
        }
        if spec.group > 1 && !depthwise {
            self.grids.add(&read, &outputs, spec.group);
        }
        let inputs = if depthwise { Vec::new() } else { read };
        let taps = spec.kernel.iter().product();
        let (form, group) = (Form::Conv(window(&spec)), spec.group);
        let layer = Layer { node, form, inputs, outputs, group, taps, depthwise, has_bias: true, refits: !depthwise };
        self.layers.push(layer);
        Some(())
    }

    /// A `ConvTranspose` without groups, or depthwise.
    pub(super) fn transposed(&mut self, node: NodeId) -> Option<()> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let weight = view.input(node, 1)?;
        let bias = view.input(node, 2);
        let shape = facts.constant_shape(weight)?;
        let read = self.input(node, 0)?;
        let group = usize::try_from(view.attr_i(node, "group").unwrap_or(1)).ok()?;
        let (&[inputs, outputs, ..], true) = (shape.as_slice(), facts.is_constant(weight)) else { return None };
        let depthwise = group == inputs && outputs == 1 && group > 1;
        if inputs != read.len() || !(group == 1 || depthwise) || bias.is_some_and(|b| !facts.is_constant(b)) {
            return None;
        }
        let given = if depthwise { read.clone() } else { self.fresh(outputs) };
        self.give(node, given.clone())?;
        self.cut(node, 1, 0, &read);
        if bias.is_some() {
            self.cut(node, 2, 0, &given);
        }
        if depthwise {
            self.counts.insert(node, Count::Groups { read: read.clone(), each: 1 });
        } else {
            self.cut(node, 1, 1, &given);
        }
        let taps = shape.iter().skip(2).product();
        let (form, inputs, outputs) = (Form::Transposed, if depthwise { Vec::new() } else { read }, given);
        let layer = Layer { node, form, inputs, outputs, group, taps, depthwise, has_bias: true, refits: false };
        self.layers.push(layer);
        Some(())
    }

    /// `Gemm`, or `MatMul` with a matrix, on `[images, features]`.
    pub(super) fn linear(&mut self, node: NodeId) -> Option<()> {
        let (view, facts) = (self.cx.view, self.cx.facts);
        let input = view.input(node, 0)?;
        let read = self.of(input).filter(|_| facts.rank(input) == Some(2))?;
        let layer = layer::Layer::given(self.cx, node).filter(|l| l.channels.0 == read.len())?;
        let outputs = self.fresh(layer.channels.1);
        self.give(node, outputs.clone())?;
        let input_axis = 1 - layer.output_axis();
        self.cut(node, 1, input_axis, &read);
        self.cut(node, 1, layer.output_axis(), &outputs);
        let gemm = view.op(node) == "Gemm";
        if let Some(bias) = view.input(node, 2) {
            // One value for all stays; else they stand on the last axis.
            let shape = facts.constant_shape(bias)?;
            if shape.last() == Some(&outputs.len()) && outputs.len() > 1 {
                self.cut(node, 2, shape.len() - 1, &outputs);
            }
        }
        let plain = |name| view.attr_f(node, name).is_none_or(|f| f == 1.0);
        let whole = view.input(node, 2).is_none_or(|b| facts.constant_shape(b) == Some(vec![outputs.len()]));
        let refits = plain("alpha") && plain("beta") && whole;
        let (form, group, taps) = (Form::Linear { input_axis }, 1, 1);
        let layer = Layer { node, form, inputs: read, outputs, group, taps, depthwise: false, has_bias: gemm, refits };
        self.layers.push(layer);
        Some(())
    }
}
