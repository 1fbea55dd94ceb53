//! Wrong rewrites on purpose: what the verifier makes of them.
//!
//! Every kind of wrong rewrite is planted into models of every origin, and the verifier must not call the result equal. What
//! it calls equal is judged once more without it (`judge.rs`); a kind says what its plants may leave unchanged.
//! `ONNX_RM_PLACES` says how many plants of a kind are tried, `ONNX_RM_KIND` which kinds: those whose names have it;
//! `ONNX_RM_DUMP` is a folder for the survivors, each beside its original.
#![cfg(feature = "verify")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod activations;
mod bounds;
mod edit;
mod feeds;
mod hosts;
mod inside;
mod judge;
mod layers;
mod mutation;
mod nets;
mod norms;
mod rearrange;
mod run;
mod sizes;
mod types;
mod weights;
mod windows;
mod wiring;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

use mutation::Mutation;
use run::Found;

/// Plants of a kind, unless `ONNX_RM_PLACES` says otherwise.
const PLACES: usize = 6;

fn kinds() -> Vec<&'static Mutation> {
    let families = [
        weights::KINDS,
        norms::KINDS,
        windows::KINDS,
        activations::KINDS,
        bounds::KINDS,
        layers::KINDS,
        rearrange::KINDS,
        wiring::KINDS,
        sizes::KINDS,
        types::KINDS,
        inside::KINDS,
    ];
    let wanted = std::env::var("ONNX_RM_KIND").unwrap_or_default();
    families.into_iter().flatten().filter(|k| k.name.contains(&wanted)).collect()
}

/// The table of every kind, then every survivor.
fn summary(found: &[Found]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<58} {:>7} {:>6} {:>7} {:>8} {:>9} {:>7}",
        "kind", "planted", "differ", "refused", "harmless", "survivors", "seconds"
    );
    for f in found {
        let left = f.survivors.len() - f.harmless();
        let open = if f.kind.open.is_some() { " (open)" } else { "" };
        let name = f.kind.name;
        let _ = writeln!(
            text,
            "{name:<58} {:>7} {:>6} {:>7} {:>8} {left:>9} {:>7.1}{open}",
            f.planted(),
            f.differs,
            f.refused,
            f.harmless(),
            f.took.as_secs_f64()
        );
    }
    for f in found {
        for s in &f.survivors {
            let shown = match (&s.shown, s.harmless) {
                (Some(shown), _) => format!("differs {shown}"),
                (None, Some(why)) => format!("harmless: {why}"),
                (None, None) => "no input was found that tells it apart".to_owned(),
            };
            let _ = writeln!(text, "  survivor: {}: {}; {shown}", f.kind.name, s.what);
        }
    }
    let sum = |count: fn(&Found) -> usize| found.iter().map(count).sum::<usize>();
    let (planted, harmless) = (sum(Found::planted) - sum(Found::harmless), sum(Found::harmless));
    let caught = sum(|f| f.differs + f.refused);
    let _ = writeln!(
        text,
        "wrong rewrites caught: {caught} of {planted} ({:.1} %), in {} kinds; {harmless} harmless ones beside them",
        100.0 * caught as f64 / planted.max(1) as f64,
        found.len()
    );
    text
}

#[test]
fn wrong_rewrites_are_caught() {
    let kinds = kinds();
    let places = std::env::var("ONNX_RM_PLACES").ok().and_then(|n| n.parse().ok()).unwrap_or(PLACES);
    let hosts = hosts::all();
    let found = run::all(&kinds, &hosts, places);
    // Not `println!`, whose words the test harness hides.
    let mut out = std::io::stdout().lock();
    let mut unusable = 0;
    for host in hosts.iter().flatten() {
        if let Some(why) = host.known_unusable() {
            unusable += 1;
            let _ = writeln!(out, "not used: {}: {why}", host.name);
        }
    }
    let _ = write!(out, "{}", summary(&found));
    // Where verification fails without a plant, nothing is learnt.
    assert!(20 * unusable < hosts.iter().map(Vec::len).sum::<usize>(), "{unusable} models cannot be used");
    let never: Vec<&str> = found.iter().filter(|f| f.planted() == 0).map(|f| f.kind.name).collect();
    assert!(never.is_empty(), "no model has a place for {never:?}");
    let missed = |f: &&Found| f.kind.open.is_none() && f.survivors.len() > f.harmless();
    let missed: Vec<&str> = found.iter().filter(missed).map(|f| f.kind.name).collect();
    assert!(missed.is_empty(), "survivors that are not shown harmless: {missed:?}");
}

#[test]
fn there_are_enough_kinds_and_each_has_a_name() {
    let kinds = kinds();
    let names: BTreeSet<&str> = kinds.iter().map(|k| k.name).collect();
    assert_eq!(names.len(), kinds.len());
    assert!(kinds.len() >= 60 || std::env::var("ONNX_RM_KIND").is_ok());
}
