//! Inputs that the user has: archives, single arrays, ONNX test data and folders of images, one file a kind.
//!
//! [`Samples::open`] looks at what is there and reads no values; [`Samples::read`] reads one set of inputs, so that as many as there
//! are files take the memory of one. Every tensor is held against the [`Port`](super::signature::Port) that it is for before it is
//! given out, and what a file asks for is bounded before it is allocated.

mod archive;
mod array;
mod error;
mod fit;
mod npy;
mod open;
#[cfg(feature = "images")]
mod pictures;
mod preprocess;
mod test_data;

pub use error::SampleError;
pub use open::{Sample, Samples};
pub use preprocess::{Layout, Order, Preprocess, Resize};
