//! What of the file a tensor or a node stands for: what is carried past a join that stays makes a tensor wider, and gives it and the node
//! that computes it another name.

use std::collections::{BTreeMap, BTreeSet};

use crate::onnx::ModelProto;
use crate::options::Family;
use crate::report::{SiteReport, SiteStatus};

use super::round::Refused;

/// The names of the file, and which of them stand for others now.
pub(super) struct Origins {
    /// The tensors of the file, by those that stand for them.
    renamed: BTreeMap<String, String>,
    /// The tensors of the file, each with the name of the node that gives it, if one does.
    given: BTreeMap<String, String>,
    /// Names of nodes.
    nodes: BTreeSet<String>,
}

impl Origins {
    /// Of `file`, before anything is changed.
    pub(super) fn new(file: &ModelProto) -> Self {
        let nodes = || file.graph.iter().flat_map(|graph| &graph.node);
        let inputs = file.graph.iter().flat_map(|graph| graph.input.iter().map(|input| input.name()));
        let weights = file.graph.iter().flat_map(|graph| graph.initializer.iter().map(|tensor| tensor.name()));
        let given = nodes().flat_map(|n| n.output.iter().map(|output| (output.clone(), n.name().to_owned())));
        Self {
            renamed: BTreeMap::new(),
            given: inputs.chain(weights).map(|name| (name.to_owned(), String::new())).chain(given).collect(),
            nodes: nodes().map(|n| n.name().to_owned()).collect(),
        }
    }

    /// Notes that tensors were `renamed`. What was refused stays so.
    pub(super) fn note(&mut self, renamed: &[(String, String)], refused: &mut Refused) {
        for (old, new) in renamed {
            let first = self.of(old).to_owned();
            let stay: Vec<_> = refused.iter().filter(|((_, tensor), _)| tensor == old).collect();
            let stay: Vec<_> =
                stay.into_iter().map(|((kind, _), reject)| ((*kind, new.clone()), reject.clone())).collect();
            refused.extend(stay);
            self.renamed.insert(new.clone(), first);
        }
    }

    fn of<'t>(&'t self, tensor: &'t str) -> &'t str {
        self.renamed.get(tensor).map_or(tensor, String::as_str)
    }

    /// `site` under the names that the file has. `None` for a fold of what only rewriting made, which nobody looks for.
    pub(super) fn named(&self, mut site: SiteReport) -> Option<SiteReport> {
        site.tensor = self.of(&site.tensor).to_owned();
        let SiteStatus::Kept(reject) = &mut site.status else { return Some(site) };
        let stands = self.given.contains_key(&site.tensor) || site.kind == Family::Residual;
        let blamed = self.of(&reject.tensor).to_owned();
        reject.tensor = if self.given.contains_key(&blamed) { blamed } else { site.tensor.clone() };
        if !self.nodes.contains(&reject.node) {
            reject.node = self.given.get(&reject.tensor).cloned().unwrap_or_default();
        }
        // Names stand between quotes.
        let words: Vec<&str> = reject.reason.split('\'').map(|word| self.of(word)).collect();
        reject.reason = words.join("'");
        stands.then_some(site)
    }
}
