//! The graph: a read-only view, and the only code that changes it.
//!
//! Everything above this layer reads a [`GraphView`] and describes changes as an [`EditList`]. [`apply()`] checks
//! all of them first and then makes them; [`clean()`] takes away what became dead by them and nothing else.

mod apply;
mod body;
mod calls;
mod clean;
mod defaults;
mod dominators;
mod dump;
mod edit;
mod error;
mod fused;
mod ids;
mod imports;
mod inner;
mod part;
pub(crate) mod schemas;
mod subgraph;
pub(crate) mod typing;
mod validate;
mod view;
mod windows;

pub use apply::{ApplyError, PROVENANCE_KEY, apply, in_topological_order};
pub(crate) use body::{Body, int};
pub use calls::{Calls, calls, forget_functions, written_out};
pub use clean::clean;
pub use defaults::{defaults, without_defaults};
pub use dominators::Dominators;
pub use dump::dump;
pub use edit::{EditList, Names};
pub use error::GraphError;
pub(crate) use fused::{Definition, definition};
pub use ids::{NodeId, Use, ValueId};
pub use imports::check_imports;
pub use inner::{Place, places, replace, taken};
#[cfg(feature = "verify")]
pub(crate) use part::inline;
pub(crate) use part::part;
pub(crate) use subgraph::{all_names, graphs, reads};
pub use subgraph::{
    captured_names, defined_inside, inner_nodes, operator, read_from_around, sums_in, sums_in_functions,
};
pub use validate::validate;
pub use view::GraphView;
pub(crate) use view::plain_domain;
pub use windows::check_operators;

#[cfg(test)]
pub(crate) mod testing {
    //! Tiny graphs.

    use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};

    pub(crate) fn node(name: &str, op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
        NodeProto {
            name: Some(name.into()),
            op_type: Some(op.into()),
            input: inputs.iter().map(|s| (*s).into()).collect(),
            output: outputs.iter().map(|s| (*s).into()).collect(),
            ..NodeProto::default()
        }
    }

    /// `outer` with bodies of one node each, which reads `x` and computes `k`.
    pub(crate) fn holding(mut outer: NodeProto, bodies: &[(&str, &str)]) -> NodeProto {
        for (name, op) in bodies {
            let g = model(vec![node(op, op, &["x"], &["k"])], &["k"]).graph;
            let g = g.map(|g| GraphProto { input: Vec::new(), ..g });
            outer.attribute.push(AttributeProto { name: Some((*name).into()), g, ..AttributeProto::default() });
        }
        outer
    }

    pub(crate) fn model(nodes: Vec<NodeProto>, outputs: &[&str]) -> ModelProto {
        let named = |n: &str| ValueInfoProto { name: Some(n.into()), ..ValueInfoProto::default() };
        ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
            graph: Some(GraphProto {
                node: nodes,
                input: vec![named("x")],
                output: outputs.iter().map(|o| named(o)).collect(),
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }
}
