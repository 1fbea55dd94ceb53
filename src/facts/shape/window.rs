//! Operators that slide a window along the spatial axes, or change the size of the map.

use crate::facts::{ConvSpec, Dim, Facts};
use crate::graph::NodeId;

use super::Shape;

/// Output entries of a window: `floor((in + pads - reach) / stride) + 1`.
fn windowed(size: &Dim, pads: i64, reach: i64, stride: i64, ceil: bool) -> Dim {
    if stride == 1 && pads == reach {
        return size.clone();
    }
    // What a window makes of no entries is up to the runtime.
    let Some(n) = size.known().filter(|n| *n > 0) else { return Dim::Unknown };
    let room = n.saturating_add(pads).saturating_sub(reach).saturating_sub(1);
    let steps = if ceil { room.saturating_add(stride - 1).div_euclid(stride) } else { room.div_euclid(stride) };
    if room < 0 { Dim::Unknown } else { Dim::Known(steps + 1) }
}

pub(super) fn conv(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = view.input(node, 0).and_then(|v| facts.shape(v));
    let weight = facts.shape(view.input(node, 1)?)?;
    let axes = weight.len().checked_sub(2)?;
    let mut shape = vec![input.and_then(|s| s.first()).cloned().unwrap_or(Dim::Unknown), weight.first()?.clone()];
    let spec = ConvSpec::new(view, facts, node).ok();
    for a in 0..axes {
        let dim = match (&spec, input.and_then(|s| s.get(a + 2))) {
            (Some(c), Some(n)) => {
                let pads = c.pad_begin[a] + c.pad_end[a];
                windowed(n, pads as i64, (c.dilation[a] * (c.kernel[a] - 1)) as i64, c.stride[a] as i64, false)
            }
            // SAME with a stride on an unknown size.
            _ => Dim::Unknown,
        };
        shape.push(dim);
    }
    Some(shape)
}

pub(super) fn conv_transpose(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let weight = facts.shape(view.input(node, 1)?)?;
    let axes = weight.len().checked_sub(2)?;
    let group = view.attr_i(node, "group").unwrap_or(1);
    let outputs = weight.get(1)?.known().and_then(|n| n.checked_mul(group)).map_or(Dim::Unknown, Dim::Known);
    let mut shape = vec![input.first()?.clone(), outputs];
    let plain =
        matches!(view.attr_s(node, "auto_pad"), None | Some(b"NOTSET")) && view.attr(node, "output_shape").is_none();
    for a in 0..axes {
        let at = |name: &str, default: i64, i: usize| {
            view.attr_ints(node, name).map_or(Some(default), |v| v.get(i).copied())
        };
        let size = || -> Option<i64> {
            let (stride, dilation) = (at("strides", 1, a)?, at("dilations", 1, a)?);
            let pads = at("pads", 0, a)?.checked_add(at("pads", 0, a + axes)?)?;
            let reach = weight.get(a + 2)?.known()?.checked_sub(1)?.checked_mul(dilation)?;
            let n = input.get(a + 2)?.known().filter(|n| *n > 0)?.checked_sub(1)?.checked_mul(stride)?;
            n.checked_add(reach)?.checked_add(1)?.checked_add(at("output_padding", 0, a)?)?.checked_sub(pads)
        };
        shape.push(if plain { size().map_or(Dim::Unknown, Dim::Known) } else { Dim::Unknown });
    }
    Some(shape)
}

pub(super) fn pool(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let kernel = view.attr_ints(node, "kernel_shape")?;
    let ceil = view.attr_i(node, "ceil_mode").unwrap_or(0) != 0;
    let auto = view.attr_s(node, "auto_pad");
    let mut shape = input.get(..2)?.to_vec();
    for (a, k) in kernel.iter().enumerate() {
        let at = |name: &str, default: i64, i: usize| {
            view.attr_ints(node, name).map_or(Some(default), |v| v.get(i).copied())
        };
        let (stride, dilation) = (at("strides", 1, a)?.max(1), at("dilations", 1, a)?);
        let size = input.get(a + 2)?;
        let reach = dilation.checked_mul(k.checked_sub(1)?)?;
        shape.push(match auto {
            None | Some(b"NOTSET" | b"" | b"VALID") => {
                let pad = |i: usize| if auto == Some(b"VALID") { Some(0) } else { at("pads", 0, i) };
                let begin = pad(a)?;
                let pads = begin.checked_add(pad(a + kernel.len())?)?;
                let mut dim = windowed(size, pads, reach, stride, ceil);
                // A window that would start in the padding behind is left out.
                if let (true, Dim::Known(n), Some(m)) = (ceil, &dim, size.known())
                    && (n - 1).saturating_mul(stride) >= m.saturating_add(begin)
                {
                    dim = Dim::Known(n - 1);
                }
                dim
            }
            Some(_) => size.known().map_or(Dim::Unknown, |n| Dim::Known((n + stride - 1).div_euclid(stride))),
        });
    }
    Some(shape)
}

pub(super) fn depth_space(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let [n, c, h, w] = facts.shape(view.input(node, 0)?)? else { return None };
    let block = view.attr_i(node, "blocksize").filter(|b| (1..=1 << 16).contains(b))?;
    let up = view.op(node) == "DepthToSpace";
    let grow = |d: &Dim| d.known().and_then(|n| n.checked_mul(block)).map_or(Dim::Unknown, Dim::Known);
    let shrink = |d: &Dim| d.known().map_or(Dim::Unknown, |n| Dim::Known(n / block));
    let channels = c.known().and_then(|c| if up { Some(c / (block * block)) } else { c.checked_mul(block * block) });
    let space = |d: &Dim| if up { grow(d) } else { shrink(d) };
    Some(vec![n.clone(), channels.map_or(Dim::Unknown, Dim::Known), space(h), space(w)])
}

pub(super) fn resize(facts: &Facts<'_>, node: NodeId) -> Option<Shape> {
    let view = facts.view();
    let input = facts.shape(view.input(node, 0)?)?;
    let unknown = Some(input.iter().enumerate().map(|(i, d)| if i < 2 { d.clone() } else { Dim::Unknown }).collect());
    if view.attr(node, "axes").is_some() {
        return Some(vec![Dim::Unknown; input.len()]);
    }
    if let Some(sizes) = view.input(node, 3).and_then(|v| facts.sizes(v)) {
        let stretch = matches!(view.attr_s(node, "keep_aspect_ratio_policy"), None | Some(b"stretch"));
        return if stretch && sizes.len() == input.len() { Some(sizes) } else { None };
    }
    let scales = view.input(node, if view.op(node) == "Upsample" || view.opset() < 11 { 1 } else { 2 });
    let Some(scales) = scales.and_then(|v| facts.constant(v)) else {
        // Whether it resizes channels is not known either.
        return Some(vec![Dim::Unknown; input.len()]);
    };
    if scales.data.len() != input.len() {
        return unknown;
    }
    Some(
        input
            .iter()
            .zip(scales.data.iter())
            .map(|(d, s)| match d.known() {
                _ if *s == 1.0 => d.clone(),
                // Runtimes multiply in float32.
                Some(n) => Dim::Known((n as f32 * *s as f32).floor() as i64),
                None => Dim::Unknown,
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_its_places() {
        let size = |n, pads, reach, stride, ceil| windowed(&Dim::Known(n), pads, reach, stride, ceil);
        assert_eq!(size(7, 2, 2, 2, false), Dim::Known(4));
        assert_eq!(size(8, 0, 2, 2, false), Dim::Known(3));
        assert_eq!(size(8, 0, 2, 2, true), Dim::Known(4), "the last window hangs over");
        assert_eq!(size(3, 0, 2, 5, false), Dim::Known(1), "one window fits");
        assert_eq!(size(2, 0, 2, 1, false), Dim::Unknown, "none fits");
        assert_eq!(size(0, 4, 2, 2, false), Dim::Unknown, "no entries");
    }

    #[test]
    fn a_free_size_stays_itself_only_where_every_window_keeps_it() {
        let free = Dim::Symbol("height".to_owned());
        assert_eq!(windowed(&free, 2, 2, 1, false), free);
        assert_eq!(windowed(&free, 1, 2, 1, false), Dim::Unknown);
        assert_eq!(windowed(&free, 2, 2, 2, false), Dim::Unknown);
        assert_eq!(windowed(&free, i64::MAX, i64::MIN, 1, true), Dim::Unknown);
    }
}
