//! What removal costs by how much of it is done, and each join by the form it is done in.

use std::fmt;

use serde::Serialize;

use crate::options::{Chain, Downsample};
use crate::plan::change::{Change, Price};
use crate::printable::Printable;

use super::number::{short, thousands};

/// The price of removal by how many joins go, and what every join costs in each form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Curve {
    /// From no join removed to all that can be, the cheapest first; none of them costs as much as another that removes more.
    pub points: Vec<CurvePoint>,
    /// The joins that can be removed.
    pub sites: Vec<SiteForms>,
}

/// A model with some of the joins removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CurvePoint {
    /// Joins that are gone.
    pub removed: usize,
    /// What the model then costs.
    pub price: Price,
    /// The tensors of the joins that could go and stay.
    pub kept: Vec<String>,
}

/// The forms in which one join can be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SiteForms {
    /// The node.
    pub join: String,
    /// What it computes.
    pub tensor: String,
    /// What was chosen, then what else can be asked for.
    pub forms: Vec<PricedForm>,
}

/// One form, and what to ask for to get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PricedForm {
    /// What the chain may consist of.
    pub carry: Chain,
    /// The recipe for a projection.
    pub downsample: Downsample,
    /// The form and its price.
    #[serde(flatten)]
    pub change: Change,
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.points.first() else { return Ok(()) };
        writeln!(f, "joins left against the price, the cheapest removed first")?;
        writeln!(
            f,
            "  {:>10} {:>8} {:>18} {:>18} {:>18} {:>8}",
            "joins left", "removed", "MACs", "parameters", "peak bytes", "nodes"
        )?;
        let cell = |n: Option<u64>, of: Option<u64>| match (n, of) {
            (Some(n), Some(of)) if of > 0 => format!("{} {:>5.2}x", short(n), n as f64 / of as f64),
            (Some(n), _) => short(n),
            _ => "unknown".to_owned(),
        };
        for point in &self.points {
            let (price, whole) = (&point.price, &first.price);
            writeln!(
                f,
                "  {:>10} {:>8} {:>18} {:>18} {:>18} {:>8}",
                price.joins,
                point.removed,
                cell(price.macs, whole.macs),
                cell(Some(price.params), Some(whole.params)),
                cell(price.activation_bytes, whole.activation_bytes),
                price.nodes
            )?;
        }
        writeln!(f, "forms of each join, the chosen one first, and what asks for the others")?;
        for site in &self.sites {
            writeln!(f, "  {}", Printable(if site.join.is_empty() { &site.tensor } else { &site.join }))?;
            for (i, form) in site.forms.iter().enumerate() {
                write!(f, "    {}", Printable(&form.change.form))?;
                if let (Some(a), Some(b)) = (form.change.macs_before, form.change.macs_after) {
                    write!(f, " ({} -> {} MACs)", thousands(a), thousands(b))?;
                }
                match i {
                    0 => writeln!(f)?,
                    _ => writeln!(f, "  --carry {} --downsample {}", word(&form.carry), word(&form.downsample))?,
                }
            }
        }
        Ok(())
    }
}

/// The word of the command line for a choice.
fn word(choice: &impl Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
