//! What a run found and did, as one serialisable value; text for people, JSON for machines.

mod curve;
mod model;
mod number;
mod text;

pub use curve::{Curve, CurvePoint, PricedForm, SiteForms};
pub use model::{
    Action, NotInspected, Outcome, RejectReport, Report, SCHEMA_VERSION, SiteReport, SiteStatus, StopReason,
    Verification,
};
#[cfg(feature = "cli")]
pub(crate) use number::thousands;
