//! The ONNX protobuf types, generated from `proto/onnx.proto`, and nothing more.
#![allow(missing_docs, clippy::all, unreachable_pub)]
include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
