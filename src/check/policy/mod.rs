//! What is asked of which model: a policy, as TOML.

mod error;
mod keys;
mod parse;
mod rule;
mod select;
mod value;

pub use error::PolicyError;
pub use keys::{KEYS, Key};
pub use select::Policy;

pub(super) use keys::about;
pub(super) use rule::{Accept, Axis, External, Measure, NOT_INSPECTED, REMOVABLE, Rule, Shape};
pub(super) use select::{Applied, Section, Set};

/// A commented policy to begin with.
pub const TEMPLATE: &str = include_str!("template.toml");
