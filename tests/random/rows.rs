//! Residual blocks of linear layers, on the positions of a map as rows of channels.

use super::spec::{Layer, LayerKind, RowBlock, RowStep};
use super::write::{Tensor, Writer};
use crate::common::{int, ints};

/// Rows, and how their positions are numbered.
#[derive(Clone)]
struct Rows {
    at: Tensor,
    /// `[N * T, C]` rather than `[N, T, C]`.
    flat: bool,
}

impl Writer {
    /// The block on the positions of `x`, which is a map again behind it.
    pub fn row_block(&mut self, x: &Tensor, block: &RowBlock) -> Tensor {
        let (axes, positions) = (self.axes, self.size.pow(self.axes as u32) as i64);
        let tokens = self.b.ints(&[0, x.channels as i64, positions]);
        let y = self.b.node("Reshape", &[&x.name, &tokens], vec![]);
        let y = self.b.node("Transpose", &[&y], vec![ints("perm", &[0, 2, 1])]);
        // A constant of a channel's own has no axis behind it.
        self.axes = 0;
        let rows = Rows { at: Tensor { name: y, channels: x.channels }, flat: false };
        let rows = if block.flat { self.renumber(&rows, positions) } else { rows };
        let y = self.residual(&rows, block, positions);
        let y = if y.flat { self.renumber(&y, positions).at } else { y.at };
        self.axes = axes;
        let y = Tensor { name: self.b.node("Transpose", &[&y.name], vec![ints("perm", &[0, 2, 1])]), ..y };
        let shape = [vec![0, y.channels as i64], vec![self.size as i64; axes]].concat();
        let shape = self.b.ints(&shape);
        Tensor { name: self.b.node("Reshape", &[&y.name, &shape], vec![]), ..y }
    }

    fn residual(&mut self, x: &Rows, block: &RowBlock, positions: i64) -> Rows {
        let mut y = x.clone();
        for step in &block.steps {
            y = self.row_step(&y, step, positions);
        }
        let width = block.projection.as_ref().map_or(x.at.channels, |p| p.width);
        y = self.layer(&y, &Layer { width, ..block.last.clone() }, positions);
        if let Some(tail) = block.tail {
            y.at = self.act(&y.at, tail);
        }
        let y = if y.flat == x.flat { y } else { self.renumber(&y, positions) };
        let s = match &block.projection {
            Some(layer) => self.layer(x, layer, positions),
            None => x.clone(),
        };
        let sides = if block.swapped { [&s.at.name, &y.at.name] } else { [&y.at.name, &s.at.name] };
        let name = self.b.node("Add", &sides.map(String::as_str), vec![]);
        Rows { at: Tensor { name, channels: width }, flat: x.flat }
    }

    fn row_step(&mut self, x: &Rows, step: &RowStep, positions: i64) -> Rows {
        match step {
            RowStep::Layer(layer) => self.layer(x, layer, positions),
            RowStep::Act(act) => Rows { at: self.act(&x.at, *act), ..*x },
            RowStep::Norm => self.row_norm(x, positions),
            RowStep::Renumber => self.renumber(x, positions),
            RowStep::Gate if !x.flat => {
                let mean = self.b.node("ReduceMean", &[&x.at.name], vec![ints("axes", &[1])]);
                let mean = Rows { at: Tensor { name: mean, ..x.at }, flat: false };
                let layer = Layer { width: x.at.channels, kind: LayerKind::Biased };
                let g = self.layer(&mean, &layer, positions);
                let g = self.b.node("Sigmoid", &[&g.at.name], vec![]);
                let name = self.b.node("Mul", &[&x.at.name, &g], vec![]);
                Rows { at: Tensor { name, ..x.at }, flat: false }
            }
            RowStep::Halves if x.at.channels.is_multiple_of(2) => {
                let half = x.at.channels / 2;
                let sizes = self.b.ints(&[half as i64; 2]);
                let parts = self.b.nodes("Split", &[&x.at.name, &sizes], 2, vec![int("axis", -1)]);
                let g = self.b.node("Sigmoid", &[&parts[1]], vec![]);
                let name = self.b.node("Mul", &[&g, &parts[0]], vec![]);
                Rows { at: Tensor { name, channels: half }, ..*x }
            }
            RowStep::Gate | RowStep::Halves => x.clone(),
        }
    }

    /// `[N, T, C]` as `[N * T, C]`, and the other way round.
    fn renumber(&mut self, x: &Rows, positions: i64) -> Rows {
        let channels = x.at.channels as i64;
        let shape = if x.flat { vec![-1, positions, channels] } else { vec![-1, channels] };
        let shape = self.b.ints(&shape);
        let name = self.b.node("Reshape", &[&x.at.name, &shape], vec![]);
        Rows { at: Tensor { name, ..x.at }, flat: !x.flat }
    }

    fn row_norm(&mut self, x: &Rows, positions: i64) -> Rows {
        let rows = if x.flat { x.clone() } else { self.renumber(x, positions) };
        let normed = Rows { at: self.norm(&rows.at), ..rows };
        if x.flat { normed } else { self.renumber(&normed, positions) }
    }

    fn layer(&mut self, x: &Rows, layer: &Layer, positions: i64) -> Rows {
        let (inputs, outputs) = (x.at.channels, layer.width);
        let w = self.b.random(&[inputs, outputs], 1.5 / (inputs as f64).sqrt());
        let bias = self.b.random(&[outputs], 0.5);
        let name = match layer.kind {
            LayerKind::Biased if x.flat => self.b.node("Gemm", &[&x.at.name, &w, &bias], vec![]),
            LayerKind::Biased => {
                let y = self.b.node("MatMul", &[&x.at.name, &w], vec![]);
                self.b.add(&y, &bias)
            }
            LayerKind::Plain | LayerKind::Normed => self.b.node("MatMul", &[&x.at.name, &w], vec![]),
        };
        let y = Rows { at: Tensor { name, channels: outputs }, ..*x };
        if layer.kind == LayerKind::Normed { self.row_norm(&y, positions) } else { y }
    }
}
