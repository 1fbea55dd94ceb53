//! Element types, and the version of the operators.

use onnx_rm::facts::tensor::{read_f64, write};
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, type_proto};

use crate::common::{Rng, int};
use crate::mutants::edit::{Words, at, behind, float_inputs, graph, layer_output, opset, places};
use crate::mutants::mutation::{Mutation, kind};

pub const KINDS: &[Mutation] = &[
    kind("Cast to float16 and back", |m, r| through(m, r, DataType::Float16))
        .open("rounding of a float16 in the middle is not seen by the float64 evaluator"),
    kind("Cast to bfloat16 and back", |m, r| through(m, r, DataType::Bfloat16))
        .open("rounding of a bfloat16 in the middle is not seen by the float64 evaluator"),
    kind("Cast to int32 and back", |m, r| through(m, r, DataType::Int32)),
    kind("Cast to bool and back", |m, r| through(m, r, DataType::Bool)),
    kind("an output computed in double", |m, r| {
        let name = float_output(m, r)?;
        behind(m, &name, |b, y| b.node("Cast", &[y], vec![int("to", DataType::Double as i64)]));
        Some(format!("output '{name}' is double, but declared float"))
    })
    .open("the element type of an output is not compared with what is declared"),
    kind("an output declared of another type", |m, r| {
        let name = float_output(m, r)?;
        let output = graph(m).output.iter_mut().find(|o| o.name() == name)?;
        let Some(type_proto::Value::TensorType(t)) = output.r#type.as_mut()?.value.as_mut() else { return None };
        t.elem_type = Some(DataType::Double as i32);
        Some(format!("output '{name}' is declared double"))
    }),
    kind("a weight in another element type", |m, r| {
        let index = *places(m, r, &["Conv", "Gemm", "MatMul"]).first()?;
        let node = m.graph.as_ref()?.node[index].clone();
        let place = graph(m).initializer.iter_mut().find(|t| t.name() == node.input[1] && t.data_type == Some(1))?;
        *place = write(place.name(), &read_f64(place).ok()?, DataType::Double);
        Some(at(&node, &format!("its weight '{}' in double", node.input[1])))
    })
    .open("types that contradict each other are not looked for"),
    kind("an operator newer than the opset", |m, _| {
        let since = [
            ("Swish", 24),
            ("RMSNormalization", 23),
            ("Gelu", 20),
            ("Mish", 18),
            ("GroupNormalization", 18),
            ("LayerNormalization", 17),
            ("HardSwish", 14),
            ("Trilu", 14),
            ("Einsum", 12),
            ("Celu", 12),
        ];
        let ops: Vec<&str> = m.graph.as_ref()?.node.iter().map(|n| n.op_type()).collect();
        let (op, version) = since.iter().find(|(op, _)| ops.contains(op))?;
        let place = m.opset_import.iter_mut().find(|o| matches!(o.domain(), "" | "ai.onnx"))?;
        place.version = Some(version - 1);
        Some(format!("opset {} with {op}", version - 1))
    })
    .open("what an opset has is not looked up"),
    kind("an opset in which an operator means something else", |m, _| {
        let older = m.graph.as_ref()?.node.iter().any(|n| n.op_type() == "Softmax" && n.attribute.is_empty());
        (older && opset(m) >= 13).then(|| m.opset_import.iter_mut().for_each(|o| o.version = Some(12)))?;
        Some("opset 12, in which Softmax has another axis".to_owned())
    })
    .open("an opset that other operators of the model may not allow"),
];

fn through(m: &mut ModelProto, r: &mut Rng, dtype: DataType) -> Words {
    let name = layer_output(m, r)?;
    behind(m, &name, |b, y| {
        let cast = b.node("Cast", &[y], vec![int("to", dtype as i64)]);
        b.node("Cast", &[&cast], vec![int("to", DataType::Float as i64)])
    });
    Some(format!("'{name}': through {}", dtype.as_str_name().to_lowercase()))
}

fn float_output(m: &ModelProto, r: &mut Rng) -> Option<String> {
    let float = |o: &&onnx_rm::onnx::ValueInfoProto| {
        let declared = o.r#type.as_ref().and_then(|t| t.value.as_ref());
        matches!(declared, Some(type_proto::Value::TensorType(t)) if t.elem_type == Some(1))
    };
    let floats: Vec<&onnx_rm::onnx::ValueInfoProto> = m.graph.as_ref()?.output.iter().filter(float).collect();
    let name = floats.get(r.below(floats.len().max(1)))?.name().to_owned();
    (!float_inputs(m, r).is_empty()).then_some(name)
}
