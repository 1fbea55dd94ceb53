//! The JSON report against docs/REPORT.md.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::process::Command;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{quoted, read, root};

/// Collects the keys of every object; a key that stands twice in one object is an error.
struct Keys<'a>(&'a RefCell<BTreeSet<String>>);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut own = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            assert!(own.insert(key.clone()), "'{key}' stands twice in one object");
            self.0.borrow_mut().insert(key);
            map.next_value_seed(Keys(self.0))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Keys(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Adds the keys of what the program prints.
fn keys(arguments: &[&str], found: &RefCell<BTreeSet<String>>) {
    let output = Command::new(env!("CARGO_BIN_EXE_onnx-rm")).args(arguments).current_dir(root()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut json = serde_json::Deserializer::from_str(&text);
    Keys(found).deserialize(&mut json).unwrap_or_else(|e| panic!("{arguments:?}: {e}\n{text}"));
}

#[test]
fn every_field_is_documented() {
    let found = RefCell::new(BTreeSet::new());
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.onnx");
    keys(&["inspect", "models/digits_mobilenet_v2.onnx", "--json"], &found);
    keys(&["inspect", "models/blocks/two_branches.legacy.onnx", "--json"], &found);
    keys(&["rewrite", "models/digits_resnet.onnx", output.to_str().unwrap(), "--no-verify", "--json"], &found);
    if cfg!(feature = "verify") {
        keys(&["rewrite", "models/digits_resnet.onnx", output.to_str().unwrap(), "--json"], &found);
        keys(&["verify", "models/digits_resnet.onnx", "models/digits_mobilenet_v2.onnx", "--json"], &found);
    }
    let found = found.into_inner();
    assert!(["schema_version", "blame_node", "macs_before", "result"].iter().all(|k| found.contains(*k)), "{found:?}");
    let page = read("docs/REPORT.md");
    let words: BTreeSet<&str> = quoted(&page).into_iter().collect();
    let missing: Vec<_> = found.iter().filter(|k| !words.contains(k.as_str())).collect();
    assert!(missing.is_empty(), "docs/REPORT.md does not have {missing:?}");
    let version = format!("`schema_version` is {}.", onnx_rm::report::SCHEMA_VERSION);
    assert!(page.contains(&version), "docs/REPORT.md does not say: {version}");
}
