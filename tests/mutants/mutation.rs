//! What a kind of wrong rewrite is.

use onnx_rm::onnx::ModelProto;

use crate::common::Rng;
use crate::mutants::edit::Words;

/// Plants one wrong thing.
pub type Plant = fn(&mut ModelProto, &mut Rng) -> Words;

/// Says of a model before and after a plant why nothing can have changed. It reads structure only; that no input tells the two
/// apart is looked at beside it.
pub type Harmless = fn(&ModelProto, &ModelProto) -> Option<&'static str>;

/// A kind of wrong rewrite.
pub struct Mutation {
    pub name: &'static str,
    pub plant: Plant,
    /// Why a plant of this kind may survive; `None`: it must not.
    pub open: Option<&'static str>,
    pub harmless: Harmless,
    /// Why a place may hide such a plant, so that one that no input shows is no survivor.
    pub hidden: Option<&'static str>,
}

/// A kind of which no plant may survive, unless it is shown to be harmless.
pub const fn kind(name: &'static str, plant: Plant) -> Mutation {
    Mutation { name, plant, open: None, harmless: |_, _| None, hidden: None }
}

impl Mutation {
    /// Verification does not catch all of this kind yet.
    pub const fn open(mut self, why: &'static str) -> Self {
        self.open = Some(why);
        self
    }

    /// What a plant of this kind changes is so little of a model that its place may hide it.
    pub const fn hidden(mut self, why: &'static str) -> Self {
        self.hidden = Some(why);
        self
    }

    pub const fn harmless(mut self, when: Harmless) -> Self {
        self.harmless = when;
        self
    }
}
