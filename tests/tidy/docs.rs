//! Codes, dependencies, operator files and commands against the pages that list them.

use std::collections::BTreeSet;

use super::tables::rows;
use super::{assert_same, files, quoted, read, root};

#[test]
fn every_reject_code_is_explained() {
    let source = read("src/read/reject.rs");
    let (names, words): (Vec<&str>, BTreeSet<String>) = source
        .lines()
        .filter_map(|l| l.trim().strip_prefix("Self::")?.split_once(" => \""))
        .map(|(name, word)| (name, word.trim_end_matches("\",").to_owned()))
        .unzip();
    assert!(words.len() > 10, "the codes are no longer read: {words:?}");
    let page = read("docs/REJECTS.md");
    let listed: BTreeSet<String> = rows(&page, "code").iter().map(|r| quoted(&r[0])[0].to_owned()).collect();
    let explained: BTreeSet<String> =
        page.lines().filter_map(|l| l.strip_prefix("## ")).map(|l| l.trim_matches('`').to_owned()).collect();
    assert_same("docs/REJECTS.md, table", &words, &listed);
    assert_same("docs/REJECTS.md, sections", &words, &explained);
    assert!(words.iter().all(|w| w.parse::<onnx_rm::RejectCode>().is_ok()), "RejectCode::ALL lacks one");
    let made: String = files("src", "rs").iter().filter(|f| !f.ends_with("read/reject.rs")).map(|f| read(f)).collect();
    let unused: Vec<_> = names.iter().filter(|n| !made.contains(&format!("RejectCode::{n}"))).collect();
    assert!(unused.is_empty(), "no code makes these: {unused:?}");
}

/// Every target has its file, a row in docs/TARGETS.md that says what it takes, and its name in the README.
#[test]
fn every_target_is_listed() {
    let names: BTreeSet<String> = onnx_rm::Target::all().iter().map(|t| t.name().to_owned()).collect();
    let file = |f: &String| f.replace("src/targets/", "").replace(".toml", "");
    assert_same("src/targets", &names, &files("src/targets", "toml").iter().map(file).collect());
    let table = rows(&read("docs/TARGETS.md"), "target");
    assert_same("docs/TARGETS.md", &names, &table.iter().map(|r| quoted(&r[0])[0].to_owned()).collect());
    for row in table {
        let target = onnx_rm::Target::named(quoted(&row[0])[0]).unwrap();
        assert_eq!(row[1], target.about());
        let listed = quoted(&row[2]);
        let only = row[2].starts_with("only");
        assert_eq!(only || !listed.is_empty(), row[2] != "anything", "{row:?}");
        assert!(listed.iter().all(|op| target.takes(op) == only), "{row:?}");
        assert!(!only || !target.takes("NoSuchOperator"), "{row:?}");
    }
    let readme = read("README.md");
    assert!(names.iter().all(|name| readme.contains(&format!("`{name}`"))), "README.md lacks one of {names:?}");
}

#[test]
fn every_dependency_is_explained() {
    let mut named = BTreeSet::new();
    let mut inside = false;
    // The Python package has dependencies of its own, beside the crate itself.
    for line in [read("Cargo.toml"), read("python/Cargo.toml")].iter().flat_map(|manifest| manifest.lines()) {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if let (true, Some((name, _))) = (inside && !line.starts_with('#'), line.split_once('=')) {
            named.extend(Some(name.trim().to_owned()).filter(|name| name != "onnx-rm"));
        }
    }
    assert!(named.contains("prost"), "the dependencies are no longer read: {named:?}");
    let page = read("docs/DEPENDENCIES.md");
    let listed = rows(&page, "crate").iter().map(|r| quoted(&r[0])[0].to_owned()).collect();
    assert_same("docs/DEPENDENCIES.md", &named, &listed);
    for row in rows(&page, "crate") {
        assert!(
            row.len() == 5 && row[1..4].iter().all(|c| !c.is_empty()),
            "version, licence or reason is missing: {row:?}"
        );
    }
}

/// Operators and folds have a row in CONTRIBUTING.md, and what each row names as its test exists.
#[test]
fn every_operator_and_fold_is_listed_with_its_test() {
    let present: BTreeSet<String> = files("src/residual/operation", "rs")
        .into_iter()
        .map(|f| f.replace("src/residual/", ""))
        .chain(["src/linear", "src/read"].iter().flat_map(|f| files(f, "rs")).map(|f| f.replace("src/", "")))
        .filter(|f| !f.ends_with("/mod.rs"))
        .collect();
    let table = rows(&read("CONTRIBUTING.md"), "file");
    let listed = table.iter().map(|r| quoted(&r[0])[0].to_owned()).collect();
    assert_same("CONTRIBUTING.md", &present, &listed);
    let tests: String = files("tests", "rs").iter().map(|f| read(f)).collect();
    let models = read("models/expected.json");
    for row in table {
        let named = quoted(&row[2]);
        assert!(!named.is_empty(), "{} names no test", row[0]);
        for test in named {
            let exists = tests.contains(&format!("(\"{test}\","))
                || tests.contains(&format!("fn {test}("))
                || models.contains(&format!("\"{test}\":"));
            assert!(exists, "{}: neither a block, a test nor a model is called '{test}'", row[0]);
        }
    }
}

/// The tests that ARCHITECTURE.md names for its invariants exist, where it says.
#[test]
fn every_invariant_has_its_test() {
    let page = read("docs/ARCHITECTURE.md");
    let invariants = page.split("## Invariants").nth(1).expect("the invariants");
    let points: Vec<&str> = invariants.split("\n- ").skip(1).collect();
    assert!(points.len() > 8, "the invariants are no longer read");
    for point in points {
        let mut sources = String::new();
        let mut found = 0;
        for word in quoted(point) {
            if word.starts_with("tests/") {
                // `tests/operations` is a folder, or a file of that name.
                sources = match root().join(word).is_dir() {
                    true => files(word, "rs").iter().map(|f| read(f)).collect(),
                    false => read(&format!("{}.rs", word.trim_end_matches(".rs"))),
                };
            } else if !sources.is_empty()
                && word.contains('_')
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                assert!(sources.contains(&format!("fn {word}(")), "no test '{word}' there: {point}");
                found += 1;
            }
        }
        assert!(found > 0, "no test is named: {point}");
    }
}

/// Every relative link of every page leads somewhere.
#[test]
fn every_link_leads_somewhere() {
    let pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "models/README.md"].map(str::to_owned);
    for page in pages.into_iter().chain(files("docs", "md")) {
        let folder = root().join(&page).parent().unwrap().to_owned();
        for link in read(&page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if path.is_empty() { root().join(&page) } else { folder.join(path) };
            assert!(file.exists(), "{page}: {link}");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                let slug = |h: &str| h.to_lowercase().replace('`', "").replace(' ', "-");
                let headings =
                    text.lines().filter(|l| l.starts_with('#')).map(|l| slug(l.trim_start_matches('#').trim()));
                assert!(headings.into_iter().any(|h| h == anchor), "{page}: no heading for {link}");
            }
        }
    }
}
