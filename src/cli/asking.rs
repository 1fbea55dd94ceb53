//! Options of `verify` alone: what else is fed, what runs the models, how they are judged, and what is kept.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::verify::Tolerance;
use crate::verify::samples::Preprocess;

/// What runs the models in their own arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Engine {
    #[default]
    Tract,
    Onnxruntime,
    Both,
}

/// The engines of a command that runs models.
#[cfg_attr(not(feature = "verify"), allow(dead_code))]
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Engines {
    /// What runs the models in their own arithmetic: tract unless it is said; in both, models that are compared must be equal in each
    #[arg(long, value_enum, value_name = "ENGINE")]
    engine: Option<Engine>,
    /// The library of ONNX Runtime, or the folder it is in; else ORT_DYLIB_PATH names it
    #[arg(long, value_name = "PATH", requires = "engine")]
    onnxruntime: Option<PathBuf>,
}

#[cfg(feature = "verify")]
impl Engines {
    /// The same for the library.
    pub(super) fn chosen(&self) -> (crate::verify::Engine, Option<&std::path::Path>) {
        use crate::verify::Engine as Chosen;
        let engine = match self.engine.unwrap_or_default() {
            Engine::Tract => Chosen::Tract,
            Engine::Onnxruntime => Chosen::OnnxRuntime,
            Engine::Both => Chosen::Both,
        };
        (engine, self.onnxruntime.as_deref())
    }
}

/// See the module.
#[cfg_attr(not(feature = "verify"), allow(dead_code))]
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Asking {
    /// Verify on the .png and .jpeg images directly in DIR too, for a model with one input
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// What is done to each image, as resize=256,crop=224,order=rgb,layout=nchw,scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225
    #[arg(long, value_name = "STEPS", requires = "images")]
    preprocess: Option<Preprocess>,
    /// Try these sizes of the first axis too, as 1,8, and take so many images together
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = batch)]
    batch: Vec<usize>,
    /// Say how many of the given samples each model gets right: their classes, as an .npy of integers, in the order of --inputs, or of
    /// the names of --images
    #[arg(long, value_name = "FILE.npy")]
    against_labels: Option<PathBuf>,
    /// Judge by |difference| <= atol + rtol * |original| in place of the criterion; atol is 0 unless it is said
    #[arg(long, value_name = "TOLERANCE", value_parser = tolerance)]
    rtol: Option<f64>,
    /// The same; rtol is 0 unless it is said
    #[arg(long, value_name = "TOLERANCE", value_parser = tolerance)]
    atol: Option<f64>,
    #[command(flatten)]
    engines: Engines,
    /// Write what was fed into DIR, new or empty, as ONNX test data
    #[arg(long, value_name = "DIR")]
    save_inputs: Option<PathBuf>,
    /// Write what the engines gave into DIR, new or empty, as ONNX test data
    #[arg(long, value_name = "DIR")]
    save_outputs: Option<PathBuf>,
}

impl Asking {
    /// The tolerance that is asked for.
    pub(super) fn tolerance(&self) -> Option<Tolerance> {
        match (self.rtol, self.atol) {
            (None, None) => None,
            (rtol, atol) => Some(Tolerance::new(rtol.unwrap_or_default(), atol.unwrap_or_default())),
        }
    }

    /// The file with the classes of the given samples.
    pub(super) fn labels(&self) -> Option<&std::path::Path> {
        self.against_labels.as_deref()
    }

    /// The folder of images, and what is done to each.
    pub(super) fn pictures(&self) -> Option<(&std::path::Path, Preprocess)> {
        Some((self.images.as_deref()?, self.preprocess.clone().unwrap_or_default()))
    }

    /// `options`, and these.
    #[cfg(feature = "verify")]
    pub(super) fn add(&self, options: crate::verify::VerifyOptions) -> crate::verify::VerifyOptions {
        use crate::verify::VerifyOptions;
        let (engine, onnxruntime) = self.engines.chosen();
        let preprocess = self.preprocess.clone().unwrap_or_default();
        VerifyOptions {
            images: self.images.clone().map(|folder| (folder, preprocess)),
            batches: self.batch.clone(),
            tolerance: self.tolerance(),
            engine,
            onnxruntime: onnxruntime.map(std::path::Path::to_owned),
            save_inputs: self.save_inputs.clone(),
            save_outputs: self.save_outputs.clone(),
            ..options
        }
    }
}

fn batch(text: &str) -> Result<usize, String> {
    let size = text.trim().parse().ok().filter(|size| (1..=65_536).contains(size));
    size.ok_or_else(|| "expected sizes from 1 to 65536, as 1,8".to_owned())
}

fn tolerance(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
    value.ok_or_else(|| "expected a number that is not negative, as 1e-3".to_owned())
}
