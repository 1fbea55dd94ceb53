//! Why a model cannot be evaluated.

use std::fmt;

/// Names the node, its operator, the tensor and the condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A model without a graph.
    #[error("the model has no graph")]
    NoGraph,
    /// An operator that is not implemented here.
    #[error("node '{node}': operator {op} of domain '{domain}' is not known to the reference evaluator")]
    UnknownOperator {
        /// The node, or its first output when it has no name.
        node: String,
        /// Its operator.
        op: String,
        /// The operator's domain.
        domain: String,
    },
    /// A graph input that is needed and was not given.
    #[error("graph input '{0}' was not given")]
    MissingInput(String),
    /// A value was given for something that is no graph input.
    #[error("a value was given for '{0}', which is no graph input")]
    UnknownInput(String),
    /// A tensor that nothing before its reader defines.
    #[error("tensor '{0}' is read but nothing before defines it")]
    Undefined(String),
    /// An initializer that cannot be read.
    #[error("tensor '{tensor}': {condition}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        condition: String,
    },
    /// An operator whose inputs or attributes break its rules.
    #[error("node '{node}' ({op}), output '{tensor}': {condition}")]
    Node {
        /// The node, or its first output when it has no name.
        node: String,
        /// Its operator.
        op: String,
        /// Its first output.
        tensor: String,
        /// What does not hold.
        condition: String,
    },
    /// Subgraphs or functions inside each other beyond the limit, or a function that calls itself.
    #[error("node '{0}': subgraphs and functions are nested too deep")]
    TooDeep(String),
    /// Work or memory beyond the limits of an evaluation, such as a loop of a thousand million turns.
    #[error("node '{node}' ({op}): {limit}")]
    Spent {
        /// The node of the main graph that goes beyond it.
        node: String,
        /// Its operator.
        op: String,
        /// The limit.
        limit: String,
    },
}

/// What an operator says when it cannot compute; the executor adds the node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// A condition of the operator itself.
    Condition(String),
    /// A limit of the whole evaluation: of the nodes around each other, the outermost is named.
    Spent(String),
    /// Something inside its subgraph.
    Inside(EvalError),
}

/// The result of an operator, or of a step on the way to it.
pub(super) type Outcome<T> = Result<T, Fault>;

impl From<String> for Fault {
    fn from(condition: String) -> Self {
        Self::Condition(condition)
    }
}

impl From<&str> for Fault {
    fn from(condition: &str) -> Self {
        Self::Condition(condition.to_owned())
    }
}

impl From<EvalError> for Fault {
    fn from(error: EvalError) -> Self {
        Self::Inside(error)
    }
}

impl From<ndarray::ShapeError> for Fault {
    fn from(error: ndarray::ShapeError) -> Self {
        Self::Condition(error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(c) | Self::Spent(c) => f.write_str(c),
            Self::Inside(e) => e.fmt(f),
        }
    }
}

/// `Err` with a formatted condition.
macro_rules! fault {
    ($($arg:tt)*) => { Err($crate::verify::reference::error::Fault::from(format!($($arg)*))) };
}
pub(super) use fault;
