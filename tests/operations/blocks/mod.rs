//! Blocks, one for each operator and place. Each writes itself behind the tensor given and returns the join.

mod activations;
pub mod channels;
mod gates;
mod nested;
pub mod norms;
mod plain;
pub mod rows;
mod shortcuts;
mod windows;

use crate::common::*;

/// Writes a block behind the tensor given and returns the join.
pub type Block = fn(&mut Build, &str) -> String;

/// Channels of the tensor in front of every block.
pub const C: usize = 6;

/// Name and block of every row of every table.
pub fn all() -> impl Iterator<Item = (&'static str, Block)> {
    let tables = [
        plain::BLOCKS,
        activations::BLOCKS,
        gates::BLOCKS,
        channels::BLOCKS,
        shortcuts::BLOCKS,
        windows::BLOCKS,
        nested::BLOCKS,
        norms::BLOCKS,
        rows::BLOCKS,
    ];
    tables.into_iter().flatten().copied()
}

/// The block called `name`.
pub fn named(name: &str) -> Block {
    all().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no block is called {name}")).1
}

/// Joins that stay: those inside of a block that are no residual join.
pub fn stays(name: &str) -> usize {
    match name {
        // The sum of a gate and of what it is added to.
        "broadcast sum" | "gate that scales and shifts" | "global context" => 1,
        // A sum within a function of one tensor.
        "gelu by tanh written out" | "a function that is infinite at zero" | "a function of no name" => 1,
        // A difference of two functions, of which none is linear.
        _ if name.ends_with("beside a difference of two relus") => 1,
        // No join of the two can go, so the one around leads through it.
        "two branches inside, of which none is linear" => 1,
        "sum of three, of which one has no shortcut" => 1,
        // The fork itself is a sum of three, none of which is a branch.
        _ if name.ends_with("beside a sum of relus") => 2,
        _ => 0,
    }
}

/// A block behind a 1x1 convolution, and a Relu behind its join. The fork is never negative unless `signed`.
pub fn model_of(block: Block, seed: u64, signed: bool) -> Build {
    let mut b = Build::new(seed);
    let x = b.input("x", &[-1, C as i64, 8, 8]);
    let x = b.conv(&x, &conv(C, C, 1));
    let x = if signed { x } else { b.relu(&x) };
    let y = block(&mut b, &x);
    let y = b.relu(&y);
    b.output(&y);
    b
}

/// Two convolutions with something between.
pub fn basic_with(b: &mut Build, x: &str, between: fn(&mut Build, &str) -> String) -> String {
    let y = b.conv(x, &conv(C, 8, 3));
    let y = between(b, &y);
    let y = b.conv(&y, &conv(8, C, 3));
    b.add(&y, x)
}
