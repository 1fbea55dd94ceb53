//! The shapes in which a model is run: its own, the user's, and a stated choice for what neither fixes.

use std::collections::HashMap;

use crate::onnx::GraphProto;

use super::error::VerifyError;
use super::signature::{Dim, Port};
use crate::verify::report::InputReport;

/// Sizes to try for a dimension that nothing fixes, best first: large enough for networks that halve it five times, and what
/// networks with a fixed classifier were trained at.
pub(super) const SIDES: &[usize] = &[64, 224, 32, 128, 256, 28, 299, 512];

/// More elements than any image or sequence has; a file that asks for more would only exhaust the memory.
const MOST_ELEMENTS: usize = 1 << 28;

/// The shape of every port: `stated` (by the user) first, then the model's own sizes, then 1 for the batch, the channels that the
/// first convolution reads, and `side`.
///
/// # Errors
/// [`VerifyError::Input`] for a statement that contradicts the model or names no tensor of it, and for an unknown rank.
pub(super) fn choose(
    ports: &[Port],
    graph: &GraphProto,
    stated: &HashMap<String, Vec<usize>>,
    side: usize,
) -> Result<Vec<InputReport>, VerifyError> {
    // A tensor inside may become the input of a region.
    let is_known =
        |n: &String| ports.iter().any(|p| p.name == *n) || graph.node.iter().any(|node| node.output.contains(n));
    if let Some(name) = stated.keys().find(|n| !is_known(n)) {
        return Err(VerifyError::Input { name: name.clone(), reason: "the model has no such input".to_owned() });
    }
    let mut symbols: HashMap<&str, usize> = HashMap::new();
    for port in ports {
        if let (Some(shape), Some(dims)) = (stated.get(&port.name), &port.dims) {
            agree(port, dims, shape, &mut symbols)?;
        }
    }
    ports.iter().map(|port| shape(port, graph, stated.get(&port.name), side, &mut symbols)).collect()
}

/// Checks the stated `shape` against the declared one and learns the sizes of symbols.
fn agree<'a>(
    port: &Port,
    dims: &'a [Dim],
    shape: &[usize],
    symbols: &mut HashMap<&'a str, usize>,
) -> Result<(), VerifyError> {
    let fits = dims.len() == shape.len()
        && dims.iter().zip(shape).all(|(dim, size)| match dim {
            Dim::Fixed(n) => n == size,
            Dim::Symbol(s) => symbols.insert(s, *size).is_none_or(|old| old == *size),
            Dim::Free => true,
        });
    let reason = || format!("shape {shape:?} does not fit {port}");
    if fits { Ok(()) } else { Err(VerifyError::Input { name: port.name.clone(), reason: reason() }) }
}

fn shape<'a>(
    port: &'a Port,
    graph: &GraphProto,
    stated: Option<&Vec<usize>>,
    side: usize,
    symbols: &mut HashMap<&'a str, usize>,
) -> Result<InputReport, VerifyError> {
    let fail = |reason: &str| VerifyError::Input { name: port.name.clone(), reason: reason.to_owned() };
    let weight = convolution(graph, &port.name);
    let rank = weight.as_ref().map(|w| vec![Dim::Free; w.rank]);
    let mut assumed = false;
    let shape: Vec<usize> = match (stated, port.dims.as_ref().or(rank.as_ref())) {
        (Some(shape), _) => shape.clone(),
        (None, None) => return Err(fail("its shape is unknown")),
        (None, Some(dims)) => {
            let channels = weight.as_ref().map(|w| w.channels);
            let size = |(axis, dim): (usize, &Dim)| {
                let known = match dim {
                    Dim::Fixed(n) => return *n,
                    Dim::Symbol(s) => port.dims.as_ref().and(symbols.get(s.as_str()).copied()),
                    Dim::Free => None,
                };
                assumed = true;
                known.unwrap_or_else(|| match axis {
                    0 => 1,
                    1 => channels.unwrap_or(side),
                    _ => side,
                })
            };
            dims.iter().enumerate().map(size).collect()
        }
    };
    // The next input with the same symbol gets the same size.
    for (dim, size) in port.dims.iter().flatten().zip(&shape) {
        if let Dim::Symbol(s) = dim {
            symbols.entry(s).or_insert(*size);
        }
    }
    match shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)) {
        Some(n) if n <= MOST_ELEMENTS => Ok(InputReport { name: port.name.clone(), shape, assumed }),
        _ => Err(fail(&format!("shape {shape:?} is too large to run"))),
    }
}

struct Weight {
    rank: usize,
    channels: usize,
}

/// What the convolution that reads `input` says about it.
fn convolution(graph: &GraphProto, input: &str) -> Option<Weight> {
    let reads = |n: &&crate::onnx::NodeProto| n.op_type() == "Conv" && n.input.first().is_some_and(|i| i == input);
    let node = graph.node.iter().find(reads)?;
    let weight = graph.initializer.iter().find(|t| Some(t.name()) == node.input.get(1).map(String::as_str))?;
    let group = node.attribute.iter().find(|a| a.name() == "group").map_or(1, |a| a.i());
    let channels = weight.dims.get(1)?.checked_mul(group)?;
    Some(Weight { rank: weight.dims.len(), channels: usize::try_from(channels).ok().filter(|c| *c > 0)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn port(name: &str, dims: Vec<Dim>) -> Port {
        Port { name: name.to_owned(), dtype: None, dims: Some(dims) }
    }

    #[test]
    fn symbols_are_one_size_and_the_batch_is_one() {
        let n = || Dim::Symbol("n".to_owned());
        let ports = [port("a", vec![n(), Dim::Fixed(3), Dim::Free]), port("b", vec![n(), n()])];
        let shapes = choose(&ports, &GraphProto::default(), &HashMap::new(), 64).unwrap();
        assert_eq!((shapes[0].shape.as_slice(), shapes[0].assumed), ([1, 3, 64].as_slice(), true));
        assert_eq!(shapes[1].shape, [1, 1]);
        let stated = HashMap::from([("b".to_owned(), vec![5, 5])]);
        let shapes = choose(&ports, &GraphProto::default(), &stated, 64).unwrap();
        assert_eq!(shapes[0].shape, [5, 3, 64], "a symbol that a later input states");
        assert!(!shapes[1].assumed);
    }

    #[test]
    fn a_statement_that_contradicts_is_refused() {
        let ports = [port("a", vec![Dim::Free, Dim::Fixed(3)])];
        let says = |name: &str, shape: &[usize]| {
            let stated = HashMap::from([(name.to_owned(), shape.to_vec())]);
            choose(&ports, &GraphProto::default(), &stated, 64).map(|s| s[0].shape.clone()).map_err(|e| e.to_string())
        };
        assert_eq!(says("a", &[2, 3]), Ok(vec![2, 3]));
        assert!(says("a", &[2, 4]).unwrap_err().contains("does not fit 'a'"));
        assert!(says("a", &[2, 3, 1]).is_err());
        assert!(says("z", &[1]).unwrap_err().contains("no such input"));
        assert!(says("a", &[usize::MAX, 3]).unwrap_err().contains("too large"));
    }
}
