//! Folding linear operators into fewer convolutions: no channel is carried, nothing is reserved.
//!
//! [`op`] reads one operator as a linear map of one tensor: a `Conv`, a [`dense`] layer, a per-channel affine map, an
//! average, a `Pad` of zeros. A [`region`] is a set of such operators and of the sums between them that all lead back to one
//! tensor, its origin, so that its root is one linear map of the origin. [`parallel`] finds the regions under a
//! sum (RepVGG and its kin), [`sequence`] those along a chain (`Conv` + `BatchNormalization`, `Pad` + `Conv`,
//! `Conv` + `Conv`). [`fold`] proves that a region is one convolution, border by border, and builds it.
//! [`bordered`] reads a border of the bias around a 1x1 convolution (`planes`, where sizes are free), [`transposed`] scales the weights of a `ConvTranspose`,
//! [`transposed_sum`] adds those of two, [`flatten`] scales those of a linear layer behind a `Flatten`, [`rows`] those of one over rows
//! of channels, [`head`] makes a convolution of a pool and a layer where that is asked for, [`legal`] writes a convolution as a target wants it, and [`dead`] takes away what provably
//! contributes nothing.
//!
//! Nothing here decides what is worth it: that is `plan`'s part. How single operators are read is shared with
//! residual joins ([`crate::read`]), whose shortcuts are chains of the same operators.

pub mod bordered;
pub mod dead;
pub mod dense;
pub mod flatten;
pub mod fold;
pub mod head;
pub mod legal;
pub mod map;
pub mod op;
pub mod parallel;
mod planes;
pub mod region;
pub mod rows;
pub mod sequence;
pub mod transposed;
pub mod transposed_sum;

pub use fold::Fold;
pub use region::Region;
