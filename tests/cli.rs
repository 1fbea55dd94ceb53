//! The command line, end to end, without verification (which other tests cover).
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use crate::common::build;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use onnx_rm::onnx::attribute_proto::AttributeType;
use onnx_rm::onnx::{AttributeProto, FunctionProto, GraphProto, ModelProto, ValueInfoProto};
use prost::Message;
use serde_json::Value;

/// What a run left.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A folder with `block.onnx`, which has a residual join, and `plain.onnx`, which has none.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let mut plain = build::Build::new(1);
        let x = plain.input("x", &[1, 4, 8, 8]);
        let y = plain.relu(&x);
        plain.output(&y);
        for (name, model) in [("block.onnx", build::residual_block(1, 4)), ("plain.onnx", plain.model())] {
            fs::write(folder.path(name), model.encode_to_vec()).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onnx-rm"));
        command.args(arguments).current_dir(self.0.path()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn adds(path: PathBuf) -> usize {
    let model = ModelProto::decode(fs::read(path).unwrap().as_slice()).unwrap();
    model.graph.unwrap().node.iter().filter(|n| n.op_type() == "Add").count()
}

#[test]
fn help_goes_to_stdout_and_shows_examples_and_exit_codes() {
    let folder = Folder::new();
    let main = folder.run(&["--help"]);
    assert_eq!((main.code, main.stderr.as_str()), (Some(0), ""));
    for part in ["rewrite", "inspect", "verify", "completions", "man", "Exit codes:", "  2  an error"] {
        assert!(main.stdout.contains(part), "{part}");
    }
    for (command, option) in [("rewrite", "--no-verify"), ("inspect", "--long-skips"), ("verify", "--input-shape")] {
        let help = folder.run(&[command, "--help"]);
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains(option) && help.stdout.contains("Examples:"), "{}", help.stdout);
        assert!(help.stdout.contains(&format!("onnx-rm {command} ")), "{}", help.stdout);
    }
    let version = folder.run(&["--version"]);
    assert_eq!((version.code, version.stdout), (Some(0), format!("onnx-rm {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_arguments_are_an_error() {
    let folder = Folder::new();
    for arguments in [
        &[][..],
        &["dance"],
        &["rewrite"],
        &["rewrite", "block.onnx"],
        &["rewrite", "block.onnx", "out.onnx", "--no-such-option"],
        &["rewrite", "block.onnx", "out.onnx", "--activation", "magic"],
        &["rewrite", "block.onnx", "out.onnx", "--input-shape", "x:1x0"],
        &["completions", "noshell"],
    ] {
        let run = folder.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(run.stderr.contains("Usage:") || run.stderr.contains("error:"), "{}", run.stderr);
    }
    assert!(!folder.path("out.onnx").exists());
}

#[test]
fn rewrite_writes_the_model_and_tells_the_price_on_stderr() {
    let folder = Folder::new();
    let run = folder.run(&["rewrite", "block.onnx", "out.onnx", "--no-verify"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    for part in ["1 of 1 joins removed", "MACs", "parameters", "file bytes", "not verified"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    assert!(!run.stderr.contains('\x1b'), "no colours and no progress where there is no terminal");
    assert_eq!(adds(folder.path("out.onnx")), 0);
    // Nothing is left to do: the same bytes.
    let again = folder.run(&["rewrite", "out.onnx", "again.onnx", "--no-verify"]);
    assert_eq!(again.code, Some(0));
    assert_eq!(fs::read(folder.path("out.onnx")).unwrap(), fs::read(folder.path("again.onnx")).unwrap());
}

#[test]
fn sums_that_nothing_looks_into_are_told() {
    let folder = Folder::new();
    let inner = build::residual_block(1, 4).graph.unwrap();
    let mut outer = build::Build::new(1);
    let x = outer.input("x", &[1, 4, 8, 8]);
    let condition = outer.bools(&[], &[1]);
    let branch = |name: &str| AttributeProto {
        name: Some(name.into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(GraphProto { input: vec![], ..inner.clone() }),
        ..AttributeProto::default()
    };
    let y = outer.node("Choice", &[&condition], vec![branch("then_branch"), branch("else_branch")]);
    outer.graph.node.last_mut().unwrap().domain = Some("elsewhere".into());
    let z = outer.node("Block", &[&x], vec![]);
    outer.graph.node.last_mut().unwrap().domain = Some("local".into());
    outer.output(&y);
    outer.output(&z);
    let mut model = outer.model();
    let names = |values: &[ValueInfoProto]| values.iter().map(|v| v.name().to_owned()).collect();
    model.functions.push(FunctionProto {
        name: Some("Block".into()),
        domain: Some("local".into()),
        input: names(&inner.input),
        output: names(&inner.output),
        node: inner.node.clone(),
        opset_import: model.opset_import.clone(),
        ..FunctionProto::default()
    });
    fs::write(folder.path("wrapped.onnx"), model.encode_to_vec()).unwrap();

    let run = folder.run(&["inspect", "wrapped.onnx"]);
    let text = [run.stdout, run.stderr].concat();
    for part in
        ["0 of 0 joins", "2 sums in graphs inside of nodes", "1 sums in local functions", "inline_local_functions"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json: Value = serde_json::from_str(&folder.run(&["inspect", "wrapped.onnx", "--json"]).stdout).unwrap();
    assert_eq!(json["not_inspected"], serde_json::json!({ "in_subgraphs": 2, "in_functions": 1 }));
    let run = folder.run(&["inspect", "block.onnx"]);
    assert!(![run.stdout, run.stderr].concat().contains("not looked into"));
}

#[test]
fn quiet_says_nothing_but_errors() {
    let folder = Folder::new();
    let run = folder.run(&["rewrite", "block.onnx", "out.onnx", "--no-verify", "--quiet"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(0), "", ""));
    assert_eq!(adds(folder.path("out.onnx")), 0);
    let run = folder.run(&["rewrite", "missing.onnx", "out.onnx", "--no-verify", "-q"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: missing.onnx: "), "{}", run.stderr);
    let run = folder.run(&["rewrite", "plain.onnx", "none.onnx", "--no-verify", "--require", "--quiet"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), "plain.onnx: no join could be removed\n"));
}

#[test]
fn require_makes_nothing_to_do_a_finding() {
    let folder = Folder::new();
    let run = folder.run(&["rewrite", "plain.onnx", "out.onnx", "--no-verify"]);
    assert_eq!(run.code, Some(0));
    assert_eq!(fs::read(folder.path("out.onnx")).unwrap(), fs::read(folder.path("plain.onnx")).unwrap());
    let run = folder.run(&["rewrite", "plain.onnx", "none.onnx", "--no-verify", "--require"]);
    assert_eq!((run.code, folder.path("none.onnx").exists()), (Some(1), false));
    assert_eq!(folder.run(&["inspect", "plain.onnx"]).code, Some(0));
    assert_eq!(folder.run(&["inspect", "plain.onnx", "--require"]).code, Some(1));
    assert_eq!(folder.run(&["inspect", "block.onnx", "--require"]).code, Some(0));
    let run = folder.run(&["rewrite", "block.onnx", "out.onnx", "--no-verify", "--require"]);
    assert_eq!((run.code, adds(folder.path("out.onnx"))), (Some(0), 0));
}

/// Whether `require` lets `model` through, and what is said of it otherwise, by both commands; nothing is written then.
fn required(folder: &Folder, model: &str, require: &[&str]) -> Option<String> {
    let inspected = folder.run(&[&["inspect", model], require].concat());
    let unmet = inspected.stdout.lines().find_map(|l| l.strip_prefix("required, but ")).map(str::to_owned);
    assert_eq!(inspected.code, Some(i32::from(unmet.is_some())), "{}", inspected.stderr);
    let json = folder.run(&[&["inspect", model, "--json"], require].concat());
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["unmet"].as_str(), unmet.as_deref());
    let run = folder.run(&[&["rewrite", model, "required.onnx", "--no-verify", "--quiet"], require].concat());
    assert_eq!(run.code, inspected.code, "{}", run.stderr);
    assert_eq!(folder.path("required.onnx").exists(), unmet.is_none());
    let _ = fs::remove_file(folder.path("required.onnx"));
    let said = unmet.as_ref().map(|unmet| format!("{model}: {unmet}\n"));
    assert_eq!(run.stderr, said.unwrap_or_default());
    unmet
}

#[test]
fn a_chain_can_be_required() {
    let folder = Folder::new();
    assert_eq!(required(&folder, "plain.onnx", &["--require", "chain"]), None);
    assert_eq!(required(&folder, "block.onnx", &["--require", "chain"]), None);
    assert_eq!(required(&folder, "block.onnx", &["--require=chain", "--require=removal"]), None);
    let unmet = required(&folder, "plain.onnx", &["--require=chain", "--require"]);
    assert_eq!(unmet.as_deref(), Some("no join could be removed"));
    // The shortcut still reads what the branch reads.
    let unmet = required(&folder, "block.onnx", &["--require", "chain", "--skip", "residual"]).unwrap();
    assert!(
        unmet.starts_with("no chain: tensor 'Relu_1_out0' (of node 'Relu_1' (Relu)) is read more than once: by node '"),
        "{unmet}"
    );
    assert!(unmet.contains("(Add)") && unmet.contains("(Conv)"), "{unmet}");
    // So does whoever is given a tensor that the graph reads too.
    let mut b = build::Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let (y, constant) = (b.relu(&x), b.floats(&[1], vec![2.0]));
    let z = b.node("Mul", &[&y, &constant], vec![]);
    let z = b.node("Div", &[&z, &constant], vec![]);
    b.output(&y);
    b.output(&z);
    fs::write(folder.path("given.onnx"), b.model().encode_to_vec()).unwrap();
    let unmet = required(&folder, "given.onnx", &["--require", "chain"]).unwrap();
    assert!(unmet.contains("the caller, as a graph output") && unmet.contains("(Relu)"), "{unmet}");
    let wrong = folder.run(&["inspect", "plain.onnx", "--require", "line"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("removal") && wrong.stderr.contains("chain"), "{}", wrong.stderr);
}

#[test]
fn operators_can_be_required() {
    let folder = Folder::new();
    assert_eq!(required(&folder, "block.onnx", &["--require-ops", "Conv,Relu", "--carry", "conv"]), None);
    let unmet = required(&folder, "block.onnx", &["--require-ops", "Conv,Relu", "--skip", "residual"]).unwrap();
    assert!(unmet.contains("(Add) is none of the operators asked for: Conv, Relu"), "{unmet}");
    let unmet = required(&folder, "block.onnx", &["--require-ops=Conv", "--require", "chain"]).unwrap();
    assert!(unmet.contains("(Relu) is none of the operators asked for: Conv"), "{unmet}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = Folder::new();
    let run = folder.run(&["rewrite", "block.onnx", "out.onnx", "--dry-run"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("1 of 1 joins"), "{}", run.stderr);
    let names: Vec<_> = fs::read_dir(folder.0.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn json_is_versioned_and_alone_on_stdout() {
    let folder = Folder::new();
    for arguments in [
        &["rewrite", "block.onnx", "out.onnx", "--no-verify", "--json"][..],
        &["rewrite", "block.onnx", "out.onnx", "--no-verify", "--json", "--quiet"],
        &["inspect", "block.onnx", "--json"],
    ] {
        let run = folder.run(arguments);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["schema_version"], onnx_rm::report::SCHEMA_VERSION);
        assert_eq!(report["tool_version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(report["command"], arguments[0]);
        assert_eq!(report["input"], "block.onnx");
        let site = &report["sites"][0];
        let rewritten = arguments[0] == "rewrite";
        assert_eq!(site["status"], if rewritten { "removed" } else { "candidate" });
        assert!(site["macs_after"].as_u64() > site["macs_before"].as_u64(), "{site}");
        assert_eq!(report["output"], if rewritten { "out.onnx".into() } else { Value::Null });
    }
    let run = folder.run(&["rewrite", "missing.onnx", "out.onnx", "--no-verify", "--json"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.starts_with("error: "));
}

#[test]
fn inspect_prints_on_stdout() {
    let folder = Folder::new();
    let run = folder.run(&["inspect", "block.onnx"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(run.stdout.contains("MACs"), "{}", run.stdout);
}

#[test]
fn colours_can_be_forced_and_forbidden() {
    let folder = Folder::new();
    let wrong = ["rewrite", "missing.onnx", "out.onnx", "--no-verify"];
    let forced = ran(folder.command(&wrong).env("CLICOLOR_FORCE", "1"));
    assert!(forced.stderr.contains("\x1b[1m") && forced.stderr.contains("\x1b[31m"), "{:?}", forced.stderr);
    let forbidden = ran(folder.command(&wrong).env("NO_COLOR", "1"));
    assert!(forbidden.stderr.starts_with("error: missing.onnx: "), "{:?}", forbidden.stderr);
}

#[test]
fn every_shell_gets_its_completions() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = folder.run(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(run.stdout.contains("onnx-rm") && run.stdout.contains("no-verify"), "{shell}: {}", run.stdout);
    }
}

#[test]
fn manual_pages_go_to_stdout_or_into_a_folder() {
    let folder = Folder::new();
    let page = folder.run(&["man"]);
    assert_eq!(page.code, Some(0));
    assert!(page.stdout.contains(".TH onnx-rm 1") && page.stdout.contains("Exit codes:"), "{}", page.stdout);
    fs::create_dir(folder.path("pages")).unwrap();
    assert_eq!(folder.run(&["man", "pages"]).code, Some(0));
    for name in ["onnx-rm.1", "onnx-rm-rewrite.1", "onnx-rm-inspect.1", "onnx-rm-verify.1"] {
        assert!(fs::read_to_string(folder.path("pages").join(name)).unwrap().contains(".TH"), "{name}");
    }
    let run = folder.run(&["man", "missing"]);
    assert_eq!((run.code, run.stderr.starts_with("error: missing: ")), (Some(2), true), "{}", run.stderr);
}

/// Whoever reads our output may stop early: that is no error.
#[test]
fn a_closed_pipe_is_no_error() {
    let folder = Folder::new();
    for arguments in [&["inspect", "block.onnx", "--json"][..], &["completions", "bash"], &["man"]] {
        let mut command = folder.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// What cannot be told is an error, once.
#[test]
fn a_full_device_is_an_error() {
    let folder = Folder::new();
    for arguments in [
        &["inspect", "block.onnx", "--json"][..],
        &["inspect", "block.onnx"],
        &["rewrite", "block.onnx", "out.onnx", "--no-verify", "--json"],
        &["completions", "bash"],
        &["man"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let run = ran(folder.command(arguments).stdout(full));
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: stdout: No space left on device"), "{}", run.stderr);
        assert_eq!(run.stderr.matches("error").count(), 2, "the word and the system's: {}", run.stderr);
    }
}

/// A name in a file may hold anything; JSON keeps it as it is.
#[test]
fn names_do_not_steer_the_terminal() {
    const NAME: &str = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\nverified: equal\u{202e}";
    let folder = Folder::new();
    let mut model = build::residual_block(1, 4);
    for node in &mut model.graph.as_mut().unwrap().node {
        node.name = Some(NAME.to_owned());
        node.op_type = node.op_type.take().map(|op| if op == "Relu" { "LpNormalization".to_owned() } else { op });
    }
    fs::write(folder.path("named.onnx"), model.encode_to_vec()).unwrap();
    model.graph.as_mut().unwrap().node[1].input[0] = NAME.to_owned();
    fs::write(folder.path("broken.onnx"), model.encode_to_vec()).unwrap();
    for (name, code) in [("named.onnx", 0), ("broken.onnx", 2)] {
        for arguments in [&["inspect", name][..], &["rewrite", name, "out.onnx", "--no-verify"]] {
            let run = folder.run(arguments);
            assert_eq!(run.code, Some(code), "{}", run.stderr);
            let text = [run.stdout, run.stderr].concat();
            assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
            assert!(!text.lines().any(|line| line.starts_with("verified")), "{text:?}");
            assert!(text.contains("\\u{1b}]0;owned"), "{text}");
        }
    }
    let json: Value = serde_json::from_str(&folder.run(&["inspect", "named.onnx", "--json"]).stdout).unwrap();
    assert_eq!(json["sites"][0]["join"], NAME);
}

/// Every command takes nodes in any order, as runtimes do, and refuses what none of them runs.
#[test]
fn all_commands_judge_a_graph_alike() {
    let folder = Folder::new();
    let good = build::residual_block(1, 4);
    let opset = |versions: &[(&str, i64)]| {
        let import = |(domain, version): &(&str, i64)| onnx_rm::onnx::OperatorSetIdProto {
            domain: Some((*domain).to_owned()),
            version: Some(*version),
        };
        ModelProto { opset_import: versions.iter().map(import).collect(), ..good.clone() }
    };
    let mut reversed = good.clone();
    reversed.graph.as_mut().unwrap().node.reverse();
    let mut newer = good.clone();
    newer.graph.as_mut().unwrap().node[0].op_type = Some("Swish".to_owned());
    let mut mute = good.clone();
    mute.graph.as_mut().unwrap().output.clear();
    for (model, want) in [
        (reversed, ""),
        (opset(&[("", 17), ("ai.onnx", 18)]), "imports ONNX's operator set twice, in version 17 and in version 18"),
        (opset(&[("", 9999)]), "in version 9999; known are 1 to"),
        (newer, "(Swish): version 17 of the operator set has no such operator: it came in 24"),
        (mute, "the graph has no outputs"),
    ] {
        fs::write(folder.path("m.onnx"), model.encode_to_vec()).unwrap();
        for arguments in [
            &["inspect", "m.onnx"][..],
            &["rewrite", "m.onnx", "out.onnx", "--no-verify"],
            #[cfg(feature = "verify")]
            &["verify", "m.onnx", "m.onnx"],
            #[cfg(feature = "verify")]
            &["verify", "block.onnx", "m.onnx"],
        ] {
            let run = folder.run(arguments);
            let refused = run.code == Some(2) && run.stderr.contains(want) && run.stderr.contains("m.onnx: ");
            assert!(if want.is_empty() { run.code == Some(0) } else { refused }, "{arguments:?}: {}", run.stderr);
            assert!(want.is_empty() || !folder.path("out.onnx").exists());
        }
        let _ = fs::remove_file(folder.path("out.onnx"));
    }
}

#[test]
fn unknown_fields_are_dropped_only_on_request() {
    let folder = Folder::new();
    let mut bytes = build::residual_block(1, 4).encode_to_vec();
    bytes.extend([0xfa, 0x3f, 0x01, 0x2a]);
    fs::write(folder.path("new.onnx"), bytes).unwrap();
    let run = folder.run(&["rewrite", "new.onnx", "out.onnx", "--no-verify"]);
    assert_eq!((run.code, folder.path("out.onnx").exists()), (Some(2), false));
    for part in ["new.onnx: ", "ModelProto", "field number 1023", "hint: --drop-unknown-fields"] {
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
    let run = folder.run(&["rewrite", "new.onnx", "out.onnx", "--no-verify", "--drop-unknown-fields"]);
    assert_eq!((run.code, adds(folder.path("out.onnx"))), (Some(0), 0), "{}", run.stderr);
}

/// Without its own verifier the program never writes what was not asked to go unverified.
#[cfg(not(feature = "verify"))]
#[test]
fn a_build_that_cannot_verify_says_so() {
    let folder = Folder::new();
    for arguments in [&["rewrite", "block.onnx", "out.onnx"][..], &["verify", "block.onnx", "plain.onnx"]] {
        let run = folder.run(arguments);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("cannot verify"), "{}", run.stderr);
    }
    assert!(!folder.path("out.onnx").exists());
}
