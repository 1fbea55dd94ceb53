//! Linear folding: what folds, into what; what does not, and why; and that both compute the same in float64.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common;
mod dead;
mod dense;
mod head;
mod parallel;
mod pointwise;
mod rows;
mod sequence;
mod together;
mod transposed;

use common::{Build, ROUNDING, conv, distance, float, int, ints, rewrite, string};
use onnx_rm::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use onnx_rm::options::{Families, FusePointwise, Options, Selector};
use onnx_rm::report::{Outcome, SiteStatus};

/// What stands between a convolution or constants and the linear layer that reads them.
type Between = fn(&mut Build, &str) -> String;

fn only(selectors: &[Selector]) -> Options {
    Options::default().families(Families::new(selectors, &[]))
}

fn linear() -> Options {
    only(&[Selector::Linear])
}

fn finish(mut b: Build, y: &str) -> ModelProto {
    b.output(y);
    b.model()
}

fn ops(model: &ModelProto) -> Vec<&str> {
    model.graph.as_ref().unwrap().node.iter().map(|n| n.op_type()).collect()
}

fn node<'a>(model: &'a ModelProto, op: &str) -> &'a NodeProto {
    model.graph.as_ref().unwrap().node.iter().find(|n| n.op_type() == op).unwrap()
}

fn initializer<'a>(model: &'a ModelProto, name: &str) -> Option<&'a TensorProto> {
    model.graph.as_ref().unwrap().initializer.iter().find(|t| t.name() == name)
}

fn attribute(node: &NodeProto, name: &str) -> Vec<i64> {
    let a = node.attribute.iter().find(|a| a.name() == name).unwrap();
    a.i.map_or_else(|| a.ints.clone(), |i| vec![i])
}

/// Both compute the same: in our own evaluator, and in float64 through tract, whose borders are nobody's but its own.
fn same(model: &ModelProto, after: &ModelProto, options: &Options) {
    let far = distance(model, after);
    assert!(far <= ROUNDING, "{far:e}\n{}", onnx_rm::graph::dump(after));
    #[cfg(feature = "verify")]
    through_tract(model, options);
    #[cfg(not(feature = "verify"))]
    let _ = options;
}

/// Operators that tract cannot run in float64, or not with every padding.
#[cfg(feature = "verify")]
const SINGLE: [&str; 4] = ["ConvTranspose", "Gemm", "ScatterND", "Sigmoid"];

#[cfg(feature = "verify")]
fn through_tract(model: &ModelProto, options: &Options) {
    use onnx_rm::verify::{Coverage, Status, VerifyOptions, verify_models};
    let double = common::retyped(model.clone(), onnx_rm::onnx::tensor_proto::DataType::Double);
    let (after, _) = rewrite(&double, options);
    let report = match verify_models(&double, &after, &VerifyOptions::default()) {
        Ok(report) => report,
        // A layer asks for one size, which is not among those that are tried.
        Err(e) => return assert!(e.to_string().contains("a product of shapes"), "{e}"),
    };
    let constant = report.status == Status::NoEvidence && report.message.contains("the same for every input");
    assert!(report.is_equal() || constant, "{report}\n{}", onnx_rm::graph::dump(&after));
    assert_eq!(report.arithmetic.element_type, "float64");
    if !ops(model).iter().chain(&ops(&after)).any(|op| SINGLE.contains(op)) {
        assert_eq!((report.coverage, report.arithmetic.rounded_because), (Coverage::Whole, None));
    }
}

/// `model` folds into exactly the operators `want`, computes the same, and has nothing left to fold.
fn becomes_with(model: &ModelProto, options: &Options, want: &[&str]) -> ModelProto {
    let (after, outcome) = rewrite(model, options);
    assert_eq!(ops(&after), want, "{}", onnx_rm::graph::dump(&after));
    assert!(outcome.removed().count() > 0);
    same(model, &after, options);
    let before = model.graph.as_ref().unwrap();
    let graph = after.graph.as_ref().unwrap();
    assert_eq!((&before.input, &before.output), (&graph.input, &graph.output));
    let (again, second) = rewrite(&after, options);
    assert_eq!(again, after, "a second run finds nothing");
    assert_eq!(second.removed().count(), 0);
    after
}

fn becomes(model: &ModelProto, want: &[&str]) -> ModelProto {
    becomes_with(model, &linear(), want)
}

/// `model` stays as it is, for the reason `code`; the reason mentions `word`.
fn stays_with(model: &ModelProto, options: &Options, code: &str, word: &str) {
    let (after, outcome) = rewrite(model, options);
    assert_eq!(&after, model, "{}", onnx_rm::graph::dump(&after));
    let reasons: Vec<_> = outcome.kept().map(|(s, r)| (s.kind.as_str(), r)).collect();
    let found = reasons.iter().any(|(_, r)| r.code == code && r.reason.contains(word) && !r.tensor.is_empty());
    assert!(found, "{code} '{word}' is not among {reasons:?}");
}

fn stays(model: &ModelProto, code: &str, word: &str) {
    stays_with(model, &linear(), code, word);
}

/// A convolution with everything free.
#[derive(Clone, Debug)]
struct Free {
    channels: (usize, usize),
    kernel: [usize; 2],
    stride: [i64; 2],
    dilation: [i64; 2],
    pads: [i64; 4],
    group: usize,
    bias: bool,
}

fn free(inputs: usize, outputs: usize, kernel: [usize; 2], pads: [i64; 4]) -> Free {
    Free { channels: (inputs, outputs), kernel, stride: [1; 2], dilation: [1; 2], pads, group: 1, bias: false }
}

impl Free {
    fn add(&self, b: &mut Build, x: &str) -> String {
        let (inputs, outputs) = (self.channels.0 / self.group, self.channels.1);
        let scale = 1.0 / ((inputs * self.kernel[0] * self.kernel[1]) as f64).sqrt();
        let w = b.random(&[outputs, inputs, self.kernel[0], self.kernel[1]], scale);
        let bias = self.bias.then(|| b.random(&[outputs], 1.0));
        let mut inputs = vec![x, &w];
        inputs.extend(bias.as_deref());
        let attributes = vec![
            ints("strides", &self.stride),
            ints("dilations", &self.dilation),
            ints("pads", &self.pads),
            int("group", self.group as i64),
        ];
        b.node("Conv", &inputs, attributes)
    }
}

fn average(b: &mut Build, x: &str, kernel: i64, stride: i64, pad: i64, counted: i64, ceil: i64) -> String {
    let attributes = vec![
        ints("kernel_shape", &[kernel; 2]),
        ints("strides", &[stride; 2]),
        ints("pads", &[pad; 4]),
        int("count_include_pad", counted),
        int("ceil_mode", ceil),
    ];
    b.node("AveragePool", &[x], attributes)
}

/// `y = scale * x` with one value a channel.
fn layer_scale(b: &mut Build, x: &str, channels: usize) -> String {
    let s = b.random(&[channels, 1, 1], 1.0);
    b.node("Mul", &[x, &s], vec![])
}

/// A node with a subgraph that reads `value`.
fn captured(b: &mut Build, value: &str) -> String {
    let named = |n: &str| ValueInfoProto { name: Some(n.into()), ..ValueInfoProto::default() };
    let name = b.fresh("inner");
    let inner = NodeProto {
        op_type: Some("Relu".into()),
        input: vec![value.into()],
        output: vec![name.clone()],
        ..NodeProto::default()
    };
    let graph = GraphProto {
        name: Some("branch".into()),
        node: vec![inner],
        output: vec![named(&name)],
        ..GraphProto::default()
    };
    let condition = b.fresh("condition");
    b.graph.initializer.push(onnx_rm::onnx::TensorProto {
        name: Some(condition.clone()),
        data_type: Some(9),
        raw_data: Some(vec![1].into()),
        ..Default::default()
    });
    let branch = |name: &str| onnx_rm::onnx::AttributeProto {
        name: Some(name.into()),
        r#type: Some(5),
        g: Some(graph.clone()),
        ..Default::default()
    };
    b.node("If", &[&condition], vec![branch("then_branch"), branch("else_branch")])
}
