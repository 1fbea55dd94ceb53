//! What is to be verified.

use super::inputs::Feed;
use super::options::{Observer, VerifyOptions};
use super::pair::Side;
use super::precision::Precision;
use super::support::Support;

/// What is to be verified.
pub(super) struct Job<'a> {
    pub(super) original: Side<'a>,
    pub(super) rewritten: Side<'a>,
    pub(super) options: &'a VerifyOptions,
    /// Values that the user gave.
    pub(super) given: Option<Feed>,
    pub(super) precision: Precision,
    pub(super) observer: Observer<'a>,
    pub(super) support: Support,
}
