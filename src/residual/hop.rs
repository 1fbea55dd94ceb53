//! A widened convolution in the form that was chosen for it: up to four nodes in a row.

use crate::algebra::{Geometry, Hop, Kernel, Layout, Slot, blocks::select, widen::widen};

use super::emit::Emit;
use super::host::Hosted;
use super::pass::BranchConv;

/// What stands for one convolution of the branch.
pub(super) struct Widened<'h> {
    /// Channels in front, and those that it selects of them.
    select: Option<(usize, &'h [usize])>,
    main: Kernel,
    /// The same of the sum, with its kernel.
    sum: Option<(Option<(usize, &'h [usize])>, Kernel)>,
}

impl<'h> Widened<'h> {
    /// `body` in the form `hop` between two layouts; a linear layer where there are no `maps`. `None` when it does not fit.
    pub(super) fn new(
        body: &Kernel,
        hosted: &Hosted,
        hop: &'h Hop,
        around: (&[Slot], &[Slot]),
        maps: bool,
    ) -> Option<Self> {
        let (lin, lout) = around;
        let front = hop.select.as_deref();
        let reads = select(lin, front)?;
        let chosen = front.map(|columns| (lin.len(), columns));
        let Some(sum) = &hop.sum else {
            let main = widen(body, &hosted.carry, &reads, lout, hosted.pair_scale)?;
            // A linear layer has no groups.
            let main = if maps { main } else { main.dense()? };
            return Some(Self { select: chosen, main, sum: None });
        };
        let (pass, merge) = hosted.steps()?;
        let main = widen(body, &pass, &reads, &sum.partial, 1.0)?;
        let terms: Layout = select(&sum.partial, sum.select.as_deref())?;
        let identity = Kernel { bias: body.bias.clone(), ..Kernel::identity(body.outputs(), hosted.window.axes()) };
        let added = widen(&identity, &merge, &terms, lout, 1.0)?;
        let columns = sum.select.as_deref().map(|columns| (sum.partial.len(), columns));
        Some(Self { select: chosen, main, sum: Some((columns, added)) })
    }

    /// Every weight and bias.
    pub(super) fn weights(&self) -> impl Iterator<Item = &f64> {
        let kernels = std::iter::once(&self.main).chain(self.sum.iter().map(|(_, kernel)| kernel));
        kernels.flat_map(|k| k.weight.iter().chain(k.bias.iter().flatten()))
    }

    /// Writes the nodes; the convolution itself, which looks through `window`, keeps its name.
    pub(super) fn emit(&self, emit: &mut Emit<'_>, conv: &BranchConv, window: &Geometry, input: &str, output: &str) {
        let (name, weight) = (conv.name.as_str(), conv.weight_name.as_str());
        let input = selected(emit, &format!("{name}_select"), input, self.select);
        let Some((columns, sum)) = &self.sum else {
            return emit.conv(name, weight, &self.main, window, &input, output);
        };
        let partial = emit.fresh(&format!("{name}_partial"));
        emit.conv(name, weight, &self.main, window, &input, &partial);
        let terms = selected(emit, &format!("{name}_terms"), &partial, *columns);
        let one = Geometry::pointwise(window.axes());
        emit.conv(&format!("{name}_sum"), &format!("{weight}_sum"), sum, &one, &terms, output);
    }
}

fn selected(emit: &mut Emit<'_>, name: &str, input: &str, columns: Option<(usize, &[usize])>) -> String {
    columns.map_or_else(|| input.to_owned(), |(width, columns)| emit.take_alone(name, input, width, columns))
}
