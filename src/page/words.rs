//! Names and numbers, made fit for a page.

use crate::printable::Printable;

/// Most characters of a name on the page: one out of a file may be megabytes long.
const MAX_NAME: usize = 180;

/// Most characters of a text of several sentences.
const MAX_TEXT: usize = 4000;

/// A name out of a file: nothing invisible, and not too long. Templates escape it.
pub(super) fn name(text: &str) -> String {
    shortened(text, MAX_NAME)
}

/// The same for what is said of something.
pub(super) fn text(text: &str) -> String {
    shortened(text, MAX_TEXT)
}

/// At most `most` characters of `text`. The end tells names apart better than the middle, so that is what goes.
pub(super) fn shortened(text: &str, most: usize) -> String {
    // Of a text of megabytes only its ends are looked at.
    let count = text.chars().take(8 * MAX_TEXT).count();
    if count <= most {
        let shown = Printable(text).to_string();
        // Escaping makes a text longer; one that is nothing but control characters still has to fit.
        return if shown.len() <= 8 * most { shown } else { cut(&shown, most) };
    }
    cut(text, most)
}

fn cut(text: &str, most: usize) -> String {
    let front: String = text.chars().take(most.saturating_sub(1) / 3).collect();
    let rest = most.saturating_sub(1).saturating_sub(front.chars().count());
    let mut end: Vec<char> = text.chars().rev().take(rest).collect();
    end.reverse();
    let end: String = end.into_iter().collect();
    format!("{}…{}", Printable(front), Printable(end))
}

/// `1234567` as `1.23 M`: three digits tell sizes apart.
pub(super) fn compact(n: u64) -> String {
    let mut value = n as f64;
    if n < 10_000 {
        return n.to_string();
    }
    let mut unit = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$}\u{202f}{unit}")
}

/// How many times `before` stands in `after`.
pub(super) fn ratio(before: u64, after: u64) -> String {
    match before {
        0 if after == 0 => "1.00×".to_owned(),
        0 => "new".to_owned(),
        _ => format!("{:.2}×", after as f64 / before as f64),
    }
}

/// A number and what it counts.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A small or large number as people write it.
pub(super) fn scientific(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.is_nan() {
        "not a number".to_owned()
    } else if value.is_infinite() {
        "infinite".to_owned()
    } else {
        format!("{value:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_visible() {
        assert_eq!(name("conv\u{202e}\n1"), "conv\\u{202e}\\n1");
        let long = format!("layer{}end", "x".repeat(1 << 20));
        let shown = name(&long);
        assert!(shown.chars().count() <= MAX_NAME, "{}", shown.chars().count());
        assert!(shown.starts_with("layer") && shown.ends_with("end") && shown.contains('…'));
        assert!(name(&"\u{202e}".repeat(1 << 20)).len() < 8 * 2 * MAX_NAME);
        assert!(name(&"\u{202e}".repeat(MAX_NAME)).len() < 9 * MAX_NAME);
        assert_eq!(shortened("abcdef", 4), "a…ef");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(compact(9999), "9999");
        assert_eq!(compact(1_234_567), "1.23\u{202f}M");
        assert_eq!(compact(999_999), "1.00\u{202f}M");
        assert_eq!(compact(u64::MAX), "18.4\u{202f}E");
        assert_eq!((ratio(2, 3), ratio(0, 0), ratio(0, 1)), ("1.50×".into(), "1.00×".into(), "new".into()));
    }
}
