//! ONNX Runtime as a second engine, from the library of the Python package; and what is said where it is not to be had.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::command::Folder;
use super::common::{Build, conv, python, residual_block, retyped};
use super::{edit, net, weight};
use onnx_rm::onnx::ModelProto;
use onnx_rm::onnx::tensor_proto::DataType;

/// The folder of the library in the virtual environment of the tests.
fn library() -> PathBuf {
    let venv = python::venv();
    let words = "import onnxruntime, os; print(os.path.join(os.path.dirname(onnxruntime.__file__), 'capi'))";
    let output = Command::new(venv).args(["-B", "-c", words]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The library itself.
fn file() -> PathBuf {
    let mut entries = fs::read_dir(library()).unwrap().map(|e| e.unwrap().path());
    let is_it = |p: &PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("libonnxruntime.") || name == "onnxruntime.dll"
    };
    entries.find(is_it).expect("the wheel has the library")
}

fn verify(folder: &Folder, arguments: &[&str], path: &Path) -> (Option<i32>, Value) {
    let given = ["--onnxruntime", path.to_str().unwrap()];
    let (code, stdout, stderr) = folder.run(&[&["verify", "--json"][..], arguments, &given].concat());
    (code, serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}\n{stdout}{stderr}")))
}

fn engines(report: &Value) -> Vec<&str> {
    let all = report["outputs"][0]["comparisons"].as_array().unwrap();
    all.iter().map(|c| c["engine"].as_str().unwrap()).collect()
}

fn wrong() -> ModelProto {
    let mut bad = net();
    edit(weight(&mut bad, 2, 1), |w| w[[0, 0, 1, 1]] += 0.5);
    bad
}

#[test]
fn both_engines_are_timed_in_turns() {
    let folder = Folder::new(&[("a.onnx", &net())]);
    let library = library();
    let given = ["--onnxruntime", library.to_str().unwrap(), "--runs", "3"];
    let bench = |engine| folder.run(&[&["bench", "a.onnx", "a.onnx", "--engine", engine][..], &given].concat());
    let report = |engine| -> Value {
        let words = [&["bench", "a.onnx", "a.onnx", "--json", "--engine", engine][..], &given].concat();
        serde_json::from_str(&folder.run(&words).1).unwrap()
    };
    let both = report("both");
    let version = |of: &Value| of["version"].as_str().map(|v| v.contains('.'));
    assert_eq!((&both["engine"], version(&both)), (&"tract".into(), None));
    let other = &both["others"][0];
    assert_eq!((&other["engine"], version(other)), (&"onnxruntime".into(), Some(true)));
    for times in [&both, other] {
        assert!(times["first"]["milliseconds"]["least"].as_f64().unwrap() > 0.0, "{times}");
        assert_eq!(times["first"]["macs"], times["second"]["macs"]);
    }
    let alone = report("onnxruntime");
    assert!(alone["engine"] == "onnxruntime" && alone["others"].is_null(), "{alone}");
    let (code, text, _) = bench("both");
    assert!(
        code == Some(0) && text.matches("second / first: ").count() == 2 && text.contains("onnxruntime 1."),
        "{text}"
    );
    let words = ["calibrate", "--rounds", "1", "--engine", "onnxruntime", given[0], given[1]];
    let (code, text, _) = folder.run(&words);
    assert!(code == Some(0) && text.contains("ONNX Runtime 1."), "{text}");
}

#[test]
fn both_engines_see_what_is_equal_and_what_is_not() {
    let folder = Folder::new(&[("a.onnx", &net()), ("b.onnx", &wrong()), ("block.onnx", &residual_block(1, 4))]);
    assert_eq!(folder.run(&["rewrite", "block.onnx", "chain.onnx", "--quiet"]).0, Some(0));
    let (code, report) = verify(&folder, &["block.onnx", "chain.onnx", "--engine", "onnxruntime"], &file());
    assert_eq!((code, report["verdict"].as_str()), (Some(0), Some("equal within rounding")), "{report}");
    assert_eq!(
        (&report["arithmetic"]["engine"], &report["arithmetic"]["rounded_because"]),
        (&"onnxruntime".into(), &Value::Null)
    );
    assert_eq!(engines(&report), ["float64", "onnxruntime"]);
    let name = file().file_name().unwrap().to_string_lossy().into_owned();
    let version = report["engines"][0]["version"].as_str().unwrap().to_owned();
    assert!(name.contains(&version), "{name} is of version {version}");
    let found = &report["outputs"][0]["comparisons"][1];
    assert!(found["max_error"].as_f64().unwrap() > 0.0, "it was run: {found}");

    // By the folder that it is in.
    let (code, report) = verify(&folder, &["block.onnx", "chain.onnx", "--engine", "both"], &library());
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(engines(&report), ["float64", "tract", "onnxruntime"]);
    let both: Vec<&str> = report["engines"].as_array().unwrap().iter().map(|e| e["engine"].as_str().unwrap()).collect();
    assert_eq!(both, ["tract", "onnxruntime"]);

    for engine in ["onnxruntime", "both"] {
        let (code, report) = verify(&folder, &["a.onnx", "b.onnx", "--engine", engine], &file());
        assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("different")), "{engine}: {report}");
    }
    // Of a second output only one engine need know: all figures are there.
    let (_, report) = verify(&folder, &["a.onnx", "a.onnx", "--engine", "both"], &file());
    assert_eq!(report["outputs"][1]["comparisons"].as_array().unwrap().len(), 3);
}

#[test]
fn what_is_saved_of_it_is_what_python_says() {
    let folder = Folder::new(&[("a.onnx", &net()), ("b.onnx", &wrong())]);
    let arguments = ["a.onnx", "b.onnx", "--engine", "both", "--save-inputs", "in", "--save-outputs", "out"];
    let (_, report) = verify(&folder, &arguments, &file());
    let path = folder.path("report.json");
    fs::write(&path, report.to_string()).unwrap();
    let lines = python::run("figures.py", &[path.to_str().unwrap(), folder.path("out").to_str().unwrap()]);
    assert_eq!(lines.lines().filter(|l| l.contains(" onnxruntime ")).count(), 2, "{lines}");
    assert_eq!(lines.lines().filter(|l| l.contains(" tract ")).count(), 2, "{lines}");
    let at = |p: &str| folder.path(p).to_str().unwrap().to_owned();
    let runs = python::run("saved_runs.py", &[&at("a.onnx"), &at("in"), &at("out/onnxruntime/original")]);
    assert_eq!(runs.lines().count(), report["saved"].as_array().unwrap().len(), "{runs}");
}

#[test]
fn other_types_are_run_too() {
    let mut b = Build::new(2);
    let x = b.input("x", &[1, 3, 6, 6]);
    let y = b.conv(&x, &conv(3, 4, 3));
    b.output(&y);
    let model = b.model();
    for dtype in [DataType::Float16, DataType::Double] {
        let folder = Folder::new(&[("a.onnx", &retyped(model.clone(), dtype))]);
        let (code, report) = verify(&folder, &["a.onnx", "a.onnx", "--engine", "onnxruntime"], &file());
        // ONNX Runtime's CPU has no convolution of some types: then the report says what stood in for it.
        assert_eq!(code, Some(0), "{report}");
        let engine = report["arithmetic"]["engine"].as_str().unwrap();
        let reason = &report["arithmetic"]["rounded_because"];
        assert!(engine == "onnxruntime" || reason.as_str().unwrap().contains("onnxruntime cannot run"), "{report}");
    }
}

#[test]
fn a_library_that_is_none_is_one_clear_error() {
    let folder = Folder::new(&[("a.onnx", &net())]);
    fs::write(folder.path("text.so"), "no library").unwrap();
    fs::write(folder.path("empty.so"), "").unwrap();
    fs::create_dir(folder.path("folder")).unwrap();
    let run = |arguments: &[&str], variable: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onnx-rm"));
        command.args(["verify", "a.onnx", "a.onnx"]).args(arguments).current_dir(folder.path("")).env("NO_COLOR", "1");
        match variable {
            Some(path) => command.env("ORT_DYLIB_PATH", path),
            None => command.env_remove("ORT_DYLIB_PATH"),
        };
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), stderr)
    };
    let ours = ["--engine", "onnxruntime"];
    let error = |arguments: &[&str], variable: Option<&str>| {
        let (code, stderr) = run(arguments, variable);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains("hint: --onnxruntime PATH"), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        stderr
    };
    assert!(error(&ours, None).contains("named neither by --onnxruntime nor by ORT_DYLIB_PATH"));
    assert!(error(&["--engine", "both"], Some("")).contains("named neither"));
    assert!(error(&ours, Some("none.so")).contains("none.so: there is no such library"));
    for name in ["text.so", "empty.so"] {
        let stderr = error(&ours, Some(name));
        assert!(stderr.contains(&format!("error: {name}: ")), "{stderr}");
    }
    assert!(
        error(&[&ours[..], &["--onnxruntime", "folder"]].concat(), None).contains("no library of ONNX Runtime is in")
    );
    // A library, and not the one: it lies beside it in the wheel.
    let providers = library().join("libonnxruntime_providers_shared.so");
    if providers.exists() {
        let stderr = error(&[&ours[..], &["--onnxruntime", providers.to_str().unwrap()]].concat(), None);
        assert!(stderr.contains("OrtGetApiBase"), "{stderr}");
    }
    // The variable is enough, the option goes before it, and a path is not one of the program's folder.
    assert_eq!(run(&ours, file().to_str()).0, Some(0));
    assert_eq!(run(&[&ours[..], &["--onnxruntime", file().to_str().unwrap()]].concat(), Some("none.so")).0, Some(0));
    let (code, stderr) = run(&["--onnxruntime", "none.so"], None);
    assert!(code == Some(2) && stderr.contains("--engine"), "{stderr}");
    assert_eq!(run(&[], Some("none.so")).0, Some(0), "nobody asked for it");
}
