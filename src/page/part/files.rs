//! The files and their digests, and what was asked for.

use maud::{Markup, html};
use serde_json::Value;

use super::spot::Spot;
use crate::options::Options;
use crate::page::what::Source;
use crate::page::words::name;
use crate::report::thousands;

/// Files that are listed.
const MAX_FILES: usize = 400;

/// What was read and written.
pub(in crate::page) fn files(files: &[Source], spot: Spot<'_>) -> Option<Markup> {
    if files.is_empty() {
        return None;
    }
    let all = || files.iter().flat_map(|file| file.contents.iter().map(move |content| (file.role, content)));
    let unread = files.iter().filter(|file| file.contents.is_empty());
    let more = all().count().saturating_sub(MAX_FILES);
    let content = html! {
        div.scroll {
            table {
                caption { "Digests are those that " code { "sha256sum" } " prints." @if more > 0 { " Another " (more) " files are left out here." } }
                thead { tr { th scope="col" { "what" } th scope="col" { "file" } th.n scope="col" { "bytes" } th scope="col" { "SHA-256" } } }
                tbody {
                    @for (role, (path, sum, size)) in all().take(MAX_FILES) {
                        tr { td { (role) } th.name scope="row" { (name(path)) } td.n { (thousands(*size)) } td.sum { code { (sum) } } }
                    }
                    @for file in unread.take(MAX_FILES) {
                        tr { td { (file.role) } th.name scope="row" { (name(&file.path)) } td colspan="2" { "not read again" } }
                    }
                }
            }
        }
    };
    Some(spot.section("files", "Files", &content))
}

/// What was asked for; first what is not the default.
pub(in crate::page) fn options(asked: &Options, spot: Spot<'_>) -> Markup {
    let (own, usual) = (flat(asked), flat(&Options::default()));
    let (changed, rest): (Vec<_>, Vec<_>) = own.iter().partition(|pair| !usual.contains(pair));
    let table = |list: &[&(String, String)], caption: &str| {
        html! {
            div.scroll {
                table {
                    caption { (caption) }
                    thead { tr { th scope="col" { "option" } th scope="col" { "value" } } }
                    tbody { @for (key, value) in list { tr { th scope="row" { code { (key) } } td.name { (name(value)) } } } }
                }
            }
        }
    };
    let content = html! {
        @if changed.is_empty() { p { "All options are the defaults." } } @else { (table(&changed, "Asked for, and not the default")) }
        details.more { summary { "The defaults that were kept" } (table(&rest, "As they are without being asked for")) }
    };
    spot.section("options", "Options", &content)
}

/// Names and values, those of an object inside with its name in front.
fn flat(options: &Options) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Ok(Value::Object(all)) = serde_json::to_value(options) {
        for (key, value) in all {
            match value {
                Value::Object(inner) => found.extend(inner.iter().map(|(k, v)| (format!("{key}.{k}"), words(v)))),
                other => found.push((key, words(&other))),
            }
        }
    }
    found
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        Value::String(word) => word.clone(),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
