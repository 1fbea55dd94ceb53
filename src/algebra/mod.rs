//! Pure tensor arithmetic in float64: convolution kernels as values. Knows no ONNX.
//!
//! Everything the rewriter computes on weights is here, so that it can be read and tested without a
//! graph. Weights are `[out, in / group, k...]`, one spatial axis or more.

pub mod blocks;
mod carries;
pub mod compose;
pub mod kernel;
pub mod normal;
pub mod scale;
pub mod slots;
pub mod solve;
pub mod sum;
pub mod widen;
pub mod window;

pub use blocks::{Cut, Hop, Sum};
pub use kernel::{Geometry, Kernel, MAX_WEIGHTS};
pub use slots::{Carried, Layout, Part, Slot};
pub use widen::{Carry, Reach};
pub use window::Border;
