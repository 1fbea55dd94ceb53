//! Which function evaluates which operator.

use super::call::{Op, Table};
use super::{
    activation, binary, cast, constant, contrib, control, conv, conv_transpose, einsum, index, join, logic, matmul,
    normalize, pad, pool, quantize, rank, reduce, resize, sequence, shape, slice, softmax, unary,
};

const TABLES: &[Table] = &[
    activation::OPERATORS,
    binary::OPERATORS,
    cast::OPERATORS,
    constant::OPERATORS,
    control::OPERATORS,
    conv::OPERATORS,
    conv_transpose::OPERATORS,
    einsum::OPERATORS,
    index::OPERATORS,
    join::OPERATORS,
    logic::OPERATORS,
    matmul::OPERATORS,
    normalize::OPERATORS,
    pad::OPERATORS,
    pool::OPERATORS,
    quantize::OPERATORS,
    rank::OPERATORS,
    reduce::OPERATORS,
    resize::OPERATORS,
    sequence::OPERATORS,
    shape::OPERATORS,
    slice::OPERATORS,
    softmax::OPERATORS,
    unary::OPERATORS,
];

/// The operator `name` of `domain`: that of ONNX, or ONNX Runtime's own.
pub(super) fn find(domain: &str, name: &str) -> Option<Op> {
    let tables = match domain {
        "" | "ai.onnx" => TABLES,
        "com.microsoft" => &[contrib::OPERATORS],
        _ => &[],
    };
    tables.iter().flat_map(|t| t.iter()).find(|(n, _)| *n == name).map(|(_, op)| *op)
}

#[cfg(test)]
mod tests {
    use super::TABLES;

    #[test]
    fn no_operator_is_defined_twice() {
        let mut names: Vec<_> = TABLES.iter().flat_map(|t| t.iter()).map(|(n, _)| n).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
