//! What runs the model later: which operators may be written for it, how, and what counts there. A target is data, one file of
//! `src/targets` or one of the user's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::choices::{ActivationForm, Chain, Objective, Pads};
use super::families::Selector;
use super::located::located;

/// The files, in the order of lists.
const FILES: &[&str] = &[
    include_str!("../targets/generic.toml"),
    include_str!("../targets/onnxruntime.toml"),
    include_str!("../targets/tensorrt.toml"),
    include_str!("../targets/openvino.toml"),
    include_str!("../targets/tract.toml"),
    include_str!("../targets/ncnn.toml"),
    include_str!("../targets/litert.toml"),
    include_str!("../targets/ethos-u.toml"),
    include_str!("../targets/rknn.toml"),
    include_str!("../targets/akida2.toml"),
    include_str!("../targets/speck.toml"),
    include_str!("../targets/hls4ml.toml"),
    include_str!("../targets/tfhe.toml"),
    include_str!("../targets/zk.toml"),
];

static ALL: LazyLock<Vec<Target>> =
    LazyLock::new(|| FILES.iter().filter_map(|text| Target::parse(text).ok()).collect());

/// Which convolutions may be written that have groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Groups {
    /// None.
    None,
    /// Such with a group for each input channel.
    Depthwise,
    /// Any.
    #[default]
    Any,
}

impl Groups {
    /// True when a convolution of so many input channels in `group` groups is one of them.
    #[must_use]
    pub fn has(self, group: usize, inputs: usize) -> bool {
        match self {
            _ if group == 1 => true,
            Self::Any => true,
            Self::Depthwise => group == inputs,
            Self::None => false,
        }
    }

    /// The narrowest of these that a convolution of so many input channels in `group` groups is one of.
    #[must_use]
    pub fn of(group: usize, inputs: usize) -> Self {
        [Self::None, Self::Depthwise].into_iter().find(|g| g.has(group, inputs)).unwrap_or(Self::Any)
    }
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(String);

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Profile {
    name: String,
    about: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operators: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without: Vec<String>,
    groups: Groups,
    activation: ActivationForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    carry: Option<Chain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objective: Option<Objective>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pads: Option<Pads>,
    fold_head: bool,
    explicit_attributes: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skip: Vec<Selector>,
    chain: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fused: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opset: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, String>,
}

/// What runs the model later. The default, `generic`, takes everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Arc<Profile>);

impl Default for Target {
    fn default() -> Self {
        ALL.first().cloned().unwrap_or_else(|| Self(Arc::default()))
    }
}

impl Target {
    /// All that this program knows.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The one that is called `name`.
    ///
    /// # Errors
    /// Which ones there are, where there is none of that name.
    pub fn named(name: &str) -> Result<Self, TargetError> {
        let known = || ALL.iter().map(Self::name).collect::<Vec<_>>().join(", ");
        let found = ALL.iter().find(|t| t.name() == name).cloned();
        found.ok_or_else(|| TargetError(format!("expected a file that ends in .toml, or one of {}", known())))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        Self::new(toml::from_str(text).map_err(|e| TargetError(located(text, &e)))?)
    }

    fn new(profile: Profile) -> Result<Self, TargetError> {
        let fail = |why: &str| Err(TargetError(why.to_owned()));
        if profile.name.is_empty() {
            return fail("a target needs a name");
        }
        if !profile.operators.is_empty() && !profile.without.is_empty() {
            return fail("'operators' (only these) and 'without' (all but these) cannot both stand in one target");
        }
        Ok(Self(Arc::new(profile)))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is, in words.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.0.about
    }

    /// Where each fact comes from, by key.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.sources.iter().map(|(key, source)| (key.as_str(), source.as_str()))
    }

    /// True when the operator `op` may be written for it.
    #[must_use]
    pub fn takes(&self, op: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|o| o == op);
        match self.0.operators.is_empty() {
            true => !is_in(&self.0.without),
            false => is_in(&self.0.operators),
        }
    }

    /// Which convolutions in groups may be written for it.
    #[must_use]
    pub fn groups(&self) -> Groups {
        self.0.groups
    }

    /// How signed carried channels best pass an activation there.
    #[must_use]
    pub fn activation(&self) -> ActivationForm {
        self.0.activation
    }

    /// What a chain should consist of, where that is said.
    #[must_use]
    pub fn carry(&self) -> Option<Chain> {
        self.0.carry
    }

    /// What should be made small, where that is said.
    #[must_use]
    pub fn objective(&self) -> Option<Objective> {
        self.0.objective
    }

    /// Whether pads may differ between the ends of an axis, where that is said.
    #[must_use]
    pub fn pads(&self) -> Option<Pads> {
        self.0.pads
    }

    /// True when heads should be folded: it lacks pools over a whole map, or shapes that are data.
    #[must_use]
    pub fn folds_heads(&self) -> bool {
        self.0.fold_head
    }

    /// True when every convolution has to say its groups, dilations, strides and pads.
    #[must_use]
    pub fn wants_attributes(&self) -> bool {
        self.0.explicit_attributes
    }

    /// Mechanisms that gain nothing there.
    #[must_use]
    pub fn skip(&self) -> &[Selector] {
        &self.0.skip
    }

    /// True when every tensor should have one reader.
    #[must_use]
    pub fn wants_chain(&self) -> bool {
        self.0.chain
    }

    /// True when a function that is written out around the operator `op` runs there as one, as long as nothing parts it.
    #[must_use]
    pub fn fuses(&self, op: &str) -> bool {
        self.0.fused.iter().any(|o| o == op)
    }

    /// The only opset that it reads, where there is such.
    #[must_use]
    pub fn opset(&self) -> Option<i64> {
        self.0.opset
    }
}

/// All that its file says.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = ALL.iter().position(|t| t == self).and_then(|at| FILES.get(at));
        match known {
            Some(text) => f.write_str(text.trim_end()),
            None => f.write_str(&serde_json::to_string_pretty(&*self.0).unwrap_or_default()),
        }
    }
}

/// One that this program knows is its name; any other one is all that it says.
impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match ALL.contains(self) {
            true => serializer.serialize_str(self.name()),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Name(String),
            All(Box<Profile>),
        }
        let found = match Said::deserialize(deserializer)? {
            Said::Name(name) => Self::named(&name),
            Said::All(profile) => Self::new(*profile),
        };
        found.map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_file_is_read_and_says_where_each_fact_comes_from() {
        assert_eq!(ALL.len(), FILES.len());
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(Target::name).collect();
        assert_eq!(names.len(), ALL.len());
        for (target, text) in ALL.iter().zip(FILES) {
            let table: toml::Table = text.parse().unwrap();
            assert!(!target.about().is_empty());
            let facts = table.keys().filter(|k| !["name", "about", "sources"].contains(&k.as_str()));
            for fact in facts {
                let source = target.sources().find(|(key, _)| key == fact);
                assert!(source.is_some_and(|(_, s)| s.len() > 10), "{}: no source for {fact}", target.name());
            }
        }
        assert_eq!(Target::default(), Target::named("generic").unwrap());
    }

    #[test]
    fn generic_and_onnxruntime_restrict_nothing() {
        for target in ["generic", "onnxruntime", "tract"].map(|name| Target::named(name).unwrap()) {
            assert!(["PRelu", "Where", "Gather", "Max"].iter().all(|op| target.takes(op)));
            assert!(target.groups() == Groups::Any && target.skip().is_empty() && !target.wants_attributes());
            assert!(target.carry().is_none() && target.objective().is_none() && target.pads().is_none());
        }
    }

    #[test]
    fn a_list_says_what_may_or_what_may_not_be_written() {
        let only = Target::parse("name = 'a'\noperators = ['Conv']").unwrap();
        assert!(only.takes("Conv") && !only.takes("Relu"));
        let but = Target::parse("name = 'a'\nwithout = ['Where']").unwrap();
        assert!(but.takes("Conv") && !but.takes("Where"));
        assert!(Groups::Depthwise.has(8, 8) && !Groups::Depthwise.has(4, 8) && Groups::Any.has(4, 8));
        assert!(Groups::None.has(1, 8) && !Groups::None.has(8, 8));
        assert_eq!(
            [(1, 8), (8, 8), (2, 8)].map(|(g, n)| Groups::of(g, n)),
            [Groups::None, Groups::Depthwise, Groups::Any]
        );
    }

    #[test]
    fn what_is_no_target_is_said_in_one_line() {
        let wrong = [
            ("name = ''", "needs a name"),
            ("name = 'a'\noperators = ['Conv']\nwithout = ['Relu']", "cannot both"),
            ("name = 'a'\nspeed = 3", "line 2"),
            ("name = 'a'\n\ngroups = 'some'", "line 3"),
            ("]", "line 1"),
        ];
        for (text, said) in wrong {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains('\n'), "{text}: {error}");
        }
        assert!(Target::named("moon").unwrap_err().to_string().contains("akida2"));
    }

    #[test]
    fn a_target_comes_back_from_what_is_written_of_it() {
        let own = Target::parse("name = 'mine'\nwithout = ['Gather']\nopset = 13").unwrap();
        for target in [own, Target::named("speck").unwrap()] {
            let text = serde_json::to_string(&target).unwrap();
            assert_eq!(serde_json::from_str::<Target>(&text).unwrap(), target, "{text}");
        }
        assert_eq!(serde_json::to_string(&Target::default()).unwrap(), "\"generic\"");
    }
}
