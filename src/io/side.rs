//! Content that goes into a file beside the model on saving.

use std::collections::HashMap;

use bytes::Bytes;

use crate::onnx::tensor_proto::DataLocation;
use crate::onnx::{ModelProto, StringStringEntryProto, TensorProto};

use super::external::{each_tensor, is_external};

/// Alignment of tensors in a side file, so that a runtime can map them (ONNX `TensorProto.external_data`).
pub(super) const ALIGNMENT: usize = 4096;

/// Content below this size stays in the model, as in the onnx package.
const WORTH_MOVING: usize = 1024;

/// A side file in the making.
pub(super) struct Side {
    location: String,
    pieces: Vec<Bytes>,
    length: usize,
    /// Offset of each content by address and length: tensors that shared a place go on sharing one.
    places: HashMap<(usize, usize), usize>,
}

impl Side {
    /// An empty file that will be at `location`, relative to the model.
    pub(super) fn new(location: &str) -> Self {
        Self { location: location.to_owned(), pieces: Vec::new(), length: 0, places: HashMap::new() }
    }

    /// The file, in pieces.
    pub(super) fn finish(self) -> Vec<Bytes> {
        self.pieces
    }

    /// Moves the content of every tensor that was external when it was read.
    pub(super) fn take_external(&mut self, model: &mut ModelProto) {
        let walked: Result<(), std::convert::Infallible> = each_tensor(model, &mut |tensor| {
            if is_external(tensor) {
                self.take(tensor);
            }
            Ok(())
        });
        let Ok(()) = walked;
    }

    /// Moves the content of the initializers for which `moves` says so, if it is large enough.
    pub(super) fn take_initializers(&mut self, model: &mut ModelProto, moves: impl Fn(&Bytes) -> bool) {
        for tensor in model.graph.iter_mut().flat_map(|g| &mut g.initializer) {
            if tensor.raw_data.as_ref().is_some_and(|raw| raw.len() >= WORTH_MOVING && moves(raw)) {
                self.take(tensor);
            }
        }
    }

    fn take(&mut self, tensor: &mut TensorProto) {
        let Some(content) = tensor.raw_data.take() else { return };
        let length = content.len();
        let offset = self.place(content);
        // A digest of the old file says nothing about the new one.
        tensor.external_data.retain(|e| !["location", "offset", "length", "checksum"].contains(&e.key()));
        let entry = |key: &str, value: String| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
        tensor.external_data.push(entry("location", self.location.clone()));
        tensor.external_data.push(entry("offset", offset.to_string()));
        tensor.external_data.push(entry("length", length.to_string()));
        tensor.data_location = Some(DataLocation::External as i32);
    }

    /// Appends `content`, if it is not there already, and returns where it starts.
    fn place(&mut self, content: Bytes) -> usize {
        let key = (content.as_ptr() as usize, content.len());
        if let Some(&offset) = self.places.get(&key) {
            return offset;
        }
        let gap = self.length.next_multiple_of(ALIGNMENT) - self.length;
        if gap > 0 && !content.is_empty() {
            self.pieces.push(Bytes::from(vec![0; gap]));
            self.length += gap;
        }
        let offset = self.length;
        self.places.insert(key, offset);
        self.length += content.len();
        self.pieces.push(content);
        offset
    }
}

/// True when `part` is a slice of `whole`: content that was read from there.
pub(super) fn lies_in(part: &[u8], whole: &[u8]) -> bool {
    let (part, whole) = (part.as_ptr_range(), whole.as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn content_is_aligned_and_written_once() {
        let mut side = Side::new("w");
        let (a, b) = (Bytes::from(vec![1; 10]), Bytes::from(vec![2; 5000]));
        assert_eq!([a.clone(), b.clone(), a.clone()].map(|c| side.place(c)), [0, 4096, 0]);
        assert_eq!(side.place(Bytes::from(vec![3])), 12288);
        let file = side.finish().concat();
        assert_eq!((file.len(), &file[..10], &file[4096..9096]), (12289, &a[..], &b[..]));
    }

    #[test]
    fn a_digest_goes_and_other_entries_stay() {
        let entry = |k: &str| StringStringEntryProto { key: Some(k.into()), value: Some("v".into()) };
        let mut tensor = TensorProto {
            raw_data: Some(Bytes::from(vec![0; 8])),
            external_data: vec![entry("location"), entry("checksum"), entry("vendor")],
            ..TensorProto::default()
        };
        Side::new("w").take(&mut tensor);
        let keys: Vec<&str> = tensor.external_data.iter().map(|e| e.key()).collect();
        assert_eq!(keys, ["vendor", "location", "offset", "length"]);
        assert!(tensor.raw_data.is_none() && is_external(&tensor));
    }
}
