//! Not all joins: those that were asked for, and the most within limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use onnx_rm::engine::{self, go_on};
use onnx_rm::onnx::ModelProto;
use onnx_rm::{Chain, EngineError, Limit, Limits, Objective, Options, Outcome, RejectCode};

use crate::common::{self, Build, ConvArgs, conv, ints};

/// Blocks of such widths, each behind a convolution that brings its channels, and the tensors of the joins.
fn net(widths: &[usize]) -> (ModelProto, Vec<String>) {
    deep(widths, 1)
}

/// The same with so many convolutions inside of each branch, in front of its last.
fn deep(widths: &[usize], inside: usize) -> (ModelProto, Vec<String>) {
    let mut b = Build::new(17);
    let mut x = b.input("x", &[1, 3, 8, 8]);
    let mut channels = 3;
    let mut joins = Vec::new();
    for width in widths {
        let y = b.conv(&x, &conv(channels, *width, 3));
        x = b.relu(&y);
        channels = *width;
        let mut y = x.clone();
        for _ in 0..inside {
            y = b.conv(&y, &conv(channels, channels, 3));
            y = b.relu(&y);
        }
        let y = b.conv(&y, &conv(channels, channels, 3));
        x = b.add(&y, &x);
        joins.push(x.clone());
    }
    b.output(&x);
    (b.model(), joins)
}

fn dense() -> Options {
    Options::default().carry(Chain::Conv)
}

fn rewrite(model: &ModelProto, options: &Options) -> (ModelProto, Outcome) {
    let (after, outcome) = common::rewrite(model, options);
    assert!(common::distance(model, &after) < common::ROUNDING);
    (after, outcome)
}

fn stayed(outcome: &Outcome, code: RejectCode) -> Vec<String> {
    outcome.kept().filter(|(_, reject)| reject.code == code).map(|(site, _)| site.tensor.clone()).collect()
}

/// Every choice of joins, tried one by one, with what it costs.
fn all_choices(model: &ModelProto, joins: &[String]) -> Vec<(usize, u64, u64)> {
    (0..1_usize << joins.len())
        .map(|choice| {
            let keep: Vec<String> =
                joins.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 0).map(|(_, j)| j.clone()).collect();
            let outcome = rewrite(model, &dense().keep(keep)).1;
            assert_eq!(outcome.after.joins, joins.len() - choice.count_ones() as usize);
            (choice.count_ones() as usize, outcome.after.macs.unwrap(), outcome.after.params)
        })
        .collect()
}

#[test]
fn the_most_joins_go_that_a_limit_allows() {
    let (model, joins) = net(&[12, 4, 16, 8]);
    let choices = all_choices(&model, &joins);
    let before = rewrite(&model, &dense().keep(vec!["*".to_owned()])).1.before;
    for thousandths in (1000..=2000).step_by(50) {
        let limit: Limit = format!("{}.{:03}x", thousandths / 1000, thousandths % 1000).parse().unwrap();
        for limits in [Limits::default().macs(limit), Limits::default().parameters(limit)] {
            let fits = |macs: u64, params: u64| match limits.macs {
                Some(limit) => macs <= limit.of(before.macs.unwrap()),
                None => params <= limit.of(before.params),
            };
            let most = choices.iter().filter(|(_, macs, params)| fits(*macs, *params)).map(|(n, ..)| *n).max().unwrap();
            let outcome = rewrite(&model, &dense().limits(limits)).1;
            assert!(fits(outcome.after.macs.unwrap(), outcome.after.params), "{limits:?}");
            assert_eq!(outcome.after.joins, joins.len() - most, "{limits:?}");
            assert_eq!(stayed(&outcome, RejectCode::OverBudget).len(), joins.len() - most, "{limits:?}");
        }
    }
}

/// The peak is at one place: a join elsewhere costs nothing, and the widest stays.
#[test]
fn peak_memory_is_a_limit_too() {
    // Two wide tensors are alive between two convolutions inside of a branch.
    let (model, joins) = deep(&[12, 4, 16, 8], 2);
    let removed = |keep: &[String]| rewrite(&model, &dense().keep(keep.to_vec())).1;
    let before = removed(&["*".to_owned()]).after.activation_bytes.unwrap();
    let all = removed(&[]).after.activation_bytes.unwrap();
    assert!(all > before, "{before} {all}");
    let peaks: Vec<(usize, u64)> = (0..1_usize << joins.len())
        .map(|choice| {
            let keep: Vec<String> =
                (0..joins.len()).filter(|i| choice >> i & 1 == 0).map(|i| joins[i].clone()).collect();
            (choice.count_ones() as usize, removed(&keep).after.activation_bytes.unwrap())
        })
        .collect();
    for limit in [before, (before + all) / 2, all - 1, all] {
        let most = peaks.iter().filter(|(_, peak)| *peak <= limit).map(|(n, _)| *n).max().unwrap();
        let outcome = rewrite(&model, &dense().limits(Limits::default().peak_memory(Limit::Count(limit)))).1;
        assert!(outcome.after.activation_bytes.unwrap() <= limit);
        assert_eq!(outcome.after.joins, joins.len() - most, "{limit} of {before} to {all}");
    }
    assert!(peaks.iter().any(|(n, peak)| *n > 0 && *n < joins.len() && *peak == before), "no join is free: {peaks:?}");
}

/// The join that takes the smallest share of both limits takes so much of each that no other fits beside it.
#[test]
fn the_cheapest_join_stays_where_two_others_fit_without_it() {
    let mut b = Build::new(17);
    let mut x = b.input("x", &[1, 4, 32, 32]);
    let mut joins = Vec::new();
    // Few weights at many positions, some at some, many at few.
    for (channels, width, stride) in [(4, 4, 1), (4, 11, 4), (11, 30, 8)] {
        let y = b.conv(&x, &ConvArgs { stride, ..conv(channels, width, 3) });
        x = b.relu(&y);
        let y = b.conv(&x, &conv(width, width, 3));
        let y = b.relu(&y);
        let y = b.conv(&y, &conv(width, width, 3));
        x = b.add(&y, &x);
        joins.push(x.clone());
    }
    b.output(&x);
    let model = b.model();
    let kept = |keep: &[&String]| rewrite(&model, &dense().keep(keep.iter().map(|k| (*k).clone()).collect())).1.after;
    let two = kept(&[&joins[1]]);
    let limits = Limits::default().macs(Limit::Count(two.macs.unwrap())).parameters(Limit::Count(two.params));
    for other in [0, 2] {
        let pair = kept(&[&joins[other]]);
        assert!(pair.macs > two.macs || pair.params > two.params, "the middle one fits beside another");
    }
    let outcome = rewrite(&model, &dense().limits(limits)).1;
    assert_eq!(stayed(&outcome, RejectCode::OverBudget), [joins[1].clone()]);
    let hints: Vec<_> = outcome.kept().map(|(_, reject)| reject.hint.clone()).collect();
    assert!(hints.iter().any(|hint| hint.contains("every larger set of joins was tried")), "{hints:?}");
}

/// What is chosen for one block is chosen for all of its kind, which is what it would be for each by itself.
#[test]
fn blocks_of_one_kind_take_one_form() {
    for options in [dense(), Options::default(), Options::default().objective(Objective::Macs)] {
        let (model, joins) = net(&[24, 24, 24, 16, 16]);
        let change = |outcome: &Outcome, join: &String| {
            let mut found =
                outcome.removed().filter(|(site, _)| site.tensor == *join).map(|(_, change)| change.clone());
            let mut change = found.next().unwrap();
            change.channels.iter_mut().for_each(|c| c.tensor.clear());
            change
        };
        let together = rewrite(&model, &options).1;
        for join in &joins {
            let others: Vec<String> = joins.iter().filter(|j| *j != join).cloned().collect();
            let alone = rewrite(&model, &options.clone().keep(others)).1;
            assert_eq!(change(&together, join), change(&alone, join));
        }
        assert_ne!(change(&together, &joins[0]), change(&together, &joins[4]), "another width costs something else");
    }
}

/// The peak of the whole model, by liveness, is what the objective makes small.
#[test]
fn no_other_objective_has_a_smaller_peak_than_memory() {
    let mut differ = 0;
    for (widths, inside) in [(vec![12, 4, 16, 8], 2), (vec![32, 32], 1), (vec![24, 64], 2), (vec![64], 3)] {
        let (model, _) = deep(&widths, inside);
        let peak =
            |objective| rewrite(&model, &Options::default().objective(objective)).1.after.activation_bytes.unwrap();
        let least = peak(Objective::Memory);
        for other in [Objective::Macs, Objective::Latency, Objective::Parameters, Objective::Nodes] {
            assert!(least <= peak(other), "{widths:?} {other:?}");
            differ += usize::from(least < peak(other));
        }
    }
    assert!(differ > 0, "all forms have one peak, so nothing was compared");
}

#[test]
fn both_of_two_limits_are_kept() {
    let (model, joins) = net(&[12, 4, 16, 8]);
    let half = rewrite(&model, &dense().keep(joins[2..].to_vec())).1;
    let limits = Limits::default().macs(Limit::Count(half.after.macs.unwrap()));
    let both = limits.bytes(Limit::Count(half.before.bytes + 400));
    let (_, outcome) = rewrite(&model, &dense().limits(both));
    assert!(outcome.after.macs <= half.after.macs && outcome.after.bytes <= half.before.bytes + 400);
    assert!(outcome.after.joins > rewrite(&model, &dense().limits(limits)).1.after.joins);
}

#[test]
fn a_limit_below_the_model_itself_is_an_error_and_changes_nothing() {
    let (model, _) = net(&[4]);
    let mut copy = model.clone();
    let limits = Limits::default().macs(Limit::Thousandths(900));
    let error = engine::rewrite_proto(&mut copy, &dense().limits(limits), &mut go_on).unwrap_err();
    assert!(matches!(error, EngineError::Limit { .. }));
    assert!(error.to_string().contains("multiply-accumulates, where") && error.to_string().contains("0.9x"), "{error}");
    assert_eq!(copy, model);
}

#[test]
fn patterns_say_which_joins_stay_or_go() {
    let (model, joins) = net(&[4, 4, 4]);
    let node = |tensor: &String| {
        let nodes = &model.graph.as_ref().unwrap().node;
        nodes.iter().find(|n| n.output[0] == *tensor).unwrap().name().to_owned()
    };
    let stays = |options: Options| stayed(&rewrite(&model, &options).1, RejectCode::NotAsked);
    assert_eq!(stays(dense().keep(vec![joins[1].clone()])), [joins[1].clone()]);
    assert_eq!(stays(dense().keep(vec![node(&joins[1])])), [joins[1].clone()]);
    assert_eq!(stays(dense().sites(vec![joins[1].clone()])), [joins[0].clone(), joins[2].clone()]);
    assert_eq!(stays(dense().keep(vec!["Add_*".to_owned()])), joins);
    assert_eq!(stays(dense().sites(vec!["*".to_owned()]).keep(vec![joins[0].clone()])), [joins[0].clone()]);
    assert!(stays(dense().keep(vec!["nothing?".to_owned()])).is_empty());
}

/// A join inside the branch of another: what is carried past it makes it wider, and its tensor has another name then. With the channels
/// behind, the order of axes changes that name too.
#[test]
fn a_join_that_was_asked_to_stay_stays_whatever_it_is_called_then() {
    let nested = |last: bool| {
        let mut b = Build::new(23);
        let x = if last { b.input("x", &[1, 8, 8, 4]) } else { b.input("x", &[1, 4, 8, 8]) };
        let layer = |b: &mut Build, x: &str| {
            let x = if last { b.node("Transpose", &[x], vec![ints("perm", &[0, 3, 1, 2])]) } else { x.to_owned() };
            let y = b.conv(&x, &conv(4, 4, 3));
            if last { b.node("Transpose", &[&y], vec![ints("perm", &[0, 2, 3, 1])]) } else { y }
        };
        let x = b.relu(&x);
        let y = layer(&mut b, &x);
        let fork = b.relu(&y);
        let y = layer(&mut b, &fork);
        let y = b.relu(&y);
        let y = layer(&mut b, &y);
        let inner = b.add(&y, &fork);
        let y = b.relu(&inner);
        let y = layer(&mut b, &y);
        let outer = b.add(&y, &x);
        b.output(&outer);
        (b.model(), inner, outer)
    };
    for last in [false, true] {
        let (model, inner, outer) = nested(last);
        assert_eq!(rewrite(&model, &Options::default().long_skips(true)).1.after.joins, 0);
        for options in [
            Options::default().keep(vec![inner.clone()]),
            Options::default().sites(vec![outer.clone()]),
            Options::default().long_skips(true).keep(vec![inner.clone()]),
        ] {
            let (_, outcome) = rewrite(&model, &options);
            assert_eq!(stayed(&outcome, RejectCode::NotAsked), [inner.as_str()], "{last}: {:#?}", outcome.sites);
            assert_eq!(
                outcome.after.joins,
                outcome.before.joins - outcome.removed().filter(|(s, _)| s.is_residual()).count()
            );
        }
    }
}
