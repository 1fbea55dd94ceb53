//! Words out of a file, made fit for a terminal.
//!
//! Names in a model may hold anything, also the sequences by which a terminal is steered or a line is forged. JSON keeps
//! them as they are; what people read goes through here.

use std::fmt::{self, Write};

/// Shows a value with its control characters escaped, line ends included: `\n`, `\u{1b}`.
pub(crate) struct Printable<T>(pub T);

impl<T: fmt::Display> fmt::Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { to: f, lines: false }, "{}", self.0)
    }
}

/// Shows a text of several lines with every control character escaped but its line ends.
#[cfg(any(feature = "cli", test))]
pub(crate) struct Lines<T>(pub T);

#[cfg(any(feature = "cli", test))]
impl<T: fmt::Display> fmt::Display for Lines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { to: f, lines: true }, "{}", self.0)
    }
}

struct Escaping<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    /// Lines may end.
    lines: bool,
}

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '\n' if self.lines => self.to.write_char(c)?,
                c if c.is_control() || is_invisible(c) => write!(self.to, "{}", c.escape_default())?,
                c => self.to.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Characters that turn the direction of text, end lines, or show nothing (Unicode Bidi_Control and neighbours).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        let name = "a\x1b]0;owned\x07\x1b[2J\r\nb\u{9b}31m\u{202e}\x7f\t\u{e9}";
        let shown = Printable(name).to_string();
        assert_eq!(shown, "a\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\r\\nb\\u{9b}31m\\u{202e}\\u{7f}\\t\u{e9}");
        assert_eq!(Lines(name).to_string(), shown.replace("\\n", "\n"));
        assert_eq!(Printable("conv_1/weights").to_string(), "conv_1/weights");
    }
}
