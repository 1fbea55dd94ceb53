//! Joins inside of branches, and one behind the other.

use super::{Block, C, basic_with};
use crate::common::*;

pub(super) const BLOCKS: &[(&str, Block)] = &[
    ("three nested joins", |b, x| {
        let mut inner = b.conv(x, &conv(C, C, 3));
        for _ in 0..2 {
            let y = b.relu(&inner);
            let y = b.conv(&y, &conv(C, C, 3));
            inner = b.add(&y, &inner);
        }
        let y = b.relu(&inner);
        let y = b.conv(&y, &conv(C, C, 3));
        b.add(&y, x)
    }),
    ("a chain of three and a skip around it", |b, x| {
        let mut y = x.to_owned();
        for _ in 0..3 {
            let z = b.conv(&y, &conv(C, 4, 3));
            let z = b.relu(&z);
            let z = b.conv(&z, &conv(4, C, 1));
            y = b.add(&z, &y);
        }
        let y = b.conv(&y, &conv(C, C, 3));
        b.add(&y, x)
    }),
    ("linear branches inside", |b, x| {
        basic_with(b, x, |b, y| {
            let (p, q) = (b.conv(y, &conv(8, 8, 3)), b.conv(y, &conv(8, 8, 1)));
            let y = b.add(&p, &q);
            b.relu(&y)
        })
    }),
    ("two branches inside, of which none is linear", |b, x| {
        basic_with(b, x, |b, y| {
            let (p, q) = (b.conv(y, &conv(8, 8, 3)), b.conv(y, &conv(8, 8, 1)));
            let (p, q) = (b.relu(&p), b.node("Tanh", &[&q], vec![]));
            b.add(&q, &p)
        })
    }),
    ("a block that shares its convolution", |b, x| {
        let (w, c) = (b.random(&[C, C, 3, 3], 0.2), b.random(&[C], 0.5));
        let y = b.conv_with(&[x, &w, &c], &conv(C, C, 3));
        let y = b.relu(&y);
        let y = b.conv_with(&[&y, &w, &c], &conv(C, C, 3));
        b.add(&y, x)
    }),
    ("a gate from in front of the block", |b, x| {
        let g = b.node("Sigmoid", &[x], vec![]);
        let y = b.conv(x, &conv(C, 8, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(8, C, 3));
        let y = b.node("Mul", &[&y, &g], vec![]);
        b.add(&y, x)
    }),
];
