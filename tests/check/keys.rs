//! Every key: a model that keeps it, one that does not, and what is not known.

use std::collections::BTreeSet;

use super::{Folder, of_operator, said};
use crate::common::build::{self, Build, conv};

use onnx_rm::check::policy::KEYS;
use onnx_rm::onnx::tensor_proto::{DataLocation, DataType};
use onnx_rm::onnx::{
    AttributeProto, FunctionProto, ModelProto, StringStringEntryProto, attribute_proto::AttributeType,
};
use onnx_rm::{CheckStatus, Level, Options};

/// Checks `policy`, which sets one key, on a file that keeps it and one that does not, and that the finding says `word`.
fn broken(folder: &Folder, policy: &str, good: &str, bad: &str, word: &str) {
    let key = policy.split(' ').next().unwrap();
    let report = folder.look(policy, good);
    assert_eq!((report.status, said(&report)), (CheckStatus::Passed, vec![]), "{policy}: {good}");
    assert_eq!(report.checked, [key], "{policy}");
    let report = folder.look(policy, bad);
    assert_eq!(report.status, CheckStatus::Failed, "{policy}: {bad}: {:?}", said(&report));
    let [finding] = report.findings.as_slice() else { panic!("{policy}: {:?}", said(&report)) };
    assert_eq!((finding.key.as_str(), finding.level, finding.line), (key, Level::Failure, Some(1)), "{policy}");
    assert!(finding.message.contains(word), "{policy}: {}", finding.message);
}

/// One convolution, made for a test's own needs.
fn plain(change: impl FnOnce(&mut Build)) -> ModelProto {
    let mut b = Build::new(1);
    change(&mut b);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.conv(&x, &conv(4, 4, 3));
    b.output(&y);
    b.model()
}

fn free(shape: &[i64]) -> ModelProto {
    let mut b = Build::new(1);
    let x = b.input("x", shape);
    let y = b.conv(&x, &conv(4, 4, 3));
    let y = b.relu(&y);
    b.output(&y);
    b.model()
}

fn external(folder: &Folder, name: &str) {
    let mut model = plain(|_| {});
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    folder.write_bytes(&format!("{name}.data"), &tensor.raw_data.take().unwrap());
    tensor.data_location = Some(DataLocation::External as i32);
    let entry = StringStringEntryProto { key: Some("location".into()), value: Some(format!("{name}.data")) };
    tensor.external_data.push(entry);
    folder.write(name, &model);
}

#[test]
fn every_key_is_kept_by_one_model_and_broken_by_another() {
    let folder = Folder::new();
    let root = env!("CARGO_MANIFEST_DIR");
    folder.copy(format!("{root}/models/blocks/repvgg_block.legacy.onnx"), "training.onnx");
    folder.rewrite("training.onnx", "deployed.onnx", &Options::default());
    folder.write("old.onnx", &plain(|b| b.opset = 11));
    folder.write("new.onnx", &plain(|b| b.opset = 17));
    let mut dated = plain(|_| {});
    dated.ir_version = Some(4);
    folder.write("dated.onnx", &dated);
    folder.write("foreign.onnx", &of_operator("Fast", "com.example"));
    folder.write("half.onnx", &build::retyped(plain(|_| {}), DataType::Float16));
    folder.write("free.onnx", &free(&[-1, 4, 8, 8]));
    folder.write("freer.onnx", &free(&[-1, 4, -1, 8]));
    external(&folder, "external.onnx");
    folder.write("changed.onnx", &build::residual_block(2, 4));

    let mut tried = BTreeSet::new();
    let mut case = |policy: &str, good: &str, bad: &str, word: &str| {
        broken(&folder, policy, good, bad, word);
        tried.insert(policy.split(' ').next().unwrap().to_owned());
    };
    case("max-joins = 0", "chain.onnx", "block.onnx", "1 joins, where 0 are allowed");
    case("max-removable-joins = 0", "chain.onnx", "block.onnx", "1 joins that rewrite would remove");
    case("max-folds = 0", "deployed.onnx", "training.onnx", "linear folds that rewrite would make");
    case("max-readers = 1", "chain.onnx", "block.onnx", "2 reads of one tensor");
    let measures = |file: &str| folder.look("max-joins = 9", file).measures.unwrap();
    let (block, chain) = (measures("block.onnx"), measures("chain.onnx"));
    for (key, small, large) in [
        ("max-macs", block.macs.unwrap(), chain.macs.unwrap()),
        ("max-parameters", block.parameters, chain.parameters),
        ("max-bytes", block.bytes, chain.bytes),
    ] {
        assert!(small < large, "{key}");
        case(&format!("{key} = {small}"), "block.onnx", "chain.onnx", &format!("{large} "));
    }
    let (more, fewer) = (block.activation_bytes.unwrap(), measures("new.onnx").activation_bytes.unwrap());
    assert!(fewer < more);
    case(&format!("max-activation-bytes = {fewer}"), "new.onnx", "block.onnx", "alive at once");
    assert!(measures("new.onnx").nodes < block.nodes);
    case(&format!("max-nodes = {}", measures("new.onnx").nodes), "new.onnx", "block.onnx", "nodes");
    case("min-opset = 13", "new.onnx", "old.onnx", "11 as the version of ONNX's operator set");
    case("max-opset = 13", "old.onnx", "new.onnx", "17");
    case("min-ir-version = 7", "new.onnx", "dated.onnx", "4 as the version of the file format");
    case("max-ir-version = 7", "dated.onnx", "new.onnx", "8");
    case("allow-operators = ['Conv', 'Relu']", "chain.onnx", "block.onnx", "1 Add");
    case("forbid-operators = ['A?d', 'Where']", "chain.onnx", "block.onnx", "1 Add");
    case("forbid-operators = '*::*'", "chain.onnx", "foreign.onnx", "1 com.example::Fast");
    case("allow-domains = ['ai.onnx']", "chain.onnx", "foreign.onnx", "1 com.example");
    case("allow-domains = ['']", "chain.onnx", "foreign.onnx", "1 com.example");
    case("forbid-domains = ['com.*']", "chain.onnx", "foreign.onnx", "1 com.example");
    case("allow-types = ['float32', 'int64']", "new.onnx", "half.onnx", "float16");
    case("allow-free-axes = []", "new.onnx", "free.onnx", "'x': axis 0 is free");
    case("allow-free-axes = ['*:0']", "free.onnx", "freer.onnx", "'x': axis 2 is free");
    case("external-data = 'forbid'", "new.onnx", "external.onnx", "external.onnx.data");
    case("external-data = 'require'", "external.onnx", "new.onnx", "no weights");
    case(
        "inputs = { x = 'float32[1,4,8,8]' }",
        "new.onnx",
        "half.onnx",
        "float16[1,4,8,8] in place of float32[1,4,8,8]",
    );
    case("inputs = { x = '[?,4,*,8]' }", "freer.onnx", "new.onnx", "float32[1,4,8,8]");
    case("inputs = { x = 'float32' }", "new.onnx", "half.onnx", "float16");
    let output = output_of(&folder, "new.onnx");
    case(&format!("outputs = {{ {output} = '[1,4,8,8]' }}"), "new.onnx", "free.onnx", "missing");
    if cfg!(feature = "verify") {
        case("equal-to = 'block.onnx'", "chain.onnx", "changed.onnx", "compared with");
    }
    case("up-to-date-with = 'block.onnx'", "chain.onnx", "changed.onnx", "does not say what it was made of");
    tried.extend(["accept", "long-skips", "equal-to"].map(str::to_owned));
    let all: BTreeSet<String> = KEYS.iter().map(|k| k.name.to_owned()).collect();
    assert_eq!(tried, all);
}

/// The name of the only output.
fn output_of(folder: &Folder, file: &str) -> String {
    let model = onnx_rm::load(folder.path(file)).unwrap();
    model.proto().graph.as_ref().unwrap().output[0].name().to_owned()
}

#[test]
fn what_is_not_known_is_a_finding() {
    let folder = Folder::new();
    folder.write("free.onnx", &free(&[1, 4, -1, 8]));
    folder.write("foreign.onnx", &of_operator("Fast", "com.example"));
    folder.write("einsum.onnx", &of_operator("LSTM", ""));
    for (policy, file, word) in [
        ("max-macs = 1_000_000_000", "free.onnx", "is not known: a size in the model is not fixed"),
        ("max-macs = 1_000_000_000", "foreign.onnx", "is not known: those of com.example::Fast"),
        ("max-macs = 1_000_000_000", "einsum.onnx", "is not known: those of LSTM"),
        ("max-activation-bytes = '1 GiB'", "free.onnx", "is not known"),
        ("max-activation-bytes = '1 GiB'", "foreign.onnx", "is not known"),
        ("allow-types = ['float32', 'int64']", "foreign.onnx", "1 unknown"),
    ] {
        let report = folder.look(policy, file);
        assert_eq!(report.status, CheckStatus::Failed, "{policy} {file}");
        assert!(said(&report)[0].contains(word), "{:?}", said(&report));
    }
    let measures = folder.look("max-nodes = 9", "free.onnx").measures.unwrap();
    assert_eq!((measures.macs, measures.activation_bytes), (None, None));
}

/// A block as a local function in another version of ONNX's operator set, which is not looked into, and in a graph of an `If`.
fn hidden() -> [ModelProto; 2] {
    let mut called = called();
    called.functions[0].opset_import[0].version = Some(16);
    let mut b = Build::new(1);
    b.input("x", &[1, 4, 8, 8]);
    let condition = b.bools(&[], &[1]);
    let branch = |name: &str| AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(onnx_rm::onnx::GraphProto { input: vec![], ..build::residual_block(1, 4).graph.unwrap() }),
        ..AttributeProto::default()
    };
    // An operator of whose bodies nobody knows when they run.
    let y = b.node("Choice", &[&condition], vec![branch("then_branch"), branch("else_branch")]);
    b.graph.node.last_mut().unwrap().domain = Some("elsewhere".into());
    b.output(&y);
    [called, b.model()]
}

#[test]
fn joins_and_folds_in_the_branches_of_an_if_are_looked_into() {
    let folder = Folder::new();
    let [_, mut model] = hidden();
    let choice = model.graph.as_mut().unwrap().node.last_mut().unwrap();
    (choice.op_type, choice.domain) = (Some("If".into()), None);
    folder.write("if.onnx", &model);
    for (policy, status) in [
        ("max-joins = 2", CheckStatus::Passed),
        ("max-joins = 1", CheckStatus::Failed),
        ("max-removable-joins = 1", CheckStatus::Failed),
        ("max-folds = 0", CheckStatus::Passed),
    ] {
        let report = folder.look(policy, "if.onnx");
        assert_eq!(report.status, status, "{policy}: {:?}", said(&report));
        let codes: Vec<_> = report.findings.iter().flat_map(|f| &f.places).filter_map(|p| p.code.as_deref()).collect();
        assert!(!codes.contains(&"not-inspected"), "{policy}: {codes:?}");
    }
}

/// A block as a local function.
fn called() -> ModelProto {
    let inner = build::residual_block(1, 4).graph.unwrap();
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.node("Block", &[&x], vec![]);
    b.graph.node.last_mut().unwrap().domain = Some("local".into());
    b.output(&y);
    let mut called = b.model();
    let weights = inner.initializer.iter().map(|t| onnx_rm::onnx::NodeProto {
        op_type: Some("Constant".into()),
        output: vec![t.name().into()],
        attribute: vec![AttributeProto {
            name: Some("value".into()),
            r#type: Some(AttributeType::Tensor as i32),
            t: Some(t.clone()),
            ..AttributeProto::default()
        }],
        ..Default::default()
    });
    called.functions.push(FunctionProto {
        name: Some("Block".into()),
        domain: Some("local".into()),
        input: inner.input.iter().map(|v| v.name().to_owned()).collect(),
        output: inner.output.iter().map(|v| v.name().to_owned()).collect(),
        node: weights.chain(inner.node.clone()).collect(),
        opset_import: called.opset_import.clone(),
        ..FunctionProto::default()
    });
    called
}

#[test]
fn local_functions_are_looked_into() {
    let folder = Folder::new();
    folder.write("function.onnx", &called());
    for policy in ["max-joins = 0", "max-removable-joins = 0", "max-readers = 1"] {
        let report = folder.look(policy, "function.onnx");
        assert_eq!(
            (report.status, report.findings[0].found),
            (CheckStatus::Failed, Some(1 + u64::from(policy.contains("readers"))))
        );
    }
    let (inside, block) = (folder.look("max-nodes = 1", "function.onnx"), folder.look("max-nodes = 9", "block.onnx"));
    let (inside, block) = (inside.measures.unwrap(), block.measures.unwrap());
    assert_eq!((inside.macs, inside.parameters), (block.macs, block.parameters));
    assert_eq!((inside.activation_bytes, inside.nodes), (block.activation_bytes, 1));
    assert_eq!(folder.look("allow-types = 'float32'", "function.onnx").status, CheckStatus::Passed);
}

#[test]
fn what_nothing_looks_into_is_a_finding_and_can_be_accepted() {
    let folder = Folder::new();
    for (file, model) in ["function.onnx", "if.onnx"].iter().zip(hidden()) {
        folder.write(file, &model);
        let weights = folder.look("max-nodes = 9", "block.onnx").measures.unwrap().parameters;
        let found = folder.look("max-nodes = 9", file).measures.unwrap().parameters;
        assert!(found >= weights, "{file}: weights are counted wherever they stand: {found} of {weights}");
        for policy in [
            "max-joins = 0",
            "max-removable-joins = 0",
            "max-folds = 0",
            "max-readers = 3",
            "allow-types = ['float32', 'bool']",
        ] {
            let report = folder.look(policy, file);
            assert_eq!(report.status, CheckStatus::Failed, "{file}: {policy}");
            assert!(report.findings[0].places.iter().any(|p| p.code.as_deref() == Some("not-inspected")), "{policy}");
            let accepting = format!("{policy}\naccept = [{{ code = 'not-inspected', reason = 'looked at by hand' }}]");
            let report = folder.look(&accepting, file);
            let left = report.findings.iter().flat_map(|f| &f.places).filter(|p| p.code.is_some()).count();
            assert_eq!((left, report.accepted.is_empty()), (0, false), "{file}: {policy}: {:?}", said(&report));
        }
        let report = folder.look("max-macs = 1_000_000_000", file);
        assert!(said(&report)[0].contains("not known"), "{file}: {:?}", said(&report));
        let report = folder.look("forbid-operators = 'Add'", file);
        assert_eq!(report.status, CheckStatus::Failed, "{file}: operators are looked for everywhere");
    }
    // By default too.
    let report = onnx_rm::check(&[folder.path("if.onnx")], &onnx_rm::CheckOptions::default()).unwrap();
    assert_eq!(report.status, CheckStatus::Failed);
}

#[test]
fn tensors_are_read_by_outputs_and_inner_graphs_too() {
    let folder = Folder::new();
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.relu(&x);
    let z = b.relu(&y);
    b.output(&y);
    b.output(&z);
    folder.write("out.onnx", &b.model());
    let report = folder.look("max-readers = 1", "out.onnx");
    assert_eq!(report.findings[0].places.len(), 1);
    assert_eq!((report.findings[0].places[0].tensor.as_str(), report.measures.unwrap().readers), (y.as_str(), 2));
    // A constant may be read as often as it is.
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let two = b.scalar(2.0);
    let y = b.node("Mul", &[&x, &two], vec![]);
    let y = b.node("Mul", &[&y, &two], vec![]);
    b.output(&y);
    folder.write("constant.onnx", &b.model());
    assert_eq!(folder.look("max-readers = 1", "constant.onnx").status, CheckStatus::Passed);
}

#[test]
fn open_linear_branches_are_joins_that_are_left() {
    let folder = Folder::new();
    folder.copy(format!("{}/models/blocks/repvgg_block.legacy.onnx", env!("CARGO_MANIFEST_DIR")), "training.onnx");
    let report = folder.look("max-joins = 0\nmax-removable-joins = 0", "training.onnx");
    assert_eq!(report.findings.iter().map(|f| f.key.as_str()).collect::<Vec<_>>(), ["max-joins"]);
    assert_eq!(report.findings[0].found, Some(report.measures.unwrap().joins));
}

#[test]
fn long_skips_count_when_asked_for() {
    let folder = Folder::new();
    folder.copy(format!("{}/models/blocks/nested_skip.legacy.onnx", env!("CARGO_MANIFEST_DIR")), "nested.onnx");
    folder.rewrite("nested.onnx", "short.onnx", &Options::default());
    folder.rewrite("nested.onnx", "none.onnx", &Options::default().long_skips(true));
    let status = |policy: &str, file: &str| folder.look(policy, file).status;
    assert_eq!(status("max-removable-joins = 0", "short.onnx"), CheckStatus::Passed);
    assert_eq!(status("max-removable-joins = 0\nlong-skips = true", "short.onnx"), CheckStatus::Failed);
    assert_eq!(status("max-removable-joins = 0\nlong-skips = true", "none.onnx"), CheckStatus::Passed);
    assert_eq!(status("max-joins = 0", "short.onnx"), CheckStatus::Failed);
    assert_eq!(status("max-joins = 1", "short.onnx"), CheckStatus::Passed);
}
