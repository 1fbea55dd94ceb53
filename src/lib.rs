//! Removes residual connections from trained ONNX networks without changing what they compute.
pub mod algebra;
pub mod cli;
pub mod engine;
pub mod facts;
pub mod graph;
pub mod io;
pub mod linear;
pub mod onnx;
pub mod plan;
pub mod report;
pub mod residual;
pub mod verify;
