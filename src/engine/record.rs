//! What a rewritten file says of itself, in `metadata_props` of the model: who made it, of what, and how. With that and its source it
//! can be made again.

use crate::io::{Digest, Model};
use crate::onnx::{ModelProto, StringStringEntryProto};
use crate::options::{Family, Options};

use super::round::Refused;

/// Version of the tool.
const VERSION: &str = "onnx_rm.version";
/// SHA-256 of the source's file. Missing where the source was no file, or had been edited since it was read.
const SOURCE: &str = "onnx_rm.source_sha256";
/// SHA-256 of each file of weights beside the source, by its location, as JSON.
const SIDE_FILES: &str = "onnx_rm.source_side_files";
/// The options that are not the defaults, as JSON.
const OPTIONS: &str = "onnx_rm.options";
/// What was left alone because verification refused it, as JSON.
const LEFT: &str = "onnx_rm.unverified";

/// How much of its channels the model has lost, as JSON: such a file computes something else than its source.
const PRUNED: &str = "onnx_rm.pruned";

/// All of them that say how a file can be made again. Other tools' metadata, and the user's, is not touched.
const KEYS: [&str; 5] = [VERSION, SOURCE, SIDE_FILES, OPTIONS, LEFT];

/// What a rewritten file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Version of the tool that wrote it.
    pub version: String,
    /// What it was made of, where that was a file.
    pub source: Option<Digest>,
    /// With which options.
    pub options: Options,
    /// What was left alone, by kind and tensor, since verification refused it.
    pub left: Vec<(Family, String)>,
}

impl Record {
    /// Of a rewrite of `source` by this program.
    pub(super) fn new(source: &Model, options: &Options, refused: &Refused) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source: source.digest(),
            options: options.clone(),
            left: refused.keys().cloned().collect(),
        }
    }

    /// What `model` says of itself; `None` when it says nothing.
    ///
    /// # Errors
    /// When it says something that this version cannot read, in words.
    pub fn of(model: &ModelProto) -> Result<Option<Self>, String> {
        let value = |key: &str| model.metadata_props.iter().find(|p| p.key() == key).map(|p| p.value());
        let unreadable =
            |key: &'static str| move |e: serde_json::Error| format!("its metadata '{key}' cannot be read: {e}");
        let Some(version) = value(VERSION) else { return Ok(None) };
        let side_files = value(SIDE_FILES).map_or(Ok(Default::default()), serde_json::from_str);
        let side_files = side_files.map_err(unreadable(SIDE_FILES))?;
        Ok(Some(Self {
            version: version.to_owned(),
            source: value(SOURCE).map(|model| Digest { model: model.to_owned(), side_files }),
            options: serde_json::from_str(value(OPTIONS).unwrap_or("{}")).map_err(unreadable(OPTIONS))?,
            left: serde_json::from_str(value(LEFT).unwrap_or("[]")).map_err(unreadable(LEFT))?,
        }))
    }

    /// Writes it into `model`, in place of what stood there of an earlier rewrite.
    pub(super) fn write(&self, model: &mut ModelProto) {
        let side_files = self.source.as_ref().map(|s| &s.side_files).filter(|files| !files.is_empty());
        let entries = [
            (VERSION, Some(self.version.clone())),
            (SOURCE, self.source.as_ref().map(|s| s.model.clone())),
            (SIDE_FILES, side_files.map(to_json)),
            (OPTIONS, Some(asked(&self.options))),
            (LEFT, (!self.left.is_empty()).then(|| to_json(&self.left))),
        ];
        without_record(model);
        for (key, value) in entries.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            model.metadata_props.push(StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) });
        }
    }
}

/// Writes into `model` that it was pruned, and how. It is no longer what its record says, so that goes.
pub fn mark_pruned(model: &mut ModelProto, how: &impl serde::Serialize) {
    without_record(model);
    model.metadata_props.retain(|p| p.key() != PRUNED);
    model.metadata_props.push(StringStringEntryProto { key: Some(PRUNED.to_owned()), value: Some(to_json(how)) });
}

/// Takes what `model` says of its making out of it.
pub fn without_record(model: &mut ModelProto) {
    model.metadata_props.retain(|p| !KEYS.contains(&p.key()));
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The options that are not the defaults, as JSON: one that is added later changes no file that does not use it.
fn asked(options: &Options) -> String {
    let all = |options: &Options| serde_json::to_value(options).unwrap_or_default();
    let (mut own, usual) = (all(options), all(&Options::default()));
    if let (Some(own), Some(usual)) = (own.as_object_mut(), usual.as_object()) {
        own.retain(|key, value| usual.get(key) != Some(value));
    }
    own.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::read::RejectCode;
    use crate::report::RejectReport;

    const RESNET: &str = "models/digits_resnet.onnx";

    #[test]
    fn a_record_comes_back_and_replaces_an_earlier_one() {
        let source = Model::from_path(RESNET).unwrap();
        let site = (Family::Residual, "y".to_owned());
        let refused = Refused::from([(site.clone(), RejectReport::new(RejectCode::Unverified, ""))]);
        let record = Record::new(&source, &Options::default().long_skips(true), &refused);
        let mut proto = source.proto().clone();
        let mine = StringStringEntryProto { key: Some("mine".into()), value: Some("stays".into()) };
        proto.metadata_props.push(mine.clone());
        assert_eq!(Record::of(&proto), Ok(None));
        Record::new(&source, &Options::default(), &Refused::new()).write(&mut proto);
        record.write(&mut proto);
        let read = Record::of(&proto).unwrap().unwrap();
        assert_eq!(read, record);
        assert_eq!((read.left, read.source.unwrap().model.len()), (vec![site], 64));
        assert_eq!(proto.metadata_props.iter().filter(|p| p.key() == VERSION).count(), 1);
        without_record(&mut proto);
        assert_eq!(proto.metadata_props.last(), Some(&mine));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut proto = Model::from_path(RESNET).unwrap().into_proto();
        let entry =
            |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
        proto.metadata_props = vec![entry(VERSION, "9.0.0"), entry(OPTIONS, "{\"teleport\": true}")];
        assert!(Record::of(&proto).unwrap_err().contains("onnx_rm.options"));
    }
}
