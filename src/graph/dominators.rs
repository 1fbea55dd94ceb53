//! Which tensors every way from the inputs to a tensor passes.

use super::{GraphView, ValueId};

/// The dominator tree of the tensors of a graph: the parent of a tensor is the last other tensor that every way to it passes.
///
/// In a graph without cycles the parent is the nearest common ancestor of what the node reads (Cooper, Harvey and Kennedy,
/// "A Simple, Fast Dominance Algorithm"), so one pass in topological order is enough.
pub struct Dominators {
    tree: Vec<Option<Place>>,
}

/// A tensor's place in the tree.
#[derive(Clone, Copy)]
struct Place {
    parent: Option<ValueId>,
    /// An ancestor further up, at such distances that climbing takes logarithmic time (Myers, "An applicative
    /// random-access stack").
    jump: Option<ValueId>,
    depth: u32,
}

impl Dominators {
    /// The tree of the tensors that `is_data` takes for data: weights and sizes are on no way.
    #[must_use]
    pub fn new(view: &GraphView<'_>, is_data: impl Fn(ValueId) -> bool) -> Self {
        let mut all = Self { tree: vec![None; view.values().count()] };
        for value in view.values().filter(|v| view.def(*v).is_none() && is_data(*v)) {
            all.insert(value, None);
        }
        for node in view.nodes() {
            let mut read = view.inputs(node).iter().flatten().copied().filter(|v| is_data(*v));
            let first = read.next();
            let parent = read.fold(first, |so_far, next| so_far.and_then(|v| all.meet(v, next)));
            for output in view.outputs(node).iter().flatten().filter(|v| is_data(**v)) {
                all.insert(*output, parent);
            }
        }
        all
    }

    /// The last tensor that every way to `a` and every way to `b` passes; `a` itself when all ways to `b` lead through it.
    #[must_use]
    pub fn meet(&self, a: ValueId, b: ValueId) -> Option<ValueId> {
        let (mut a, mut b) = (Some(a), Some(b));
        loop {
            let (one, two) = (self.place(a?)?, self.place(b?)?);
            if a == b {
                return a;
            }
            if one.depth == two.depth {
                (a, b) = if one.jump == two.jump { (one.parent, two.parent) } else { (one.jump, two.jump) };
            } else if one.depth > two.depth {
                a = self.up(one, two.depth);
            } else {
                b = self.up(two, one.depth);
            }
        }
    }

    /// One step towards `depth`, as long as that is not too far.
    fn up(&self, from: Place, depth: u32) -> Option<ValueId> {
        let jumps = from.jump.and_then(|v| self.place(v)).is_some_and(|place| place.depth >= depth);
        if jumps { from.jump } else { from.parent }
    }

    fn place(&self, value: ValueId) -> Option<Place> {
        self.tree.get(value.0 as usize).copied().flatten()
    }

    fn insert(&mut self, value: ValueId, parent: Option<ValueId>) {
        let above = parent.and_then(|p| self.place(p));
        let depth = above.map_or(0, |place| place.depth + 1);
        let far = above.and_then(|place| self.place(place.jump?));
        let jump = match (above, far) {
            (Some(above), Some(far)) => {
                let further = far.jump.and_then(|v| self.place(v));
                let even = further.is_some_and(|f| above.depth - far.depth == far.depth - f.depth);
                if even { far.jump } else { parent }
            }
            _ => parent,
        };
        if let Some(entry) = self.tree.get_mut(value.0 as usize) {
            *entry = Some(Place { parent, jump, depth });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Dominators;
    use crate::graph::GraphView;
    use crate::graph::testing::{model, node};
    use crate::onnx::ModelProto;

    /// Name of the tensor where the ways to `a` and `b` meet.
    fn meet<'a>(model: &'a ModelProto, a: &str, b: &str) -> Option<&'a str> {
        let view = GraphView::new(model).unwrap();
        let weight = view.value("w");
        let all = Dominators::new(&view, |v| Some(v) != weight);
        all.meet(view.value(a).unwrap(), view.value(b).unwrap()).map(|v| view.name(v))
    }

    #[test]
    fn branches_meet_at_their_fork() {
        let model = model(
            vec![
                node("weight", "Constant", &[], &["w"]),
                node("stem", "Relu", &["x"], &["fork"]),
                node("a", "Conv", &["fork", "w"], &["a"]),
                node("b", "Relu", &["a"], &["b"]),
                node("inner", "Add", &["a", "b"], &["c"]),
                node("halves", "Split", &["c"], &["d", "e"]),
                node("join", "Add", &["d", "fork"], &["y"]),
            ],
            &["y"],
        );
        assert_eq!(meet(&model, "d", "fork"), Some("fork"));
        assert_eq!(meet(&model, "b", "c"), Some("a"));
        assert_eq!(meet(&model, "d", "e"), Some("c"));
        assert_eq!(meet(&model, "y", "e"), Some("fork"));
        assert_eq!(meet(&model, "x", "y"), Some("x"));
        assert_eq!(meet(&model, "c", "c"), Some("c"));
    }

    #[test]
    fn two_inputs_never_meet() {
        let mut two = model(vec![node("a", "Relu", &["x"], &["a"]), node("b", "Relu", &["z"], &["b"])], &["a", "b"]);
        let graph = two.graph.as_mut().unwrap();
        let mut other = graph.input[0].clone();
        other.name = Some("z".into());
        graph.input.push(other);
        assert_eq!(meet(&two, "a", "b"), None);
    }

    /// The answer of the definition: the last tensor that stands above both.
    #[test]
    fn long_chains_with_skips_agree_with_climbing_step_by_step() {
        let name = |i: usize| if i == 0 { "x".to_owned() } else { format!("t{i}") };
        let skip = |i: usize| (i * i * 7 + 3 * i) % i;
        let nodes = (1..200).map(|i| {
            let (last, far) = (name(i - 1), name(skip(i)));
            let far = if i % 3 == 0 { far } else { last.clone() };
            node(&format!("n{i}"), "Add", &[&last, &far], &[&name(i)])
        });
        let model = model(nodes.collect(), &["t199"]);
        let view = GraphView::new(&model).unwrap();
        let all = Dominators::new(&view, |_| true);
        let value = |i: usize| view.value(&name(i)).unwrap();
        let parent = |i: usize| all.place(value(i)).unwrap().parent.map(|v| (0..i).find(|j| value(*j) == v).unwrap());
        for (a, b) in (0..200).flat_map(|a| (0..200).map(move |b| (a, b))) {
            let (mut i, mut j) = (a, b);
            while i != j {
                if i > j { i = parent(i).unwrap() } else { j = parent(j).unwrap() }
            }
            assert_eq!(all.meet(value(a), value(b)), Some(value(i)), "{a} {b}");
        }
    }
}
