//! `Reshape` and `Flatten` on a branch that leave the last axis whole.

use crate::algebra::Slot;
use crate::emit::{Emit, int};
use crate::graph::{NodeId, Use, ValueId};
use crate::read::{Context, Reject, RejectCode, Rows};

use super::{Arrival, Form, Found, Operation, Reading, Step};

pub(crate) fn read(cx: Context<'_>, node: NodeId, value: ValueId) -> Found {
    let input = cx.view.input(node, 0)?;
    let rows = Rows::new(cx, node, input, value)?;
    let (sizes, shapes) = sizes(cx, node);
    let mut reading = Reading::one(cx, node, 0, Step::Rows(rows))?;
    reading.nodes.extend(sizes);
    reading.reads.extend(shapes);
    Some(Ok(vec![reading]))
}

/// Most nodes that compute the sizes of one `Reshape`.
const MAX_NODES: usize = 32;

/// The nodes that compute the sizes that `node` asks for, and their reads of tensors of data. They go with it, where
/// nothing else reads them.
pub(super) fn sizes(cx: Context<'_>, node: NodeId) -> (Vec<NodeId>, Vec<Use>) {
    let (mut nodes, mut reads) = (Vec::new(), Vec::new());
    let mut stack: Vec<ValueId> = cx.view.input(node, 1).into_iter().collect();
    while let Some(value) = stack.pop() {
        let Some(at) = cx.view.def(value).filter(|n| !nodes.contains(n) && nodes.len() < MAX_NODES) else { continue };
        nodes.push(at);
        if cx.view.op(at) == "Shape" {
            reads.push(Use { node: at, slot: 0 });
        } else {
            stack.extend(cx.view.inputs(at).iter().flatten().filter(|v| !cx.facts.is_data(**v)));
        }
    }
    (nodes, reads)
}

impl Operation for Rows {
    fn form(&self, cx: Context<'_>, _: Arrival) -> Result<Form, Reject> {
        if self.target().is_some() {
            return Ok(Form::Moved);
        }
        let reason = "the Reshape numbers rows by two sizes that are unknown";
        Err(Reject::at(cx.view, self.node, RejectCode::SizeUnknown, reason).hint("export with a fixed input size"))
    }

    fn moves_only(&self) -> bool {
        true
    }

    fn axis(&self, _: usize) -> usize {
        self.to.len()
    }

    fn rows(&self) -> Option<&Rows> {
        Some(self)
    }

    fn emit(
        &self,
        cx: Context<'_>,
        emit: &mut Emit<'_>,
        _: Form,
        input: &str,
        lin: &[Slot],
        output: &str,
    ) -> Option<()> {
        let name = cx.view.node(self.node).name().to_owned();
        let mut shape = self.target()?;
        shape.push(lin.len() as i64);
        let shape = emit.int64s(&format!("{name}_shape"), &shape);
        let attributes = if cx.view.opset() >= 14 { vec![int("allowzero", 0)] } else { Vec::new() };
        emit.node("Reshape", &name, &[input, &shape], output, attributes);
        Some(())
    }
}
