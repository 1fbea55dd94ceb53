//! Cutting the rewritten regions out of both models, for models that cannot be run whole.
//!
//! A node of one model is *unchanged* when the other has the same node: operator, attributes, names of inputs and outputs, and the
//! content of its constants. A region ends at the tensors that changed nodes compute and unchanged ones read; both
//! models have these under the same name. It reaches back through what can be run, so that what was proved of a tensor from what
//! stands before it (that it is not negative, say) is true of the values that are fed.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::{self, GraphView, NodeId, inline, reads};
use crate::onnx::tensor_shape_proto::{Dimension, dimension};
use crate::onnx::{ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, type_proto};

use super::inputs::InputTensor;
use super::pair::Side;

/// A predicate on a node of the original or the rewritten model.
pub(super) type Barrier<'a> = &'a dyn Fn(&NodeProto) -> bool;

/// The regions of two models.
pub(super) struct Regions<'a> {
    pub(super) original: Side<'a>,
    pub(super) rewritten: Side<'a>,
    /// The tensors at which the regions begin, of both models: values must be fed for these.
    pub(super) inputs: BTreeSet<String>,
}

/// Cuts at nodes for which `barrier` holds. `None` when no node differs.
///
/// # Errors
/// In words, when a changed node would have to be cut away.
pub(super) fn cut<'a>(
    original: &ModelProto,
    rewritten: &ModelProto,
    barrier: Barrier<'_>,
) -> Result<Option<Regions<'a>>, String> {
    let (a, b) = (Half::new(original)?, Half::new(rewritten)?);
    let (changed_a, changed_b) = (a.changed(&b), b.changed(&a));
    let mut ends = a.ends(&changed_a);
    if ends != b.ends(&changed_b) {
        return Err("the rewritten regions do not end at the same tensors".to_owned());
    }
    // A node that nobody can run is compared by what it reads.
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut opaque: HashSet<&str> = HashSet::new();
    for node in changed_a.iter().map(|n| a.view.node(*n)).filter(|n| barrier(n)) {
        let twin = b.twin(node).filter(|twin| same_operation(node, twin) && node.input.len() == twin.input.len());
        let twin =
            twin.ok_or_else(|| format!("node '{}' ({}) is changed, and cannot be run", node.name(), node.op_type()))?;
        for (x, y) in node.input.iter().zip(&twin.input) {
            match (a.constants.get(x.as_str()), b.constants.get(y.as_str())) {
                (Some(x), Some(y)) if same_content(x, y) => {}
                (None, None) if x.is_empty() == y.is_empty() => pairs.push((x.clone(), y.clone())),
                _ => return Err(format!("node '{}' ({}) reads something else", node.name(), node.op_type())),
            }
        }
        opaque.extend(node.output.iter().map(String::as_str));
    }
    ends.retain(|e| !opaque.contains(e));
    let ends = ends.into_iter().map(|e| (e.to_owned(), e.to_owned()));
    let (outputs_a, outputs_b): (Vec<_>, Vec<_>) = ends.chain(pairs.into_iter().filter(|(x, _)| !x.is_empty())).unzip();
    if outputs_a.is_empty() {
        return Ok(None);
    }
    let stops = |half: &Half<'_>, changed: &HashSet<NodeId>, node: NodeId| {
        let proto = half.view.node(node);
        barrier(proto) && (!changed.contains(&node) || proto.output.iter().any(|o| opaque.contains(o.as_str())))
    };
    let mut inputs = BTreeSet::new();
    let a = a.part(outputs_a, &|n| stops(&a, &changed_a, n), &mut inputs);
    let b = b.part(outputs_b, &|n| stops(&b, &changed_b, n), &mut inputs);
    Ok(Some(Regions { original: a, rewritten: b, inputs }))
}

/// The part of both models in which `tensor` comes to differ: back to what the same nodes compute in both and `is_data` holds for.
///
/// # Errors
/// In words.
pub(super) fn around(
    original: &ModelProto,
    rewritten: &ModelProto,
    tensor: &str,
    is_data: &dyn Fn(&str) -> bool,
) -> Result<Regions<'static>, String> {
    let (a, b) = (Half::new(original)?, Half::new(rewritten)?);
    let (changed_a, changed_b) = (a.changed(&b), b.changed(&a));
    let mut inputs = BTreeSet::new();
    let mut part = |half: &Half<'_>, changed: &HashSet<NodeId>| {
        let stop = |node: NodeId| {
            let outputs = &half.view.node(node).output;
            !changed.contains(&node) && outputs.iter().any(|o| is_data(o)) && outputs.iter().all(|o| o != tensor)
        };
        half.part(vec![tensor.to_owned()], &stop, &mut inputs)
    };
    let (original, rewritten) = (part(&a, &changed_a), part(&b, &changed_b));
    Ok(Regions { original, rewritten, inputs })
}

impl Regions<'_> {
    /// Gives every input its type and shape, which tract asks for.
    pub(super) fn declare(&mut self, slots: &[InputTensor]) {
        let slots: HashMap<&str, &InputTensor> = slots.iter().map(|s| (s.name.as_str(), s)).collect();
        for side in [&mut self.original, &mut self.rewritten] {
            for input in side.model.to_mut().graph.iter_mut().flat_map(|g| &mut g.input) {
                input.r#type = slots.get(input.name()).map(|slot| tensor_type(slot));
            }
            for output in side.model.to_mut().graph.iter_mut().flat_map(|g| &mut g.output) {
                output.r#type = slots.get(output.name()).map(|slot| tensor_type(slot));
            }
        }
    }
}

fn tensor_type(slot: &InputTensor) -> TypeProto {
    let dim = |d: &usize| Dimension { value: Some(dimension::Value::DimValue(*d as i64)), ..Dimension::default() };
    let shape = TensorShapeProto { dim: slot.shape.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(slot.dtype as i32), shape: Some(shape) };
    TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }
}

/// The tensors inside of both models at which rewritten regions end: changed nodes compute them, unchanged ones read them.
///
/// # Errors
/// In words.
pub(super) fn inner_ends(original: &ModelProto, rewritten: &ModelProto) -> Result<Vec<String>, String> {
    let (a, b) = (Half::new(original)?, Half::new(rewritten)?);
    let (ends_a, ends_b) = (a.ends(&a.changed(&b)), b.ends(&b.changed(&a)));
    let outputs: HashSet<&str> = a.view.graph().output.iter().map(|o| o.name()).collect();
    Ok(ends_a.intersection(&ends_b).filter(|e| !outputs.contains(*e)).map(|e| (*e).to_owned()).collect())
}

/// The tensors of `original` that the same nodes compute in `rewritten`.
pub(super) fn unchanged(original: &ModelProto, rewritten: &ModelProto) -> Result<HashSet<String>, String> {
    let (a, b) = (Half::new(original)?, Half::new(rewritten)?);
    let changed = a.changed(&b);
    let same = a.view.nodes().filter(|n| !changed.contains(n));
    Ok(same.flat_map(|n| a.view.node(n).output.iter().cloned()).filter(|o| !o.is_empty()).collect())
}

/// One model, indexed.
struct Half<'m> {
    view: GraphView<'m>,
    constants: HashMap<&'m str, &'m TensorProto>,
}

impl<'m> Half<'m> {
    fn new(model: &'m ModelProto) -> Result<Self, String> {
        let view = GraphView::new(model).map_err(|e| e.to_string())?;
        let constants = view.graph().initializer.iter().map(|t| (t.name(), t)).collect();
        Ok(Self { view, constants })
    }

    /// The node that computes what `node` of the other model computes.
    fn twin(&self, node: &NodeProto) -> Option<&'m NodeProto> {
        let output = node.output.iter().find(|o| !o.is_empty())?;
        self.view.def(self.view.value(output)?).map(|n| self.view.node(n))
    }

    fn changed(&self, other: &Half<'_>) -> HashSet<NodeId> {
        let (a, b) = (self.view.model(), other.view.model());
        let all = a.opset_import != b.opset_import || a.functions != b.functions;
        let same = |node: &NodeProto| {
            other.twin(node).is_some_and(|twin| {
                same_operation(node, twin)
                    && node.input == twin.input
                    && reads(node).iter().all(|name| {
                        match (self.constants.get(name.as_str()), other.constants.get(name.as_str())) {
                            (Some(x), Some(y)) => same_content(x, y),
                            (None, None) => true,
                            _ => false,
                        }
                    })
            })
        };
        self.view.nodes().filter(|n| all || !same(self.view.node(*n))).collect()
    }

    /// The tensors that a changed node computes, and an unchanged one or the caller reads.
    fn ends(&self, changed: &HashSet<NodeId>) -> BTreeSet<&'m str> {
        let read = self.view.nodes().filter(|n| !changed.contains(n)).flat_map(|n| reads(self.view.node(n)));
        let outputs = self.view.graph().output.iter().map(|o| o.name().to_owned());
        let computed = |name: String| {
            let value = self.view.value(&name)?;
            self.view.def(value).filter(|n| changed.contains(n)).map(|_| self.view.name(value))
        };
        read.chain(outputs).filter_map(computed).collect()
    }

    /// The part of the model that `outputs` need, back to nodes where `stop` holds. Adds what it reads to `inputs`.
    fn part(
        &self,
        outputs: Vec<String>,
        stop: &dyn Fn(NodeId) -> bool,
        inputs: &mut BTreeSet<String>,
    ) -> Side<'static> {
        let mut kept: HashSet<NodeId> = HashSet::new();
        let mut fed: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<String> = outputs.clone();
        while let Some(name) = open.pop() {
            let Some(value) = self.view.value(&name) else { continue };
            match self.view.def(value) {
                Some(node) if !stop(node) => {
                    if kept.insert(node) {
                        open.extend(reads(self.view.node(node)));
                    }
                }
                None if self.constants.contains_key(name.as_str()) => {}
                _ => {
                    fed.insert(name);
                }
            }
        }
        let nodes = self.view.nodes().filter(|n| kept.contains(n)).map(|n| self.view.node(n).clone()).collect();
        let ends: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let model = graph::part(self.view.model(), nodes, &ends, &|name| self.constants.get(name).copied());
        inputs.extend(fed);
        Side { model: Cow::Owned(model), file: None, outputs }
    }
}

fn same_operation(a: &NodeProto, b: &NodeProto) -> bool {
    a.op_type == b.op_type
        && a.domain == b.domain
        && a.overload == b.overload
        && a.attribute == b.attribute
        && a.output == b.output
}

/// The same type, shape and bytes, wherever the bytes came from.
fn same_content(a: &TensorProto, b: &TensorProto) -> bool {
    let plain = |t: &TensorProto| TensorProto { name: None, doc_string: None, metadata_props: Vec::new(), ..inline(t) };
    plain(a) == plain(b)
}
