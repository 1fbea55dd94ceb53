//! The bodies of `If`, `Loop` and `Scan`: where they stand, and another one in the place of one.

use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto};

use super::clean::clean;
use super::ids::NodeId;
use super::subgraph::read_from_around;
use super::view::GraphView;

/// Where a body stands in a graph. It stays right whatever else goes or comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first output of its node.
    pub output: String,
    /// The attribute.
    pub attribute: String,
}

/// The bodies of `view`'s graph, those inside of them not among them. Only of these three operators is it known when and with what a
/// body runs.
#[must_use]
pub fn places(view: &GraphView<'_>) -> Vec<(NodeId, Place)> {
    let holders = view.nodes().filter(|n| matches!(view.op(*n), "If" | "Loop" | "Scan"));
    let all = holders.flat_map(|node| {
        let output = view.node(node).output.iter().find(|o| !o.is_empty());
        let held = view.node(node).attribute.iter().filter(|a| a.g.is_some());
        held.filter_map(move |a| Some((node, Place { output: output?.clone(), attribute: a.name().to_owned() })))
    });
    all.collect()
}

/// Puts `body` at `place` in the main graph of `model`. What only the body before it read goes from around it.
pub fn replace(model: &mut ModelProto, place: &Place, body: GraphProto) {
    let nodes = model.graph.iter_mut().flat_map(|g| &mut g.node);
    let attribute = nodes
        .filter(|n| n.output.iter().find(|o| !o.is_empty()) == Some(&place.output))
        .flat_map(|n| &mut n.attribute)
        .find(|a| a.name() == place.attribute);
    let Some(own) = attribute.and_then(|a| a.g.as_mut()) else { return };
    let after = read_from_around(&body);
    let before = read_from_around(&std::mem::replace(own, body));
    clean(model, &before.difference(&after).cloned().collect());
}

/// `model` with every `If` on `path`, from the main graph inwards, such that the branch of the path stands on both sides: it runs
/// whatever the conditions say.
#[must_use]
pub fn taken(model: &ModelProto, path: &[Place]) -> ModelProto {
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        take(graph, path);
    }
    model
}

fn take(graph: &mut GraphProto, path: &[Place]) {
    let Some((place, rest)) = path.split_first() else { return };
    let holds = |n: &&mut NodeProto| n.output.iter().find(|o| !o.is_empty()) == Some(&place.output);
    let Some(node) = graph.node.iter_mut().find(holds) else { return };
    let is_place = |a: &&mut AttributeProto| a.name() == place.attribute;
    let Some(body) = node.attribute.iter_mut().find(is_place).and_then(|a| a.g.as_mut()) else { return };
    take(body, rest);
    let body = body.clone();
    if node.op_type() == "If" {
        node.attribute.iter_mut().filter_map(|a| a.g.as_mut()).for_each(|g| g.clone_from(&body));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::subgraph::inner_nodes;
    use super::super::testing::{holding, model, node};
    use super::*;

    fn place(output: &str, attribute: &str) -> Place {
        Place { output: output.into(), attribute: attribute.into() }
    }

    #[test]
    fn what_only_the_old_body_read_goes() {
        let mut choice = holding(node("if", "If", &["x"], &["y"]), &[("then_branch", "Neg")]);
        let body = |reads: &str| {
            let mut body = choice.attribute[0].g.clone().unwrap();
            body.node[0].input = vec![reads.into()];
            body
        };
        let (old, new) = (body("a"), body("b"));
        choice.attribute[0].g = Some(old);
        let (a, b) = (node("a", "Relu", &["x"], &["a"]), node("b", "Abs", &["x"], &["b"]));
        let mut m = model(vec![a, b, choice], &["y"]);
        let found = places(&GraphView::new(&m).unwrap());
        assert_eq!(found, [(NodeId(2), place("y", "then_branch"))]);
        replace(&mut m, &found[0].1, new);
        let names: Vec<&str> = m.graph.as_ref().unwrap().node.iter().map(|n| n.name()).collect();
        assert_eq!(names, ["b", "if"]);
    }

    #[test]
    fn a_branch_is_taken_at_any_depth() {
        let branches = |names: [&'static str; 2]| [("then_branch", names[0]), ("else_branch", names[1])];
        let inner = holding(node("in", "If", &["c"], &["k"]), &branches(["Abs", "Neg"]));
        let mut outer = holding(node("out", "If", &["c"], &["y"]), &branches(["Exp", "Log"]));
        outer.attribute[1].g.as_mut().unwrap().node = vec![inner];
        let m = model(vec![outer], &["y"]);
        let m = taken(&m, &[place("y", "else_branch"), place("k", "else_branch")]);
        let ops: Vec<&str> = inner_nodes(&m.graph.as_ref().unwrap().node[0]).iter().map(|n| n.op_type()).collect();
        assert_eq!(ops, ["If", "Neg", "Neg", "If", "Neg", "Neg"]);
    }
}
