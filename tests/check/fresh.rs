//! What a rewritten file says of itself, and whether it is up to date by it.

use std::fs;

use super::{Folder, said};
use crate::common::build;

use onnx_rm::engine::Record;
use onnx_rm::onnx::ModelProto;
use onnx_rm::{CheckStatus, Limit, Limits, Model, Options, rewrite, save};
use prost::Message;

const POLICY: &str = "up-to-date-with = 'block.onnx'";

fn why(folder: &Folder, file: &str) -> String {
    let report = folder.look(POLICY, file);
    assert_eq!(report.status, CheckStatus::Failed, "{file}");
    said(&report).concat()
}

fn edited(folder: &Folder, from: &str, to: &str, edit: impl FnOnce(&mut ModelProto)) {
    let mut model = ModelProto::decode(fs::read(folder.path(from)).unwrap().as_slice()).unwrap();
    edit(&mut model);
    folder.write(to, &model);
}

#[test]
fn a_rewritten_file_says_what_it_was_made_of_and_another_does_not() {
    let folder = Folder::new();
    let chain = Model::from_path(folder.path("chain.onnx")).unwrap();
    let record = Record::of(chain.proto()).unwrap().unwrap();
    let source = Model::from_path(folder.path("block.onnx")).unwrap();
    assert_eq!((record.version.as_str(), &record.options), (env!("CARGO_PKG_VERSION"), &Options::default()));
    assert_eq!(record.source, source.digest());
    // A second rewrite changes nothing: the same bytes, the same record.
    folder.rewrite("chain.onnx", "again.onnx", &Options::default());
    assert_eq!(fs::read(folder.path("chain.onnx")).unwrap(), fs::read(folder.path("again.onnx")).unwrap());
    // What inspection foresees is what the file then takes, and limits hold for it.
    let outcome = onnx_rm::inspect(&source, &Options::default()).unwrap();
    assert_eq!(outcome.after.bytes, fs::metadata(folder.path("chain.onnx")).unwrap().len());
    // The record itself has the limit in it.
    let left = |bytes: u64| {
        let limits = Limits::default().bytes(Limit::Count(bytes));
        onnx_rm::inspect(&source, &Options::default().limits(limits)).unwrap().after.joins
    };
    assert_eq!((left(outcome.after.bytes + 128), left(outcome.after.bytes)), (0, 1));
    // A rewrite of what was rewritten in memory knows no file.
    let mut model = source.clone();
    rewrite(&mut model, &Options::default()).unwrap();
    let mut proto = source.proto().clone();
    proto.metadata_props = model.proto().metadata_props.clone();
    let mut model = Model::from_proto(proto);
    rewrite(&mut model, &Options::default()).unwrap();
    assert_eq!(Record::of(model.proto()).unwrap().unwrap().source, None);
    save(&model, folder.path("memory.onnx")).unwrap();
    assert!(why(&folder, "memory.onnx").contains("it was rewritten in memory"));
}

#[test]
fn it_is_up_to_date_until_source_file_or_options_differ() {
    let folder = Folder::new();
    assert_eq!(folder.look(POLICY, "chain.onnx").status, CheckStatus::Passed);
    // {name} and {stem}.
    folder.copy("block.onnx", "originals/chain.onnx");
    assert_eq!(folder.look("up-to-date-with = 'originals/{name}'", "chain.onnx").status, CheckStatus::Passed);
    assert_eq!(folder.look("up-to-date-with = 'originals/{stem}.onnx'", "chain.onnx").status, CheckStatus::Passed);
    let report = folder.look("up-to-date-with = 'nowhere/{name}'", "chain.onnx");
    assert_eq!(report.status, CheckStatus::Error);
    // With the options that it was made with, whatever they are.
    folder.rewrite("block.onnx", "macs.onnx", &Options::default().objective(onnx_rm::Objective::Macs));
    assert_eq!(folder.look(POLICY, "macs.onnx").status, CheckStatus::Passed);
    assert!(why(&folder, "block.onnx").contains("is a copy of"), "{}", why(&folder, "block.onnx"));

    edited(&folder, "chain.onnx", "edited.onnx", |m| m.graph.as_mut().unwrap().doc_string = Some("mine".into()));
    assert!(why(&folder, "edited.onnx").contains("it was changed since it was written"));
    let set = |m: &mut ModelProto, key: &str, value: &str| {
        m.metadata_props.iter_mut().find(|p| p.key() == key).unwrap().value = Some(value.to_owned());
    };
    // Another version that made the same is no reason; one that made another file is.
    edited(&folder, "chain.onnx", "older.onnx", |m| set(m, "onnx_rm.version", "0.1.9"));
    assert_eq!(folder.look(POLICY, "older.onnx").status, CheckStatus::Passed);
    edited(&folder, "edited.onnx", "older.onnx", |m| set(m, "onnx_rm.version", "0.1.9"));
    assert!(why(&folder, "older.onnx").contains("than 0.1.9 did"));
    edited(&folder, "chain.onnx", "wrong.onnx", |m| set(m, "onnx_rm.options", "{\"keep\": [\"*\"]}"));
    assert!(why(&folder, "wrong.onnx").contains("makes another file"));
    edited(&folder, "chain.onnx", "newer.onnx", |m| set(m, "onnx_rm.options", "{\"teleport\": true}"));
    assert!(why(&folder, "newer.onnx").contains("cannot be read"));
    edited(&folder, "chain.onnx", "bare.onnx", |m| m.metadata_props.clear());
    assert!(why(&folder, "bare.onnx").contains("does not say what it was made of"));

    folder.write("block.onnx", &build::residual_block(2, 4));
    assert!(why(&folder, "chain.onnx").contains("has changed since: its SHA-256 was"));
}

#[test]
fn a_copy_of_a_source_with_nothing_to_do_is_up_to_date() {
    let folder = Folder::new();
    let mut b = build::Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.relu(&x);
    b.output(&y);
    folder.write("block.onnx", &b.model());
    folder.rewrite("block.onnx", "copy.onnx", &Options::default());
    assert_eq!(fs::read(folder.path("block.onnx")).unwrap(), fs::read(folder.path("copy.onnx")).unwrap());
    assert_eq!(folder.look(POLICY, "copy.onnx").status, CheckStatus::Passed);
    let policy = "up-to-date-with = 'chain.onnx'";
    assert_eq!(folder.look(policy, "copy.onnx").status, CheckStatus::Failed);
}

#[test]
fn weights_beside_the_source_count_too() {
    use onnx_rm::onnx::{StringStringEntryProto, tensor_proto::DataLocation};
    let folder = Folder::new();
    edited(&folder, "block.onnx", "block.onnx", |m| {
        let tensor = &mut m.graph.as_mut().unwrap().initializer[0];
        folder.write_bytes("weights.bin", &tensor.raw_data.take().unwrap());
        tensor.data_location = Some(DataLocation::External as i32);
        let entry = StringStringEntryProto { key: Some("location".into()), value: Some("weights.bin".into()) };
        tensor.external_data.push(entry);
    });
    folder.rewrite("block.onnx", "chain.onnx", &Options::default());
    assert_eq!(folder.look(POLICY, "chain.onnx").status, CheckStatus::Passed);
    let mut weights = fs::read(folder.path("weights.bin")).unwrap();
    weights[2] ^= 1;
    folder.write_bytes("weights.bin", &weights);
    assert!(why(&folder, "chain.onnx").contains("weights beside its source"));
}
