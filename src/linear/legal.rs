//! A convolution as a target wants it: with as many zeros on both ends of every axis, and with every attribute said.
//!
//! More zeros on one end are undone by taps of zero there: the window grows by as much, and gives the same output at every place.

use crate::algebra::{Geometry, Kernel};
use crate::emit::{Emit, int, ints};
use crate::facts::{ConvSpec, Dim, tensor};
use crate::graph::{EditList, Names, NodeId};
use crate::options::Pads;
use crate::read::conv::window;
use crate::read::{Context, Reject, RejectCode};

/// The attributes of a convolution that have defaults.
const ATTRIBUTES: [&str; 5] = ["dilations", "group", "kernel_shape", "pads", "strides"];

/// A convolution that can be written otherwise.
pub struct Legal {
    /// Its node.
    pub node: NodeId,
    /// Its weights, once the window is larger.
    kernel: Option<Kernel>,
    spec: ConvSpec,
    window: Geometry,
    /// True when its pads change.
    pub is_padded: bool,
}

/// True when something is asked of convolutions.
#[must_use]
pub fn is_asked(cx: Context<'_>) -> bool {
    cx.options.pads == Pads::Symmetric || cx.options.target.wants_attributes()
}

/// The convolution at `node`, when it is not as it should be.
///
/// # Errors
/// Why it stays.
#[must_use]
pub fn find(cx: Context<'_>, node: NodeId) -> Option<Result<Legal, Reject>> {
    if cx.view.op(node) != "Conv" {
        return None;
    }
    let spec = match ConvSpec::new(cx.view, cx.facts, node) {
        Ok(spec) => spec,
        Err(error) => return Some(Err(Reject::at(cx.view, node, RejectCode::SizeUnknown, error.reason))),
    };
    let own = window(&spec);
    let is_uneven = cx.options.pads == Pads::Symmetric && own.pad_begin != own.pad_end;
    let implicit = matches!(cx.view.attr_s(node, "auto_pad"), Some(word) if !matches!(word, b"" | b"NOTSET"));
    let says = |name: &&str| cx.view.node(node).attribute.iter().any(|a| a.name() == *name);
    let is_silent = cx.options.target.wants_attributes() && (implicit || !ATTRIBUTES.iter().all(says));
    if !is_uneven && !is_silent {
        return None;
    }
    let plain = Legal { node, kernel: None, window: own.clone(), spec, is_padded: false };
    Some(if is_uneven { symmetric(cx, plain, &own) } else { Ok(plain) })
}

fn symmetric(cx: Context<'_>, plain: Legal, own: &Geometry) -> Result<Legal, Reject> {
    let refuse = |code, reason: &str| Err(Reject::at(cx.view, plain.node, code, reason));
    let shape = cx.view.input(plain.node, 0).and_then(|v| cx.facts.shape(v)).unwrap_or_default();
    let size: Vec<Option<i64>> = shape.iter().skip(2).map(Dim::known).collect();
    let Some(window) = own.symmetric(&size) else {
        return refuse(RejectCode::TooLarge, "its window would be very large with as many zeros on both ends");
    };
    if window.kernel == own.kernel && window.dilation == own.dilation {
        return Ok(Legal { window, is_padded: true, ..plain });
    }
    let entries = (plain.spec.in_channels / plain.spec.group.max(1)).saturating_mul(plain.spec.out_channels);
    let entries = entries.saturating_mul(window.taps());
    if entries > cx.most_weights {
        return refuse(RejectCode::TooLarge, &cx.too_large("with as many zeros on both ends it", entries));
    }
    let Some(weight) = cx.facts.constant(plain.spec.weight) else {
        let reason = "its pads differ between the ends, and the weight that would get taps of zero is not a constant";
        return refuse(RejectCode::WeightNotConstant, reason);
    };
    let kernel = Kernel { weight: weight.data.clone(), bias: None, group: plain.spec.group };
    match kernel.placed_in(own, &window) {
        Some(kernel) => Ok(Legal { kernel: Some(kernel), window, is_padded: true, ..plain }),
        None => Err(Reject::broken(cx.view, plain.spec.weight, "a window that does not hold the one it was made of")),
    }
}

impl Legal {
    /// Weights before and after.
    #[must_use]
    pub fn weights(&self) -> (usize, usize) {
        let channels = self.spec.in_channels / self.spec.group.max(1) * self.spec.out_channels;
        (channels * self.spec.kernel.iter().product::<usize>(), channels * self.window.taps())
    }

    /// True when the weights stay.
    #[must_use]
    pub fn keeps_weights(&self) -> bool {
        self.kernel.is_none()
    }

    /// The edit. `None` when the type of the weights is not known.
    #[must_use]
    pub fn build(&self, cx: Context<'_>, names: &mut Names) -> Option<EditList> {
        let view = cx.view;
        let mut node = view.node(self.node).clone();
        let dtype = cx.facts.float_type([self.spec.weight, view.output(self.node)?])?;
        let site = if node.name().is_empty() { view.name(view.output(self.node)?) } else { node.name() };
        let mut emit = Emit::new(names, dtype, self.window.axes(), format!("legalize: {site}"));
        if let Some(kernel) = &self.kernel {
            if !tensor::fits(dtype, kernel.weight.iter()) {
                return None;
            }
            *node.input.get_mut(1)? = emit.constant(view.name(self.spec.weight), &kernel.weight);
        }
        let list = |v: &[usize]| v.iter().map(|x| *x as i64).collect::<Vec<_>>();
        let window = &self.window;
        let said = [
            ints("dilations", list(&window.dilation)),
            int("group", self.spec.group as i64),
            ints("kernel_shape", list(&window.kernel)),
            ints("pads", [list(&window.pad_begin), list(&window.pad_end)].concat()),
            ints("strides", list(&window.stride)),
        ];
        node.attribute.retain(|a| a.name() != "auto_pad" && !ATTRIBUTES.contains(&a.name()));
        node.attribute.extend(said);
        emit.edits.remove = vec![self.node];
        emit.edits.add_nodes.push(node);
        Some(emit.edits)
    }
}
