//! Where in a text an error is.

/// `error` in one line, with the line of `text` in which it is.
pub(super) fn located(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
    format!("line {line}: {}", error.message().replace('\n', " "))
}
