//! A policy, and what of it holds for a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::rule::{Accept, Measure, Rule};

/// One key with its value, and where it stands.
#[derive(Clone, Debug)]
pub(in crate::check) struct Set {
    pub(in crate::check) key: &'static str,
    pub(in crate::check) rule: Rule,
    pub(in crate::check) line: Option<usize>,
}

/// What holds for some of the files.
#[derive(Clone, Debug)]
pub(in crate::check) struct Section {
    pub(in crate::check) files: Vec<Pattern>,
    pub(in crate::check) except: Vec<Pattern>,
    pub(in crate::check) rules: Vec<Set>,
    pub(in crate::check) line: usize,
}

/// What is asked of which model. [`Policy::default`] asks of every model that `rewrite` would remove no join and make no linear fold;
/// [`Policy::parse`] reads a policy from TOML.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) name: Option<String>,
    pub(super) root: PathBuf,
    pub(super) base: Vec<Set>,
    pub(super) sections: Vec<Section>,
}

impl Default for Policy {
    fn default() -> Self {
        let none = |key, measure| Set { key, rule: Rule::AtMost(measure, 0), line: None };
        let base = vec![none("max-removable-joins", Measure::RemovableJoins), none("max-folds", Measure::Folds)];
        Self { name: None, root: PathBuf::from("."), base, sections: Vec::new() }
    }
}

/// What holds for one file.
#[derive(Clone, Debug, Default)]
pub(in crate::check) struct Applied {
    /// The rules, in the order of the keys; of several with one key the last of the policy.
    pub(in crate::check) rules: Vec<Set>,
    /// Those of all sections that mean it.
    pub(in crate::check) accepts: Vec<Accept>,
    pub(in crate::check) long_skips: bool,
}

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

impl Section {
    /// True when it means the file with this path, relative to the policy's folder.
    pub(in crate::check) fn means(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        // As in `.gitignore`: a pattern without a slash means the name, wherever it stands.
        let fits = |p: &Pattern| p.matches_with(if p.as_str().contains('/') { path } else { name }, OPTIONS);
        self.files.iter().any(fits) && !self.except.iter().any(fits)
    }
}

impl Policy {
    /// The file that it was read from; `None` for the one that is built in.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The folder to which its paths are relative.
    pub(in crate::check) fn root(&self) -> &Path {
        &self.root
    }

    pub(in crate::check) fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// What holds for the file with this path relative to the policy's folder. Later sections go before earlier ones,
    /// and these before what stands above all; accepts are added up.
    pub(in crate::check) fn applied(&self, path: &str) -> Applied {
        let mut applied = Applied::default();
        let mut rules: BTreeMap<usize, Set> = BTreeMap::new();
        let sections = self.sections.iter().filter(|s| s.means(path));
        for set in self.base.iter().chain(sections.flat_map(|s| &s.rules)) {
            match &set.rule {
                Rule::Accept(accepts) => applied.accepts.extend(accepts.iter().cloned()),
                Rule::LongSkips(on) => applied.long_skips = *on,
                _ => {
                    let place = super::KEYS.iter().position(|k| k.name == set.key).unwrap_or(usize::MAX);
                    rules.insert(place, set.clone());
                }
            }
        }
        applied.rules = rules.into_values().collect();
        applied
    }
}
