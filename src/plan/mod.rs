//! What to do among the things that are legal: costs, layouts, and what is decided.

pub mod change;
pub mod cost;
pub mod folds;
mod forms;
pub mod latency;
pub mod layouts;
pub mod legal;
pub mod memo;
pub mod memory;
pub mod surplus;
pub mod work;
