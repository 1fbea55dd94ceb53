//! What is to be verified.

use super::given::Given;
use super::options::{Observer, VerifyOptions};
use super::pair::Side;
use super::precision::Precision;
use super::runtime::Runtime;
use super::support::Support;

/// What is to be verified.
pub(super) struct Job<'a> {
    pub(super) original: Side<'a>,
    pub(super) rewritten: Side<'a>,
    pub(super) options: &'a VerifyOptions,
    /// What the user gave.
    pub(super) given: Given,
    /// What runs the models in their own arithmetic.
    pub(super) runtime: Runtime,
    pub(super) precision: Precision,
    pub(super) observer: Observer<'a>,
    pub(super) support: Support,
}
