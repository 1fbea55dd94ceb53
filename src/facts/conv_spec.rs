//! A `Conv` with every default filled in (ONNX `Conv`, opsets 1, 11 and 22).

use crate::graph::{GraphView, NodeId, ValueId};

use super::{Dim, Facts};

/// Why a convolution cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ConvSpecError {
    /// In words.
    pub reason: String,
}

fn fail<T>(reason: impl Into<String>) -> Result<T, ConvSpecError> {
    Err(ConvSpecError { reason: reason.into() })
}

/// A normalised convolution over one or more spatial axes.
#[derive(Clone, Debug)]
pub struct ConvSpec {
    /// `[out, in / group, k...]`.
    pub weight: ValueId,
    /// `[out]`.
    pub bias: Option<ValueId>,
    /// Output channels.
    pub out_channels: usize,
    /// Input channels over all groups.
    pub in_channels: usize,
    /// Groups.
    pub group: usize,
    /// Taps along each axis.
    pub kernel: Vec<usize>,
    /// Steps.
    pub stride: Vec<usize>,
    /// Steps between taps.
    pub dilation: Vec<usize>,
    /// Zeros in front.
    pub pad_begin: Vec<usize>,
    /// Zeros behind.
    pub pad_end: Vec<usize>,
}

/// Largest attribute that is taken seriously; keeps every sum of them far from overflow.
const MAX_SIZE: i64 = 1 << 24;

impl ConvSpec {
    /// Reads the `Conv` at `node`.
    ///
    /// # Errors
    /// What is wrong with it, or what is not known of it.
    pub fn new(view: &GraphView<'_>, facts: &Facts<'_>, node: NodeId) -> Result<Self, ConvSpecError> {
        let Some(weight) = view.input(node, 1) else { return fail("the convolution has no weight") };
        let Some(dims) = shape_of(facts, weight) else {
            return fail(format!("the shape of weight '{}' is not known", view.name(weight)));
        };
        if dims.len() < 3 || dims.contains(&0) {
            return fail(format!("weight '{}' has shape {dims:?}: not a convolution's", view.name(weight)));
        }
        let axes = dims.len() - 2;
        let group = view.attr_i(node, "group").unwrap_or(1);
        let Some(group) = usize::try_from(group).ok().filter(|g| *g > 0 && dims[0] % g == 0) else {
            return fail(format!("group {group} does not divide the {} output channels", dims[0]));
        };
        let Some(in_channels) = dims[1].checked_mul(group) else { return fail("too many input channels") };
        let input = view.input(node, 0);
        if let Some(found) = input.and_then(|v| facts.channels(v))
            && found != in_channels
        {
            return fail(format!("the weight asks for {in_channels} input channels, the input has {found}"));
        }
        let bias = view.input(node, 2);
        if let Some(b) = bias
            && shape_of(facts, b).is_none_or(|s| s != [dims[0]])
        {
            return fail(format!("bias '{}' does not have {} entries", view.name(b), dims[0]));
        }
        let kernel = dims[2..].to_vec();
        let list = |name: &str, default: i64, length: usize, least: i64| -> Result<Vec<usize>, ConvSpecError> {
            let Some(values) = view.attr_ints(node, name) else { return Ok(vec![default as usize; length]) };
            if values.len() != length || values.iter().any(|v| !(least..=MAX_SIZE).contains(v)) {
                return fail(format!(
                    "attribute {name} is {values:?}: {length} entries of at least {least} are needed"
                ));
            }
            Ok(values.iter().map(|v| *v as usize).collect())
        };
        if list("kernel_shape", 1, axes, 1)? != kernel && view.attr_ints(node, "kernel_shape").is_some() {
            return fail(format!("kernel_shape differs from the weight's {kernel:?}"));
        }
        let stride = list("strides", 1, axes, 1)?;
        let dilation = list("dilations", 1, axes, 1)?;
        let (pad_begin, pad_end) = match view.attr_s(node, "auto_pad") {
            None | Some(b"NOTSET" | b"") => {
                let pads = list("pads", 0, 2 * axes, 0)?;
                (pads[..axes].to_vec(), pads[axes..].to_vec())
            }
            Some(b"VALID") => (vec![0; axes], vec![0; axes]),
            Some(b"SAME_UPPER") => same(facts, input, &kernel, &stride, &dilation, false)?,
            Some(b"SAME_LOWER") => same(facts, input, &kernel, &stride, &dilation, true)?,
            Some(other) => return fail(format!("auto_pad '{}' is not known", String::from_utf8_lossy(other))),
        };
        Ok(Self {
            weight,
            bias,
            out_channels: dims[0],
            in_channels,
            group,
            kernel,
            stride,
            dilation,
            pad_begin,
            pad_end,
        })
    }
}

fn shape_of(facts: &Facts<'_>, value: ValueId) -> Option<Vec<usize>> {
    facts.shape(value)?.iter().map(|d| usize::try_from(d.known()?).ok()).collect()
}

type Pads = (Vec<usize>, Vec<usize>);

/// `SAME_*`: the output has `ceil(in / stride)` entries; an odd total leaves the extra zero behind, or in front.
fn same(
    facts: &Facts<'_>,
    input: Option<ValueId>,
    kernel: &[usize],
    stride: &[usize],
    dilation: &[usize],
    lower: bool,
) -> Result<Pads, ConvSpecError> {
    let mut pads = (Vec::new(), Vec::new());
    for axis in 0..kernel.len() {
        let reach = (kernel[axis] - 1) * dilation[axis];
        let total = if stride[axis] == 1 {
            reach
        } else {
            let size = input.and_then(|v| facts.shape(v)).and_then(|s| s.get(axis + 2)).and_then(Dim::known);
            let Some(size) = size.and_then(|n| usize::try_from(n).ok()) else {
                return fail("auto_pad SAME with a stride depends on the input size, which is not known");
            };
            let outputs = size.div_ceil(stride[axis]);
            (outputs.saturating_sub(1) * stride[axis] + reach + 1).saturating_sub(size)
        };
        let (small, large) = (total / 2, total - total / 2);
        pads.0.push(if lower { large } else { small });
        pads.1.push(if lower { small } else { large });
    }
    Ok(pads)
}
