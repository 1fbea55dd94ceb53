//! Building new nodes and constants: the only place of rewriting that knows how a `NodeProto` looks.

use ndarray::{Array1, ArrayD, Axis, IxDyn};

use crate::algebra::{Geometry, Kernel, Slot};
use crate::facts::{Constant, Grid, OnGrid, tensor};
use crate::graph::{EditList, Names};
use crate::onnx::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType};
use crate::read::Frame;

/// Collects the nodes and initializers of one rewrite.
pub struct Emit<'a> {
    names: &'a mut Names,
    /// The edit under construction.
    pub edits: EditList,
    /// Element type of every new constant.
    pub dtype: DataType,
    /// Spatial axes of the tensors on the branch.
    pub axes: usize,
    /// The axis of the channels of the tensor in hand: 1, or 2 where several maps are stacked; the last one of rows.
    pub axis: usize,
    /// Where the channels stand: convolutions over rows are written as linear layers.
    pub frame: Frame,
    /// Opset of the model, where it is known: what older ones lack is not used.
    pub opset: i64,
    /// What the weights of a convolution are multiples of, where they are written as small integers.
    pub grid: Option<Grid>,
    /// The selection that was added last.
    taken: Option<Taken>,
}

/// A selection: of how many channels of what, which ones, and how many nodes and constants there were before it.
struct Taken {
    input: String,
    width: usize,
    columns: Vec<usize>,
    output: String,
    before: (usize, usize),
}

impl<'a> Emit<'a> {
    /// Starts an edit whose new nodes say `provenance`.
    pub fn new(names: &'a mut Names, dtype: DataType, axes: usize, provenance: String) -> Self {
        let edits = EditList { provenance, ..EditList::default() };
        Self { names, edits, dtype, axes, axis: 1, frame: Frame::ChannelsFirst, opset: 0, grid: None, taken: None }
    }

    /// A name that nothing in the model has.
    pub fn fresh(&mut self, hint: &str) -> String {
        self.names.fresh(hint)
    }

    /// How many nodes of the model are called `name`.
    #[must_use]
    pub fn nodes_called(&self, name: &str) -> usize {
        self.names.nodes_called(name)
    }

    /// Adds a node of the default domain and returns the name of its output.
    pub fn node(&mut self, op: &str, name: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        let node = NodeProto {
            name: Some(self.fresh(name)),
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|s| (*s).to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute,
            ..NodeProto::default()
        };
        self.edits.add_nodes.push(node);
    }

    /// Adds a copy of `node` that reads `inputs` and writes `output`: attributes, doc string and metadata stay.
    pub fn copy(&mut self, node: &NodeProto, inputs: &[&str], output: &str) {
        let mut copy = node.clone();
        copy.input = inputs.iter().map(|s| (*s).to_owned()).collect();
        copy.output = vec![output.to_owned()];
        self.edits.add_nodes.push(copy);
    }

    /// Adds a copy of `node` that reads `input` at `slot` and writes `output`. `None` when it has no such slot.
    pub fn reread(&mut self, node: &NodeProto, slot: usize, input: &str, output: &str) -> Option<()> {
        let mut inputs: Vec<&str> = node.input.iter().map(String::as_str).collect();
        *inputs.get_mut(slot)? = input;
        self.copy(node, &inputs, output);
        Some(())
    }

    /// Adds a constant and returns its name.
    pub fn constant(&mut self, hint: &str, values: &ArrayD<f64>) -> String {
        let name = self.fresh(hint);
        self.edits.add_initializers.push(tensor::write(&name, values, self.dtype));
        name
    }

    /// Adds a constant of the same type as one of the model, and returns its name. `None` for types that are not handled.
    pub fn exact(&mut self, hint: &str, constant: &Constant) -> Option<String> {
        let name = self.fresh(hint);
        self.edits.add_initializers.push(tensor::write_back(&name, &constant.data, constant.dtype)?);
        Some(name)
    }

    /// Adds one value a channel with as many axes as the tensor in hand, `[1, C, 1, ...]`: it broadcasts along channels only,
    /// and runtimes that bring the channels behind the spatial axes can tell which they are.
    pub fn per_channel(&mut self, hint: &str, values: Vec<f64>) -> String {
        let list = Array1::from(values).into_dyn();
        let front = (0..self.axis).fold(list, |array, _| array.insert_axis(Axis(0)));
        let array = (0..self.axes).fold(front, |array, _| {
            let end = array.ndim();
            array.insert_axis(Axis(end))
        });
        self.constant(hint, &array)
    }

    /// Adds an int64 vector.
    pub fn int64s(&mut self, hint: &str, values: &[i64]) -> String {
        let name = self.fresh(hint);
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.edits.add_initializers.push(TensorProto {
            name: Some(name.clone()),
            dims: vec![values.len() as i64],
            data_type: Some(DataType::Int64 as i32),
            raw_data: Some(raw.into()),
            ..TensorProto::default()
        });
        name
    }

    /// Adds a boolean mask, shaped as [`Self::per_channel`] is.
    pub fn mask(&mut self, hint: &str, values: impl Iterator<Item = bool>) -> String {
        let name = self.fresh(hint);
        let raw: Vec<u8> = values.map(u8::from).collect();
        let mut dims = vec![1; self.axis + 1 + self.axes];
        dims[self.axis] = raw.len() as i64;
        self.edits.add_initializers.push(TensorProto {
            name: Some(name.clone()),
            dims,
            data_type: Some(DataType::Bool as i32),
            raw_data: Some(raw.into()),
            ..TensorProto::default()
        });
        name
    }

    /// Adds the weight of a convolution, as integers where all of it is exactly on the grid.
    fn weight(&mut self, hint: &str, values: &ArrayD<f64>) -> String {
        let Some(grid) = self.grid.take() else { return self.constant(hint, values) };
        let placed = grid.place(values, &mut |what| self.names.fresh(&format!("{hint}_{what}")));
        self.grid = Some(grid);
        let Some(OnGrid { weight, scale, zero }) = placed else { return self.constant(hint, values) };
        let output = self.fresh(hint);
        let tensors: Vec<TensorProto> = [Some(weight), Some(scale), zero].into_iter().flatten().collect();
        let inputs: Vec<&str> = tensors.iter().map(|t| t.name()).collect();
        self.node("DequantizeLinear", &format!("{hint}_dequantize"), &inputs, &output, vec![int("axis", 0)]);
        self.edits.add_initializers.extend(tensors);
        output
    }

    /// Adds a linear layer with the weights of `kernel`, which has no spatial axis and no groups.
    fn layer(&mut self, name: &str, weight: &str, kernel: &Kernel, input: &str, output: &str) {
        let w = self.constant(weight, &kernel.weight.t().into_owned());
        let Some(bias) = &kernel.bias else {
            return self.node("MatMul", name, &[input, &w], output, Vec::new());
        };
        let bias = self.constant(&format!("{weight}_bias"), &Array1::from(bias.clone()).into_dyn());
        if self.axis == 1 {
            return self.node("Gemm", name, &[input, &w, &bias], output, Vec::new());
        }
        let product = self.fresh(&format!("{name}_product"));
        self.node("MatMul", name, &[input, &w], &product, Vec::new());
        self.node("Add", &format!("{name}_bias"), &[&product, &bias], output, Vec::new());
    }

    /// Adds a convolution with the weights of `kernel` in `window`; over rows, a linear layer.
    pub fn conv(&mut self, name: &str, weight: &str, kernel: &Kernel, window: &Geometry, input: &str, output: &str) {
        if self.frame == Frame::ChannelsLast {
            return self.layer(name, weight, kernel, input, output);
        }
        let w = self.weight(weight, &kernel.weight);
        self.conv_of(name, (weight, &w), kernel, window, input, output);
    }

    /// Adds a constant that is written already, and returns its name.
    pub fn written(&mut self, hint: &str, tensor: TensorProto) -> String {
        let name = self.fresh(hint);
        self.edits.add_initializers.push(TensorProto { name: Some(name.clone()), ..tensor });
        name
    }

    /// The convolution of [`Self::conv`] whose weights are the tensor `w`.
    pub fn conv_of(
        &mut self,
        name: &str,
        (weight, w): (&str, &str),
        kernel: &Kernel,
        window: &Geometry,
        input: &str,
        output: &str,
    ) {
        let b = kernel
            .bias
            .as_ref()
            .map(|bias| self.constant(&format!("{weight}_bias"), &Array1::from(bias.clone()).into_dyn()));
        let mut inputs = vec![input, w];
        inputs.extend(b.as_deref());
        let list = |v: &[usize]| v.iter().map(|x| *x as i64).collect::<Vec<_>>();
        let pads = [list(&window.pad_begin), list(&window.pad_end)].concat();
        let attributes = vec![
            ints("dilations", list(&window.dilation)),
            int("group", kernel.group as i64),
            ints("kernel_shape", list(&window.kernel)),
            ints("pads", pads),
            ints("strides", list(&window.stride)),
        ];
        self.node("Conv", name, &inputs, output, attributes);
    }

    /// [`Emit::take`] for the only reader of `input`: where that was selected in the step before, both selections are one.
    pub fn take_alone(&mut self, name: &str, input: &str, width: usize, columns: &[usize]) -> String {
        let last = self.taken.take_if(|t| t.output == input && t.before.0 + 1 == self.edits.add_nodes.len());
        let own = |last: &Taken| columns.iter().map(|c| last.columns.get(*c).copied()).collect::<Option<Vec<usize>>>();
        match last.as_ref().and_then(own).zip(last) {
            Some((columns, last)) => {
                self.edits.add_nodes.truncate(last.before.0);
                self.edits.add_initializers.truncate(last.before.1);
                self.take(name, &last.input, last.width, &columns, None)
            }
            None => self.take(name, input, width, columns, None),
        }
    }

    /// Takes the channels at `columns`, in that order: nothing when that is all of them, a `Slice` when they
    /// are neighbours (bounds are inputs since opset 10), a `Gather` otherwise. Returns the name that holds the result.
    pub fn take(&mut self, name: &str, input: &str, width: usize, columns: &[usize], output: Option<&str>) -> String {
        let before = (self.edits.add_nodes.len(), self.edits.add_initializers.len());
        let run = columns.windows(2).all(|w| w[1] == w[0] + 1);
        let all = run && columns.len() == width;
        if all && output.is_none() {
            return input.to_owned();
        }
        let output = output.map_or_else(|| self.fresh(&format!("{name}_out")), str::to_owned);
        if all {
            self.node("Identity", name, &[input], &output, Vec::new());
        } else if run && !columns.is_empty() && self.opset >= 10 {
            let start = columns[0] as i64;
            let starts = self.int64s(&format!("{name}_starts"), &[start]);
            let ends = self.int64s(&format!("{name}_ends"), &[start + columns.len() as i64]);
            let axes = self.int64s(&format!("{name}_axes"), &[self.axis as i64]);
            self.node("Slice", name, &[input, &starts, &ends, &axes], &output, Vec::new());
        } else {
            let index: Vec<i64> = columns.iter().map(|c| *c as i64).collect();
            let indices = self.int64s(&format!("{name}_indices"), &index);
            self.node("Gather", name, &[input, &indices], &output, vec![int("axis", self.axis as i64)]);
        }
        let input = input.to_owned();
        self.taken = Some(Taken { input, width, columns: columns.to_vec(), output: output.clone(), before });
        output
    }

    /// Gives the body's channels of `layout` the one channel of `input`, and every other one `fill`.
    pub fn select(&mut self, name: &str, fill: f64, input: &str, layout: &[Slot]) -> String {
        let mask = self.mask(&format!("{name}_mask"), layout.iter().map(|s| s.body.is_none()));
        let value = self.constant(&format!("{name}_value"), &ArrayD::from_elem(IxDyn(&[]), fill));
        let output = self.fresh(&format!("{name}_selected"));
        self.node("Where", name, &[&mask, &value, input], &output, Vec::new());
        output
    }

    /// Adds entries of `fill` (0 or 1) in front of each axis and behind it. Before opset 11 attributes said how many of what.
    fn pad(&mut self, name: &str, input: &str, pads: Vec<i64>, fill: f64) -> String {
        if (2..11).contains(&self.opset) {
            let padded = self.fresh(&format!("{name}_padded"));
            self.node("Pad", name, &[input], &padded, vec![ints("pads", pads), float("value", fill as f32)]);
            return padded;
        }
        let pads = self.int64s(&format!("{name}_pads"), &pads);
        let value = self.constant(&format!("{name}_value"), &ArrayD::from_elem(IxDyn(&[]), fill));
        let padded = self.fresh(&format!("{name}_padded"));
        self.node("Pad", name, &[input, &pads, &value], &padded, Vec::new());
        padded
    }

    /// Brings the body tensor `input` into `layout`, with `fill` on every other channel.
    /// Exact: a `Pad` with a constant, and a `Gather` where the order differs.
    pub fn spread(&mut self, name: &str, input: &str, layout: &[Slot], fill: f64) -> String {
        let channels = layout.iter().filter_map(|s| s.body).max().map_or(0, |b| b as usize + 1);
        let first = layout.iter().position(|s| s.body.is_some()).unwrap_or(0);
        let ordered = first + channels <= layout.len()
            && layout.iter().enumerate().all(|(i, s)| match s.body {
                Some(b) => i == first + b as usize,
                None => i < first || i >= first + channels,
            });
        // In order: one Pad on both sides. Else: one channel of `fill` at the end, and a Gather that repeats it.
        let (front, back) = if ordered { (first, layout.len() - first - channels) } else { (0, 1) };
        let rank = self.axis + 1 + self.axes;
        let mut pads = vec![0; 2 * rank];
        pads[self.axis] = front as i64;
        pads[rank + self.axis] = back as i64;
        let padded = self.pad(name, input, pads, fill);
        if ordered {
            return padded;
        }
        let columns: Vec<usize> = layout.iter().map(|s| s.body.map_or(channels, |b| b as usize)).collect();
        self.take(name, &padded, channels + 1, &columns, None)
    }
}

/// An integer attribute.
#[must_use]
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(value),
        ..AttributeProto::default()
    }
}

/// A float attribute.
#[must_use]
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Float as i32),
        f: Some(value),
        ..AttributeProto::default()
    }
}

/// A list of integers as an attribute.
#[must_use]
pub fn ints(name: &str, value: Vec<i64>) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(AttributeType::Ints as i32),
        ints: value,
        ..AttributeProto::default()
    }
}
