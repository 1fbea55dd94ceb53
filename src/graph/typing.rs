//! The element types of what a node gives, by the rules of the specification.

use crate::onnx::tensor_proto::DataType;
use crate::onnx::{AttributeProto, NodeProto, SparseTensorProto, TensorProto};

use super::schemas::{Repeats, Schema, element_type};

/// What a symbol of a schema stands for at a node.
pub(crate) type Bound = Vec<(&'static str, DataType)>;

/// A node whose types are asked for.
pub(crate) struct Typing<'a> {
    pub(crate) schema: &'static Schema,
    pub(crate) node: &'a NodeProto,
    pub(crate) opset: i64,
    /// The type of the input at a slot, where it is known.
    pub(crate) input: &'a dyn Fn(usize) -> Option<DataType>,
    /// An attribute, where it is written down.
    pub(crate) attribute: &'a dyn Fn(&str) -> Option<&'a AttributeProto>,
}

impl<'a> Typing<'a> {
    /// What the inputs say of each symbol: the first that is known, if it is `strict`, of those that the operator takes.
    pub(crate) fn bound(&self, strict: bool) -> Bound {
        let mut bound = Bound::new();
        for slot in 0..self.node.input.len() {
            let Some(t) = (self.input)(slot) else { continue };
            let Some(parameter) = Schema::parameter(&self.schema.inputs, slot) else { continue };
            let is_free = parameter.repeats != Repeats::WithAnyTypes && of(&bound, parameter.kind).is_none();
            if is_free && (!strict || self.schema.allows(parameter.kind, t)) {
                bound.push((parameter.kind, t));
            }
        }
        bound
    }

    /// The type of the output at `slot`; `None` where it is unknown, is not that of a tensor, or comes out of a subgraph.
    pub(crate) fn output(&self, slot: usize, bound: &Bound) -> Option<DataType> {
        let kind = Schema::parameter(&self.schema.outputs, slot)?.kind;
        let by_input = of(bound, kind);
        self.special(slot, by_input).or(by_input).or_else(|| match self.schema.allowed(kind).as_slice() {
            [one] => element_type(one),
            _ => None,
        })
    }

    /// The element type that an attribute names by its number; 0 is none.
    fn named(&self, attribute: &str) -> Option<DataType> {
        let number = (self.attribute)(attribute)?.i?;
        DataType::try_from(i32::try_from(number).ok()?).ok().filter(|t| *t != DataType::Undefined)
    }

    /// Types that attributes decide. `by_input` is what the inputs say.
    fn special(&self, slot: usize, by_input: Option<DataType>) -> Option<DataType> {
        let float = Some(DataType::Float);
        match (self.node.op_type(), slot) {
            ("Cast" | "BitCast", _) => self.named("to"),
            ("Constant", _) => self.constant(),
            ("ConstantOfShape", _) => match (self.attribute)("value") {
                Some(a) => a.t.as_ref().and_then(of_tensor),
                None => float,
            },
            ("EyeLike" | "RandomNormalLike" | "RandomUniformLike" | "Bernoulli", _) => {
                self.named("dtype").or_else(|| (self.input)(0))
            }
            ("RandomNormal" | "RandomUniform", _) => self.named("dtype").or(float),
            ("Multinomial", _) => self.named("dtype").or(Some(DataType::Int32)),
            ("HannWindow" | "HammingWindow" | "BlackmanWindow" | "MelWeightMatrix", _) => {
                self.named("output_datatype").or(float)
            }
            ("QuantizeLinear", _) => by_input.or(self.named("output_dtype")).or_else(|| self.zero_point()),
            ("DequantizeLinear", _) => self.named("output_dtype").or_else(|| match self.opset {
                ..19 => float,
                _ => (self.input)(1),
            }),
            ("LayerNormalization" | "RMSNormalization", 1..) => self.named("stash_type").or(float),
            _ => None,
        }
    }

    /// The type without a zero point; one that is given and unknown stays unknown.
    fn zero_point(&self) -> Option<DataType> {
        match self.node.input.get(2).filter(|i| !i.is_empty()) {
            Some(_) => (self.input)(2),
            None => Some(DataType::Uint8),
        }
    }

    fn constant(&self) -> Option<DataType> {
        let has = |name| (self.attribute)(name).is_some();
        let sparse = |s: &'a SparseTensorProto| s.values.as_ref();
        let tensor = (self.attribute)("value").and_then(|a| a.t.as_ref());
        let tensor = tensor.or_else(|| (self.attribute)("sparse_value")?.sparse_tensor.as_ref().and_then(sparse));
        match tensor {
            Some(tensor) => of_tensor(tensor),
            None if has("value_float") || has("value_floats") => Some(DataType::Float),
            None if has("value_int") || has("value_ints") => Some(DataType::Int64),
            None if has("value_string") || has("value_strings") => Some(DataType::String),
            None => None,
        }
    }
}

/// What `symbol` stands for.
pub(crate) fn of(bound: &Bound, symbol: &str) -> Option<DataType> {
    bound.iter().find(|(known, _)| *known == symbol).map(|(_, t)| *t)
}

/// The element type of `tensor`.
pub(crate) fn of_tensor(tensor: &TensorProto) -> Option<DataType> {
    DataType::try_from(tensor.data_type()).ok().filter(|t| *t != DataType::Undefined)
}
