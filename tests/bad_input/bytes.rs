//! Bytes changed, cut, doubled and put in at random.

use super::build::{Build, Rng, conv, float, ints};
use super::survive::{Fate, scratch, survives};
use super::*;

const MUTATIONS: u64 = 3000;

#[test]
fn random_damage_to_the_bytes_is_survived() {
    let models: Vec<Vec<u8>> = [good(), varied()].iter().map(Message::encode_to_vec).collect();
    let file = scratch("damaged_bytes.onnx");
    let (mut refused, mut rewritten) = (0, 0);
    for seed in 0..MUTATIONS {
        let mut rng = Rng(seed);
        let mut bytes = models[rng.below(models.len())].clone();
        for _ in 0..=rng.below(3) {
            damage(&mut bytes, &mut rng);
        }
        fs::write(&file, &bytes).unwrap();
        match survives(&file, &format!("seed {seed} ({})", file.display())) {
            Fate::Refused => refused += 1,
            Fate::Rewritten(0) => {}
            Fate::Rewritten(_) => rewritten += 1,
        }
    }
    assert!(refused > 100 && rewritten > 100, "{refused} refused, {rewritten} rewritten: the damage is of one kind");
}

/// Four of five times something small, else something that hits lengths.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.below(bytes.len());
    match rng.below(10) {
        0..5 => bytes[at] ^= 1 << rng.below(8),
        5 => bytes[at] = [0x00, 0x01, 0x7f, 0x80, 0xff][rng.below(5)],
        6 => bytes.truncate(at),
        7 => bytes.insert(at, rng.next() as u8),
        8 => drop(bytes.remove(at)),
        _ => {
            let end = (at + 1 + rng.below(40)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
    }
}

/// A model with many kinds of operators: what facts are derived from and what a block can hold.
pub(super) fn varied() -> ModelProto {
    let mut b = Build::new(3);
    let x = b.input("x", &[-1, 4, 8, 8]);
    let x = b.relu(&x);
    let y = b.conv(&x, &conv(4, 8, 1));
    let y = b.batch_norm(&y, 8);
    let (low, high) = (b.floats(&[], vec![0.0]), b.floats(&[], vec![6.0]));
    let y = b.node("Clip", &[&y, &low, &high], vec![]);
    let y = b.conv(&y, &conv(8, 8, 3).group(8));
    let y = b.node("LeakyRelu", &[&y], vec![float("alpha", 0.1)]);
    let y = b.conv(&y, &conv(8, 4, 1));
    let x = b.add(&y, &x);
    let y = b.conv(&x, &conv(4, 8, 3).stride(2));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(8, 8, 3));
    let s = b.conv(&x, &conv(4, 8, 1).stride(2));
    let x = b.add(&y, &s);
    let y = b.conv(&x, &conv(8, 16, 3).stride(2));
    let y = b.relu(&y);
    let y = b.conv(&y, &conv(16, 16, 3));
    let (starts, ends, axes, steps) = (b.ints(&[0, 0]), b.ints(&[i64::MAX; 2]), b.ints(&[2, 3]), b.ints(&[2, 2]));
    let s = b.node("Slice", &[&x, &starts, &ends, &axes, &steps], vec![]);
    let shape = b.node("Shape", &[&s], vec![]);
    let zero = b.ints(&[0]);
    let n = b.node("Gather", &[&shape, &zero], vec![]);
    let pads = b.ints(&[0, 4, 0, 0, 0, 4, 0, 0]);
    let s = b.node("Pad", &[&s, &pads], vec![]);
    let x = b.add(&y, &s);
    let x = b.node("MaxPool", &[&x], vec![ints("kernel_shape", &[2, 2])]);
    let rest = b.ints(&[-1]);
    let shape = b.node("Concat", &[&n, &rest], vec![super::build::int("axis", 0)]);
    let x = b.node("Reshape", &[&x, &shape], vec![]);
    b.output(&x);
    b.model()
}
