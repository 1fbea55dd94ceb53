//! A linear layer at every position: `Transpose` to channels last, `MatMul` with a constant (and `Add` of a bias),
//! `Transpose` back. It is a 1x1 convolution, and as such it is widened.

use crate::graph::{NodeId, Use, ValueId};
use crate::read::layer::Layer;
use crate::read::{BranchConv, Context, Frame};

use super::{Found, Reading, Step, found};

pub(crate) fn read(cx: Context<'_>, node: NodeId, _: ValueId) -> Found {
    let view = cx.view;
    let before = |value: Option<ValueId>, op: &str| view.def(value?).filter(|n| view.op(*n) == op);
    if !cx.is_channels_first() || view.op(node) != "Transpose" {
        return None;
    }
    let rank = cx.facts.rank(view.output(node)?)?;
    // [N, C, ...] to [N, ..., C] and back.
    let last = 2..rank as i64;
    let there: Vec<i64> = [0].into_iter().chain(last).chain([1]).collect();
    let back: Vec<i64> = [0, rank as i64 - 1].into_iter().chain(1..rank as i64 - 1).collect();
    if rank < 3 || view.attr_ints(node, "perm")? != back {
        return None;
    }
    let result = view.input(node, 0);
    let add = before(result, "Add");
    let (product, bias) = match add {
        Some(add) => {
            let (a, b) = (view.input(add, 0)?, view.input(add, 1)?);
            if cx.facts.is_data(a) { (Some(a), Some(b)) } else { (Some(b), Some(a)) }
        }
        None => (result, None),
    };
    let matmul = before(product, "MatMul")?;
    let transpose = before(view.input(matmul, 0), "Transpose")?;
    if view.attr_ints(transpose, "perm")? != there {
        return None;
    }
    let input = view.input(transpose, 0)?;
    let layer = Layer::new(cx.within(Frame::ChannelsLast), matmul)?.biased(cx, bias)?;
    let conv = BranchConv::layer(cx, layer, rank - 2);
    let nodes = [Some(transpose), Some(matmul), add, Some(node)].into_iter().flatten().collect();
    let reads = vec![Use { node: transpose, slot: 0 }];
    found(Some(Reading { step: Step::Conv(Box::new(conv)), input, reads, nodes }))
}
