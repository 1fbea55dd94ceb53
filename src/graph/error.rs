//! What is wrong with a graph.

/// Why a graph cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The model holds no graph.
    #[error("the model has no graph")]
    NoGraph,
    /// Two definitions of one name.
    #[error("tensor '{tensor}' is defined twice (second time by {by})")]
    Duplicate {
        /// The tensor.
        tensor: String,
        /// What defines it again.
        by: String,
    },
    /// A name that nothing defines.
    #[error("node '{node}' ({op}) reads tensor '{tensor}', which nothing defines")]
    Undefined {
        /// The reading node.
        node: String,
        /// Its operator.
        op: String,
        /// The tensor.
        tensor: String,
    },
    /// A graph output that nothing defines.
    #[error("graph output '{tensor}' is not defined by any node, input or initializer")]
    UndefinedOutput {
        /// The output.
        tensor: String,
    },
    /// Nodes that feed each other.
    #[error("the graph has a cycle through node '{node}'")]
    Cycle {
        /// A node on the cycle.
        node: String,
    },
    /// A node in front of what it reads.
    #[error("node '{node}' ({op}) reads tensor '{tensor}', which is defined behind it")]
    Order {
        /// The reading node.
        node: String,
        /// Its operator.
        op: String,
        /// The tensor.
        tensor: String,
    },
    /// An operator with attributes that no runtime could run.
    #[error("node '{node}' ({op}): {reason}")]
    Attribute {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What is wrong.
        reason: String,
    },
    /// Operator sets that say nothing certain.
    #[error("{reason}")]
    OperatorSet {
        /// What is wrong.
        reason: String,
    },
    /// An operator that the model's operator set does not have.
    #[error("node '{node}' ({op}): {reason}")]
    Version {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing comes out.
    #[error("the graph has no outputs, so it computes nothing")]
    NoOutputs,
    /// More nodes or tensors than an index can hold.
    #[error("the graph is too large")]
    TooLarge,
}
