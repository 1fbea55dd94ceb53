//! Whether a model says in one way which operators it means: its operator sets, and the operators against them.
//!
//! A node that an operator set does not have yet, or no longer, would be read here as the nearest one known and by a runtime
//! not at all. What ONNX Runtime runs is let pass, also where the specification is stricter.

use std::collections::HashSet;

use crate::onnx::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

use super::error::GraphError;
use super::schemas;
use super::subgraph::graphs;
use super::view::plain_domain;

/// What ONNX Runtime also knows below the version that brought it, with the same meaning.
const KNOWN_BEFORE: [&str; 3] = ["LayerNormalization", "MeanVarianceNormalization", "ThresholdedRelu"];

/// Checks that `model` has outputs, imports one version of ONNX's own operator set which is known here, and that this version
/// has the operators that it uses, in subgraphs and local functions too. Operators that no version has are let pass.
///
/// # Errors
/// [`GraphError::OperatorSet`] or [`GraphError::Version`], or [`GraphError::NoOutputs`].
pub fn check_imports(model: &ModelProto) -> Result<(), GraphError> {
    let graph = model.graph.as_ref().ok_or(GraphError::NoGraph)?;
    if graph.output.is_empty() {
        return Err(GraphError::NoOutputs);
    }
    let local: HashSet<&str> =
        model.functions.iter().filter(|f| plain_domain(f.domain()).is_empty()).map(|f| f.name()).collect();
    nodes(vec![&graph.node], version(&model.opset_import)?, &local)?;
    model.functions.iter().try_for_each(|f| nodes(vec![&f.node], version(&f.opset_import)?, &local))
}

/// The version of ONNX's own operator set, `None` when none is imported.
fn version(imports: &[OperatorSetIdProto]) -> Result<Option<i64>, GraphError> {
    let mut versions = imports.iter().filter(|o| plain_domain(o.domain()).is_empty()).map(OperatorSetIdProto::version);
    let Some(version) = versions.next() else { return Ok(None) };
    let refuse = |reason| Err(GraphError::OperatorSet { reason });
    if let Some(other) = versions.find(|other| *other != version) {
        return refuse(format!("it imports ONNX's operator set twice, in version {version} and in version {other}"));
    }
    let newest = schemas::newest();
    if !(1..=newest).contains(&version) {
        return refuse(format!("it imports ONNX's operator set in version {version}; known are 1 to {newest}"));
    }
    Ok(Some(version))
}

/// Checks the nodes of the lists in `open`, and of their subgraphs, against `version`.
fn nodes<'a>(mut open: Vec<&'a [NodeProto]>, version: Option<i64>, local: &HashSet<&str>) -> Result<(), GraphError> {
    while let Some(list) = open.pop() {
        for node in list {
            open.extend(graphs(node).map(|graph: &'a GraphProto| graph.node.as_slice()));
            let op = node.op_type();
            if !plain_domain(node.domain()).is_empty() || local.contains(op) || KNOWN_BEFORE.contains(&op) {
                continue;
            }
            let Some(brought) = schemas::versions(op).first().map(|s| s.since) else { continue };
            let reason = match version.map(|v| (v, schemas::find(op, v))) {
                None => "it is an operator of ONNX, whose operator set the model does not import".to_owned(),
                Some((v, None)) => {
                    format!("version {v} of the operator set has no such operator: it came in {brought}")
                }
                Some((v, Some(schema))) if schema.removed => {
                    format!("version {v} of the operator set no longer has it")
                }
                Some(_) => continue,
            };
            return Err(GraphError::Version { node: node.name().to_owned(), op: op.to_owned(), reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{model, node};
    use super::*;
    use crate::onnx::{AttributeProto, FunctionProto};

    fn importing(op: &str, imports: &[(&str, i64)]) -> ModelProto {
        let mut m = model(vec![node("n", op, &["x"], &["y"])], &["y"]);
        let import = |(domain, version): &(&str, i64)| OperatorSetIdProto {
            domain: Some((*domain).to_owned()),
            version: Some(*version),
        };
        m.opset_import = imports.iter().map(import).collect();
        m
    }

    fn error(m: &ModelProto) -> String {
        check_imports(m).unwrap_err().to_string()
    }

    #[test]
    fn one_known_version() {
        for imports in
            [&[("", 17)][..], &[("ai.onnx", schemas::newest())], &[("", 1), ("ml", 99)], &[("", 13), ("ai.onnx", 13)]]
        {
            check_imports(&importing("Relu", imports)).unwrap();
        }
        for imports in [&[("", 17), ("", 13)][..], &[("", 17), ("ml", 3), ("ai.onnx", 18)]] {
            assert!(error(&importing("Relu", imports)).contains("twice, in version 17"));
        }
        for version in [schemas::newest() + 1, 9999, 0, -1] {
            assert!(
                error(&importing("Relu", &[("", version)])).contains(&format!("in version {version}; known are 1 to"))
            );
        }
        assert!(error(&importing("Relu", &[("com.microsoft", 1)])).contains("does not import"));
    }

    #[test]
    fn operators_of_another_version() {
        for (op, bad, good) in [("Gelu", 19, 20), ("HardSwish", 13, 14), ("Upsample", 10, 9), ("Scatter", 11, 10)] {
            let said = error(&importing(op, &[("", bad)]));
            assert!(said.contains("'n'") && said.contains(op) && said.contains(&format!("version {bad}")), "{said}");
            check_imports(&importing(op, &[("", good)])).unwrap();
        }
        for op in ["LayerNormalization", "Affine", "NoSuchOperator", ""] {
            check_imports(&importing(op, &[("", 9)])).unwrap();
        }
    }

    #[test]
    fn subgraphs_and_functions_are_looked_into() {
        let mut m = importing("If", &[("", 17)]);
        let inner = importing("Gelu", &[]).graph;
        m.graph.as_mut().unwrap().node[0]
            .attribute
            .push(AttributeProto { g: inner.clone(), ..AttributeProto::default() });
        assert!(error(&m).contains("Gelu"));
        let gelu = FunctionProto { name: Some("Gelu".into()), ..FunctionProto::default() };
        m.functions.push(gelu);
        check_imports(&m).unwrap();
        let mut m = importing("Relu", &[("", 20)]);
        m.functions.push(FunctionProto {
            domain: Some("local".into()),
            node: inner.unwrap().node,
            opset_import: importing("", &[("", 17)]).opset_import,
            ..FunctionProto::default()
        });
        assert!(error(&m).contains("Gelu"));
    }

    #[test]
    fn a_model_without_outputs_computes_nothing() {
        let mut m = importing("Relu", &[("", 17)]);
        m.graph.as_mut().unwrap().output.clear();
        assert!(error(&m).contains("no outputs"));
    }
}
