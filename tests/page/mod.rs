//! `--report FILE.html` of every command: a page that is whole, holds what the run says, and lets nothing of a file out of its place.
#![cfg(feature = "cli")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use onnx_rm::onnx::ModelProto;
use prost::Message;
use serde_json::Value;

use crate::common::build;

fn model(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name).to_str().unwrap().to_owned()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_onnx-rm")).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// Runs a command that leaves `page.html`, and reads that and its JSON.
    fn page(&self, code: i32, arguments: &[&str]) -> (Element, Value) {
        let mut all = arguments.to_vec();
        all.extend(["--report", "page.html", "--json"]);
        let output = self.run(&all);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        let page = fs::read_to_string(self.path("page.html")).unwrap();
        (parse(&page), serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {stderr}")))
    }
}

/// An element with all that is in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    inner: Vec<Element>,
    text: String,
}

impl Element {
    fn all(&self) -> Vec<&Element> {
        std::iter::once(self).chain(self.inner.iter().flat_map(Element::all)).collect()
    }

    fn words(&self) -> String {
        let inner = self.inner.iter().map(Element::words);
        std::iter::once(self.text.clone()).chain(inner).collect::<Vec<_>>().join(" ")
    }

    fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).map(String::as_str)
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// Reads HTML of which every element is closed but the void ones, and in which text has no bare bracket: stricter than a browser.
fn parse(page: &str) -> Element {
    const VOID: [&str; 3] = ["meta", "input", "br"];
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a document type");
    let mut open = vec![Element::default()];
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(!text.contains('>') || matches!(open.last().unwrap().name.as_str(), "style" | "script"), "{text}");
        open.last_mut().unwrap().text.push_str(&unescaped(text));
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let done = open.pop().unwrap();
            assert_eq!(done.name, name, "an element is not closed");
            open.last_mut().unwrap().inner.push(done);
            continue;
        }
        let (name, list) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element { name: name.to_owned(), ..Element::default() };
        let mut left = list.trim();
        while !left.is_empty() {
            let name_end = left.find([' ', '=']).unwrap_or(left.len());
            let (name, value) = left.split_at(name_end);
            let (value, after) = match value.strip_prefix("=\"") {
                Some(value) => value.split_once('"').expect("a value ends"),
                None => ("", value),
            };
            let twice = element.attributes.insert(name.to_owned(), unescaped(value));
            assert!(twice.is_none(), "attribute {name} stands twice: {tag}");
            left = after.trim_start();
        }
        if VOID.contains(&name) {
            open.last_mut().unwrap().inner.push(element);
        } else if matches!(name, "style" | "script") {
            let close = rest.find(&format!("</{name}>")).unwrap();
            element.text = rest[..close].to_owned();
            rest = &rest[close + name.len() + 3..];
            open.last_mut().unwrap().inner.push(element);
        } else {
            open.push(element);
        }
    }
    assert_eq!(open.len(), 1, "{:?} are not closed", open.iter().map(|e| &e.name).collect::<Vec<_>>());
    let page = open.pop().unwrap();
    assert_sound(&page);
    page
}

/// Names stand once, what is meant is there, nothing is loaded, everything can be called.
fn assert_sound(page: &Element) {
    let all = page.all();
    let ids: Vec<&str> = all.iter().filter_map(|e| e.get("id")).collect();
    let known: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), known.len(), "an id stands twice");
    for element in &all {
        for attribute in ["src", "style", "action", "onclick", "onload", "onerror", "xlink:href"] {
            assert_eq!(element.get(attribute), None, "{element:?}");
        }
        let meant = [
            element.get("aria-labelledby"),
            element.get("href").map(|h| h.strip_prefix('#').expect("a place on the page")),
        ];
        for id in meant.into_iter().flatten().flat_map(str::split_whitespace) {
            assert!(known.contains(id), "nothing is called '{id}'");
        }
        if matches!(element.name.as_str(), "button" | "a" | "summary") {
            let named = element.get("aria-label").map(str::to_owned).unwrap_or_else(|| element.words());
            assert!(!named.trim().is_empty(), "{element:?}");
        }
        if element.name == "table" {
            assert_eq!(element.inner.first().map(|e| e.name.as_str()), Some("caption"), "a table says what it has");
        }
        if element.name == "th" {
            assert!(matches!(element.get("scope"), Some("row" | "col")), "{element:?}");
        }
    }
    assert!(all.iter().any(|e| e.get("http-equiv") == Some("Content-Security-Policy")
        && e.get("content").is_some_and(|c| c.starts_with("default-src 'none'; script-src 'sha256-"))));
    assert_eq!(all.iter().filter(|e| matches!(e.name.as_str(), "main" | "h1")).count(), 2);
    for banned in ["img", "link", "iframe", "object", "embed", "image", "foreignObject", "use"] {
        assert!(all.iter().all(|e| e.name != banned), "{banned}");
    }
}

/// Every site is on the page; a refusal with its reason, node and hint.
fn assert_holds(page: &Element, report: &Value) {
    let words = page.words();
    let sites = report["sites"].as_array().unwrap();
    assert!(!sites.is_empty());
    for site in sites {
        let fields: &[&str] = match site["status"].as_str().unwrap() {
            "kept" => &["code", "reason", "blame_node", "blame_tensor", "hint"],
            _ => &["form"],
        };
        for field in ["join"].iter().chain(fields) {
            let text = site[field].as_str().unwrap();
            assert!(words.contains(text), "{field} '{text}' is not on the page");
        }
    }
}

#[test]
fn inspect_writes_every_site_and_refusal() {
    let folder = Folder::new();
    for name in ["digits_resnet.onnx", "blocks/max_pool_shortcut.legacy.onnx", "blocks/nested_skip.legacy.onnx"] {
        let (page, report) = folder.page(0, &["inspect", &model(name)]);
        assert_holds(&page, &report);
        let rows = page.all().into_iter().filter(|e| e.get("id").is_some_and(|id| id.starts_with("row-"))).count();
        assert!(rows > 2, "{name}: {rows}");
        assert!(page.words().contains("sha256sum"));
    }
}

#[test]
fn carried_channels_stand_beside_the_edges_and_in_the_json() {
    let folder = Folder::new();
    let (page, report) = folder.page(0, &["inspect", &model("digits_resnet.onnx")]);
    let channels = report["sites"][0]["channels"].as_array().unwrap();
    let held = &channels[0];
    assert_eq!((held["body"].as_u64(), held["carried"].as_u64()), (Some(16), Some(16)), "{held}");
    assert!(page.words().contains("+ 16 carried"));
}

#[test]
fn rewrite_writes_a_page_whatever_comes_of_it() {
    let folder = Folder::new();
    let (input, output) = (model("digits_resnet.onnx"), "out.onnx");
    let (page, report) = folder.page(0, &["rewrite", &input, output, "--no-verify"]);
    assert_holds(&page, &report);
    assert!(page.words().contains("5 of 5 joins removed, without a comparison"));
    let digest = onnx_rm::load(folder.path(output)).unwrap().digest().unwrap().model;
    assert!(page.words().contains(&digest), "the digest of what was written");
    fs::remove_file(folder.path(output)).unwrap();
    let (page, _) = folder.page(0, &["rewrite", &input, output, "--dry-run", "--long-skips"]);
    assert!(page.words().contains("Planned only") && page.words().contains("long_skips"));
    let (page, report) = folder.page(1, &["rewrite", &input, output, "--no-verify", "--require-ops", "Conv,Relu"]);
    assert!(page.words().contains(report["unmet"].as_str().unwrap()), "a refused rewrite says why");
    assert!(!folder.path(output).exists());
}

#[cfg(feature = "verify")]
#[test]
fn what_was_compared_is_drawn() {
    let folder = Folder::new();
    let input = model("digits_resnet.onnx");
    let (page, report) = folder.page(0, &["rewrite", &input, "out.onnx"]);
    assert_holds(&page, &report);
    assert!(page.words().contains("and the result computes the same"));
    for (code, other) in [(0, "out.onnx".to_owned()), (1, model("digits_mobilenet_v2.onnx"))] {
        let (page, report) = folder.page(code, &["verify", &input, &other]);
        let words = page.words();
        assert!(words.contains(report["message"].as_str().unwrap()));
        let outputs = report["outputs"].as_array().unwrap();
        assert!(outputs.iter().all(|o| words.contains(&format!("Output {}", o["name"].as_str().unwrap()))));
        let drawn =
            page.all().into_iter().filter(|e| e.get("aria-label").is_some_and(|l| l.starts_with("Histogram"))).count();
        assert!(drawn >= outputs.iter().filter(|o| o["no_evidence"].is_null()).count());
    }
}

#[test]
fn check_writes_each_model_with_its_findings() {
    let folder = Folder::new();
    fs::write(folder.path("broken.onnx"), b"no model").unwrap();
    let paths = [model("blocks/max_pool_shortcut.legacy.onnx"), model("digits_resnet.onnx"), "broken.onnx".to_owned()];
    let arguments: Vec<&str> = std::iter::once("check").chain(paths.iter().map(String::as_str)).collect();
    let (page, report) = folder.page(2, &arguments);
    let words = page.words();
    for file in report["files"].as_array().unwrap() {
        assert!(words.contains(file["file"].as_str().unwrap()));
        for finding in file["findings"].as_array().unwrap() {
            assert!(words.contains(finding["message"].as_str().unwrap()), "{finding}");
        }
    }
    assert!(words.contains("a maximum over a window is not linear"), "why a join of a checked model stays");
    // A name that says JSON is the report that it was before there were pages.
    let output = folder.run(&["check", &paths[1], "--report", "r.json", "--report", "r.html", "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&fs::read(folder.path("r.json")).unwrap()).unwrap();
    assert_eq!(json["command"], "check");
    parse(&fs::read_to_string(folder.path("r.html")).unwrap());
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let folder = Folder::new();
    let input = model("digits_resnet.onnx");
    let output = folder.run(&["rewrite", &input, "out.onnx", "--no-verify", "--quiet", "--report", "none/page.html"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("none/page.html: the report cannot be written")
            && stderr.contains("the model itself was written"),
        "{stderr}"
    );
    assert!(folder.path("out.onnx").exists());
    fs::copy(&input, folder.path("in.onnx")).unwrap();
    for arguments in [
        ["rewrite", "in.onnx", "out.onnx", "--report", "./out.onnx"],
        ["inspect", "in.onnx", "--quiet", "--report", "in.onnx"],
    ] {
        let output = folder.run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("would be written over"));
    }
    assert_eq!(fs::read(folder.path("in.onnx")).unwrap(), fs::read(&input).unwrap());
}

/// Gives everything in `model` that has a name a hostile one, and writes it.
fn hostile(mut model: ModelProto, path: &Path) {
    let graph = model.graph.as_mut().unwrap();
    let bad = |name: &str| {
        format!(
            "{name}</title></script><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='x' &lt;\u{202e}\n\u{1b}[2J"
        )
    };
    for node in &mut graph.node {
        node.name = Some(bad(node.name()));
        node.input.iter_mut().chain(&mut node.output).filter(|n| !n.is_empty()).for_each(|n| *n = bad(n));
    }
    for tensor in &mut graph.initializer {
        tensor.name = Some(bad(tensor.name()));
    }
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        value.name = Some(bad(value.name()));
    }
    fs::write(path, model.encode_to_vec()).unwrap();
}

#[test]
fn names_of_a_file_stay_names() {
    let folder = Folder::new();
    hostile(build::residual_block(1, 4), &folder.path("hostile.onnx"));
    let (page, _) = folder.page(0, &["inspect", "hostile.onnx"]);
    let scripts = page.all().into_iter().filter(|e| e.name == "script").count();
    assert_eq!(scripts, 1);
    let words = page.words();
    assert!(
        words.contains("</title>") && words.contains("\\u{202e}") && words.contains("\\u{1b}[2J"),
        "they are shown"
    );
    assert!(!words.contains('\u{202e}') && !words.contains('\u{1b}'));
    folder.page(0, &["rewrite", "hostile.onnx", "out.onnx", "--no-verify"]);
    folder.page(1, &["check", "hostile.onnx"]);
}

/// A chain of so many nodes, one of which has a name of a megabyte.
#[test]
fn a_page_is_bounded() {
    let folder = Folder::new();
    let mut chain = build::Build::new(1);
    let mut x = chain.input("x", &[1, 2, 2, 2]);
    for _ in 0..30_000 {
        x = chain.relu(&x);
    }
    chain.output(&x);
    let mut model = chain.model();
    model.graph.as_mut().unwrap().node[7].name = Some("n".repeat(1 << 20));
    fs::write(folder.path("long.onnx"), model.encode_to_vec()).unwrap();
    let (page, _) = folder.page(0, &["inspect", "long.onnx"]);
    let size = fs::metadata(folder.path("page.html")).unwrap().len();
    assert!(size < 6 << 20, "{size} bytes");
    assert!(page.words().contains("not drawn"), "what is left out is said");
}
