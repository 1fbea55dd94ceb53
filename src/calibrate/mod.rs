//! Measures the rates of the model of time on the machine at hand: small models run in turns, and the rates are what explains their
//! times best. [`nets`] makes the models, [`fit`] explains the times, [`run`] does both.

pub mod fit;
pub mod nets;
pub mod run;
