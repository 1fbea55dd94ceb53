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
    /// True when it makes zeros of zeros. A window in the padding alone holds none: see `facts::has_full_windows`.
    pub zero: bool,
    /// True when it gives `k` times as much for `k x` as for `x`, for every `k > 0`.
    pub homogeneous: bool,
    /// True when it reads one tensor of data and treats its channels apart, all in the same way.
    pub apart: bool,
    /// Where runtimes leave what it gives.
    pub storage: Storage,
}

/// Where runtimes leave the result of an operator: what their planners of memory do where nothing reads the operand later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// It is the first input, seen with other sizes.
    View,
    /// It is written over an operand of the same size.
    Over,
    /// It takes memory of its own.
    New,
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
use Storage::{New, Over, View};

macro_rules! operators {
    ($($name:literal $shape:expr, $rounding:expr, $zero:expr, $homogeneous:expr, $apart:expr, $storage:expr;)*) => {
        &[$(Operator {
            name: $name, shape: $shape, rounding: $rounding, zero: $zero, homogeneous: $homogeneous, apart: $apart,
            storage: $storage,
        }),*]
    };
}

/// Operators of which something is known besides their own file. Where one has parameters that are inputs, a column holds whatever these are.
#[rustfmt::skip]
const OPERATORS: &[Operator] = operators! {
    // name                   shape      rounding      zero   homog. apart  result
    "Identity"                Entries,   Moves,        true,  true,  true,   View;
    "Clip"                    Entries,   Moves,        false, false, true,   Over;
    "PRelu"                   Same,      Rounds,       true,  false, false,  Over;
    "Cast"                    Entries,   Rounds,       false, false, false,  New;
    "CastLike"                Entries,   Rounds,       false, false, false,  New;
    // Inactive; in training it draws numbers for all channels together.
    "Dropout"                 Entries,   Moves,        true,  false, false,  View;
    "Not"                     Entries,   Rounds,       false, false, false,  New;
    "IsNaN"                   Entries,   Rounds,       false, false, false,  New;
    "IsInf"                   Entries,   Rounds,       false, false, false,  New;
    // Arithmetic.
    "Add"                     Broadcast, Rounds,       false, false, false,  Over;
    "Sub"                     Broadcast, Rounds,       false, false, false,  Over;
    "Mul"                     Broadcast, Rounds,       false, false, false,  Over;
    "Div"                     Broadcast, Rounds,       false, false, false,  Over;
    "Pow"                     Broadcast, Approximates, false, false, false,  Over;
    "Max"                     Broadcast, Moves,        false, false, false,  Over;
    "Min"                     Broadcast, Moves,        false, false, false,  Over;
    "Sum"                     Broadcast, Rounds,       false, false, false,  Over;
    "Mean"                    Broadcast, Approximates, false, false, false,  New;
    "Where"                   Broadcast, Moves,        false, false, false,  New;
    "Mod"                     Broadcast, Jumps,        false, false, false,  New;
    "Equal"                   Broadcast, Jumps,        false, false, false,  New;
    "Greater"                 Broadcast, Jumps,        false, false, false,  New;
    "Less"                    Broadcast, Jumps,        false, false, false,  New;
    "GreaterOrEqual"          Broadcast, Jumps,        false, false, false,  New;
    "LessOrEqual"             Broadcast, Jumps,        false, false, false,  New;
    "And"                     Broadcast, Rounds,       false, false, false,  New;
    "Or"                      Broadcast, Rounds,       false, false, false,  New;
    "Xor"                     Broadcast, Rounds,       false, false, false,  New;
    // Windows.
    "MaxPool"                 Own,       Moves,        true,  true,  true,   New;
    "AveragePool"             Own,       Approximates, true,  true,  true,   New;
    "LpPool"                  Own,       Approximates, true,  true,  true,   New;
    "GlobalMaxPool"           Own,       Moves,        true,  true,  true,   New;
    "GlobalAveragePool"       Own,       Approximates, true,  true,  true,   New;
    "GlobalLpPool"            Own,       Approximates, true,  true,  true,   New;
    // Reductions.
    "ReduceMax"               Own,       Moves,        false, true,  false,  New;
    "ReduceMin"               Own,       Moves,        false, true,  false,  New;
    "ReduceMean"              Own,       Approximates, false, true,  false,  New;
    "ReduceSum"               Own,       Approximates, false, true,  false,  New;
    "ReduceProd"              Own,       Approximates, false, false, false,  New;
    "ReduceL1"                Own,       Approximates, false, true,  false,  New;
    "ReduceL2"                Own,       Approximates, false, true,  false,  New;
    "ReduceSumSquare"         Own,       Approximates, false, false, false,  New;
    "ArgMax"                  Own,       Moves,        false, false, false,  New;
    "ArgMin"                  Own,       Moves,        false, false, false,  New;
    "TopK"                    Own,       Moves,        false, false, false,  New;
    // Sums of products.
    "MatMul"                  Own,       Approximates, false, false, false,  New;
    "Gemm"                    Own,       Approximates, false, false, false,  New;
    "Einsum"                  Own,       Approximates, false, false, false,  New;
    // Normalisations.
    "BatchNormalization"      Same,      Approximates, false, false, false,  Over;
    "InstanceNormalization"   Same,      Approximates, false, false, false,  New;
    "LayerNormalization"      Same,      Approximates, false, false, false,  New;
    "GroupNormalization"      Same,      Approximates, false, false, false,  New;
    "RMSNormalization"        Same,      Approximates, false, false, false,  New;
    "LRN"                     Same,      Approximates, false, false, false,  New;
    "LpNormalization"         Same,      Approximates, false, false, false,  New;
    "Softmax"                 Same,      Approximates, false, false, false,  New;
    "LogSoftmax"              Same,      Approximates, false, false, false,  New;
    "Hardmax"                 Same,      Approximates, false, false, false,  New;
    "CumSum"                  Same,      Approximates, false, false, false,  New;
    // Integers of floats.
    "QuantizeLinear"          Same,      Rounds,       false, false, false,  New;
    "DequantizeLinear"        Same,      Rounds,       false, false, false,  New;
    // Entries of the inputs, in other places.
    "Trilu"                   Same,      Moves,        false, false, false,  New;
    "ScatterElements"         Same,      Moves,        false, false, false,  New;
    "ScatterND"               Same,      Moves,        false, false, false,  New;
    "Reshape"                 Own,       Moves,        false, false, false,  View;
    "Flatten"                 Own,       Moves,        false, false, false,  View;
    "Squeeze"                 Own,       Moves,        false, false, false,  View;
    "Unsqueeze"               Own,       Moves,        false, false, false,  View;
    "Transpose"               Own,       Moves,        false, false, false,  New;
    "Slice"                   Own,       Moves,        false, false, false,  New;
    "Split"                   Own,       Moves,        false, false, false,  New;
    "Concat"                  Own,       Moves,        false, false, false,  New;
    "Gather"                  Own,       Moves,        false, false, false,  New;
    "GatherElements"          Own,       Moves,        false, false, false,  New;
    "GatherND"                Own,       Moves,        false, false, false,  New;
    "Expand"                  Own,       Moves,        false, false, false,  New;
    "Tile"                    Own,       Moves,        false, false, false,  New;
    "Pad"                     Own,       Moves,        false, false, false,  New;
    "DepthToSpace"            Own,       Moves,        false, false, false,  New;
    "SpaceToDepth"            Own,       Moves,        false, false, false,  New;
    "Compress"                Own,       Moves,        false, false, false,  New;
    "OneHot"                  Own,       Moves,        false, false, false,  New;
    "ReverseSequence"         Own,       Moves,        false, false, false,  New;
    "SplitToSequence"         Own,       Moves,        false, false, false,  New;
    "SequenceAt"              Own,       Moves,        false, false, false,  New;
    // No entries of any input.
    "Constant"                Own,       Moves,        false, false, false,  New;
    "ConstantOfShape"         Own,       Moves,        false, false, false,  New;
    "Shape"                   Own,       Moves,        false, false, false,  New;
    "Size"                    Own,       Moves,        false, false, false,  New;
    "NonMaxSuppression"       Own,       Moves,        false, false, false,  New;
    // What their bodies give.
    "If"                      Own,       Moves,        false, false, false,  New;
    "Loop"                    Own,       Moves,        false, false, false,  New;
    "Scan"                    Own,       Moves,        false, false, false,  New;
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
