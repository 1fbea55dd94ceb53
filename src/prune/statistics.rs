//! What the layers read, as normal equations: for each, how the entries of its window vary together on the samples.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};

use crate::facts::Facts;
use crate::graph::{GraphView, NodeId, ValueId};
use crate::onnx::{ModelProto, NodeProto};
use crate::read::Context;
use crate::verify::reference::{self, Tap, Value};

use super::coupling::{Channel, Coupling, Form, Layer};
use super::error::PruneError;
use super::patches::{self, Positions};
use super::samples::{Batch, Samples};

/// Most columns of a system whose entries are all taken together (300 MiB); of a larger one each channel stands alone.
pub(super) const MAX_COLUMNS: usize = 6144;

/// Positions of a map that are looked at, of every sample: enough for a stable estimate, few enough to be quick.
pub(super) const POSITIONS: usize = 48;

/// The normal equations of one group of a layer.
pub(super) struct System {
    /// Which layer of the coupling.
    pub layer: usize,
    /// Which of its groups.
    pub group: usize,
    /// The columns of each group of channels.
    pub blocks: Vec<(Channel, Vec<usize>)>,
    /// Weights, `[columns, outputs]`.
    pub weights: Array2<f64>,
    /// Means of the columns, where a bias takes these; else zeros.
    pub mean: Array1<f64>,
    /// Covariance of the columns; where there are too many, of each block alone.
    pub covariance: Covariance,
}

/// How the columns vary.
pub(super) enum Covariance {
    /// All of them together, `[columns, columns]`.
    Whole(Array2<f64>),
    /// Block by block.
    Apart(Vec<Array2<f64>>),
}

/// What was seen of a model on the samples.
pub(super) struct Statistics {
    pub systems: Vec<System>,
    /// Positions of each layer's output, of one sample: what its multiply-accumulates count for.
    pub positions: Vec<f64>,
}

/// Runs `model` on `batches` and collects the statistics of every layer.
///
/// # Errors
/// When it cannot be run, or when a layer reads something else than was expected of it.
pub(super) fn collect(
    (model, view, facts): (&ModelProto, &GraphView<'_>, &Facts<'_>),
    coupling: &Coupling,
    batches: &[Batch],
    seed: u64,
    progress: &mut dyn FnMut(usize, usize) -> Result<(), PruneError>,
) -> Result<Statistics, PruneError> {
    let outputs: Vec<&str> = view.graph().output.iter().map(|o| o.name()).collect();
    let collector = Collector {
        coupling,
        layers: by_output(view, coupling),
        seed,
        places: RefCell::new(Vec::new()),
        sums: RefCell::new(coupling.layers.iter().map(|_| Vec::new()).collect()),
        positions: RefCell::new(vec![0.0; coupling.layers.len()]),
    };
    for (i, batch) in batches.iter().enumerate() {
        progress(i, batches.len())?;
        collector.places.replace(batch.places.clone());
        reference::run_tapped(model, &batch.inputs, &outputs, &collector)?;
    }
    collector.finish(facts)
}

/// The layers by the name of what they give.
pub(super) fn by_output<'a>(view: &GraphView<'a>, coupling: &Coupling) -> HashMap<&'a str, usize> {
    let name = |node: NodeId| view.output(node).map_or("", |v| view.name(v));
    coupling.layers.iter().enumerate().map(|(i, l)| (name(l.node), i)).collect()
}

/// Positions of each layer of `model`, of which `sized` has the sizes of one sample: as shapes say, or where they do not, as `samples` show.
///
/// # Errors
/// When it cannot be run.
pub(super) fn positions(
    (model, sized): (&ModelProto, Context<'_>),
    coupling: &Coupling,
    samples: Option<&Samples>,
) -> Result<Vec<f64>, PruneError> {
    let entries = |value: Option<ValueId>| {
        let dims = sized.facts.shape(value?)?.get(2..)?;
        dims.iter().try_fold(1.0, |n, d| Some(n * d.known()? as f64))
    };
    let of = |l: &Layer| match l.form {
        Form::Transposed => entries(sized.view.input(l.node, 0)),
        _ => entries(sized.view.output(l.node)),
    };
    let known: Vec<Option<f64>> = coupling.layers.iter().map(of).collect();
    match samples {
        Some(samples) if known.iter().any(Option::is_none) => {
            let view = GraphView::new(model)?;
            let facts = Facts::new(&view);
            let (fit, _) = samples.batches(&view, &facts)?;
            let first = fit.get(..1).unwrap_or_default();
            Ok(collect((model, &view, &facts), coupling, first, 0, &mut |_, _| Ok(()))?.positions)
        }
        _ => Ok(known.into_iter().map(|p| p.unwrap_or(1.0)).collect()),
    }
}

/// Running sums of one group of a layer.
struct Moments {
    rows: usize,
    total: Array1<f64>,
    squares: Covariance,
}

struct Collector<'a> {
    coupling: &'a Coupling,
    layers: HashMap<&'a str, usize>,
    seed: u64,
    places: RefCell<Vec<usize>>,
    sums: RefCell<Vec<Vec<Moments>>>,
    positions: RefCell<Vec<f64>>,
}

impl Tap for Collector<'_> {
    fn read(&self, node: &NodeProto, inputs: &[Option<Arc<Value>>]) {
        let layer = node.output.first().and_then(|o| self.layers.get(o.as_str()).copied());
        let x = inputs.first().and_then(|v| v.as_ref()?.floats());
        if let (Some(index), Some(x)) = (layer, x) {
            self.add(index, node, x);
        }
    }
}

/// Spatial sizes of what `layer` gives for `x`; for a transposed convolution those of `x` itself.
pub(super) fn spatial(layer: &Layer, x: &[usize]) -> Option<Vec<usize>> {
    let sizes = x.get(2..)?;
    let Form::Conv(window) = &layer.form else { return Some(sizes.to_vec()) };
    let along = |(axis, size): (usize, &usize)| usize::try_from(window.output(axis, i64::try_from(*size).ok()?)).ok();
    (sizes.len() == window.axes()).then(|| sizes.iter().enumerate().map(along).collect())?
}

impl Collector<'_> {
    fn add(&self, index: usize, node: &NodeProto, x: &ndarray::ArrayD<f64>) {
        let layer = &self.coupling.layers[index];
        let Some(spatial) = spatial(layer, x.shape()) else { return };
        let total: usize = spatial.iter().product();
        self.positions.borrow_mut()[index] = total as f64;
        if layer.depthwise {
            return;
        }
        let name = node.output.first().map_or("", String::as_str);
        let positions = Positions::draw(&self.places.borrow(), total, POSITIONS, self.seed, name);
        let sums = &mut self.sums.borrow_mut()[index];
        for group in 0..layer.group {
            let rows = match layer.form {
                Form::Transposed => {
                    let all: Vec<usize> = (0..layer.inputs.len()).collect();
                    if total == 0 { None } else { patches::outputs(x, &positions, &all) }
                }
                _ => patches::inputs(layer, x, &spatial, &positions, group),
            };
            let Some(rows) = rows else { return };
            if sums.len() <= group {
                sums.push(Moments::new(&blocks(self.coupling, layer, group), rows.ncols()));
            }
            sums[group].add(&rows, &blocks(self.coupling, layer, group));
        }
    }

    fn finish(self, facts: &Facts<'_>) -> Result<Statistics, PruneError> {
        let mut systems = Vec::new();
        for (index, groups) in self.sums.into_inner().into_iter().enumerate() {
            let layer = &self.coupling.layers[index];
            if groups.is_empty() {
                continue;
            }
            let weights = matrices(facts, layer).ok_or_else(|| {
                PruneError::Internal("the weights of a layer are not what they were taken for".to_owned())
            })?;
            for (group, (sums, weights)) in groups.into_iter().zip(weights).enumerate() {
                let blocks = blocks(self.coupling, layer, group);
                let (mean, covariance) = sums.covariance(&blocks, layer.has_bias);
                systems.push(System { layer: index, group, blocks, weights, mean, covariance });
            }
        }
        Ok(Statistics { systems, positions: self.positions.into_inner() })
    }
}

/// The columns of each group of channels, in the system of one `group` of `layer`.
fn blocks(coupling: &Coupling, layer: &Layer, group: usize) -> Vec<(Channel, Vec<usize>)> {
    let taps = if matches!(layer.form, Form::Conv(_)) { layer.taps } else { 1 };
    let mut blocks: BTreeMap<Channel, Vec<usize>> = BTreeMap::new();
    for (i, channel) in layer.inputs.iter().skip(group * layer.each()).take(layer.each()).enumerate() {
        blocks.entry(coupling.root(*channel)).or_default().extend(i * taps..(i + 1) * taps);
    }
    blocks.into_iter().collect()
}

/// The weights of a layer, one matrix `[columns, outputs]` a group.
pub(super) fn matrices(facts: &Facts<'_>, layer: &Layer) -> Option<Vec<Array2<f64>>> {
    let view = facts.view();
    let data = facts.constant(view.input(layer.node, 1)?)?.data.clone();
    let flat = |rows: usize, columns: usize| -> Option<Array2<f64>> {
        Array2::from_shape_vec((rows, columns), data.iter().copied().collect()).ok()
    };
    match layer.form {
        Form::Conv(_) => {
            let all = flat(layer.outputs.len(), layer.each() * layer.taps)?;
            let each = layer.outputs.len() / layer.group;
            let part =
                |g: usize| all.slice_axis(Axis(0), ndarray::Slice::from(g * each..(g + 1) * each)).reversed_axes();
            Some((0..layer.group).map(|g| part(g).to_owned()).collect())
        }
        Form::Linear { input_axis } => {
            let shape = data.shape().to_vec();
            let all = flat(*shape.first()?, *shape.get(1)?)?;
            Some(vec![if input_axis == 0 { all } else { all.reversed_axes().as_standard_layout().into_owned() }])
        }
        Form::Transposed => Some(vec![flat(layer.inputs.len(), layer.outputs.len() * layer.taps)?]),
    }
}

impl Moments {
    fn new(blocks: &[(Channel, Vec<usize>)], columns: usize) -> Self {
        let squares = if columns <= MAX_COLUMNS {
            Covariance::Whole(Array2::zeros((columns, columns)))
        } else {
            Covariance::Apart(blocks.iter().map(|(_, c)| Array2::zeros((c.len(), c.len()))).collect())
        };
        Self { rows: 0, total: Array1::zeros(columns), squares }
    }

    fn add(&mut self, rows: &Array2<f64>, blocks: &[(Channel, Vec<usize>)]) {
        self.rows += rows.nrows();
        self.total += &rows.sum_axis(Axis(0));
        match &mut self.squares {
            Covariance::Whole(all) => general_mat_mul(1.0, &rows.t(), rows, 1.0, all),
            Covariance::Apart(each) => {
                for (own, (_, columns)) in each.iter_mut().zip(blocks) {
                    let rows = rows.select(Axis(1), columns);
                    general_mat_mul(1.0, &rows.t(), &rows, 1.0, own);
                }
            }
        }
    }

    /// Means of products, around the means where a bias takes these.
    fn covariance(self, blocks: &[(Channel, Vec<usize>)], centred: bool) -> (Array1<f64>, Covariance) {
        let n = self.rows.max(1) as f64;
        let mean = if centred { self.total / n } else { Array1::zeros(self.total.len()) };
        let around = |mut squares: Array2<f64>, mean: &Array1<f64>| {
            squares /= n;
            for (mut row, m) in squares.outer_iter_mut().zip(mean) {
                row.scaled_add(-m, mean);
            }
            squares
        };
        let covariance = match self.squares {
            Covariance::Whole(all) => Covariance::Whole(around(all, &mean)),
            Covariance::Apart(each) => {
                let own = each.into_iter().zip(blocks);
                Covariance::Apart(own.map(|(a, (_, columns))| around(a, &mean.select(Axis(0), columns))).collect())
            }
        };
        (mean, covariance)
    }
}
