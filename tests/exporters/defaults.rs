//! Initializers that are graph inputs as well.

use onnx_rm::onnx::ModelProto;
use onnx_rm::options::Options;

use super::{block, inputs};
use crate::common::*;

/// A block with all its weights listed as inputs.
fn listed(ir: i64) -> ModelProto {
    let mut model = block(8, |b, y| {
        let y = b.batch_norm(y, 8);
        b.relu(&y)
    })
    .model();
    model.ir_version = Some(ir);
    let graph = model.graph.as_mut().unwrap();
    let listed: Vec<_> = graph.initializer.iter().map(|t| value_info(t.name(), &t.dims)).collect();
    graph.input.extend(listed);
    model
}

#[cfg(feature = "verify")]
fn agree(a: &ModelProto, b: &ModelProto, constant: bool) -> bool {
    let options = onnx_rm::verify::VerifyOptions::default().constant_initializers(constant);
    onnx_rm::verify::verify_models(a, b, &options).unwrap().is_equal()
}

#[test]
fn before_ir_version_4_they_are_constants() {
    let model = listed(3);
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(joins(&outcome), 0, "{:?}", outcome.sites);
    assert_eq!((inputs(&after), after.ir_version), (vec!["x"], Some(4)), "what is added is no input");
    assert_valid(&after, "listed weights");
    #[cfg(feature = "verify")]
    assert!(agree(&model, &after, false));
    assert_eq!(rewrite(&after, &Options::default()).0, after);
}

#[test]
fn later_a_caller_may_override_them() {
    let model = listed(8);
    let (after, outcome) = rewrite(&model, &Options::default());
    assert_eq!(after, model);
    assert!(outcome.before.macs.is_some(), "sizes are known whoever overrides the values");
    for (site, reject) in outcome.kept() {
        assert_eq!(reject.code, "weight-not-constant", "{site:?}");
        assert!(reject.hint.contains("--constant-initializers"), "{site:?}");
    }
    let kinds: Vec<_> = outcome.kept().map(|(site, _)| site.kind.as_str()).collect();
    assert!(
        kinds.contains(&"residual") && kinds.contains(&"sequence"),
        "the fold of the batch norm as well: {kinds:?}"
    );

    let options = Options::default().constant_initializers(true);
    let (after, outcome) = rewrite(&model, &options);
    assert_eq!((joins(&outcome), inputs(&after)), (0, vec!["x"]));
    #[cfg(feature = "verify")]
    assert!(!agree(&model, &after, false), "an input less is another model, unless that was asked for");
    #[cfg(feature = "verify")]
    assert!(agree(&model, &after, true));
}

#[test]
fn a_reason_that_holds_anyway_is_told_instead() {
    let mut model = listed(8);
    let pool = model.graph.as_mut().unwrap().node.iter_mut().find(|n| n.op_type() == "Relu").unwrap();
    pool.op_type = Some("Softmax".into());
    let (_, outcome) = rewrite(&model, &Options::default());
    let codes: Vec<_> = outcome.kept().filter(|(s, _)| s.is_residual()).map(|(_, r)| r.code.as_str()).collect();
    assert_eq!(codes, ["cannot-pass"]);
}

#[test]
fn where_nothing_goes_they_stay_inputs() {
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 3, 8, 8]);
    let y = b.conv(&x, &conv(3, 4, 3));
    b.output(&y);
    let mut model = b.model();
    let graph = model.graph.as_mut().unwrap();
    graph.input.push(value_info(graph.initializer[0].name(), &graph.initializer[0].dims));
    assert_eq!(rewrite(&model, &Options::default().constant_initializers(true)).0, model);
}
