//! Images: PNG and JPEG files as one batch of a tensor.
//!
//! Bytes of 8 bits a channel: what has more is rounded, transparency is dropped, and the orientation that a camera notes is not
//! applied. Sizes are bounded before a decoder sets anything aside.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use ndarray::{ArrayD, IxDyn};

use super::array::only;
use super::error::SampleError;
use super::fit::fit;
use super::npy::MAX_ELEMENTS;
use super::preprocess::{Layout, Order, Preprocess, Resize};
use crate::verify::precision::Precision;
use crate::verify::reference::Value;
use crate::verify::signature::Port;

/// Largest side of an image.
const MAX_SIDE: u32 = 1 << 14;

/// Most pixels of an image, before and after it is brought to its size.
const MAX_PIXELS: u64 = 1 << 26;

/// The images directly in `folder`, in the order of their names.
///
/// # Errors
/// [`SampleError`] when there are none, or when the model has another input too.
pub(super) fn find(folder: &Path, ports: &[Port]) -> Result<Vec<PathBuf>, SampleError> {
    only(folder, "a folder of images", ports)?;
    let entries = crate::io::entries(folder).map_err(|e| SampleError::new(folder, e))?;
    let is_image = |path: &PathBuf| format(path).is_some() && path.is_file();
    let files: Vec<PathBuf> = entries.into_iter().filter(is_image).collect();
    match files.is_empty() {
        true => Err(SampleError::new(folder, "no .png, .jpg or .jpeg file is directly in it")),
        false => Ok(files),
    }
}

fn format(path: &Path) -> Option<ImageFormat> {
    let end = path.extension()?.to_str()?.to_ascii_lowercase();
    match end.as_str() {
        "png" => Some(ImageFormat::Png),
        "jpg" | "jpeg" => Some(ImageFormat::Jpeg),
        _ => None,
    }
}

/// Reads `files` as one batch.
///
/// # Errors
/// [`SampleError`] names the image.
pub(super) fn read(
    files: &[PathBuf],
    steps: &Preprocess,
    ports: &[Port],
) -> Result<BTreeMap<String, Value>, SampleError> {
    let first = files.first().map_or(Path::new("images"), PathBuf::as_path);
    let port = only(first, "a folder of images", ports)?;
    let mut size: Option<(usize, usize)> = None;
    let mut values: Vec<f64> = Vec::new();
    for path in files {
        let fail = |reason: String| SampleError::new(path, reason);
        let image = prepared(path, steps).map_err(fail)?;
        let (width, height) = (image.width() as usize, image.height() as usize);
        let (high, wide) = *size.get_or_insert((height, width));
        if (high, wide) != (height, width) {
            return Err(fail(format!("{height}x{width} pixels beside {high}x{wide}: say resize= or crop=")));
        }
        let channels = steps.order.channels();
        if files.len().saturating_mul(channels * height * width) > MAX_ELEMENTS {
            return Err(fail(format!("{} images of {height}x{width} are too large a batch", files.len())));
        }
        append(&mut values, &image, steps);
    }
    let (height, width) = size.unwrap_or((0, 0));
    let (count, channels) = (files.len(), steps.order.channels());
    let shape = match steps.layout {
        Layout::Nchw => [count, channels, height, width],
        Layout::Nhwc => [count, height, width, channels],
    };
    let fail = |reason: String| SampleError::new(first, reason);
    let values = ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| fail(e.to_string()))?;
    let is_whole = port.dtype.is_some_and(|t| Precision::of(t).is_none());
    let value = match (is_whole, steps.keeps_bytes()) {
        (false, _) => Value::F(values),
        (true, true) => Value::I(values.mapv(|v| v as i64)),
        (true, false) => return Err(fail(format!("{port} takes integers: leave out scale=, mean= and std="))),
    };
    let value = fit(value, port).map_err(fail)?;
    Ok(BTreeMap::from([(port.name.clone(), value)]))
}

/// The image at `path`, brought to its size.
fn prepared(path: &Path, steps: &Preprocess) -> Result<RgbImage, String> {
    let content = crate::io::contents(path).map_err(|e| e.to_string())?;
    let Some(format) = format(path) else { return Err("neither .png nor .jpeg".to_owned()) };
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(8 * MAX_PIXELS);
    let mut reader = ImageReader::with_format(Cursor::new(content), format);
    reader.limits(limits);
    let broken = |e: image::ImageError| format!("no image that can be read: {e}");
    let decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("its {height}x{width} pixels are too many"));
    }
    sized(DynamicImage::from_decoder(decoder).map_err(broken)?, steps)
}

fn sized(image: DynamicImage, steps: &Preprocess) -> Result<RgbImage, String> {
    let image = match steps.order {
        // Luma of what the eye sees in each colour, by the weights of ITU-R BT.709.
        Order::Gray => DynamicImage::ImageLuma8(image.into_luma8()).into_rgb8(),
        _ => image.into_rgb8(),
    };
    let (width, height) = image.dimensions();
    let (wide, high) = match steps.resize {
        None => (width, height),
        Some(Resize::Exact(high, wide)) => (wide as u32, high as u32),
        Some(Resize::Shorter(side)) => {
            let (side, shorter) = (side as u64, u64::from(width.min(height)).max(1));
            let scaled = |length: u32| u64::from(length) * side / shorter;
            let fits = |length: u64| u32::try_from(length.max(1)).unwrap_or(u32::MAX);
            (fits(scaled(width)), fits(scaled(height)))
        }
    };
    if u64::from(wide) * u64::from(high) > MAX_PIXELS {
        return Err(format!("{height}x{width} pixels would become {high}x{wide}, which is too large"));
    }
    let image = match (wide, high) == (width, height) {
        true => image,
        false => imageops::resize(&image, wide, high, FilterType::Triangle),
    };
    let Some((high, wide)) = steps.crop else { return Ok(image) };
    let (width, height) = (image.width() as usize, image.height() as usize);
    if high > height || wide > width {
        return Err(format!("{high}x{wide} cannot be cut out of {height}x{width} pixels"));
    }
    let at = |length: usize, part: usize| ((length - part) / 2) as u32;
    Ok(imageops::crop_imm(&image, at(width, wide), at(height, high), wide as u32, high as u32).to_image())
}

fn append(values: &mut Vec<f64>, image: &RgbImage, steps: &Preprocess) {
    let source = |channel: usize| match steps.order {
        Order::Bgr => 2 - channel,
        Order::Rgb | Order::Gray => channel,
    };
    let channels = steps.order.channels();
    match steps.layout {
        Layout::Nchw => {
            for channel in 0..channels {
                values.extend(image.pixels().map(|p| steps.value(p.0[source(channel)], channel)));
            }
        }
        Layout::Nhwc => {
            let all = |p: &image::Rgb<u8>| (0..channels).map(|c| steps.value(p.0[source(c)], c)).collect::<Vec<_>>();
            values.extend(image.pixels().flat_map(all));
        }
    }
}
