//! Dead weight: channels that are zero or never read, initializers that are unused or stand twice.
//!
//! Only what is proved goes. [`channels`] reads one convolution and everything up to the convolutions that read its
//! channels; [`initializers`] looks at constants alone.

pub mod bounds;
pub mod channels;
pub mod initializers;
