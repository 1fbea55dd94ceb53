//! Rows as SVG: two drawings side by side, and a small one for a row that is closed.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;

use maud::{Markup, PreEscaped, html};

use crate::plan::change::Channels;

use super::layout::{Cell, Edge, Layout, What, layout};
use super::net::{Net, Node};
use super::rows::{Row, RowKind};
use crate::page::words::{self, compact, count, name, shortened};

const BOX: (usize, usize) = (236, 34);
const PORT_HEIGHT: usize = 18;
const GAP: (usize, usize) = (16, 30);
const LANE: usize = 14;
const MARGIN: usize = 8;

/// Nodes that stand side by side in a drawing that shares its row with another, and in one alone.
const WIDTH: (usize, usize) = (3, 5);

/// Most nodes of one drawing: in a larger one nothing is to be seen.
const MAX_NODES: usize = 160;

/// Most tensors that a title lists.
const LISTED: usize = 6;

/// Size of a small drawing.
const SMALL: (f64, f64) = (112.0, 26.0);

/// How many nodes may still be drawn, so that no page grows without bound.
pub(in crate::page) struct Budget(pub(in crate::page) usize);

/// Both graphs, and what is known of their tensors.
pub(in crate::page) struct Sides<'a> {
    pub(in crate::page) before: &'a Net,
    /// Absent where one graph is shown.
    pub(in crate::page) after: Option<&'a Net>,
    /// What widened tensors hold.
    pub(in crate::page) channels: HashMap<&'a str, &'a Channels>,
}

/// What is drawn of a row.
pub(in crate::page) struct Drawing {
    /// For the closed row: before, and after where it differs.
    pub(in crate::page) small: (Markup, Option<Markup>),
    /// For the open one.
    pub(in crate::page) large: Markup,
}

/// The ends of arrows, once a page.
pub(in crate::page) fn arrows() -> Markup {
    let marker = |id: &str| {
        html! {
            marker id=(id) viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" orient="auto" {
                path d="M0 0L8 4L0 8z" {}
            }
        }
    };
    html! { svg .defs width="0" height="0" aria-hidden="true" { defs { (marker("arrow")) (marker("arrow-skip")) (marker("arrow-wide")) } } }
}

/// Draws `row`.
pub(in crate::page) fn draw(sides: &Sides<'_>, row: &Row, budget: &mut Budget) -> Drawing {
    let both = sides.after.filter(|_| row.kind == RowKind::Changed);
    let signatures =
        |net: &Net, nodes: Range<usize>| -> HashSet<u64> { net.nodes[nodes].iter().map(|n| n.signature).collect() };
    let Some(after) = both else {
        let side = Side {
            net: sides.before,
            nodes: row.before.clone(),
            width: WIDTH.1,
            other: None,
            channels: &sides.channels,
        };
        let word = if row.kind == RowKind::Kept { "As it stays" } else { "On both sides" };
        let word = if sides.after.is_none() && row.kind == RowKind::Same { "As it is" } else { word };
        let (small, large) = side.draw(word, budget);
        return Drawing { small: (small, None), large: html! { div.sides.one { (large) } } };
    };
    let (old, new) = (signatures(sides.before, row.before.clone()), signatures(after, row.after.clone()));
    let nothing = HashMap::new();
    let side = |net, nodes, other, channels| Side { net, nodes, width: WIDTH.0, other: Some(other), channels };
    let left = side(sides.before, row.before.clone(), &new, &nothing).draw("Before", budget);
    let right = side(after, row.after.clone(), &old, &sides.channels).draw("After", budget);
    Drawing { small: (left.0, Some(right.0)), large: html! { div.sides { (left.1) (right.1) } } }
}

/// Some nodes of one graph.
struct Side<'a> {
    net: &'a Net,
    nodes: Range<usize>,
    width: usize,
    /// Signatures of what stands on the other side, where there is one.
    other: Option<&'a HashSet<u64>>,
    channels: &'a HashMap<&'a str, &'a Channels>,
}

impl Side<'_> {
    fn draw(&self, word: &str, budget: &mut Budget) -> (Markup, Markup) {
        let size = self.nodes.len();
        let is_large = size > MAX_NODES;
        if is_large || size > budget.0 {
            let why = if is_large { "too many to be read in one drawing" } else { "the page has its size" };
            let ops = operators(&self.net.nodes[self.nodes.clone()]);
            let large = html! { figure { figcaption { (word) ": " (count(size, "node", "nodes")) ", not drawn: " (why) }
            p { (ops) } } };
            return (html! { span.many { (compact(size as u64)) " nodes" } }, large);
        }
        budget.0 -= size;
        let layout = layout(self.net, self.nodes.clone(), self.width);
        let skips = layout.edges.iter().filter(|e| e.lane.is_some()).count();
        let mut caption = match skips {
            0 => format!("{word}: {}, no skip", count(size, "node", "nodes")),
            n => format!("{word}: {}, {}", count(size, "node", "nodes"), count(n, "skip", "skips")),
        };
        let passing = self.passing(&layout);
        if passing > 0 {
            let _ = write!(caption, "; {} by, to be read further on", count(passing, "tensor passes", "tensors pass"));
        }
        let large = html! {
            figure { figcaption { (caption) } @if size > 0 { (self.large(&layout, &caption)) } @else { p { "nothing stands here" } } }
        };
        (small(&layout), large)
    }

    /// Tensors that are alive here, and that nothing here reads.
    fn passing(&self, layout: &Layout) -> usize {
        let read = layout.cells.iter().filter(|c| matches!(c.what, What::In(_))).count();
        self.net.alive.get(self.nodes.start).map_or(0, |alive| alive.saturating_sub(read))
    }

    fn large(&self, layout: &Layout, caption: &str) -> Markup {
        let place = Place::new(layout);
        let (width, height) = place.size(layout);
        let mut labelled = HashSet::new();
        html! {
            svg.net width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="list" aria-label=(caption) {
                g aria-hidden="true" {
                    @if self.passing(layout) > 0 { path.pass d=(format!("M3 0V{height}")) {} }
                    @for edge in &layout.edges { (self.edge(layout, &place, edge, labelled.insert((edge.from, edge.tensor)))) }
                }
                @for cell in &layout.cells { (self.cell(&place, cell)) }
            }
        }
    }

    fn edge(&self, layout: &Layout, place: &Place, edge: &Edge, label: bool) -> Markup {
        let (from, to) = (layout.cells[edge.from], layout.cells[edge.to]);
        let wide = self.channels.contains_key(self.net.tensors[edge.tensor].name.as_str());
        let (class, arrow) = match (edge.lane, wide) {
            (Some(_), _) => ("skip", "url(#arrow-skip)"),
            (None, true) => ("wide", "url(#arrow-wide)"),
            (None, false) => ("", "url(#arrow)"),
        };
        let label_at = place.bottom(from);
        html! {
            path class=(format!("e {class}")) d=(place.path(from, to, edge.lane)) marker-end=(arrow) {}
            @if label && !matches!(to.what, What::Out(_)) && !matches!(from.what, What::In(_)) {
                text.l x=(label_at.0 + 7) y=(label_at.1 + 13) { (self.label(edge.tensor)) }
            }
        }
    }

    /// What a tensor holds, in a few characters.
    fn label(&self, tensor: usize) -> Markup {
        let tensor = &self.net.tensors[tensor];
        match self.channels.get(tensor.name.as_str()) {
            Some(held) => html! {
                (held.body) @if held.carried > 0 { tspan.carried { " + " (held.carried) " carried" } }
                @if held.zero > 0 { " + " (held.zero) " zero" }
            },
            None => html! { (shape(&tensor.shape)) },
        }
    }

    fn cell(&self, place: &Place, cell: &Cell) -> Markup {
        let at = format!("translate({} {})", place.x(cell.column), place.y(cell.layer));
        match cell.what {
            What::In(tensor) => self.port(&at, "in", tensor),
            What::Out(tensor) => self.port(&at, "out", tensor),
            What::Node(node) => self.node(&at, &self.net.nodes[node]),
        }
    }

    fn port(&self, at: &str, class: &str, tensor: usize) -> Markup {
        let words = if class == "in" { "comes in" } else { "goes on" };
        let named = &self.net.tensors[tensor].name;
        html! {
            g class=(format!("p {class}")) transform=(at) role="listitem" {
                title { (name(named)) " " (words) ", " (self.held(tensor)) }
                text x=(BOX.0 / 2) y="12" { (shortened(named, 26)) tspan.l { "  " (self.label(tensor)) } }
            }
        }
    }

    fn node(&self, at: &str, node: &Node) -> Markup {
        let mut class = format!("v {}", look(node));
        let is_own = self.other.is_some_and(|other| !other.contains(&node.signature));
        if is_own {
            class.push_str(" own");
        }
        let op = shortened(&node.op, 24);
        let room = 38_usize.saturating_sub(op.chars().count() + 1);
        html! {
            g class=(class) transform=(at) role="listitem" tabindex="-1" {
                title { (self.title(node, is_own)) }
                rect width=(BOX.0) height=(BOX.1) rx=(if node.is_join() { BOX.1 / 2 } else { 6 }) {}
                text x="10" y="14" { tspan.op { (op) } " " (shortened(&node.what, room)) }
                text.m x="10" y="27" { (shortened(&node.name, 39)) }
            }
        }
    }

    /// All of a node in a sentence: what a screen reader says and a pointer shows.
    fn title(&self, node: &Node, is_own: bool) -> String {
        let mut text = name(&node.op);
        if !node.what.is_empty() {
            let _ = write!(text, " {}", node.what);
        }
        if !node.name.is_empty() {
            let _ = write!(text, ", {}", name(&node.name));
        }
        for (word, tensors) in [("reads", &node.reads), ("gives", &node.gives)] {
            let shown = tensors.iter().take(LISTED);
            let shown: Vec<String> =
                shown.map(|t| format!("{} ({})", shortened(&self.net.tensors[*t].name, 100), self.held(*t))).collect();
            let more = tensors.len().saturating_sub(LISTED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = write!(text, "; {word} {}{more}", shown.join(", "));
        }
        match node.macs {
            Some(0) => {}
            Some(macs) => _ = write!(text, "; {} multiply-accumulates", compact(macs)),
            None => text.push_str("; multiply-accumulates are not known"),
        }
        if is_own {
            text.push_str("; on this side only");
        }
        text
    }

    fn held(&self, tensor: usize) -> String {
        let tensor = &self.net.tensors[tensor];
        match self.channels.get(tensor.name.as_str()) {
            Some(held) => {
                let Channels { body, carried, zero, .. } = held;
                format!(
                    "{}, of its channels {body} of the branch, {carried} carried, {zero} zero",
                    shape(&tensor.shape)
                )
            }
            None => shape(&tensor.shape),
        }
    }
}

/// Which kind of operator it is, to the eye.
fn look(node: &Node) -> &'static str {
    match node.op.as_str() {
        "Conv" | "ConvTranspose" | "Gemm" | "MatMul" | "com.microsoft::FusedConv" => "conv",
        _ if node.is_join() => "join",
        "Gather" | "Slice" | "Split" | "Concat" | "Transpose" | "Reshape" | "Flatten" | "Pad" => "move",
        _ => "act",
    }
}

/// How often each operator stands there, the most frequent first.
pub(in crate::page) fn operators(nodes: &[Node]) -> String {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    nodes.iter().for_each(|n| *counts.entry(&n.op).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let more = counts.len().saturating_sub(LISTED);
    let one = |(op, n): &(&str, usize)| if *n == 1 { shortened(op, 40) } else { format!("{n} {}", shortened(op, 40)) };
    let mut words: Vec<String> = counts.iter().take(LISTED).map(one).collect();
    if more > 0 {
        words.push(format!("{more} other kinds"));
    }
    words.join(", ")
}

/// Without the first axis, which is that of the images.
fn shape(dims: &[Option<i64>]) -> String {
    let one = |d: &Option<i64>| d.map_or("?".to_owned(), |n| n.to_string());
    match dims {
        [] => "of unknown shape".to_owned(),
        [only] => one(only),
        [_, rest @ ..] => words::shortened(&rest.iter().map(one).collect::<Vec<_>>().join("×"), 30),
    }
}

/// Where cells stand on the drawing.
struct Place {
    /// Top and height of each layer.
    layers: Vec<(usize, usize)>,
    right: usize,
}

impl Place {
    fn new(layout: &Layout) -> Self {
        let mut heights = vec![PORT_HEIGHT; layout.layers];
        for cell in &layout.cells {
            if matches!(cell.what, What::Node(_)) {
                heights[cell.layer] = BOX.1;
            }
        }
        let tops = heights.iter().scan(MARGIN, |next, height| {
            let top = *next;
            *next += height + GAP.1;
            Some((top, *height))
        });
        Self { layers: tops.collect(), right: MARGIN + layout.columns * (BOX.0 + GAP.0) }
    }

    fn size(&self, layout: &Layout) -> (usize, usize) {
        let height = self.layers.last().map_or(0, |(top, height)| top + height) + MARGIN;
        (self.right + layout.lanes * LANE + MARGIN, height)
    }

    fn x(&self, column: usize) -> usize {
        MARGIN + column * (BOX.0 + GAP.0)
    }

    fn y(&self, layer: usize) -> usize {
        self.layers.get(layer).map_or(0, |layer| layer.0)
    }

    fn bottom(&self, cell: Cell) -> (usize, usize) {
        let (top, height) = self.layers.get(cell.layer).copied().unwrap_or_default();
        let height = if matches!(cell.what, What::Node(_)) { height } else { PORT_HEIGHT };
        (self.x(cell.column) + BOX.0 / 2, top + height)
    }

    /// Straight to the next layer; else out to the lane, down, and in again.
    fn path(&self, from: Cell, to: Cell, lane: Option<usize>) -> String {
        let ((x, y), (to_x, to_y)) = (self.bottom(from), (self.x(to.column) + BOX.0 / 2, self.y(to.layer)));
        let Some(lane) = lane else {
            return match x == to_x {
                true => format!("M{x} {y}V{to_y}"),
                false => {
                    let middle = usize::midpoint(y, to_y);
                    format!("M{x} {y}C{x} {middle} {to_x} {middle} {to_x} {to_y}")
                }
            };
        };
        // Beside the edge that leads straight on, and each lane a little lower, so that they can be told apart.
        let (x, to_x) = (x + BOX.0 / 3, to_x + BOX.0 / 3);
        let (right, step) = (self.right + lane * LANE, (lane % 4) * 2);
        let (out, back) = (y + 8 + step, to_y.saturating_sub(12 + step));
        format!(
            "M{x} {y}V{}Q{x} {out} {} {out}H{}Q{right} {out} {right} {}V{}Q{right} {back} {} {back}H{}Q{to_x} {back} {to_x} {}V{to_y}",
            out - 5,
            x + 5,
            right - 7,
            out + 7,
            back.saturating_sub(7),
            right - 7,
            to_x + 5,
            back + 5,
        )
    }
}

/// The same from left to right, a dot a node, skips as arcs above: to be seen in a row that is closed.
fn small(layout: &Layout) -> Markup {
    let (width, height) = SMALL;
    let step = (width - 12.0) / (layout.layers.saturating_sub(1).max(1) as f64);
    let at = |cell: &Cell| {
        let spread = layout.columns.saturating_sub(1).max(1) as f64;
        (6.0 + step * cell.layer as f64, height - 7.0 - (cell.column as f64) * (height - 14.0) / spread)
    };
    let (mut lines, mut arcs, mut dots) = (String::new(), String::new(), String::new());
    for edge in &layout.edges {
        let ((x, y), (to_x, to_y)) = (at(&layout.cells[edge.from]), at(&layout.cells[edge.to]));
        let _ = match edge.lane {
            None => write!(lines, "M{x:.0} {y:.0}L{to_x:.0} {to_y:.0}"),
            Some(_) => {
                write!(arcs, "M{x:.0} {y:.0}Q{:.0} {:.0} {to_x:.0} {to_y:.0}", f64::midpoint(x, to_x), -height * 0.3)
            }
        };
    }
    for cell in layout.cells.iter().filter(|c| matches!(c.what, What::Node(_))) {
        let (x, y) = at(cell);
        let _ = write!(dots, "M{x:.0} {y:.0}h0");
    }
    let view = format!("0 0 {width} {height}");
    PreEscaped(format!(
        "<svg class=\"small\" width=\"{width}\" height=\"{height}\" viewBox=\"{view}\" aria-hidden=\"true\"><path class=\"line\" \
         d=\"{lines}\"></path><path class=\"arc\" d=\"{arcs}\"></path><path class=\"dot\" d=\"{dots}\"></path></svg>"
    ))
}
