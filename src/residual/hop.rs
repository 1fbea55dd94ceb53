//! A widened convolution in the form that was chosen for it: up to four nodes in a row.

use crate::algebra::{Geometry, Hop, Kernel, Layout, Slot, blocks::select, widen::widen};

use crate::emit::Emit;
use crate::facts::tensor;
use crate::onnx::{TensorProto, tensor_proto::DataType};
use crate::read::{BranchConv, Frame};

use super::host::Hosted;

/// What stands for one convolution of the branch.
pub(super) struct Widened<'h> {
    main: Selected<'h>,
    /// The sum of what it writes.
    sum: Option<Selected<'h>>,
}

/// A convolution, with a selection in front of it or none.
struct Selected<'h> {
    /// Channels in front, and those of them that it reads.
    select: Option<(usize, &'h [usize])>,
    kernel: Kernel,
    /// The weights as they will stand in the file.
    written: Option<TensorProto>,
}

impl<'h> Selected<'h> {
    fn new(width: usize, columns: Option<&'h [usize]>, kernel: Kernel) -> Self {
        Self { select: columns.map(|columns| (width, columns)), kernel, written: None }
    }

    /// False when a weight does not fit `dtype`.
    fn write(&mut self, dtype: DataType) -> bool {
        let (weight, bias) = (&self.kernel.weight, self.kernel.bias.as_deref().unwrap_or_default());
        let fit = match weight.as_slice() {
            Some(weight) => tensor::fits(dtype, weight),
            None => tensor::fits(dtype, weight),
        };
        let fits = fit && tensor::fits(dtype, bias);
        if fits {
            self.written = Some(tensor::write("", weight, dtype));
        }
        fits
    }

    /// Writes it as a convolution.
    fn emit(&self, emit: &mut Emit<'_>, (name, weight): (&str, &str), window: &Geometry, input: &str, output: &str) {
        match (&self.written, emit.frame) {
            // Weights on a grid are written as integers.
            (Some(written), Frame::ChannelsFirst) if emit.grid.is_none() => {
                let w = emit.written(weight, written.clone());
                emit.conv_of(name, (weight, &w), &self.kernel, window, input, output);
            }
            _ => emit.conv(name, weight, &self.kernel, window, input, output),
        }
    }

    /// The name of what it reads of `input`.
    fn selected(&self, emit: &mut Emit<'_>, name: &str, input: &str) -> String {
        self.select.map_or_else(|| input.to_owned(), |(width, columns)| emit.take_alone(name, input, width, columns))
    }
}

impl<'h> Widened<'h> {
    /// `body` in the form `hop` between two layouts, in one group where its groups may not be written. `None` when it does not fit.
    pub(super) fn new(
        body: &Kernel,
        hosted: &Hosted,
        hop: &'h Hop,
        around: (&[Slot], &[Slot]),
        may_group: impl Fn(&Kernel) -> bool,
    ) -> Option<Self> {
        let (lin, lout) = around;
        let front = hop.select.as_deref();
        let reads = select(lin, front)?;
        let Some(sum) = &hop.sum else {
            let main = widen(body, &hosted.carry, &reads, lout, hosted.pair_scale)?;
            let main = if may_group(&main) { main } else { main.dense()? };
            return Some(Self { main: Selected::new(lin.len(), front, main), sum: None });
        };
        let (pass, merge) = hosted.steps()?;
        let main = widen(body, &pass, &reads, &sum.partial, 1.0)?;
        let terms: Layout = select(&sum.partial, sum.select.as_deref())?;
        let identity = Kernel { bias: body.bias.clone(), ..Kernel::identity(body.outputs(), hosted.window.axes()) };
        let added = widen(&identity, &merge, &terms, lout, 1.0)?;
        let sum = Selected::new(sum.partial.len(), sum.select.as_deref(), added);
        Some(Self { main: Selected::new(lin.len(), front, main), sum: Some(sum) })
    }

    /// Brings the weights into the form of the file. False when one does not fit `dtype`.
    pub(super) fn write(&mut self, dtype: DataType) -> bool {
        self.main.write(dtype) && self.sum.as_mut().is_none_or(|sum| sum.write(dtype))
    }

    /// Writes the nodes; the convolution itself, which looks through `window`, keeps its name.
    pub(super) fn emit(&self, emit: &mut Emit<'_>, conv: &BranchConv, window: &Geometry, input: &str, output: &str) {
        let (name, weight) = (conv.name.as_str(), conv.weight_name.as_str());
        let input = self.main.selected(emit, &format!("{name}_select"), input);
        let Some(sum) = &self.sum else {
            return self.main.emit(emit, (name, weight), window, &input, output);
        };
        let partial = emit.fresh(&format!("{name}_partial"));
        self.main.emit(emit, (name, weight), window, &input, &partial);
        let terms = sum.selected(emit, &format!("{name}_terms"), &partial);
        let one = Geometry::pointwise(window.axes());
        sum.emit(emit, (&format!("{name}_sum"), &format!("{weight}_sum")), &one, &terms, output);
    }
}
