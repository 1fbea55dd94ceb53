//! A report as people and machines read it, one file a format.

mod github;
mod json;
mod junit;
mod markdown;
mod sarif;
mod text;
