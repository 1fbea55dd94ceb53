//! Where the nodes of a row stand: in layers from top to bottom, every edge downwards. An edge over more than one layer runs beside
//! them in a lane of its own, so a skip is seen at once.

use std::collections::HashMap;
use std::ops::Range;

use super::net::Net;

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// A tensor that comes in.
    In(usize),
    Node(usize),
    /// A tensor that goes on.
    Out(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) what: What,
    pub(super) layer: usize,
    pub(super) column: usize,
}

/// From one cell to another, both by their place in [`Layout::cells`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) tensor: usize,
    /// Where it runs, when it crosses a layer; all edges of one tensor run in one.
    pub(super) lane: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) cells: Vec<Cell>,
    pub(super) edges: Vec<Edge>,
    pub(super) layers: usize,
    pub(super) columns: usize,
    pub(super) lanes: usize,
}

/// Most ends that are drawn of tensors that go on, or come in.
const MAX_PORTS: usize = 24;

/// Lays out `nodes` of `net`, at most `width` side by side.
pub(super) fn layout(net: &Net, nodes: Range<usize>, width: usize) -> Layout {
    let width = width.max(1);
    let mut grid = Grid { width, cells: Vec::new(), filled: Vec::new() };
    let mut sources: HashMap<usize, usize> = HashMap::new();
    let mut links = Vec::new();
    let is_inside = |t: usize| net.tensors[t].by.is_some_and(|by| nodes.contains(&by));
    let inputs = net.nodes[nodes.clone()].iter().flat_map(|n| &n.reads).copied().filter(|t| !is_inside(*t));
    for tensor in inputs {
        if !sources.contains_key(&tensor) && sources.len() < MAX_PORTS {
            sources.insert(tensor, grid.add(What::In(tensor), 0, None));
        }
    }
    let top = grid.filled.len();
    for at in nodes.clone() {
        let node = &net.nodes[at];
        let reads: Vec<(usize, usize)> = node.reads.iter().filter_map(|t| Some((*sources.get(t)?, *t))).collect();
        // Below all that it reads, and under the one that is nearest.
        let nearest = reads.iter().map(|(from, _)| grid.cells[*from]).max_by_key(|c| (c.layer, c.column == 0));
        let layer = nearest.map_or(top, |c| (c.layer + 1).max(top));
        let cell = grid.add(What::Node(at), layer, nearest.map(|c| c.column));
        links.extend(reads.into_iter().map(|(from, tensor)| (from, cell, tensor)));
        sources.extend(node.gives.iter().map(|t| (*t, cell)));
    }
    let bottom = grid.filled.len();
    let outputs = net.nodes[nodes.clone()].iter().flat_map(|n| &n.gives).copied();
    for tensor in outputs.filter(|t| net.goes_on(*t, nodes.end)).take(MAX_PORTS) {
        let Some(from) = sources.get(&tensor).copied() else { continue };
        let cell = grid.add(What::Out(tensor), bottom, Some(grid.cells[from].column));
        links.push((from, cell, tensor));
    }
    let columns = grid.cells.iter().map(|c| c.column + 1).max().unwrap_or(0);
    let (edges, lanes) = lanes(&grid.cells, links);
    Layout { layers: grid.filled.len(), cells: grid.cells, edges, columns, lanes }
}

struct Grid {
    width: usize,
    cells: Vec<Cell>,
    /// Of each layer, which columns are taken.
    filled: Vec<Vec<bool>>,
}

impl Grid {
    /// Puts `what` into the first layer from `layer` on with room, in the column `near` where that is free.
    fn add(&mut self, what: What, layer: usize, near: Option<usize>) -> usize {
        let is_full = |taken: &Vec<bool>| taken.iter().all(|t| *t);
        let rest = self.filled.iter().skip(layer);
        let layer = layer + rest.take_while(|taken| is_full(taken)).count();
        while self.filled.len() <= layer {
            self.filled.push(vec![false; self.width]);
        }
        let taken = &mut self.filled[layer];
        let column =
            near.filter(|c| taken.get(*c) == Some(&false)).or_else(|| taken.iter().position(|t| !t)).unwrap_or(0);
        taken[column] = true;
        self.cells.push(Cell { what, layer, column });
        self.cells.len() - 1
    }
}

/// Gives every tensor that skips a layer a lane that is free all the way; short ways inside.
fn lanes(cells: &[Cell], links: Vec<(usize, usize, usize)>) -> (Vec<Edge>, usize) {
    let mut ways: HashMap<(usize, usize), usize> = HashMap::new();
    for (from, to, tensor) in &links {
        let (start, end) = (cells[*from].layer, cells[*to].layer);
        if end > start + 1 {
            let way = ways.entry((*from, *tensor)).or_insert(end);
            *way = (*way).max(end);
        }
    }
    let mut ways: Vec<(usize, usize, usize, usize)> = ways
        .into_iter()
        .map(|((from, tensor), end)| (end - cells[from].layer, cells[from].layer, from, tensor))
        .collect();
    ways.sort_unstable();
    let mut taken: Vec<Vec<Range<usize>>> = Vec::new();
    let mut lane_of: HashMap<(usize, usize), usize> = HashMap::new();
    for (length, start, from, tensor) in ways {
        let way = start..start + length;
        let is_free = |lane: &Vec<Range<usize>>| lane.iter().all(|t| t.end <= way.start || way.end <= t.start);
        let lane = taken.iter().position(is_free).unwrap_or(taken.len());
        if lane == taken.len() {
            taken.push(Vec::new());
        }
        taken[lane].push(way);
        lane_of.insert((from, tensor), lane);
    }
    let edge = |(from, to, tensor): (usize, usize, usize)| {
        let skips = cells[to].layer > cells[from].layer + 1;
        let lane = lane_of.get(&(from, tensor)).copied().filter(|_| skips);
        Edge { from, to, tensor, lane }
    };
    (links.into_iter().map(edge).collect(), taken.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::io::Model;

    fn assert_sound(net: &Net, nodes: Range<usize>, width: usize) -> Layout {
        let layout = layout(net, nodes.clone(), width);
        let places: HashSet<(usize, usize)> = layout.cells.iter().map(|c| (c.layer, c.column)).collect();
        assert_eq!(places.len(), layout.cells.len(), "two cells in one place");
        assert!(layout.cells.iter().all(|c| c.column < width && c.layer < layout.layers));
        let mut drawn: Vec<usize> =
            layout.cells.iter().filter_map(|c| if let What::Node(at) = c.what { Some(at) } else { None }).collect();
        drawn.sort_unstable();
        assert!(drawn.into_iter().eq(nodes), "every node stands once");
        let of = |e: &Edge| layout.cells[e.from].layer..layout.cells[e.to].layer;
        for edge in &layout.edges {
            assert!(!of(edge).is_empty(), "{edge:?} does not lead downwards");
            assert_eq!(edge.lane.is_some(), of(edge).len() > 1, "{edge:?}");
            for other in layout.edges.iter().filter(|o| o.lane == edge.lane && o.lane.is_some()) {
                let (a, b) = (of(edge), of(other));
                assert!(
                    other.tensor == edge.tensor || a.end <= b.start || b.end <= a.start,
                    "{edge:?} meets {other:?}"
                );
            }
        }
        layout
    }

    #[test]
    fn every_model_is_laid_out() {
        let mut looked = 0;
        for path in crate::io::walk(Path::new("models/blocks")).unwrap() {
            let net = Net::of(Model::from_path(&path).unwrap().proto()).unwrap();
            for width in 1..4 {
                assert_sound(&net, 0..net.nodes.len(), width);
            }
            assert_sound(&net, net.nodes.len() / 3..net.nodes.len() / 2, 2);
            looked += 1;
        }
        assert!(looked > 20, "{looked}");
    }

    #[test]
    fn a_residual_join_has_one_arc_beside_a_chain() {
        let net = Net::of(Model::from_path("models/digits_resnet.onnx").unwrap().proto()).unwrap();
        let join = net.nodes.iter().position(|n| n.op == "Add").unwrap();
        let layout = assert_sound(&net, join - 3..join + 1, 3);
        assert_eq!((layout.columns, layout.lanes), (1, 1));
        assert_eq!(layout.edges.iter().filter(|e| e.lane.is_some()).count(), 1);
    }
}
