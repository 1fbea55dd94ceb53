//! Compiles `proto/onnx.proto` with protox, so that no `protoc` is needed, and writes the schema as a table for
//! finding fields that it does not know.

use std::fmt::Write as _;
use std::path::PathBuf;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/onnx.proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(false).open_file("onnx.proto")?;
    let descriptors = compiler.file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // A test compares it with the schema inside the onnx Python package.
    std::fs::write(out.join("onnx.desc"), compiler.encode_file_descriptor_set())?;
    std::fs::write(out.join("schema.rs"), schema(&descriptors))?;
    prost_build::Config::new()
        // Weights are slices of the bytes read, never copies of them.
        .bytes([".onnx.TensorProto.raw_data"])
        .compile_fds(descriptors)?;
    Ok(())
}

/// A `static MESSAGES` with the fields of every message; a field of message type points at its entry.
fn schema(descriptors: &FileDescriptorSet) -> String {
    let mut messages: Vec<(String, &DescriptorProto)> = Vec::new();
    for file in &descriptors.file {
        for message in &file.message_type {
            collect("", message, &mut messages);
        }
    }
    let mut text = String::from(
        "struct Field { number: u32, name: &'static str, repeated: bool, message: Option<usize> }\n\
         struct Message { name: &'static str, fields: &'static [Field] }\n\
         static MESSAGES: &[Message] = &[\n",
    );
    for (name, message) in &messages {
        let _ = write!(text, "Message {{ name: {name:?}, fields: &[");
        for field in &message.field {
            let inner = (field.r#type() == Type::Message)
                .then(|| field.type_name().trim_start_matches(".onnx."))
                .and_then(|wanted| messages.iter().position(|(n, _)| n == wanted));
            let repeated = field.label() == Label::Repeated;
            let _ = write!(
                text,
                "Field {{ number: {}, name: {:?}, repeated: {repeated}, message: {inner:?} }},",
                field.number(),
                field.name()
            );
        }
        text.push_str("] },\n");
    }
    text.push_str("];\n");
    text
}

fn collect<'a>(prefix: &str, message: &'a DescriptorProto, messages: &mut Vec<(String, &'a DescriptorProto)>) {
    let name = format!("{prefix}{}", message.name());
    for inner in &message.nested_type {
        collect(&format!("{name}."), inner, messages);
    }
    messages.push((name, message));
}
