//! Where a section stands: its headings and the names of its places, of which a page with several models has several.

use maud::{Markup, html};

#[derive(Clone, Copy)]
pub(in crate::page) struct Spot<'a> {
    /// In front of every name.
    pub(in crate::page) prefix: &'a str,
    /// True below the heading of a model.
    pub(in crate::page) is_inner: bool,
}

impl Spot<'_> {
    /// A section with a heading.
    pub(in crate::page) fn section(&self, name: &str, title: &str, content: &Markup) -> Markup {
        let id = self.id(name);
        let head = format!("{id}-title");
        html! {
            section id=(id) aria-labelledby=(self.labelled(name)) {
                @if self.is_inner { h3 id=(head) { (title) } } @else { h2 id=(head) { (title) } }
                (content)
            }
        }
    }

    /// What the section `name` is called by: of several models, with its model.
    pub(in crate::page) fn labelled(&self, name: &str) -> String {
        let head = format!("{}-title", self.id(name));
        if self.is_inner { format!("{}name {head}", self.prefix) } else { head }
    }

    /// A heading in a section.
    pub(in crate::page) fn heading(&self, title: &str) -> Markup {
        html! { @if self.is_inner { h4 { (title) } } @else { h3 { (title) } } }
    }

    pub(in crate::page) fn id(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }

    pub(in crate::page) fn row(&self, row: usize) -> String {
        self.id(&format!("row-{row}"))
    }

    /// A link to a row of the graph.
    pub(in crate::page) fn link(&self, row: Option<usize>, text: &str) -> Markup {
        html! { @if let Some(row) = row { a href=(format!("#{}", self.row(row))) { (text) } } @else { (text) } }
    }
}
