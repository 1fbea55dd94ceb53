//! Dead weight (to come).
