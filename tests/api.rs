//! What the public API promises beyond its signatures.
#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::ControlFlow;

use onnx_rm::{EngineError, LoadError, Model, Options, Outcome, RejectCode, Report, SaveError, VerifyReport};

const RESNET: &str = "models/digits_resnet.onnx";

fn stop<P>(_: &P) -> ControlFlow<()> {
    ControlFlow::Break(())
}

#[test]
fn everything_can_be_sent_to_another_thread() {
    fn is_sent<T: Send + Sync + 'static>() {}
    is_sent::<Model>();
    is_sent::<Options>();
    is_sent::<Outcome>();
    is_sent::<Report>();
    is_sent::<VerifyReport>();
    is_sent::<(LoadError, SaveError, EngineError)>();
    is_sent::<(onnx_rm::CheckOptions, onnx_rm::CheckReport, onnx_rm::CheckError)>();
    #[cfg(feature = "verify")]
    is_sent::<(onnx_rm::VerifyOptions, onnx_rm::VerifyError)>();
    let model = Model::from_path(RESNET).unwrap();
    let rewritten = std::thread::spawn(move || {
        let mut model = model;
        onnx_rm::rewrite(&mut model, &Options::default()).map(|outcome| outcome.after.joins)
    });
    assert_eq!(rewritten.join().unwrap().unwrap(), 0);
}

#[test]
fn a_rewrite_that_fails_or_is_stopped_leaves_the_model_as_it_was() {
    let mut model = Model::from_path(RESNET).unwrap();
    let before = model.proto().clone();
    let stopped = onnx_rm::rewrite_watched(&mut model, &Options::default(), &mut stop);
    assert!(matches!(stopped, Err(EngineError::Stopped)));
    let stopped = onnx_rm::inspect_watched(&model, &Options::default(), &mut stop);
    assert!(matches!(stopped, Err(EngineError::Stopped)));
    assert!(!model.is_edited() && *model.proto() == before);

    // A join that reads a tensor which nothing computes.
    let mut broken = before;
    broken.graph.as_mut().unwrap().node[0].input[0] = "nowhere".to_owned();
    let mut model = Model::from_proto(broken.clone());
    assert!(matches!(onnx_rm::rewrite(&mut model, &Options::default()), Err(EngineError::Graph(_))));
    assert_eq!(*model.proto(), broken);
}

#[test]
fn models_go_through_memory() {
    let bytes = std::fs::read(RESNET).unwrap();
    let mut model = Model::from_bytes(bytes.clone()).unwrap();
    assert_eq!(model.to_bytes().unwrap(), bytes, "unchanged, byte for byte");
    onnx_rm::rewrite(&mut model, &Options::default()).unwrap();
    assert!(model.is_edited());
    let again = Model::from_bytes(model.to_bytes().unwrap()).unwrap();
    assert_eq!(again.proto(), model.proto());
    // As saving writes it.
    let path = tempfile::tempdir().unwrap().keep().join("chain.onnx");
    onnx_rm::save(&model, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), model.to_bytes().unwrap());
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    assert_eq!(Model::from_proto(again.clone().into_proto()).to_bytes().unwrap(), again.to_bytes().unwrap());
}

#[test]
fn a_model_in_memory_reads_no_file() {
    let mut proto = Model::from_path(RESNET).unwrap().into_proto();
    let weight = &mut proto.graph.as_mut().unwrap().initializer[0];
    weight.raw_data = None;
    weight.data_location = Some(onnx_rm::onnx::tensor_proto::DataLocation::External as i32);
    weight.external_data.push(onnx_rm::onnx::StringStringEntryProto {
        key: Some("location".to_owned()),
        value: Some("Cargo.toml".to_owned()),
    });
    let error = Model::from_bytes(prost::Message::encode_to_vec(&proto)).unwrap_err();
    assert!(error.to_string().contains("a model in memory has none beside it"), "{error}");
}

#[test]
fn codes_and_kinds_have_words_that_stay() {
    let model = Model::from_path("models/blocks/max_pool_shortcut.legacy.onnx").unwrap();
    let outcome = onnx_rm::inspect(&model, &Options::default()).unwrap();
    let (site, reject) = outcome.kept().next().unwrap();
    assert_eq!((reject.code, reject.code.as_str()), (RejectCode::CannotPass, "cannot-pass"));
    let json = serde_json::to_value(site).unwrap();
    assert_eq!((&json["kind"], &json["code"]), (&"residual".into(), &"cannot-pass".into()));
    let report = Report::new(onnx_rm::Action::Inspect, "m.onnx", Options::default(), outcome);
    assert_eq!(serde_json::to_value(report).unwrap()["command"], "inspect");
}

#[cfg(feature = "verify")]
#[test]
fn a_verification_can_be_stopped() {
    let model = Model::from_path(RESNET).unwrap();
    let options = onnx_rm::VerifyOptions::default();
    let stopped = onnx_rm::verify_watched(&model, &model, &options, &stop);
    assert!(matches!(stopped, Err(onnx_rm::VerifyError::Stopped)));
    // In the middle: both searching and comparing say how far they are.
    let late = |p: &onnx_rm::VerifyProgress| if p.done > 1 { stop(p) } else { ControlFlow::Continue(()) };
    let stopped = onnx_rm::verify_watched(&model, &model, &options, &late);
    assert!(matches!(stopped, Err(onnx_rm::VerifyError::Stopped)));
}
