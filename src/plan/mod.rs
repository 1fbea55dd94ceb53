//! What to do among the things that are legal: costs, layouts, and what the user asked for.

pub mod cost;
pub mod folds;
mod forms;
pub mod latency;
pub mod layouts;
pub mod options;
pub mod surplus;
