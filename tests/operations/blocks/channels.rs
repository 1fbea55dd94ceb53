//! Branches whose channels are parted, moved and joined.

use super::{Block, C, basic_with};
use crate::common::*;

/// The channels of `x` at `indices`.
pub fn gather(b: &mut Build, x: &str, indices: &[i64], axis: i64) -> String {
    let indices = b.ints(indices);
    b.node("Gather", &[x, &indices], vec![int("axis", axis)])
}

/// Pieces of the channels of `x` out of a sequence: of the sizes given, or of one size for all but the last.
fn pieces(b: &mut Build, x: &str, sizes: &[i64], places: &[i64]) -> Vec<String> {
    let split = b.ints(sizes);
    let scalar = b.graph.initializer.last_mut().filter(|_| sizes.len() == 1);
    scalar.into_iter().for_each(|t| t.dims.clear());
    let sequence = b.node("SplitToSequence", &[x, &split], vec![int("axis", 1)]);
    let mut found = Vec::new();
    for place in places {
        let place = b.ints(&[*place]);
        b.graph.initializer.last_mut().unwrap().dims.clear();
        found.push(b.node("SequenceAt", &[&sequence, &place], vec![]));
    }
    found
}

pub(super) const BLOCKS: &[(&str, Block)] = &[
    ("concat that holds the fork", |b, x| {
        let y = b.conv(x, &conv(C, 4, 3));
        let y = b.relu(&y);
        let c = b.node("Concat", &[x, &y], vec![int("axis", 1)]);
        let y = b.conv(&c, &conv(C + 4, C, 3));
        b.add(&y, x)
    }),
    ("split and concat", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let parts = b.ints(&[4, 4]);
        let p = b.nodes("Split", &[&y, &parts], 2, vec![int("axis", 1)]);
        let z = b.conv(&p[0], &conv(4, 4, 3));
        let z = b.relu(&z);
        let c = b.node("Concat", &[&z, &p[1]], vec![int("axis", -3)]);
        let y = b.conv(&c, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("halves in turned order", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let halves = b.split(&y, &[4, 4]);
        let y = b.concat(&[&halves[1], &halves[0]]);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("split and concat by a sequence", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let p = pieces(b, &y, &[5, 3], &[0, -1]);
        let z = b.conv(&p[0], &conv(5, 4, 3));
        let z = b.relu(&z);
        let c = b.concat(&[&z, &p[1]]);
        let y = b.conv(&c, &conv(7, C, 1));
        b.add(&y, x)
    }),
    ("the last of chunks of three beside a part of the fork", |b, x| {
        let whole = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&whole);
        // Chunks of 3, 3 and 2 channels.
        let p = pieces(b, &y, &[3], &[2]);
        let y = b.conv(&p[0], &conv(2, 4, 3));
        let s = pieces(b, &whole, &[2, 4, 2], &[1]);
        b.add(&y, &s[0])
    }),
    ("channel shuffle", |b, x| {
        let y = b.conv(x, &conv(C, 12, 1).group(3));
        let y = b.relu(&y);
        let (parted, whole) = (b.ints(&[0, 3, 4, 8, 8]), b.ints(&[0, 12, 8, 8]));
        let y = b.node("Reshape", &[&y, &parted], vec![]);
        let y = b.node("Transpose", &[&y], vec![ints("perm", &[0, 2, 1, 3, 4])]);
        let y = b.node("Reshape", &[&y, &whole], vec![]);
        let y = b.conv(&y, &conv(12, 12, 3).group(12));
        let y = b.conv(&y, &conv(12, C, 1).group(3));
        b.add(&y, x)
    }),
    ("res2net", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let p = b.split(&y, &[2, 2, 2, 2]);
        let first = b.conv(&p[0], &conv(2, 2, 3));
        let first = b.relu(&first);
        let second = b.add(&first, &p[1]);
        let second = b.conv(&second, &conv(2, 2, 3));
        let second = b.relu(&second);
        let third = b.add(&second, &p[2]);
        let third = b.conv(&third, &conv(2, 2, 3));
        let third = b.relu(&third);
        let y = b.concat(&[&first, &second, &third, &p[3]]);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("sum of a part of the channels", |b, x| {
        // A dual path network: four channels are summed up, the others are new.
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 7, 3));
        let (kept, own) = (b.slice(x, 0, 4), b.slice(&y, 0, 4));
        let new = b.slice(&y, 4, i64::MAX);
        let sum = b.add(&kept, &own);
        b.concat(&[&sum, &new])
    }),
    ("ghost module", |b, x| {
        let ghost = |b: &mut Build, y: &str, inputs: usize, half: usize, active: bool| {
            let p = b.conv(y, &conv(inputs, half, 1));
            let p = if active { b.relu(&p) } else { p };
            let q = b.conv(&p, &conv(half, half, 3).group(half));
            let q = if active { b.relu(&q) } else { q };
            b.concat(&[&p, &q])
        };
        let y = ghost(b, x, C, 4, true);
        let y = ghost(b, &y, 8, C / 2, false);
        b.add(&y, x)
    }),
    ("cross stage partial", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.node("HardSwish", &[&y], vec![]);
        let p = b.split(&y, &[4, 4]);
        let z = b.conv(&p[1], &conv(4, 4, 3));
        let z = b.node("HardSwish", &[&z], vec![]);
        let c = b.concat(&[&p[0], &p[1], &z]);
        let y = b.conv(&c, &conv(12, C, 1));
        b.add(&y, x)
    }),
    ("fork sliced at once", |b, x| {
        let p = b.slice(x, 2, 6);
        let y = b.conv(&p, &conv(4, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("concat behind the last convolution", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.relu(&y);
        let (p, q) = (b.conv(&y, &conv(4, 2, 1)), b.conv(&y, &conv(4, 4, 3)));
        let y = b.concat(&[&p, &q]);
        b.add(&y, x)
    }),
    ("the same part twice", |b, x| {
        let y = b.conv(x, &conv(C, 4, 1));
        let y = b.relu(&y);
        let c = b.concat(&[&y, &y]);
        let y = b.conv(&c, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("mixed kernel sizes", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1));
        let y = b.relu(&y);
        let p = b.split(&y, &[3, 5]);
        let q = b.conv(&p[0], &conv(3, 3, 3).group(3));
        let r = b.conv(&p[1], &conv(5, 5, 5).group(5));
        let y = b.concat(&[&q, &r]);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("channels in another order", |b, x| {
        basic_with(b, x, |b, y| {
            let y = gather(b, y, &[3, 1, -1, 0, 2, 6, -3, 4], 1);
            b.relu(&y)
        })
    }),
    ("channels in another order between groups", |b, x| {
        let y = b.conv(x, &conv(C, 8, 1).group(2));
        let y = gather(b, &y, &[0, 4, 1, 5, 2, 6, 3, 7], 1);
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, 8, 3).group(4));
        let y = b.conv(&y, &conv(8, C, 1).group(2));
        b.add(&y, x)
    }),
    ("channels taken twice, or not at all", |b, x| {
        let y = b.conv(x, &conv(C, 5, 3));
        let y = b.relu(&y);
        let y = gather(b, &y, &[4, 4, 1, 0, -4, 4], -3);
        let y = b.conv(&y, &conv(6, 8, 3).group(2));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 1));
        b.add(&y, x)
    }),
    ("fork gathered at once", |b, x| {
        let p = gather(b, x, &[5, 0, 5, 2], 1);
        let y = b.conv(&p, &conv(4, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("every second channel from the last", |b, x| {
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let (starts, ends, axes, steps) = (b.ints(&[-1]), b.ints(&[i64::MIN]), b.ints(&[1]), b.ints(&[-2]));
        let y = b.node("Slice", &[&y, &starts, &ends, &axes, &steps], vec![]);
        let y = b.conv(&y, &conv(4, C, 3));
        b.add(&y, x)
    }),
    ("channels of a constant added", |b, x| {
        let y = b.conv(x, &conv(C, 4, 3));
        let (pads, value) = (b.ints(&[0, 1, 0, 1, 0, 2, 1, 0]), b.scalar(-0.5));
        let y = b.node("Pad", &[&y, &pads, &value], vec![]);
        let y = b.node("LeakyRelu", &[&y], vec![]);
        let y = b.conv(&y, &conv(7, C, 2).pad(0));
        b.add(&y, x)
    }),
    ("fork with channels added at once", |b, x| {
        let pads = b.ints(&[0, 2, 0, 0, 0, 0, 0, 0]);
        let y = b.node("Pad", &[x, &pads], vec![]);
        let y = b.conv(&y, &conv(C + 2, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        b.add(&y, x)
    }),
    ("three branches behind one activation", |b, x| {
        // HiFi-GAN. What the removal of one writes for the others stands on their branches.
        let a = b.relu(x);
        let ends: Vec<String> = (0..3)
            .map(|_| {
                let y = b.conv(&a, &conv(C, 4, 3));
                let y = b.relu(&y);
                let y = b.conv(&y, &conv(4, C, 3));
                b.add(&y, x)
            })
            .collect();
        b.concat(&[&ends[0], &ends[1], &ends[2]])
    }),
];
