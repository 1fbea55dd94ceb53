//! What is done to an image before a network sees it.

use std::fmt;
use std::str::FromStr;

/// Largest side of what an image is made into.
const MAX_SIDE: usize = 1 << 13;

/// To which size an image is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Its shorter side gets this length, the other one in proportion.
    Shorter(usize),
    /// Height and width, whatever they were.
    Exact(usize, usize),
}

/// How the axes of the tensor stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Channels in front of height and width.
    #[default]
    Nchw,
    /// Channels behind.
    Nhwc,
}

/// Which channels there are, in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first.
    Bgr,
    /// One channel of luma.
    Gray,
}

impl Order {
    /// How many channels.
    #[must_use]
    pub fn channels(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }
}

/// The steps, in the order in which they are taken: bring to a size, cut out the middle, put the channels in order, multiply, subtract,
/// divide. Bytes are the values that they start from, 0 to 255.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Preprocess {
    /// To which size the image is brought, by a triangle filter that is as wide as what a pixel stands for.
    pub resize: Option<Resize>,
    /// Height and width of what is cut out of the middle.
    pub crop: Option<(usize, usize)>,
    /// How the axes stand.
    pub layout: Layout,
    /// Which channels there are.
    pub order: Order,
    /// What every value is multiplied by.
    pub scale: f64,
    /// What is subtracted then: one value, or one a channel.
    pub mean: Vec<f64>,
    /// What is divided by then: one value, or one a channel.
    pub std: Vec<f64>,
}

impl Default for Preprocess {
    fn default() -> Self {
        let (layout, order) = Default::default();
        Self { resize: None, crop: None, layout, order, scale: 1.0, mean: vec![0.0], std: vec![1.0] }
    }
}

impl Preprocess {
    /// The value that a network sees of `byte` in `channel`.
    #[must_use]
    pub fn value(&self, byte: u8, channel: usize) -> f64 {
        let of = |values: &[f64], otherwise: f64| match values {
            [one] => *one,
            all => all.get(channel).copied().unwrap_or(otherwise),
        };
        (f64::from(byte) * self.scale - of(&self.mean, 0.0)) / of(&self.std, 1.0)
    }

    /// True when bytes stay what they are, as a network of integers asks for.
    #[must_use]
    pub fn keeps_bytes(&self) -> bool {
        self.scale == 1.0 && self.mean.iter().all(|v| *v == 0.0) && self.std.iter().all(|v| *v == 1.0)
    }
}

impl FromStr for Preprocess {
    type Err = String;

    /// Reads `resize=256,crop=224,order=rgb,layout=nchw,scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut found = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for step in text.split(',').map(str::trim).filter(|s| !s.is_empty()) {
            let (key, value) = step.split_once('=').ok_or_else(|| format!("'{step}' is no key=value"))?;
            let wrong = |expected: &str| format!("'{value}' is no value of '{key}': expected {expected}");
            if seen.contains(&key) {
                return Err(format!("'{key}' is said twice"));
            }
            seen.push(key);
            let sides = || sides(value).ok_or_else(|| wrong("256 or 256x192 (height, width), at most 8192"));
            match key {
                "resize" => {
                    found.resize = Some(match sides()? {
                        (side, None) => Resize::Shorter(side),
                        (height, Some(width)) => Resize::Exact(height, width),
                    });
                }
                "crop" => {
                    let (height, width) = sides()?;
                    found.crop = Some((height, width.unwrap_or(height)));
                }
                "layout" => {
                    found.layout = match value {
                        "nchw" => Layout::Nchw,
                        "nhwc" => Layout::Nhwc,
                        _ => return Err(wrong("nchw or nhwc")),
                    };
                }
                "order" => {
                    found.order = match value {
                        "rgb" => Order::Rgb,
                        "bgr" => Order::Bgr,
                        "gray" => Order::Gray,
                        _ => return Err(wrong("rgb, bgr or gray")),
                    };
                }
                "scale" => found.scale = number(value).ok_or_else(|| wrong("a number, or a ratio as 1/255"))?,
                "mean" => found.mean = numbers(value).ok_or_else(|| wrong("numbers, as 0.485:0.456:0.406"))?,
                "std" => {
                    let values = numbers(value).filter(|v| v.iter().all(|v| *v != 0.0));
                    found.std = values.ok_or_else(|| wrong("numbers other than 0, as 0.229:0.224:0.225"))?;
                }
                _ => return Err(format!("there is no '{key}': expected {KEYS}")),
            }
        }
        let channels = found.order.channels();
        for (key, values) in [("mean", &found.mean), ("std", &found.std)] {
            if values.len() != 1 && values.len() != channels {
                return Err(format!("'{key}' has {} values for {channels} channels", values.len()));
            }
        }
        Ok(found)
    }
}

const KEYS: &str = "resize, crop, layout, order, scale, mean or std";

impl fmt::Display for Preprocess {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resize {
            Some(Resize::Shorter(side)) => write!(f, "resize={side},")?,
            Some(Resize::Exact(height, width)) => write!(f, "resize={height}x{width},")?,
            None => {}
        }
        if let Some((height, width)) = self.crop {
            write!(f, "crop={height}x{width},")?;
        }
        let layout = if self.layout == Layout::Nchw { "nchw" } else { "nhwc" };
        let order = match self.order {
            Order::Rgb => "rgb",
            Order::Bgr => "bgr",
            Order::Gray => "gray",
        };
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(":");
        let (mean, std) = (list(&self.mean), list(&self.std));
        write!(f, "layout={layout},order={order},scale={},mean={mean},std={std}", self.scale)
    }
}

fn sides(text: &str) -> Option<(usize, Option<usize>)> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    match text.split_once('x') {
        Some((height, width)) => Some((side(height)?, Some(side(width)?))),
        None => Some((side(text)?, None)),
    }
}

fn number(text: &str) -> Option<f64> {
    let plain = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((over, under)) => plain(over)? / plain(under)?,
        None => plain(text)?,
    };
    Some(value).filter(|v| v.is_finite())
}

fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(':').map(number).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn steps_are_read_and_said_again() {
        let text = "resize=256,crop=224,layout=nhwc,scale=1/255,mean=0.485:0.456:0.406,std=0.5,order=bgr";
        let steps: Preprocess = text.parse().unwrap();
        assert_eq!((steps.resize, steps.crop), (Some(Resize::Shorter(256)), Some((224, 224))));
        assert_eq!((steps.layout, steps.order, steps.scale), (Layout::Nhwc, Order::Bgr, 1.0 / 255.0));
        assert!((steps.value(255, 1) - (1.0 - 0.456) / 0.5).abs() < 1e-15 && !steps.keeps_bytes());
        assert_eq!(steps.to_string().parse::<Preprocess>().unwrap(), steps);
        assert_eq!("".parse::<Preprocess>().unwrap(), Preprocess::default());
        assert!(Preprocess::default().keeps_bytes());
        assert_eq!("resize=20x30".parse::<Preprocess>().unwrap().resize, Some(Resize::Exact(20, 30)));
    }

    #[test]
    fn wrong_steps_are_refused() {
        let error = |text: &str| text.parse::<Preprocess>().unwrap_err();
        assert!(error("resize=0").contains("'0' is no value of 'resize'"));
        assert!(error("resize=99999").contains("at most 8192"));
        assert!(error("crop=224x").contains("of 'crop'"));
        assert!(error("scale=1/0").contains("of 'scale'") && error("scale=nan").contains("of 'scale'"));
        assert!(error("mean=1:2").contains("'mean' has 2 values for 3 channels"));
        assert!(error("std=0").contains("other than 0"));
        assert!(error("order=gray,mean=1:2:3").contains("for 1 channels"));
        assert!(error("flip=1").contains("there is no 'flip'") && error("resize").contains("no key=value"));
        assert!(error("crop=1,crop=2").contains("said twice"));
    }
}
