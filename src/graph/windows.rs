//! Operators that no runtime could run: attributes that the ONNX operator specification rules out.
//!
//! Only what later layers would have to guess about is looked at: the windows of convolutions and pools.

use std::collections::{HashMap, HashSet};

use crate::onnx::{AttributeProto, ModelProto, NodeProto};

use super::error::GraphError;
use super::imports::check_imports;
use super::view::{GraphView, plain_domain};

/// Operators with a window.
const WINDOWED: [&str; 6] = ["Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "ConvInteger"];

/// Checks the window of every convolution and pool of the main graph: sizes, steps and groups are positive, and
/// every list has one entry an axis (`pads`: two). A convolution's weight, when it is an initializer, has the shape
/// `[out, in / group, kernel...]`.
///
/// # Errors
/// [`GraphError::Attribute`] for the first that is not so, or what [`GraphView::new`] and [`check_imports`] find.
pub fn check_operators(model: &ModelProto) -> Result<(), GraphError> {
    check_imports(model)?;
    let graph = GraphView::new(model)?.graph();
    let shapes: HashMap<&str, &[i64]> = graph.initializer.iter().map(|t| (t.name(), t.dims.as_slice())).collect();
    let functions: HashSet<&str> = model.functions.iter().map(|f| f.name()).collect();
    for node in &graph.node {
        if WINDOWED.contains(&node.op_type())
            && plain_domain(node.domain()).is_empty()
            && !functions.contains(node.op_type())
        {
            let weight = node.input.get(1).filter(|_| node.op_type().starts_with("Conv"));
            window(node, weight.and_then(|name| shapes.get(name.as_str()).copied())).map_err(|reason| {
                let (node, op) = (node.name().to_owned(), node.op_type().to_owned());
                GraphError::Attribute { node, op, reason }
            })?;
        }
    }
    Ok(())
}

fn window(node: &NodeProto, weight: Option<&[i64]>) -> Result<(), String> {
    let find = |name: &str| node.attribute.iter().find(|a| a.name() == name);
    if let Some(group) = find("group") {
        match group.i {
            Some(1..) => {}
            Some(other) => return Err(format!("group is {other}, which is not positive")),
            None => return Err("group is not an integer".to_owned()),
        }
    }
    let mut axes = None;
    if let Some(shape) = weight {
        let kernel = shape.get(2..).filter(|kernel| !kernel.is_empty());
        let kernel = kernel.ok_or_else(|| format!("its weight has shape {shape:?}, which has no kernel"))?;
        axes = Some(kernel.len());
        if let Some(said) = find("kernel_shape").filter(|a| !a.ints.is_empty() && a.ints != kernel) {
            return Err(format!("kernel_shape is {:?}, but its weight has shape {shape:?}", said.ints));
        }
    }
    for (name, entries, least) in
        [("kernel_shape", 1, 1), ("strides", 1, 1), ("dilations", 1, 1), ("pads", 2, i64::MIN)]
    {
        let Some(list) = find(name).map(|a| integers(a)).transpose()?.filter(|list| !list.is_empty()) else { continue };
        if list.len() != entries * *axes.get_or_insert(list.len() / entries) {
            return Err(format!("{name} is {list:?}, which has not the right length"));
        }
        if list.iter().any(|n| *n < least) {
            return Err(format!("{name} is {list:?}, which is not positive"));
        }
    }
    Ok(())
}

/// The list of integers that `attribute` must be.
fn integers(attribute: &AttributeProto) -> Result<&[i64], String> {
    let other = attribute.i.is_some() || attribute.f.is_some() || attribute.s.is_some() || !attribute.floats.is_empty();
    if other || attribute.t.is_some() || !attribute.strings.is_empty() {
        return Err(format!("{} is not a list of integers", attribute.name()));
    }
    Ok(&attribute.ints)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{model, node};
    use super::*;
    use crate::onnx::TensorProto;

    fn ints(name: &str, values: &[i64]) -> AttributeProto {
        AttributeProto { name: Some(name.into()), ints: values.to_vec(), ..AttributeProto::default() }
    }

    fn int(name: &str, value: i64) -> AttributeProto {
        AttributeProto { name: Some(name.into()), i: Some(value), ..AttributeProto::default() }
    }

    fn check(attributes: Vec<AttributeProto>) -> Result<(), String> {
        let mut conv = node("c", "Conv", &["x", "w"], &["y"]);
        conv.attribute = attributes;
        let mut m = model(vec![conv], &["y"]);
        let weight = TensorProto { name: Some("w".into()), dims: vec![4, 2, 3, 1], ..TensorProto::default() };
        m.graph.as_mut().unwrap().initializer.push(weight);
        check_operators(&m).map_err(|e| e.to_string())
    }

    #[test]
    fn what_the_specification_allows_passes() {
        check(vec![]).unwrap();
        check(vec![ints("kernel_shape", &[3, 1]), ints("pads", &[0, -1, 2, 0]), ints("strides", &[2, 1])]).unwrap();
        check(vec![ints("dilations", &[]), int("group", 2)]).unwrap();
    }

    #[test]
    fn what_it_rules_out_is_named() {
        for (attribute, want) in [
            (int("group", 0), "node 'c' (Conv): group is 0, which is not positive"),
            (ints("group", &[1]), "group is not an integer"),
            (ints("strides", &[0, 1]), "strides is [0, 1], which is not positive"),
            (ints("dilations", &[1, -1]), "dilations is [1, -1], which is not positive"),
            (ints("pads", &[1, 1]), "pads is [1, 1], which has not the right length"),
            (int("strides", 2), "strides is not a list of integers"),
            (ints("kernel_shape", &[3, 3]), "kernel_shape is [3, 3], but its weight has shape [4, 2, 3, 1]"),
        ] {
            let error = check(vec![attribute]).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_function_of_the_model_may_have_any_attributes() {
        let mut conv = node("c", "Conv", &["x"], &["y"]);
        conv.attribute = vec![int("group", 0)];
        let mut m = model(vec![conv], &["y"]);
        check_operators(&m).unwrap_err();
        m.functions.push(crate::onnx::FunctionProto { name: Some("Conv".into()), ..Default::default() });
        check_operators(&m).unwrap();
    }
}
