//! What a run found and did, as one serialisable value; text for people, JSON for machines.

mod model;
mod text;

pub use model::{
    Change, Exactness, NotInspected, Outcome, Price, RejectReport, Report, SCHEMA_VERSION, SiteReport, SiteStatus,
    StopReason, Verification,
};
