//! Operators and domains, in inner graphs and local functions too.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use crate::check::nodes::{domain, operator};
use crate::check::report::{Finding, Level, Place};
use crate::check::subject::Subject;

/// What the patterns are matched with.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Named {
    Operator,
    Domain,
}

/// Nodes that no pattern means.
pub(super) fn outside(key: &str, patterns: &[WildMatch], subject: &Subject<'_>, by: Named) -> Vec<Finding> {
    found(key, subject, by, &|name| !patterns.iter().any(|p| p.matches(name)), "not allowed")
}

/// Nodes that a pattern means.
pub(super) fn inside(key: &str, patterns: &[WildMatch], subject: &Subject<'_>, by: Named) -> Vec<Finding> {
    found(key, subject, by, &|name| patterns.iter().any(|p| p.matches(name)), "forbidden")
}

fn found(key: &str, subject: &Subject<'_>, by: Named, is_wrong: &dyn Fn(&str) -> bool, word: &str) -> Vec<Finding> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut places = Vec::new();
    for placed in &subject.nodes {
        let (operator, domain) = (operator(placed.node), domain(placed.node).to_owned());
        let name = if by == Named::Operator { operator.clone() } else { domain };
        if is_wrong(&name) {
            *counts.entry(name).or_default() += 1;
            places.push(Place {
                node: placed.node.name().to_owned(),
                tensor: placed.node.output.first().cloned().unwrap_or_default(),
                code: None,
                reason: operator,
            });
        }
    }
    if places.is_empty() {
        return Vec::new();
    }
    let list: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let what = if by == Named::Operator { "operators" } else { "operators of domains" };
    let message = format!("{what} that are {word}: {}", list.join(", "));
    let count = Some(places.len() as u64);
    vec![Finding { found: count, limit: Some(0), places, ..Finding::new(key, Level::Failure, message) }]
}
