//! Operators that are no function of one tensor: arithmetic that broadcasts, pools, what moves entries about.

use super::rounding::Rounding::{self, Approximates, Jumps, Moves, Rounds};

/// An operator that is no [`super::Function`].
#[derive(Debug)]
pub struct Operator {
    /// Its name.
    pub name: &'static str,
    /// What shape its first output has.
    pub shape: Shape,
    /// What it does to the digits of its inputs.
    pub rounding: Rounding,
    /// True when it makes zeros of zeros.
    pub zero: bool,
    /// True when it gives `k` times as much for `k x` as for `x`, for every `k > 0`.
    pub homogeneous: bool,
    /// True when it reads one tensor of data and treats its channels apart, all in the same way.
    pub apart: bool,
}

/// What shape an operator's first output has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// That of the first input, and every entry comes of the entry in its place.
    Entries,
    /// That of the first input.
    Same,
    /// What all inputs broadcast to, and every entry comes of those in its place.
    Broadcast,
    /// One of its own, by a function of `facts/shape`.
    Own,
}

use Shape::{Broadcast, Entries, Own, Same};

macro_rules! operators {
    ($($name:literal $shape:expr, $rounding:expr, $zero:expr, $homogeneous:expr, $apart:expr;)*) => {
        &[$(Operator {
            name: $name, shape: $shape, rounding: $rounding, zero: $zero, homogeneous: $homogeneous, apart: $apart,
        }),*]
    };
}

/// Operators of which something is known besides their own file. Where one has parameters that are inputs, a column holds whatever these are.
#[rustfmt::skip]
const OPERATORS: &[Operator] = operators! {
    // name                   shape      rounding      zero   homog. apart
    "Identity"                Entries,   Moves,        true,  true,  true;
    "Clip"                    Entries,   Moves,        false, false, true;
    "PRelu"                   Same,      Rounds,       true,  false, false;
    "Cast"                    Entries,   Rounds,       false, false, false;
    "CastLike"                Entries,   Rounds,       false, false, false;
    // Inactive; in training it draws numbers for all channels together.
    "Dropout"                 Entries,   Moves,        true,  false, false;
    "Not"                     Entries,   Rounds,       false, false, false;
    "IsNaN"                   Entries,   Rounds,       false, false, false;
    "IsInf"                   Entries,   Rounds,       false, false, false;
    // Arithmetic.
    "Add"                     Broadcast, Rounds,       false, false, false;
    "Sub"                     Broadcast, Rounds,       false, false, false;
    "Mul"                     Broadcast, Rounds,       false, false, false;
    "Div"                     Broadcast, Rounds,       false, false, false;
    "Pow"                     Broadcast, Approximates, false, false, false;
    "Max"                     Broadcast, Moves,        false, false, false;
    "Min"                     Broadcast, Moves,        false, false, false;
    "Sum"                     Broadcast, Rounds,       false, false, false;
    "Mean"                    Broadcast, Approximates, false, false, false;
    "Where"                   Broadcast, Moves,        false, false, false;
    "Mod"                     Broadcast, Jumps,        false, false, false;
    "Equal"                   Broadcast, Jumps,        false, false, false;
    "Greater"                 Broadcast, Jumps,        false, false, false;
    "Less"                    Broadcast, Jumps,        false, false, false;
    "GreaterOrEqual"          Broadcast, Jumps,        false, false, false;
    "LessOrEqual"             Broadcast, Jumps,        false, false, false;
    "And"                     Broadcast, Rounds,       false, false, false;
    "Or"                      Broadcast, Rounds,       false, false, false;
    "Xor"                     Broadcast, Rounds,       false, false, false;
    // Windows.
    "MaxPool"                 Own,       Moves,        true,  true,  true;
    "AveragePool"             Own,       Approximates, true,  true,  true;
    "LpPool"                  Own,       Approximates, true,  true,  true;
    "GlobalMaxPool"           Own,       Moves,        true,  true,  true;
    "GlobalAveragePool"       Own,       Approximates, true,  true,  true;
    "GlobalLpPool"            Own,       Approximates, true,  true,  true;
    // Reductions.
    "ReduceMax"               Own,       Moves,        false, true,  false;
    "ReduceMin"               Own,       Moves,        false, true,  false;
    "ReduceMean"              Own,       Approximates, false, true,  false;
    "ReduceSum"               Own,       Approximates, false, true,  false;
    "ReduceProd"              Own,       Approximates, false, false, false;
    "ReduceL1"                Own,       Approximates, false, true,  false;
    "ReduceL2"                Own,       Approximates, false, true,  false;
    "ReduceSumSquare"         Own,       Approximates, false, false, false;
    "ArgMax"                  Own,       Moves,        false, false, false;
    "ArgMin"                  Own,       Moves,        false, false, false;
    "TopK"                    Own,       Moves,        false, false, false;
    // Sums of products.
    "MatMul"                  Own,       Approximates, false, false, false;
    "Gemm"                    Own,       Approximates, false, false, false;
    "Einsum"                  Own,       Approximates, false, false, false;
    // Normalisations.
    "BatchNormalization"      Same,      Approximates, false, false, false;
    "InstanceNormalization"   Same,      Approximates, false, false, false;
    "LayerNormalization"      Same,      Approximates, false, false, false;
    "GroupNormalization"      Same,      Approximates, false, false, false;
    "RMSNormalization"        Same,      Approximates, false, false, false;
    "LRN"                     Same,      Approximates, false, false, false;
    "LpNormalization"         Same,      Approximates, false, false, false;
    "Softmax"                 Same,      Approximates, false, false, false;
    "LogSoftmax"              Same,      Approximates, false, false, false;
    "Hardmax"                 Same,      Approximates, false, false, false;
    "CumSum"                  Same,      Approximates, false, false, false;
    // Integers of floats.
    "QuantizeLinear"          Same,      Rounds,       false, false, false;
    "DequantizeLinear"        Same,      Rounds,       false, false, false;
    // Entries of the inputs, in other places.
    "Trilu"                   Same,      Moves,        false, false, false;
    "ScatterElements"         Same,      Moves,        false, false, false;
    "ScatterND"               Same,      Moves,        false, false, false;
    "Reshape"                 Own,       Moves,        false, false, false;
    "Flatten"                 Own,       Moves,        false, false, false;
    "Squeeze"                 Own,       Moves,        false, false, false;
    "Unsqueeze"               Own,       Moves,        false, false, false;
    "Transpose"               Own,       Moves,        false, false, false;
    "Slice"                   Own,       Moves,        false, false, false;
    "Split"                   Own,       Moves,        false, false, false;
    "Concat"                  Own,       Moves,        false, false, false;
    "Gather"                  Own,       Moves,        false, false, false;
    "GatherElements"          Own,       Moves,        false, false, false;
    "GatherND"                Own,       Moves,        false, false, false;
    "Expand"                  Own,       Moves,        false, false, false;
    "Tile"                    Own,       Moves,        false, false, false;
    "Pad"                     Own,       Moves,        false, false, false;
    "DepthToSpace"            Own,       Moves,        false, false, false;
    "SpaceToDepth"            Own,       Moves,        false, false, false;
    "Compress"                Own,       Moves,        false, false, false;
    "OneHot"                  Own,       Moves,        false, false, false;
    "ReverseSequence"         Own,       Moves,        false, false, false;
    "SplitToSequence"         Own,       Moves,        false, false, false;
    "SequenceAt"              Own,       Moves,        false, false, false;
    // No entries of any input.
    "Constant"                Own,       Moves,        false, false, false;
    "ConstantOfShape"         Own,       Moves,        false, false, false;
    "Shape"                   Own,       Moves,        false, false, false;
    "Size"                    Own,       Moves,        false, false, false;
    "NonMaxSuppression"       Own,       Moves,        false, false, false;
    // What their bodies give.
    "If"                      Own,       Moves,        false, false, false;
    "Loop"                    Own,       Moves,        false, false, false;
    "Scan"                    Own,       Moves,        false, false, false;
};

/// The row of `op`.
#[must_use]
pub fn operator(op: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|o| o.name == op)
}

/// All rows.
pub fn operators() -> impl Iterator<Item = &'static Operator> {
    OPERATORS.iter()
}
