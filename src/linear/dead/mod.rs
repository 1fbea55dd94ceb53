//! Dead weight: channels that are zero or never read, initializers that are unused or stand twice.
//!
//! Only what is proved goes. [`channels`] reads one convolution or linear layer and everything up to those that read its
//! channels, [`narrow`] takes them away; [`initializers`] looks at constants alone.

mod axis;
pub mod bounds;
pub mod channels;
pub mod initializers;
pub mod narrow;
