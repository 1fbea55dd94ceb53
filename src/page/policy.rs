//! Script and style, and the policy that lets nothing else run.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Search, zoom, keys. Written by hand; under the crate's own licence.
pub(super) const SCRIPT: &str = include_str!("script.js");

pub(super) const STYLE: &str = include_str!("style.css");

/// Nothing is loaded; the style and the script of this page alone are taken, and no attribute may hold either.
pub(super) fn policy() -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        digest(SCRIPT),
        digest(STYLE)
    )
}

/// As Content Security Policy Level 3 (section 2.3.1, hash-source) names an inline block.
fn digest(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text.as_bytes())))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0_u32, |word, (at, byte)| word | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            match at <= chunk.len() {
                true => _ = text.write_char(ALPHABET[(word >> (18 - 6 * at)) as usize & 63] as char),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (text, encoded) in cases {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn neither_block_ends_early() {
        for text in [SCRIPT, STYLE] {
            assert!(!text.to_lowercase().contains("</"), "what an HTML parser takes for the end of the block");
            assert!(!text.contains("<!--") && text.is_ascii());
        }
    }
}
