//! The shapes in which a model is run: its own, the user's, and a stated choice for what neither fixes.

use std::collections::HashMap;

use crate::onnx::{GraphProto, NodeProto, TensorProto};

use super::error::VerifyError;
use super::signature::{Port, PortDim};
use crate::verify::report::InputReport;

/// Sizes to try for a dimension that nothing fixes, best first: large enough for networks that halve it five times, and what
/// networks with a fixed classifier were trained at.
const SIDES: &[usize] = &[64, 224, 32, 128, 256, 28, 299, 512];

/// More elements than any image or sequence has; a file that asks for more would only exhaust the memory.
const MAX_ELEMENTS: usize = 1 << 28;

/// Sizes for dimensions that nothing fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizing {
    /// For the first axis.
    pub(super) batch: usize,
    /// For the others, in turn: symbols of different names get different sizes.
    pub(super) sides: &'static [usize],
}

impl Sizing {
    /// To try first: square, with one image.
    pub(super) fn usual() -> impl Iterator<Item = Self> {
        SIDES.chunks(1).map(|sides| Self { batch: 1, sides })
    }
}

/// Further assignments, for what shows at other sizes only. Of each group the first that the original can be evaluated in is
/// taken: odd sizes with several images, then sizes near 1, where windows hang over the edges and everything broadcasts. Models that
/// work with one image only, or in their own size only, come last.
pub(super) const OTHER_SIZES: &[&[Sizing]] = &[
    &[
        Sizing { batch: 3, sides: &[37, 41] },
        Sizing { batch: 3, sides: &[35, 33] },
        Sizing { batch: 3, sides: &[65, 63] },
        Sizing { batch: 3, sides: &[96, 64] },
        Sizing { batch: 3, sides: &[7, 9] },
        Sizing { batch: 3, sides: &[64] },
        Sizing { batch: 3, sides: &[224] },
        Sizing { batch: 1, sides: &[37, 41] },
        Sizing { batch: 1, sides: &[65, 63] },
        Sizing { batch: 1, sides: &[7, 9] },
        Sizing { batch: 1, sides: &[96, 64] },
    ],
    &[
        Sizing { batch: 2, sides: &[1] },
        Sizing { batch: 2, sides: &[2, 1] },
        Sizing { batch: 2, sides: &[3, 5] },
        Sizing { batch: 2, sides: &[9, 8] },
        Sizing { batch: 2, sides: &[17, 16] },
        Sizing { batch: 2, sides: &[32] },
        Sizing { batch: 2, sides: &[224] },
        Sizing { batch: 1, sides: &[1] },
        Sizing { batch: 1, sides: &[3, 5] },
        Sizing { batch: 1, sides: &[17, 16] },
        Sizing { batch: 1, sides: &[32] },
    ],
];

/// The shape of every port: `stated` (by the user) first, then the model's own sizes, then those of `sizing`, and the channels that
/// the first convolution reads.
///
/// # Errors
/// [`VerifyError::Input`] for a statement that contradicts the model or names no tensor of it, and for an unknown rank.
pub(super) fn choose(
    ports: &[Port],
    graph: &GraphProto,
    stated: &HashMap<String, Vec<usize>>,
    sizing: Sizing,
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
    let mut next = sizing.sides.iter().copied().cycle();
    let mut side = || next.next().unwrap_or(1);
    let batch = sizing.batch;
    let weights = weights(graph);
    let weight = |port: &Port| weights.get(port.name.as_str());
    ports.iter().map(|p| shape(p, weight(p), stated.get(&p.name), (batch, &mut side), &mut symbols)).collect()
}

/// Checks the stated `shape` against the declared one and learns the sizes of symbols.
fn agree<'a>(
    port: &Port,
    dims: &'a [PortDim],
    shape: &[usize],
    symbols: &mut HashMap<&'a str, usize>,
) -> Result<(), VerifyError> {
    let fits = dims.len() == shape.len()
        && dims.iter().zip(shape).all(|(dim, size)| match dim {
            PortDim::Fixed(n) => n == size,
            PortDim::Symbol(s) => symbols.insert(s, *size).is_none_or(|old| old == *size),
            PortDim::Free => true,
        });
    let reason = || format!("shape {shape:?} does not fit {port}");
    if fits { Ok(()) } else { Err(VerifyError::Input { name: port.name.clone(), reason: reason() }) }
}

fn shape<'a>(
    port: &'a Port,
    weight: Option<&Weight>,
    stated: Option<&Vec<usize>>,
    (batch, side): (usize, &mut dyn FnMut() -> usize),
    symbols: &mut HashMap<&'a str, usize>,
) -> Result<InputReport, VerifyError> {
    let fail = |reason: &str| VerifyError::Input { name: port.name.clone(), reason: reason.to_owned() };
    let rank = weight.map(|w| vec![PortDim::Free; w.rank]);
    let mut assumed = false;
    let shape: Vec<usize> = match (stated, port.dims.as_ref().or(rank.as_ref())) {
        (Some(shape), _) => shape.clone(),
        (None, None) => return Err(fail("its shape is unknown")),
        (None, Some(dims)) => {
            let channels = weight.map(|w| w.channels);
            let mut sizes = Vec::with_capacity(dims.len());
            for (axis, dim) in dims.iter().enumerate() {
                let symbol = match dim {
                    PortDim::Fixed(n) => {
                        sizes.push(*n);
                        continue;
                    }
                    // The next dimension of the same symbol gets the same size.
                    PortDim::Symbol(s) => Some(s.as_str()),
                    PortDim::Free => None,
                };
                assumed = true;
                let known = symbol.and_then(|s| symbols.get(s).copied());
                let size = known.unwrap_or_else(|| match (axis, channels) {
                    (0, _) => batch,
                    (1, Some(channels)) => channels,
                    // A volume has its side once more than an image has.
                    _ if dims.len() > 4 => side().div_ceil(2),
                    _ => side(),
                });
                if let Some(symbol) = symbol.filter(|_| port.dims.is_some()) {
                    // The port outlives the symbols.
                    let own = port.dims.iter().flatten().find_map(|d| match d {
                        PortDim::Symbol(s) if s == symbol => Some(s.as_str()),
                        _ => None,
                    });
                    own.map(|s| symbols.entry(s).or_insert(size));
                }
                sizes.push(size);
            }
            sizes
        }
    };
    match shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d)) {
        Some(n) if n <= MAX_ELEMENTS => Ok(InputReport { name: port.name.clone(), shape, assumed }),
        _ => Err(fail(&format!("shape {shape:?} is too large to run"))),
    }
}

struct Weight {
    rank: usize,
    channels: usize,
}

/// What the first convolution that reads a tensor says about it.
fn weights(graph: &GraphProto) -> HashMap<&str, Weight> {
    let initializers: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|t| (t.name(), t)).collect();
    let weight = |node: &NodeProto| {
        let weight = initializers.get(node.input.get(1)?.as_str())?;
        let group = node.attribute.iter().find(|a| a.name() == "group").map_or(1, |a| a.i());
        let channels = weight.dims.get(1)?.checked_mul(group)?;
        Some(Weight { rank: weight.dims.len(), channels: usize::try_from(channels).ok().filter(|c| *c > 0)? })
    };
    let mut first = HashMap::new();
    for node in graph.node.iter().filter(|n| n.op_type() == "Conv") {
        if let Some(input) = node.input.first() {
            first.entry(input.as_str()).or_insert(node);
        }
    }
    first.into_iter().filter_map(|(input, node)| Some((input, weight(node)?))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SIDE: Sizing = Sizing { batch: 1, sides: &[64] };

    fn port(name: &str, dims: Vec<PortDim>) -> Port {
        Port { name: name.to_owned(), dtype: None, dims: Some(dims) }
    }

    #[test]
    fn symbols_are_one_size_and_the_batch_is_one() {
        let n = || PortDim::Symbol("n".to_owned());
        let ports = [port("a", vec![n(), PortDim::Fixed(3), PortDim::Free]), port("b", vec![n(), n()])];
        let shapes = choose(&ports, &GraphProto::default(), &HashMap::new(), SIDE).unwrap();
        assert_eq!((shapes[0].shape.as_slice(), shapes[0].assumed), ([1, 3, 64].as_slice(), true));
        assert_eq!(shapes[1].shape, [1, 1]);
        let stated = HashMap::from([("b".to_owned(), vec![5, 5])]);
        let shapes = choose(&ports, &GraphProto::default(), &stated, SIDE).unwrap();
        assert_eq!(shapes[0].shape, [5, 3, 64], "a symbol that a later input states");
        assert!(!shapes[1].assumed);
    }

    #[test]
    fn a_volume_has_half_the_side() {
        let free = |n: usize| vec![PortDim::Free; n];
        let ports = [port("image", free(4)), port("volume", free(5))];
        let shapes = choose(&ports, &GraphProto::default(), &HashMap::new(), SIDE).unwrap();
        assert_eq!((shapes[0].shape[3], shapes[1].shape[3]), (64, 32));
        let one = Sizing { batch: 2, sides: &[1] };
        assert_eq!(choose(&ports[1..], &GraphProto::default(), &HashMap::new(), one).unwrap()[0].shape[2], 1);
    }

    #[test]
    fn other_symbols_get_other_sizes() {
        let dim = |s: &str| PortDim::Symbol(s.to_owned());
        let ports =
            [port("a", vec![dim("n"), PortDim::Fixed(3), dim("h"), dim("w")]), port("b", vec![dim("n"), dim("w")])];
        let sizing = Sizing { batch: 3, sides: &[37, 41] };
        let shapes = choose(&ports, &GraphProto::default(), &HashMap::new(), sizing).unwrap();
        assert_eq!(
            (shapes[0].shape.as_slice(), shapes[1].shape.as_slice()),
            ([3, 3, 37, 41].as_slice(), [3, 41].as_slice())
        );
    }

    #[test]
    fn a_statement_that_contradicts_is_refused() {
        let ports = [port("a", vec![PortDim::Free, PortDim::Fixed(3)])];
        let says = |name: &str, shape: &[usize]| {
            let stated = HashMap::from([(name.to_owned(), shape.to_vec())]);
            choose(&ports, &GraphProto::default(), &stated, SIDE).map(|s| s[0].shape.clone()).map_err(|e| e.to_string())
        };
        assert_eq!(says("a", &[2, 3]), Ok(vec![2, 3]));
        assert!(says("a", &[2, 4]).unwrap_err().contains("does not fit 'a'"));
        assert!(says("a", &[2, 3, 1]).is_err());
        assert!(says("z", &[1]).unwrap_err().contains("no such input"));
        assert!(says("a", &[usize::MAX, 3]).unwrap_err().contains("too large"));
    }
}
