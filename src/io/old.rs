//! Side files of a model that is replaced: which of them may go.
//!
//! A file goes only when this tool wrote it for the model that is replaced, and no other file could mean it. In doubt it
//! stays: space can be won back, weights cannot.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use memchr::memmem;
use prost::Message;

use crate::onnx::ModelProto;

use super::external::{each_tensor, inside, is_external};
use super::side::ALIGNMENT;

/// Metadata key of the nodes that a rewrite added: a model without such a node is another tool's.
const PROVENANCE_KEY: &str = "onnx_rm.rewrite";

/// The key of a tensor's entries that names the file (ONNX `TensorProto.external_data`).
const LOCATION: &str = "location";

/// Bytes that are looked through at once.
const PART: usize = 1 << 20;

/// Most bytes that are looked through for the name of a side file.
const MAX_OLD: u64 = 1 << 30;

/// A side file of the old model.
#[derive(Debug)]
pub(super) struct Old {
    /// Its place in the model's folder.
    pub(super) file: String,
    /// True when this tool wrote it for that model.
    pub(super) is_ours: bool,
}

/// True unless no tensor of the model at `path` can be in another file: the key that names one occurs nowhere in it.
pub(super) fn may_have_side_files(path: &Path) -> bool {
    let key = memmem::Finder::new(LOCATION.as_bytes());
    let Ok(mut file) = File::open(path) else { return false };
    let mut part = vec![0; PART];
    let mut kept = 0;
    loop {
        let Some(end) = file.read(&mut part[kept..]).ok().filter(|read| *read > 0).map(|read| kept + read) else {
            return false;
        };
        if key.find(&part[..end]).is_some() {
            return true;
        }
        // It may begin at the end of this part.
        kept = end.min(LOCATION.len() - 1);
        part.copy_within(end - kept..end, 0);
    }
}

/// The side files of `model`, the content of the file called `name` in the folder `home`.
pub(super) fn side_files(model: Bytes, name: &str, home: &Path) -> Vec<Old> {
    let Ok(mut proto) = ModelProto::decode(model) else { return Vec::new() };
    let mut ranges: Vec<(String, Option<(u64, u64)>)> = Vec::new();
    let walked: Result<(), std::convert::Infallible> = each_tensor(&mut proto, &mut |tensor| {
        if is_external(tensor) {
            let entry = |key: &str| tensor.external_data.iter().find(|e| e.key() == key).map(|e| e.value());
            let number = |key: &str| entry(key)?.parse::<u64>().ok();
            let range = number("offset").zip(number("length"));
            ranges.push((entry(LOCATION).unwrap_or_default().to_owned(), range));
        }
        Ok(())
    });
    let Ok(()) = walked;
    let mut locations: Vec<&str> = ranges.iter().map(|(location, _)| location.as_str()).collect();
    locations.sort_unstable();
    locations.dedup();
    let marked =
        proto.graph.iter().flat_map(|g| &g.node).flat_map(|n| &n.metadata_props).any(|p| p.key() == PROVENANCE_KEY);
    let alone = locations.len() == 1;
    let old = |location: &&str| {
        let place = inside(home, location).filter(|place| place.is_file())?;
        let size = fs::metadata(&place).ok()?.len();
        let held = ranges.iter().filter(|(l, _)| l == location).map(|(_, range)| *range).collect::<Option<Vec<_>>>();
        let is_ours = marked && alone && is_own_name(location, name) && held.is_some_and(|held| is_packed(held, size));
        Some(Old { file: (*location).to_owned(), is_ours })
    };
    locations.iter().filter_map(old).collect()
}

/// True for `<name>.data` and `<name>.1.data`.
fn is_own_name(location: &str, name: &str) -> bool {
    let middle = location.strip_prefix(name).and_then(|rest| rest.strip_suffix("data"));
    let number = |middle: &str| middle.strip_prefix('.').and_then(|m| m.strip_suffix('.')).map(str::to_owned);
    middle
        .is_some_and(|m| m == "." || number(m).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
}

/// True when offsets and lengths fill a file of `size` bytes just as [`super::side`] lays it out.
fn is_packed(mut ranges: Vec<(u64, u64)>, size: u64) -> bool {
    ranges.sort_unstable();
    ranges.dedup();
    let end = ranges.iter().filter(|(_, length)| *length > 0).try_fold(0_u64, |end, (offset, length)| {
        let start = end.checked_next_multiple_of(ALIGNMENT as u64)?;
        if *offset == start { offset.checked_add(*length) } else { None }
    });
    end == Some(size)
}

/// Whether another file in the folder `home` has the name of the side file at `place` in it, or leads there: a model that
/// reads it would. True as well when that cannot be told. A model in another folder cannot name it, unless that folder is
/// further out.
pub(super) fn is_named(place: &Path, home: &Path) -> bool {
    let Some(name) = place.file_name().filter(|_| place.parent() == Some(home)) else { return true };
    let (Ok(real), Ok(entries)) = (place.canonicalize(), fs::read_dir(home)) else { return true };
    let mut budget = MAX_OLD;
    for entry in entries {
        let Ok((path, kind)) = entry.and_then(|e| Ok((e.path(), e.file_type()?))) else { return true };
        if path.file_name() == Some(name) {
            continue;
        }
        if kind.is_symlink() && path.canonicalize().is_ok_and(|target| target == real) {
            return true;
        }
        // No model is larger than a protobuf message.
        let Some(meta) = fs::metadata(&path).ok().filter(|m| m.is_file() && m.len() <= super::load::MAX_BYTES as u64)
        else {
            continue;
        };
        budget = match budget.checked_sub(meta.len()) {
            Some(left) => left,
            None => return true,
        };
        if contains(&path, name.as_encoded_bytes()) {
            return true;
        }
    }
    false
}

/// Whether `word` stands in the file at `path`; true when it cannot be read.
fn contains(path: &Path, word: &[u8]) -> bool {
    let Ok(mut file) = File::open(path) else { return true };
    let mut window = Vec::new();
    loop {
        let kept = window.len().min(word.len().saturating_sub(1));
        window.drain(..window.len() - kept);
        match file.by_ref().take(1 << 20).read_to_end(&mut window) {
            Ok(0) => return false,
            Ok(_) if window.windows(word.len()).any(|part| part == word) => return true,
            Ok(_) => {}
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn own_names() {
        for (location, want) in [("m.data", true), ("m.1.data", true), ("m.10.data", true), ("m..data", false)] {
            assert_eq!(is_own_name(location, "m"), want, "{location}");
        }
        for location in ["m", "mdata", "m.x.data", "n.data", "m.data.data", "m.1data", ""] {
            assert!(!is_own_name(location, "m"), "{location}");
        }
    }

    #[test]
    fn only_a_file_laid_out_as_ours_is_ours() {
        assert!(is_packed(vec![(0, 10), (4096, 5000), (12288, 1), (0, 10)], 12289));
        assert!(is_packed(vec![(0, 4096), (4096, 4096)], 8192));
        for (ranges, size) in [(vec![(0, 10), (64, 5)], 69), (vec![(0, 10)], 11), (vec![(4096, 10)], 4106)] {
            assert!(!is_packed(ranges, size));
        }
        assert!(!is_packed(vec![(u64::MAX, 10)], 5));
    }

    #[test]
    fn a_word_is_found_across_the_pieces_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut content = vec![b'x'; (1 << 20) - 3];
        content.extend(b"m.data and more");
        fs::write(&path, content).unwrap();
        assert!(contains(&path, b"m.data"));
        assert!(!contains(&path, b"n.data"));
        assert!(contains(&folder.path().join("missing"), b"m"), "what cannot be read is in doubt");
    }

    #[test]
    fn the_key_of_a_location_is_found_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        for at in [0, 5, PART - 8, PART - 7, PART - 4, PART - 1, PART, 2 * PART + 3] {
            let mut content = vec![b'l'; 3 * PART];
            content[at..at + LOCATION.len()].copy_from_slice(LOCATION.as_bytes());
            std::fs::write(&path, &content).unwrap();
            assert!(may_have_side_files(&path), "{at}");
            content[at + 3] = b'x';
            std::fs::write(&path, &content).unwrap();
            assert!(!may_have_side_files(&path), "{at}");
        }
        std::fs::write(&path, "").unwrap();
        assert!(!may_have_side_files(&path));
    }
}
