//! What a model was read from, as digests.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::model::Model;

/// The SHA-256 of the files of a model, in hexadecimal, as `sha256sum` prints them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Digest {
    /// Of the model's own file.
    pub model: String,
    /// Of each side file, by its location.
    pub side_files: BTreeMap<String, String>,
}

impl Model {
    /// The digests of what it was read from; `None` for a model that was edited since, or that was never in a file.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        let is_as_read = !self.edited && !self.source.is_empty();
        is_as_read.then(|| Digest {
            model: sha256(&self.source),
            side_files: self.side_files.iter().map(|f| (f.location.clone(), sha256(&f.content))).collect(),
        })
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_is_that_of_the_file() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let model = Model::from_path("models/digits_resnet.onnx").unwrap();
        let digest = model.digest().unwrap();
        assert_eq!(digest.model, sha256(&std::fs::read("models/digits_resnet.onnx").unwrap()));
        assert!(digest.side_files.is_empty());
        assert_eq!(Model::from_proto(model.into_proto()).digest(), None);
    }
}
