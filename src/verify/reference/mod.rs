//! Float64 reference evaluator.
