//! What the user gave to be fed: all sets of inputs, by their shapes.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::VerifyError;
use super::options::VerifyOptions;
use super::signature::{Port, PortDim};
use super::stage::{Source, Trial};
use crate::verify::reference::Value;
use crate::verify::samples::Samples;

/// Sets that have one shape for each input.
pub(super) struct Group {
    pub(super) shapes: HashMap<String, Vec<usize>>,
    /// Which of the samples.
    members: Vec<usize>,
}

/// All sets of inputs, in the order in which they were given.
#[derive(Default)]
pub(super) struct Given {
    samples: Arc<Samples>,
    pub(super) groups: Vec<Group>,
    /// What is remarkable about their values.
    pub(super) notes: Vec<String>,
}

impl Given {
    /// Reads every set once, so that what cannot be used is said before anything is run. One set is in memory at a time.
    ///
    /// # Errors
    /// [`VerifyError::Inputs`] names the file.
    pub(super) fn new(options: &VerifyOptions, ports: &[Port], outputs: &[Port]) -> Result<Self, VerifyError> {
        let mut samples = Samples::default();
        if let Some(path) = &options.inputs {
            samples = samples.and(Samples::open(path, ports, outputs)?);
        }
        if let Some((folder, preprocess)) = &options.images {
            for batch in batches(ports, &options.batches) {
                samples = samples.and(Samples::images(folder, preprocess, batch, ports)?);
            }
            if samples.is_empty() {
                let reason = "there are fewer images than the model takes at once".to_owned();
                return Err(VerifyError::Inputs { path: folder.clone(), reason });
            }
        }
        let mut given = Self { samples: Arc::new(samples), ..Self::default() };
        for index in 0..given.samples.len() {
            let sample = given.samples.read(index)?;
            for (name, value) in &sample.inputs {
                let Value::F(values) = value else { continue };
                let nans = values.iter().filter(|v| v.is_nan()).count();
                if nans > 0 {
                    let input = given.samples.name(index);
                    given
                        .notes
                        .push(format!("{input} input: '{name}' holds NaN in {nans} of {} entries", values.len()));
                }
            }
            let shapes = sample.inputs.iter().map(|(name, value)| (name.clone(), value.shape().to_vec())).collect();
            match given.groups.iter_mut().find(|g| g.shapes == shapes) {
                Some(group) => group.members.push(index),
                None => given.groups.push(Group { shapes, members: vec![index] }),
            }
        }
        Ok(given)
    }

    /// What is fed of `group`.
    pub(super) fn trials(&self, group: &Group) -> Vec<Trial> {
        let trial = |index: &usize| Trial {
            name: self.samples.name(*index).to_owned(),
            source: Source::Sample(Arc::clone(&self.samples), *index),
        };
        group.members.iter().map(trial).collect()
    }
}

/// How many images are taken together: what the model asks for, else what the user does, else one by one.
fn batches(ports: &[Port], asked: &[usize]) -> Vec<usize> {
    let first = ports.first().and_then(|p| p.dims.as_ref()?.first());
    match first {
        Some(PortDim::Fixed(size)) => vec![*size],
        _ if asked.is_empty() => vec![1],
        _ => asked.to_vec(),
    }
}
