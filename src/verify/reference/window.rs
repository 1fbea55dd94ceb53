//! Windows that slide over the spatial axes: kernel, stride, dilation and padding of convolutions and pools.

use super::call::Call;
use super::dims;
use super::error::{Outcome, fault};

/// Spatial axes that are computed; fewer are filled up in front with axes of size 1.
pub(super) const AXES: usize = 3;

/// A window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Size of the input.
    pub(super) input: usize,
    /// Size of the output.
    pub(super) output: usize,
    /// Taps.
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    /// Padding in front.
    pub(super) begin: usize,
    /// Padding behind.
    pub(super) end: usize,
}

/// An axis that nothing slides over.
const ONE: Window = Window { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0 };

impl Window {
    /// Where tap `k` of output `o` lies in the input; `None` in the padding.
    pub(super) fn at(&self, o: usize, k: usize) -> Option<usize> {
        (o * self.stride + k * self.dilation).checked_sub(self.begin).filter(|i| *i < self.input)
    }

    /// The positions in the input that the window at output `o` reads: never more than there are, however large the window.
    pub(super) fn covered(&self, o: usize) -> std::iter::StepBy<std::ops::Range<usize>> {
        let shift = o * self.stride;
        let before = self.begin.saturating_sub(shift).div_ceil(self.dilation);
        let first = shift + before * self.dilation - self.begin;
        let end = (shift + (self.kernel - 1) * self.dilation + 1).saturating_sub(self.begin).min(self.input);
        (first..end).step_by(self.dilation)
    }

    /// Taps of the window at output `o` that lie in the input or its padding: what `ceil_mode` hangs over does not count.
    pub(super) fn padded(&self, o: usize) -> usize {
        let room = (self.input + self.begin + self.end).saturating_sub(o * self.stride);
        room.div_ceil(self.dilation).min(self.kernel)
    }

    /// The outputs whose tap `k` lies inside the input.
    pub(super) fn inside(&self, k: usize) -> std::ops::Range<usize> {
        let shift = k * self.dilation;
        let first = self.begin.saturating_sub(shift).div_ceil(self.stride);
        // o * stride + shift - begin < input
        let end = (self.input + self.begin).saturating_sub(shift).div_ceil(self.stride).min(self.output);
        first.min(end)..end
    }
}

/// How the output size is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    Floor,
    Ceil,
}

/// The attributes that convolutions and pools share, one value an axis.
pub(super) struct Attributes {
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) pads: Vec<usize>,
}

impl Attributes {
    /// Reads them for `axes` spatial axes. Pads are not read when `auto_pad` sets them.
    pub(super) fn read(call: &Call, axes: usize) -> Outcome<Self> {
        let list = |name: &str, n: usize, default: usize| match call.int_list(name).filter(|l| !l.is_empty()) {
            None => Ok(vec![default; n]),
            Some(l) if l.len() == n && l.iter().all(|v| (default as i64..1 << 31).contains(v)) => dims::dims(l),
            Some(l) => fault!("{name} {l:?} does not fit {axes} axes"),
        };
        let explicit = call.string("auto_pad", "NOTSET")? == "NOTSET";
        let pads = if explicit { list("pads", 2 * axes, 0)? } else { vec![0; 2 * axes] };
        Ok(Self { strides: list("strides", axes, 1)?, dilations: list("dilations", axes, 1)?, pads })
    }
}

/// The windows of a convolution or pool over `spatial` sizes, one an axis.
pub(super) fn windows(call: &Call, spatial: &[usize], kernel: &[usize], rounding: Rounding) -> Outcome<Vec<Window>> {
    if spatial.is_empty() || spatial.len() > AXES || kernel.len() != spatial.len() {
        return fault!("a kernel {kernel:?} over spatial axes {spatial:?}");
    }
    if kernel.iter().any(|k| *k == 0 || *k >= 1 << 31) {
        return fault!("a kernel {kernel:?}");
    }
    let n = spatial.len();
    let a = Attributes::read(call, n)?;
    let auto_pad = call.string("auto_pad", "NOTSET")?;
    (0..n)
        .map(|i| {
            let w = Window {
                input: spatial[i],
                output: 0,
                kernel: kernel[i],
                stride: a.strides[i],
                dilation: a.dilations[i],
                begin: a.pads[i],
                end: a.pads[n + i],
            };
            sized(w, auto_pad, rounding)
        })
        .collect()
}

/// `w` with its output size, and its padding where `auto_pad` asks for one.
fn sized(mut w: Window, auto_pad: &str, rounding: Rounding) -> Outcome<Window> {
    let Some(extent) = (w.kernel - 1).checked_mul(w.dilation).and_then(|e| e.checked_add(1)) else {
        return fault!("a kernel of {} taps dilated by {}", w.kernel, w.dilation);
    };
    if let "SAME_UPPER" | "SAME_LOWER" = auto_pad {
        w.output = w.input.div_ceil(w.stride);
        let total = (w.output.saturating_sub(1) * w.stride + extent).saturating_sub(w.input);
        let smaller = total / 2;
        w.begin = if auto_pad == "SAME_UPPER" { smaller } else { total - smaller };
        w.end = total - w.begin;
        return Ok(w);
    }
    if !matches!(auto_pad, "NOTSET" | "VALID" | "") {
        return fault!("auto_pad '{auto_pad}' is not known");
    }
    let padded = w.input + w.begin + w.end;
    let Some(room) = padded.checked_sub(extent) else {
        // Rounded up there is one output left, which hangs over. Rounded down there is none, and runtimes disagree about it.
        if rounding == Rounding::Ceil && w.input > 0 && extent - padded < w.stride {
            w.output = 1;
            return Ok(w);
        }
        return fault!("a kernel that spans {extent} does not fit the {padded} elements of the padded input");
    };
    w.output = match rounding {
        Rounding::Floor => room / w.stride + 1,
        Rounding::Ceil => {
            let output = room.div_ceil(w.stride) + 1;
            // A window that would start in the padding behind is left out.
            if (output - 1) * w.stride >= w.input + w.begin { output - 1 } else { output }
        }
    };
    Ok(w)
}

/// `windows` with axes of size 1 in front, up to three.
pub(super) fn three(windows: &[Window]) -> [Window; AXES] {
    let mut all = [ONE; AXES];
    for (to, from) in all.iter_mut().rev().zip(windows.iter().rev()) {
        *to = *from;
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn window(input: usize, kernel: usize, stride: usize, pads: (usize, usize)) -> Window {
        Window { input, output: 0, kernel, stride, dilation: 1, begin: pads.0, end: pads.1 }
    }

    #[test]
    fn same_puts_the_odd_element_behind_or_in_front() {
        let upper = sized(window(6, 3, 2, (0, 0)), "SAME_UPPER", Rounding::Floor).unwrap();
        assert_eq!((upper.output, upper.begin, upper.end), (3, 0, 1));
        let lower = sized(window(6, 3, 2, (0, 0)), "SAME_LOWER", Rounding::Floor).unwrap();
        assert_eq!((lower.output, lower.begin, lower.end), (3, 1, 0));
        // A stride beyond the kernel needs no padding at all.
        let none = sized(window(7, 1, 3, (0, 0)), "SAME_UPPER", Rounding::Floor).unwrap();
        assert_eq!((none.output, none.begin, none.end), (3, 0, 0));
    }

    #[test]
    fn ceil_mode_drops_a_window_that_starts_behind_the_input() {
        let size = |w, r| sized(w, "NOTSET", r).unwrap().output;
        assert_eq!(size(window(6, 3, 2, (0, 0)), Rounding::Floor), 2);
        assert_eq!(size(window(6, 3, 2, (0, 0)), Rounding::Ceil), 3);
        // Starts 0 and 3; the third would start at 3 + 3 = 6 >= 2 + 1 behind the input.
        assert_eq!(size(window(2, 1, 3, (1, 1)), Rounding::Ceil), 1);
        assert_eq!(size(window(4, 3, 2, (1, 1)), Rounding::Ceil), 3);
    }

    #[test]
    fn inside_is_where_a_tap_meets_the_input() {
        for (begin, stride, dilation) in [(0, 1, 1), (2, 1, 1), (1, 2, 1), (3, 2, 2), (1, 3, 2)] {
            let w = Window { input: 7, output: 6, kernel: 3, stride, dilation, begin, end: 9 };
            for k in 0..3 {
                let met: Vec<usize> = (0..6).filter(|o| w.at(*o, k).is_some()).collect();
                assert_eq!(w.inside(k).collect::<Vec<_>>(), met, "{w:?} {k}");
            }
        }
    }

    #[test]
    fn what_a_window_covers_is_where_its_taps_lie() {
        for (begin, stride, dilation, kernel) in [(0, 1, 1, 3), (2, 1, 1, 3), (1, 2, 1, 9), (3, 2, 2, 4), (9, 3, 2, 3)]
        {
            let w = Window { input: 7, output: 6, kernel, stride, dilation, begin, end: 2 };
            for o in 0..6 {
                let met: Vec<usize> = (0..kernel).filter_map(|k| w.at(o, k)).collect();
                assert_eq!(w.covered(o).collect::<Vec<_>>(), met, "{w:?} {o}");
                let padded = (0..kernel).filter(|k| o * stride + k * dilation < 7 + begin + 2).count();
                assert_eq!(w.padded(o), padded, "{w:?} {o}");
            }
        }
        let huge = Window {
            kernel: 1 << 30,
            ..Window { input: 7, output: 1, stride: 1, dilation: 1, begin: 1 << 29, end: 0, kernel: 0 }
        };
        assert_eq!(huge.covered(0).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    }

    /// As ONNX Runtime 1.2x computes them: the output of a kernel of 5 over 4 elements by steps of 2 is one, by steps of 1 none.
    #[test]
    fn a_kernel_may_hang_over_all_of_the_padding_by_less_than_a_step() {
        let size = |w| sized(w, "NOTSET", Rounding::Ceil).map(|w| w.output);
        assert_eq!(size(window(4, 5, 2, (0, 0))), Ok(1));
        assert_eq!(size(window(4, 7, 3, (1, 1))), Ok(1));
        assert!(size(window(4, 5, 1, (0, 0))).is_err());
        assert!(size(window(4, 6, 2, (0, 0))).is_err());
    }

    #[test]
    fn a_kernel_larger_than_the_input_is_an_error() {
        assert!(sized(window(2, 3, 1, (0, 0)), "NOTSET", Rounding::Floor).is_err());
        assert!(sized(window(2, 3, 1, (0, 0)), "SOME", Rounding::Floor).is_err());
    }
}
