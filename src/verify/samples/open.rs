//! Which sets of inputs a path means, and one of them at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::SampleError;
use super::preprocess::Preprocess;
use super::{archive, array, test_data};
use crate::verify::reference::Value;
use crate::verify::signature::Port;

/// One set of inputs.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// A value for every graph input.
    pub inputs: BTreeMap<String, Value>,
    /// What a model should give for them, where the source says so.
    pub expected: BTreeMap<String, Value>,
}

/// Sets of inputs, each read when it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    ports: Vec<Port>,
    outputs: Vec<Port>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Archive(PathBuf),
    Array(PathBuf),
    TestData(PathBuf),
    #[cfg(feature = "images")]
    Images(Vec<PathBuf>, Preprocess),
}

impl Samples {
    /// What `path` means: an .npz archive, an .npy array, or a folder of ONNX test data. `ports` are the inputs to fill, `outputs` those
    /// for which values may be expected. No values are read.
    ///
    /// # Errors
    /// [`SampleError`] for a path that means none of these.
    pub fn open(path: &Path, ports: &[Port], outputs: &[Port]) -> Result<Self, SampleError> {
        let is = |end: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(end));
        let given = |source| vec![Entry { name: "given".to_owned(), source }];
        let entries = if path.is_dir() {
            let folders = test_data::folders(path)?;
            let named = |folder: PathBuf| {
                let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                Entry { name: format!("given {name}").trim_end().to_owned(), source: Source::TestData(folder) }
            };
            folders.into_iter().map(named).collect()
        } else if is("npy") {
            given(Source::Array(path.to_owned()))
        } else if is("npz") || !is("pb") {
            // Whatever else it is called: what it is, its first bytes tell.
            given(Source::Archive(path.to_owned()))
        } else {
            let reason = "a single tensor is not enough: give the folder with input_0.pb and the others";
            return Err(SampleError::new(path, reason));
        };
        Ok(Self { ports: ports.to_vec(), outputs: outputs.to_vec(), entries })
    }

    /// The PNG and JPEG images directly in `folder`, in the order of their names, `batch` at a time: the last ones may be fewer, and
    /// are left out where they would not fill the only batch that the model takes.
    ///
    /// # Errors
    /// [`SampleError`] when there are none, when the model has another input too, or in a build without images.
    #[cfg(feature = "images")]
    pub fn images(folder: &Path, preprocess: &Preprocess, batch: usize, ports: &[Port]) -> Result<Self, SampleError> {
        use super::pictures;
        let files = pictures::find(folder, ports)?;
        let first = ports.first().and_then(|p| p.dims.as_ref()?.first());
        let is_fixed = matches!(first, Some(crate::verify::signature::PortDim::Fixed(_)));
        let batch = batch.clamp(1, files.len());
        let named = |files: &[PathBuf]| {
            let name = files.first().and_then(|f| f.file_name()).map(|n| n.to_string_lossy().into_owned());
            let more = if files.len() > 1 { format!(" and {} more", files.len() - 1) } else { String::new() };
            let name = format!("given {}{more}", name.unwrap_or_default());
            Entry { name, source: Source::Images(files.to_vec(), preprocess.clone()) }
        };
        let whole = files.chunks(batch).filter(|chunk| !is_fixed || chunk.len() == batch);
        Ok(Self { ports: ports.to_vec(), outputs: Vec::new(), entries: whole.map(named).collect() })
    }

    /// The same, in a build that reads no images.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "images"))]
    pub fn images(folder: &Path, _: &Preprocess, _: usize, _: &[Port]) -> Result<Self, SampleError> {
        Err(SampleError::new(folder, "this build reads no images: it was built without the feature 'images'"))
    }

    /// These, and then `others`, which are for the same ports.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        if self.entries.is_empty() {
            return others;
        }
        self.entries.extend(others.entries);
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What a report calls the one at `index`.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        self.entries.get(index).map_or("", |e| e.name.as_str())
    }

    /// Reads the one at `index`: a value for every input, in its type and in a shape that it takes.
    ///
    /// # Errors
    /// [`SampleError`] names the file, what in it, and the condition.
    pub fn read(&self, index: usize) -> Result<Sample, SampleError> {
        let Some(entry) = self.entries.get(index) else {
            return Err(SampleError::new(Path::new("inputs"), format!("there is no set {index}")));
        };
        let (inputs, expected) = match &entry.source {
            Source::Archive(path) => (archive::read(path, &self.ports)?, BTreeMap::new()),
            Source::Array(path) => (array::read(path, &self.ports)?, BTreeMap::new()),
            Source::TestData(folder) => test_data::read(folder, &self.ports, &self.outputs)?,
            #[cfg(feature = "images")]
            Source::Images(files, preprocess) => {
                (super::pictures::read(files, preprocess, &self.ports)?, BTreeMap::new())
            }
        };
        Ok(Sample { inputs, expected })
    }
}
