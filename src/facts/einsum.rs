//! The equation of an `Einsum`.

use std::collections::BTreeMap;

/// The letters of an `Einsum`, one for each axis.
pub(super) struct Equation {
    /// Of every input.
    pub(super) inputs: Vec<Vec<u8>>,
    /// Of the output.
    pub(super) output: Vec<u8>,
}

impl Equation {
    /// Reads it. `None` when it has an ellipsis, or anything but letters. Without an arrow the output has the letters that
    /// stand there once, in alphabetic order.
    pub(super) fn new(text: &[u8]) -> Option<Self> {
        let text: Vec<u8> = text.iter().copied().filter(|c| *c != b' ').collect();
        let arrow = text.windows(2).position(|w| w == b"->");
        let (left, right) = match arrow {
            Some(at) => (&text[..at], Some(&text[at + 2..])),
            None => (&text[..], None),
        };
        let inputs: Vec<Vec<u8>> = left.split(|c| *c == b',').map(<[u8]>::to_vec).collect();
        let mut once: Vec<u8> = inputs.concat();
        once.sort_unstable();
        let counted = once.clone();
        once.dedup();
        once.retain(|l| counted.iter().filter(|c| *c == l).count() == 1);
        let output = right.map_or(once, <[u8]>::to_vec);
        let known = |l: &u8| counted.contains(l);
        let distinct = output.iter().enumerate().all(|(i, l)| !output[..i].contains(l));
        let letters = counted.iter().all(u8::is_ascii_alphabetic);
        (letters && distinct && output.iter().all(known)).then_some(Self { inputs, output })
    }

    /// What every letter stands for, given what each axis of the inputs has. `None` when a letter stands for two, or when axes
    /// are more or fewer than letters.
    pub(super) fn sizes<'s, T: Clone + PartialEq + 's>(
        &self,
        shapes: impl Iterator<Item = &'s [T]>,
    ) -> Option<BTreeMap<u8, T>> {
        let shapes: Vec<&[T]> = shapes.collect();
        let fits =
            self.inputs.len() == shapes.len() && self.inputs.iter().zip(&shapes).all(|(t, s)| t.len() == s.len());
        let mut sizes = BTreeMap::new();
        for (letter, size) in self.inputs.iter().flatten().zip(shapes.into_iter().flatten()) {
            if sizes.insert(*letter, size.clone()).is_some_and(|other| other != *size) {
                return None;
            }
        }
        fits.then_some(sizes)
    }
}
