//! Functions of one tensor, entry by entry.

use crate::graph::{GraphView, NodeId};
use crate::operators::{Function, function};

/// The function by which `node` maps every entry of its only tensor: it keeps channels apart and has no constants of a channel's
/// own.
#[must_use]
pub fn elementwise(view: &GraphView<'_>, node: NodeId) -> Option<&'static Function> {
    // `FastGelu` may have a bias.
    function(view.op(node)).filter(|_| view.inputs(node).len() == 1)
}

/// True for a node that maps every entry of its only tensor by the same function.
#[must_use]
pub fn is_elementwise(view: &GraphView<'_>, node: NodeId) -> bool {
    elementwise(view, node).is_some()
}

#[cfg(test)]
mod tests {
    use crate::graph::schemas::versions;
    use crate::operators::{functions::FUNCTIONS, operators};

    #[test]
    fn every_row_is_an_operator_of_the_specification() {
        let names = FUNCTIONS.iter().map(|f| f.name).chain(operators().map(|o| o.name));
        for name in names.filter(|name| !name.contains("::")) {
            assert!(!versions(name).is_empty(), "{name}");
        }
    }
}
