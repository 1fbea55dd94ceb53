//! `Pad` on the spatial axes in front of a convolution. Carried channels pass it whatever it pads with: it only moves
//! them, and the Dirac tap of the convolution behind it stands on the entries between.

use crate::algebra::Slot;
use crate::facts::Padding;
use crate::graph::{NodeId, ValueId};
use crate::residual::emit::Emit;
use crate::residual::reject::Reject;

use super::{Arrival, Context, Form, Found, Pass, Reading, Step, found, moved};

/// Most entries added at one side; keeps sums of them far from overflow.
const MOST: usize = 1 << 20;

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    if !cx.is_maps() || cx.view.op(node) != "Pad" {
        return None;
    }
    let padding = Padding::new(cx.view, cx.facts, node)?;
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
