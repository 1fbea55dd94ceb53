//! Reading a policy from TOML.

use std::path::PathBuf;

use glob::Pattern;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{PolicyError, line_of};
use super::keys::{KEYS, nearest};
use super::select::{Policy, Section, Set};
use super::value::{Value, Wrong, strings};

impl Policy {
    /// Reads the policy in `text`, which stands in the file called `name`. Its patterns and paths are relative to the folder `root`.
    ///
    /// ```
    /// use onnx_rm::Policy;
    /// let policy = Policy::parse("max-joins = 0\n[[models]]\nfiles = 'edge/*.onnx'\nmax-bytes = '4 MiB'\n", "policy.toml", ".")?;
    /// let error = Policy::parse("max-join = 0\n", "policy.toml", ".").unwrap_err();
    /// assert_eq!(error.to_string(), "policy.toml:1:1: unknown key 'max-join'; did you mean 'max-joins'?");
    /// # assert_eq!(policy.name(), Some("policy.toml"));
    /// # Ok::<(), onnx_rm::PolicyError>(())
    /// ```
    ///
    /// # Errors
    /// [`PolicyError`], with the line.
    pub fn parse(text: &str, name: impl Into<String>, root: impl Into<PathBuf>) -> Result<Self, PolicyError> {
        let name = name.into();
        let at = |offset: usize, message: String| PolicyError::at(&name, text, offset, message);
        let document = DeTable::parse(text)
            .map_err(|e| at(e.span().map_or(0, |s| s.start), e.message().trim_end().replace('\n', ", ")))?;
        let wrong = |w: Wrong| at(w.span.start, w.message);
        let line = |offset: usize| line_of(text, offset);
        let mut policy = Self { name: None, root: root.into(), base: Vec::new(), sections: Vec::new() };
        for (key, value) in document.get_ref() {
            match key.get_ref().as_ref() {
                "models" => policy.sections = sections(value, &line).map_err(wrong)?,
                _ => policy.base.push(set(key, value, &line).map_err(wrong)?),
            }
        }
        let asks = |sets: &[Set]| sets.iter().any(|s| !matches!(s.key, "accept" | "long-skips"));
        if !asks(&policy.base) {
            if policy.sections.is_empty() {
                return Err(at(0, "the policy asks for nothing".to_owned()));
            }
            if let Some(section) = policy.sections.iter().find(|s| s.rules.is_empty()) {
                let (line, column) = (section.line, 1);
                let message = "this section asks for nothing".to_owned();
                return Err(PolicyError { policy: name, line, column, message });
            }
        }
        policy.name = Some(name);
        Ok(policy)
    }
}

fn sections(value: Value<'_, '_>, line: &dyn Fn(usize) -> usize) -> Result<Vec<Section>, Wrong> {
    let what = "'models' is a list of sections, each under its own [[models]]";
    let DeValue::Array(list) = value.get_ref() else { return Err(Wrong::new(value.span(), what)) };
    let mut found = Vec::new();
    for entry in list {
        let DeValue::Table(table) = entry.get_ref() else { return Err(Wrong::new(entry.span(), what)) };
        let mut section =
            Section { files: Vec::new(), except: Vec::new(), rules: Vec::new(), line: line(entry.span().start) };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "files" => section.files = globs(value)?,
                "except" => section.except = globs(value)?,
                _ => section.rules.push(set(key, value, line)?),
            }
        }
        if section.files.is_empty() {
            return Err(Wrong::new(entry.span(), "a section needs files, as files = \"models/*.onnx\""));
        }
        found.push(section);
    }
    Ok(found)
}

/// Patterns of paths. A folder means all below it.
fn globs(value: Value<'_, '_>) -> Result<Vec<Pattern>, Wrong> {
    let read = |(text, span): (String, std::ops::Range<usize>)| {
        let whole = text.strip_prefix("./").unwrap_or(&text);
        let whole = if whole.ends_with('/') { format!("{whole}**/*") } else { whole.to_owned() };
        Pattern::new(&whole).map_err(|e| Wrong::new(span, format!("'{text}' is no pattern: {}", e.msg)))
    };
    strings(value)?.into_iter().map(read).collect()
}

fn set(
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: Value<'_, '_>,
    line: &dyn Fn(usize) -> usize,
) -> Result<Set, Wrong> {
    let word = key.get_ref().as_ref();
    let Some(known) = KEYS.iter().find(|k| k.name == word) else {
        let meant = nearest(word).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        return Err(Wrong::new(key.span(), format!("unknown key '{word}'{meant}")));
    };
    Ok(Set { key: known.name, rule: (known.read)(value, line)?, line: Some(line(key.span().start)) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::TEMPLATE;
    use super::*;

    fn error(text: &str) -> String {
        Policy::parse(text, "p", ".").unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_line() {
        for (text, want) in [
            ("max-joins = 0\nmax-macs = -1\n", "p:2:12: expected a number from 0"),
            (
                "max-joins = 0\n\n[[models]]\nfiles = 'a'\nmax-maccs = 3\n",
                "p:5:1: unknown key 'max-maccs'; did you mean 'max-macs'",
            ),
            ("[[models]]\nmax-joins = 0\n", "p:1:1: a section needs files"),
            ("[models]\nmax-joins = 0\n", "p:1:"),
            ("max-joins = 0\nmax-joins = 1\n", "p:2:1: duplicate key"),
            ("max-joins =\n", "p:1:"),
            ("", "p:1:1: the policy asks for nothing"),
            ("[[models]]\nfiles = '*.onnx'\n", "p:1:1: this section asks for nothing"),
            ("accept = [\n  { code = 'cannot-pass' },\n]\nmax-joins = 0", "p:2:3: an accept needs a reason"),
            (
                "accept = [{ code = 'cannot-fly', reason = 'r' }]",
                "p:1:20: 'cannot-fly' is no code; there are removable",
            ),
            ("accept = [{ code = 'border', until = 2026-02-30 }]", "p:1:"),
            ("accept = [{ code = 'border', why = 'x' }]", "p:1:30: unknown key 'why'"),
            ("allow-types = ['float33']", "p:1:16: 'float33' is no element type"),
            ("inputs = { x = 'float32[1' }", "p:1:16: 'float32[1' is no type and shape"),
            ("external-data = 'perhaps'", "p:1:17: expected \"forbid\" or \"require\""),
            ("max-bytes = '4 parsecs'", "p:1:13: expected a number of bytes"),
            ("long-skips = 1\nmax-joins = 0", "p:1:14: expected true or false"),
            ("[[models]]\nfiles = '['\nmax-joins = 0", "p:2:9: '[' is no pattern"),
            ("[[models]]\nfiles = []\nmax-joins = 0", "p:1:1: a section needs files"),
        ] {
            assert!(error(text).starts_with(want), "{text}\n{}", error(text));
        }
    }

    #[test]
    fn the_template_is_a_policy_and_names_every_key() {
        let policy = Policy::parse(TEMPLATE, "t", ".").unwrap();
        assert!(!policy.base.is_empty());
        for key in KEYS {
            assert!(
                TEMPLATE.lines().any(|l| l.trim_start_matches(['#', ' ']).starts_with(&format!("{} =", key.name))),
                "{}",
                key.name
            );
        }
        // With every line that is commented out put to work, too.
        let all: Vec<&str> = TEMPLATE
            .lines()
            .map(|l| l.strip_prefix("# ").filter(|l| l.contains(" = ") || l.starts_with("[[")).unwrap_or(l))
            .collect();
        Policy::parse(&all.join("\n"), "t", ".").unwrap();
    }

    #[test]
    fn later_sections_go_before_earlier_ones() {
        let text = "max-joins = 5\nmax-nodes = 9\n[[models]]\nfiles = 'edge/'\nmax-joins = 1\n[[models]]\nfiles = ['*_b.onnx']\nexcept = 'edge/x/*'\nmax-joins = 0\n";
        let policy = Policy::parse(text, "p", ".").unwrap();
        let line = |path: &str| {
            let applied = policy.applied(path);
            assert_eq!(applied.rules.len(), 2);
            applied.rules[0].line.unwrap()
        };
        assert_eq!(line("a.onnx"), 1);
        assert_eq!(line("edge/a.onnx"), 5);
        assert_eq!(line("edge/deep/a.onnx"), 5);
        assert_eq!(line("edge/a_b.onnx"), 9);
        assert_eq!(line("edge/x/a_b.onnx"), 5);
        assert_eq!(line("other/a_b.onnx"), 9);
    }
}
