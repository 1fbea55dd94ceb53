//! What is wrong with a policy, and where.

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{policy}:{line}:{column}: {message}")]
#[non_exhaustive]
pub struct PolicyError {
    /// The policy's file.
    pub policy: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl PolicyError {
    pub(super) fn at(policy: &str, text: &str, offset: usize, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { policy: policy.to_owned(), line: line_of(text, offset), column: line.chars().count() + 1, message }
    }
}

/// The line, from 1, of what stands at a byte of `text`.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}
