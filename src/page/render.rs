//! The page itself: its parts in order, with head and foot.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::graph::{Budget, arrows};
use super::part::{self, Spot};
use super::policy::{SCRIPT, STYLE, policy};
use super::what::{ModelPart, Page};
use super::words::name;

/// Nodes that are drawn on one page: about three megabytes.
const MAX_DRAWN: usize = 4000;

/// A link of the table of contents: to which id, and what it says.
type Link = (String, String);

/// Writes `page` as HTML.
pub(crate) fn render(page: &Page<'_>) -> String {
    let mut budget = Budget(MAX_DRAWN);
    let mut links: Vec<Link> = Vec::new();
    let body = match page.check {
        Some(_) => several(page, &mut budget, &mut links),
        None => single(page, &mut budget, &mut links),
    };
    let title = format!("onnx-rm {}: {}", page.command, name(&page.subject));
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(concat!("onnx-rm ", env!("CARGO_PKG_VERSION")));
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.jump href="#main" { "Skip to the report" }
                header {
                    p.tool { "onnx-rm " (page.command) }
                    h1 { (name(&page.subject)) }
                    nav aria-label="Contents" { ul { @for (id, words) in &links { li { a href=(format!("#{id}")) { (words) } } } } }
                }
                main id="main" tabindex="-1" { (part::summary(page)) (body) (keys()) }
                footer { p { "Made by onnx-rm " (env!("CARGO_PKG_VERSION")) ". This page loads nothing, and works without its script." } }
                (arrows())
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    whole.into_string()
}

/// The page of one model.
fn single(page: &Page<'_>, budget: &mut Budget, links: &mut Vec<Link>) -> Markup {
    let spot = Spot { prefix: "", is_inner: false };
    let mut sections: Vec<(&str, &str, Markup)> = Vec::new();
    let mut add = |id, words, markup: Option<Markup>| sections.extend(markup.map(|markup| (id, words, markup)));
    let drawn = page.parts.first().map(|part| (part, part::graphs(part, spot, budget)));
    if let Some((part, drawn)) = &drawn {
        add("graph", "Graph", Some(part::graph_section(drawn, spot)));
        add("price", "Price", part::prices(part, drawn.places.as_ref(), page.options, spot));
    }
    add("errors", "Comparison", part::errors(page.verification, page.comparison, spot));
    if let Some((part, drawn)) = &drawn {
        let stays = part.outcome.zip(drawn.places.as_ref()).map(|(outcome, places)| part::stays(outcome, places, spot));
        add("stays", "What stays", stays);
    }
    add("files", "Files", part::files(&page.files, spot));
    add("options", "Options", page.options.map(|asked| part::options(asked, spot)));
    links.extend(sections.iter().map(|(id, words, _)| ((*id).to_owned(), (*words).to_owned())));
    html! { @for (_, _, section) in &sections { (section) } }
}

/// The page of all models of a check.
fn several(page: &Page<'_>, budget: &mut Budget, links: &mut Vec<Link>) -> Markup {
    let outer = Spot { prefix: "", is_inner: false };
    let Some(report) = page.check else { return html! {} };
    links.push(("models".to_owned(), "Models".to_owned()));
    let anchor = |at: usize| format!("model-{at}");
    // Those that have something to say, as far as they were looked at again.
    let told: Vec<Option<&ModelPart<'_>>> = (0..report.files.len()).map(|at| page.parts.get(at)).collect();
    let has_more = |at: usize| told[at].is_some() && at < MAX_MODELS;
    let anchors: Vec<Option<String>> = (0..told.len()).map(|at| has_more(at).then(|| anchor(at))).collect();
    let files = part::files(&page.files, outer);
    let markup = html! {
        (part::checked(report, outer, &anchors))
        @for (at, (file, part)) in report.files.iter().zip(&told).enumerate().take(MAX_MODELS) {
            @if let Some(part) = part {
                @let prefix = format!("m{at}-");
                @let spot = Spot { prefix: &prefix, is_inner: true };
                article.model id=(anchor(at)) aria-labelledby=(format!("{prefix}name")) {
                    h2 id=(format!("{prefix}name")) { (name(&file.file)) " " (part::status(file.status)) }
                    (part::found(file, spot))
                    @if part.before.is_none() && file.measures.is_some() { p.warn { "Its graph is not drawn here: there are too many models, or too large ones. inspect --report draws it." } }
                    @if part.before.is_some() {
                        @let drawn = part::graphs(part, spot, budget);
                        (part::graph_section(&drawn, spot))
                        @if let Some(prices) = part::prices(part, drawn.places.as_ref(), None, spot) { (prices) }
                        @if let (Some(outcome), Some(places)) = (part.outcome, &drawn.places) { (part::stays(outcome, places, spot)) }
                    }
                }
            }
        }
        @if let Some(files) = files { (files) }
    };
    let models = report.files.iter().enumerate().filter(|(at, _)| has_more(*at));
    // More of them would be in the way of the verdict, and the table has all.
    if report.files.len() <= MAX_LINKS {
        links.extend(models.map(|(at, file)| (anchor(at), name(file.file.rsplit('/').next().unwrap_or(&file.file)))));
    }
    links.push(("files".to_owned(), "Files".to_owned()));
    markup
}

/// Models with a part of their own, and those in the contents.
const MAX_MODELS: usize = 300;
const MAX_LINKS: usize = 12;

/// The keys of the graph.
fn keys() -> Markup {
    let keys = [
        ("/", "search"),
        ("Enter, Shift+Enter", "next and previous match, in the search"),
        ("j, k", "next and previous row"),
        ("arrows", "scroll; in a drawing that has the focus, from node to node"),
        ("e, c", "expand or collapse all rows"),
        ("+, −, 0", "zoom in, zoom out, 100%"),
        ("Ctrl+wheel", "zoom; dragging the ground moves the graph"),
    ];
    html! {
        section id="keys" aria-labelledby="keys-title" {
            h2 id="keys-title" { "Keys" }
            p { "They work while the graph has the focus: press Tab until it is framed, or click it." }
            dl.keys { @for (key, what) in keys { dt { kbd { (key) } } dd { (what) } } }
        }
    }
}
