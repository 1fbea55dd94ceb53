//! What differs between twins, and what is no difference.

use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{OperatorSetIdProto, TensorProto};
use onnx_rm::verify::structure::What;

use super::common::{Build, conv, float, int, ints, residual_block, string};
use super::{found, node, set, weight, words};

/// A convolution, a pad and a clip.
fn net() -> onnx_rm::onnx::ModelProto {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 3, 8, 8]);
    let y = b.conv(&x, &conv(3, 4, 3));
    let pads = b.ints(&[0, 0, 1, 1, 0, 0, 1, 1]);
    let y = b.node("Pad", &[&y, &pads], vec![string("mode", "reflect")]);
    let (low, high) = (b.scalar(0.0), b.scalar(6.0));
    let y = b.node("Clip", &[&y, &low, &high], vec![]);
    let y = b.node("LeakyRelu", &[&y], vec![float("alpha", 0.25)]);
    b.output(&y);
    b.model()
}

#[test]
fn a_model_differs_in_nothing_from_itself() {
    for model in [net(), residual_block(3, 8)] {
        assert_eq!(words(&model, &model.clone()), Vec::<String>::new());
    }
}

#[test]
fn an_attribute_and_its_values_are_named() {
    let (a, mut b) = (net(), net());
    node(&mut b, "Pad").attribute[0].s = Some(b"edge".to_vec());
    node(&mut b, "LeakyRelu").attribute.clear();
    let all = words(&a, &b);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains("(Pad)") && all[0].ends_with("attribute mode was \"reflect\" and is \"edge\""), "{all:?}");
    assert!(all[1].ends_with("attribute alpha was 0.25 and is 0.01"), "the default counts: {all:?}");
}

#[test]
fn a_constant_and_its_first_entry_are_named() {
    let (a, mut b) = (net(), net());
    set(weight(&mut b, "Conv", 1), 7, 0.5);
    set(weight(&mut b, "Conv", 1), 9, 0.5);
    set(weight(&mut b, "Clip", 2), 0, 6.1);
    let all = found(&a, &b);
    assert_eq!(all.len(), 2);
    let text = all[0].to_string();
    assert!(text.contains("(Conv)") && text.ends_with("2 of 108 entries differ, the first is 7"), "{text}");
    let What::Constant { slot, is_default, .. } = &all[1].what else { panic!("{:?}", all[1]) };
    assert_eq!((all[1].op.as_str(), *slot, *is_default), ("Clip", Some(2), false));
}

#[test]
fn a_constant_may_have_another_name_and_another_storage() {
    let (a, mut b) = (net(), net());
    let name = node(&mut b, "Clip").input[2].clone();
    node(&mut b, "Clip").input[2] = "six".into();
    for t in &mut b.graph.as_mut().unwrap().initializer {
        if t.name() == name {
            *t = TensorProto {
                name: Some("six".into()),
                data_type: Some(DataType::Float as i32),
                float_data: vec![6.0],
                ..TensorProto::default()
            };
        }
    }
    assert_eq!(words(&a, &b), Vec::<String>::new());
    b.graph.as_mut().unwrap().initializer.iter_mut().for_each(|t| {
        if t.name() == "six" {
            t.float_data = vec![6.5];
        }
    });
    assert_eq!(words(&a, &b).len(), 1);
}

#[test]
fn what_has_no_effect_is_no_difference() {
    let (a, mut b) = (net(), net());
    let conv = node(&mut b, "Conv");
    conv.doc_string = Some("a note".into());
    conv.name = Some("another name".into());
    conv.attribute.retain(|a| a.name() == "pads");
    conv.attribute.extend([int("group", 1), string("auto_pad", "NOTSET"), ints("dilations", &[1, 1])]);
    let leaky = node(&mut b, "LeakyRelu");
    leaky.attribute[0].doc_string = Some("a note".into());
    assert_eq!(words(&a, &b), Vec::<String>::new());
    node(&mut b, "Conv").attribute.last_mut().unwrap().ints = vec![1, 2];
    assert_eq!(words(&a, &b).len(), 1);
}

#[test]
fn the_default_is_that_of_the_operator_set() {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 3, 8, 8]);
    let y = b.node("Softmax", &[&x], vec![]);
    b.output(&y);
    let a = b.model();
    let mut b = a.clone();
    b.opset_import = vec![OperatorSetIdProto { version: Some(11), ..Default::default() }];
    let all = words(&a, &b);
    assert!(all[0].contains("attribute axis was -1 and is 1"), "{all:?}");
    node(&mut b, "Softmax").attribute = vec![int("axis", -1)];
    assert_eq!(words(&a, &b), Vec::<String>::new());
}

#[test]
fn nodes_that_no_output_needs_are_not_compared() {
    let mut b = Build::new(5);
    let x = b.input("x", &[1, 3, 8, 8]);
    b.node("LeakyRelu", &[&x], vec![float("alpha", 0.5)]);
    let y = b.relu(&x);
    b.output(&y);
    let a = b.model();
    let mut b = a.clone();
    node(&mut b, "LeakyRelu").attribute[0].f = Some(0.25);
    assert_eq!(words(&a, &b), Vec::<String>::new());
}

/// A table of int8 behind `DequantizeLinear`: the difference belongs to the node that reads rows of it.
#[test]
fn constants_that_are_computed_belong_to_their_reader() {
    let mut b = Build::new(5);
    let x = b.input("x", &[2]);
    let (scale, table) = (b.scalar(0.5), b.random(&[10, 4], 1.0));
    let scaled = b.node("Mul", &[&table, &scale], vec![]);
    let at = b.node("Cast", &[&x], vec![int("to", DataType::Int64 as i64)]);
    let y = b.node("Gather", &[&scaled, &at], vec![]);
    b.output(&y);
    let a = b.model();
    let mut b = a.clone();
    set(weight(&mut b, "Mul", 0), 22, 7.0);
    let all = words(&a, &b);
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].contains("(Gather)") && all[0].ends_with("1 of 40 entries differ, the first is 22"), "{all:?}");
}

#[test]
fn what_custom_operators_read_is_compared_too() {
    let (a, mut b) = (net(), net());
    let [mut a, mut b] = [a, std::mem::take(&mut b)].map(|mut m| {
        node(&mut m, "Clip").domain = Some("custom".into());
        m
    });
    set(weight(&mut b, "Clip", 1), 0, -1.0);
    assert_eq!(words(&a, &b).len(), 1);
    assert!(words(&a, &b)[0].contains("custom::Clip"));
    set(weight(&mut a, "Clip", 1), 0, -1.0);
    assert_eq!(words(&a, &b), Vec::<String>::new());
}

/// Twice the model, twice the time: many nodes read constants of many names.
#[test]
fn the_time_is_linear() {
    let time = |blocks: usize| {
        let mut b = Build::new(5);
        let mut x = b.input("x", &[1, 4]);
        for _ in 0..blocks {
            let (scale, shift) = (b.scalar(1.0), b.scalar(2.0));
            let scale = b.node("Neg", &[&scale], vec![]);
            x = b.node("Mul", &[&x, &scale], vec![]);
            x = b.node("Add", &[&x, &shift], vec![]);
        }
        b.output(&x);
        let a = b.model();
        let mut b = a.clone();
        for t in &mut b.graph.as_mut().unwrap().initializer {
            set(t, 0, 3.0);
        }
        let start = std::time::Instant::now();
        assert_eq!(found(&a, &b).len(), 2 * blocks);
        start.elapsed().as_secs_f64()
    };
    time(100);
    let (short, long) = (time(1000), time(8000));
    assert!(long < 24.0 * short + 0.2, "{short} s became {long} s");
}
