//! Runs a model in its own arithmetic, through ONNX Runtime with all its optimisations.
//!
//! The library is loaded from its file when it is asked for: nothing is linked. A process has one.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::{DynValue, PrimitiveTensorElementType, Tensor, TensorElementType};
use prost::Message;

use super::inputs::{Feed, InputTensor};
use super::library;
use super::runner::Source;
use super::stage;
use crate::onnx::tensor_proto::DataType;
use crate::verify::reference::Value;

/// Names the library where no option does.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// One thread, as the other engine has: the same sums in the same order, run for run.
const THREADS: usize = 1;

/// The library that was loaded, and its version.
static LOADED: Mutex<Option<(PathBuf, String)>> = Mutex::new(None);

/// Loads the library at `path`, or where the environment says, and returns its version.
///
/// # Errors
/// In words, with the path.
pub(super) fn load(path: Option<&Path>) -> Result<String, String> {
    let from = env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    let Some(path) = path.map(Path::to_owned).or(from) else {
        return Err("the library of ONNX Runtime is named neither by --onnxruntime nor by ORT_DYLIB_PATH".to_owned());
    };
    let library = file(&path)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*loaded {
        Some((first, version)) if *first == library => return Ok(version.clone()),
        Some((first, _)) => {
            return Err(format!("{}: this process has loaded another one, {}", path.display(), first.display()));
        }
        None => {}
    }
    let version = stage::guarded(|| initialise(&library)).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(loaded.insert((library, version)).1.clone())
}

/// The file that `path` means: itself, or the library in a folder.
fn file(path: &Path) -> Result<PathBuf, String> {
    let fail = |why: &str| format!("{}: {why}", path.display());
    let path = std::path::absolute(path).map_err(|e| fail(&e.to_string()))?;
    if path.is_file() {
        return Ok(path);
    }
    if !path.exists() {
        return Err(fail("there is no such library of ONNX Runtime"));
    }
    let entries = crate::io::entries(&path).map_err(|e| fail(&e.to_string()))?;
    let is_library = |file: &PathBuf| {
        let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let plain = name.strip_prefix("lib").unwrap_or(name);
        let end = plain.strip_prefix("onnxruntime").unwrap_or_default();
        // Beside it lie the libraries of its providers, whose names go on differently.
        file.is_file() && end.starts_with('.') && (end.starts_with(".so") || end.ends_with(".dylib") || end == ".dll")
    };
    entries.into_iter().find(is_library).ok_or_else(|| fail("no library of ONNX Runtime is in this folder"))
}

fn initialise(path: &Path) -> Result<String, String> {
    let version = library::load(path)?;
    let environment = ort::init_from(path).map_err(|e| e.to_string())?;
    // Its words on stderr are for its developers; what goes wrong comes back as an error.
    let environment = environment.with_name("onnx-rm").with_telemetry(false).with_logger(Arc::new(|_, _, _, _, _| {}));
    environment.commit();
    Ok(version)
}

/// A model that is ready to run.
pub(super) struct Session {
    session: Mutex<OrtSession>,
    /// Name and type of each input that it takes.
    inputs: Vec<(String, DataType)>,
}

impl Session {
    /// Loads and optimises the model; its inputs are among `slots`.
    ///
    /// # Errors
    /// What ONNX Runtime says when it cannot.
    pub(super) fn new(source: Source<'_>, slots: &[InputTensor]) -> Result<Self, String> {
        let builder = OrtSession::builder().map_err(words)?;
        let builder = builder.with_optimization_level(GraphOptimizationLevel::All).map_err(words)?;
        let builder = builder.with_intra_threads(THREADS).map_err(words)?;
        let builder = builder.with_inter_threads(THREADS).map_err(words)?;
        let mut builder = builder.with_log_level(LogLevel::Fatal).map_err(words)?;
        let session = match source {
            Source::File(path) => builder.commit_from_file(path),
            Source::Memory(proto) => builder.commit_from_memory(&proto.encode_to_vec()),
        };
        let session = session.map_err(words)?;
        let known = |name: &str| slots.iter().find(|s| s.name == name);
        let named = |name: &str| {
            let slot = known(name).ok_or_else(|| format!("no input '{name}'"))?;
            Ok((name.to_owned(), slot.dtype))
        };
        let inputs = session.inputs().iter().map(|input| named(input.name())).collect::<Result<_, String>>()?;
        Ok(Self { session: Mutex::new(session), inputs })
    }

    /// Runs the model and returns its outputs in order. What `feed` has beyond the model's inputs is ignored.
    ///
    /// # Errors
    /// What ONNX Runtime says when it cannot.
    pub(super) fn run(&self, feed: &Feed) -> Result<Vec<Value>, String> {
        let inputs = self.prepare(feed)?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(inputs).map_err(words)?;
        outputs.iter().map(|(name, value)| read(&value).map_err(|e| format!("output '{name}': {e}"))).collect()
    }

    /// How long a run on `feed` takes, once that is as ONNX Runtime takes it.
    ///
    /// # Errors
    /// What ONNX Runtime says when it cannot.
    pub(super) fn timed(&self, feed: &Feed) -> Result<Duration, String> {
        let inputs = self.prepare(feed)?;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = Instant::now();
        session.run(inputs).map_err(words)?;
        Ok(begin.elapsed())
    }

    fn prepare(&self, feed: &Feed) -> Result<Vec<(String, SessionInputValue<'static>)>, String> {
        let named = |(name, dtype): &(String, DataType)| {
            let value = feed.get(name).ok_or_else(|| format!("input '{name}' was not given"))?;
            Ok((name.clone(), tensor(value, *dtype)?.into()))
        };
        self.inputs.iter().map(named).collect()
    }
}

/// In one line.
fn words<T>(error: ort::Error<T>) -> String {
    error.to_string().replace('\n', " ")
}

/// `value` in the type of an input.
fn tensor(value: &Value, dtype: DataType) -> Result<DynValue, String> {
    fn build<T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static>(
        shape: &[usize],
        data: Vec<T>,
    ) -> Result<DynValue, String> {
        Tensor::from_array((shape.to_vec(), data)).map(Tensor::into_dyn).map_err(words)
    }
    let shape = value.shape();
    let wrong = || Err(format!("a tensor of {} cannot be fed", dtype.as_str_name()));
    match value {
        Value::F(a) => {
            let all = || a.iter().copied();
            match dtype {
                DataType::Float => build(shape, all().map(|v| v as f32).collect()),
                DataType::Double => build(shape, all().collect::<Vec<f64>>()),
                DataType::Float16 => build(shape, all().map(f16::from_f64).collect()),
                DataType::Bfloat16 => build(shape, all().map(bf16::from_f64).collect()),
                _ => wrong(),
            }
        }
        Value::I(a) => {
            let all = || a.iter().copied();
            match dtype {
                DataType::Int64 => build(shape, all().collect::<Vec<i64>>()),
                DataType::Int32 => build(shape, all().map(|v| v as i32).collect()),
                DataType::Int16 => build(shape, all().map(|v| v as i16).collect()),
                DataType::Int8 => build(shape, all().map(|v| v as i8).collect()),
                DataType::Uint64 => build(shape, all().map(|v| v as u64).collect()),
                DataType::Uint32 => build(shape, all().map(|v| v as u32).collect()),
                DataType::Uint16 => build(shape, all().map(|v| v as u16).collect()),
                DataType::Uint8 => build(shape, all().map(|v| v as u8).collect()),
                _ => wrong(),
            }
        }
        Value::B(a) if dtype == DataType::Bool => build(shape, a.iter().copied().collect()),
        Value::B(_) => wrong(),
    }
}

fn read(value: &DynValue) -> Result<Value, String> {
    fn of<T: PrimitiveTensorElementType + Copy, U>(value: &DynValue, f: impl Fn(T) -> U) -> Result<ArrayD<U>, String> {
        let (shape, data) = value.try_extract_tensor::<T>().map_err(words)?;
        let shape: Vec<usize> = shape.iter().map(|d| usize::try_from(*d).unwrap_or(0)).collect();
        ArrayD::from_shape_vec(IxDyn(&shape), data.iter().map(|v| f(*v)).collect()).map_err(|e| e.to_string())
    }
    let Some(dtype) = value.dtype().tensor_type() else { return Err("it is no tensor".to_owned()) };
    Ok(match dtype {
        TensorElementType::Float32 => Value::F(of(value, |v: f32| f64::from(v))?),
        TensorElementType::Float64 => Value::F(of(value, |v: f64| v)?),
        TensorElementType::Float16 => Value::F(of(value, |v: f16| v.to_f64())?),
        TensorElementType::Bfloat16 => Value::F(of(value, |v: bf16| v.to_f64())?),
        TensorElementType::Int64 => Value::I(of(value, |v: i64| v)?),
        TensorElementType::Int32 => Value::I(of(value, |v: i32| i64::from(v))?),
        TensorElementType::Int16 => Value::I(of(value, |v: i16| i64::from(v))?),
        TensorElementType::Int8 => Value::I(of(value, |v: i8| i64::from(v))?),
        TensorElementType::Uint64 => Value::I(of(value, |v: u64| v as i64)?),
        TensorElementType::Uint32 => Value::I(of(value, |v: u32| i64::from(v))?),
        TensorElementType::Uint16 => Value::I(of(value, |v: u16| i64::from(v))?),
        TensorElementType::Uint8 => Value::I(of(value, |v: u8| i64::from(v))?),
        TensorElementType::Bool => Value::B(of(value, |v: bool| v)?),
        other => return Err(format!("a tensor of {other} is not looked at")),
    })
}
