//! `Pad` on the spatial axes in front of a convolution. Carried channels pass it whatever it pads with: it only moves
//! them, and the Dirac tap of the convolution behind it stands on the entries between.

use crate::algebra::Slot;
use crate::graph::{NodeId, ValueId};
use crate::residual::emit::Emit;
use crate::residual::reject::Reject;

use super::{Arrival, Context, Form, Found, Pass, Reading, Step, found, moved};

/// What a `Pad` adds along each axis, in front and behind (ONNX `Pad`, all opsets).
pub(crate) struct Padding {
    /// One pair an axis; an entry may be negative.
    pub axes: Vec<(i64, i64)>,
    /// The value, when the mode is `constant` and the value is known.
    pub fill: Option<f64>,
}

impl Padding {
    /// Reads the `Pad` at `node`; `None` when its pads are not constant.
    pub(crate) fn new(cx: Context<'_>, node: NodeId) -> Option<Self> {
        let view = cx.view;
        let rank = cx.facts.rank(view.input(node, 0)?)?;
        let (pads, fill): (Vec<i64>, Option<f64>) = if view.opset() < 11 {
            let name = if view.opset() < 2 { "paddings" } else { "pads" };
            (view.attr_ints(node, name)?.to_vec(), Some(f64::from(view.attr_f(node, "value").unwrap_or(0.0))))
        } else {
            let pads = cx.facts.constant(view.input(node, 1)?)?.data.iter().map(|v| *v as i64).collect();
            let fill = match view.input(node, 2) {
                Some(v) => cx.facts.constant(v)?.data.iter().copied().next(),
                None => Some(0.0),
            };
            (pads, fill)
        };
        let constant = matches!(view.attr_s(node, "mode"), None | Some(b"constant"));
        let listed: Vec<usize> = match view.input(node, 3) {
            None => (0..rank).collect(),
            Some(v) => cx
                .facts
                .constant(v)?
                .data
                .iter()
                .map(|a| usize::try_from(if *a < 0.0 { *a as i64 + rank as i64 } else { *a as i64 }).ok())
                .collect::<Option<_>>()?,
        };
        if pads.len() != 2 * listed.len() {
            return None;
        }
        let mut axes = vec![(0, 0); rank];
        for (i, axis) in listed.iter().enumerate() {
            *axes.get_mut(*axis)? = (pads[i], pads[i + listed.len()]);
        }
        Some(Self { axes, fill: fill.filter(|_| constant) })
    }
}

/// Most entries added at one side; keeps sums of them far from overflow.
const MOST: usize = 1 << 20;

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    if cx.view.op(node) != "Pad" {
        return None;
    }
    let padding = Padding::new(cx, node)?;
    let count = |n: i64| usize::try_from(n).ok().filter(|n| *n <= MOST);
    let (outer, spatial) = padding.axes.split_at_checked(2)?;
    if outer.iter().any(|p| *p != (0, 0)) {
        return None;
    }
    let added: Vec<(usize, usize)> =
        spatial.iter().map(|(a, b)| Some((count(*a)?, count(*b)?))).collect::<Option<_>>()?;
    found(Reading::one(cx, node, 0, Step::Pass(Box::new(Padded { node, added }))))
}

struct Padded {
    node: NodeId,
    added: Vec<(usize, usize)>,
}

impl Pass for Padded {
    fn form(&self, cx: Context<'_>, arrival: Arrival) -> Result<Form, Reject> {
        moved(cx, self.node, arrival)
    }

    fn moves_only(&self) -> bool {
        true
    }

    fn padding(&self) -> &[(usize, usize)] {
        &self.added
    }

    fn emit(&self, cx: Context<'_>, emit: &mut Emit<'_>, _: Form, input: &str, _: &[Slot], output: &str) {
        let node = cx.view.node(self.node);
        let mut inputs: Vec<&str> = node.input.iter().map(String::as_str).collect();
        inputs[0] = input;
        emit.copy(node, &inputs, output);
    }
}
