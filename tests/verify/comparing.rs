//! `onnx-rm verify` on any two models: numbers, tolerances, inputs of the user's, what is saved, a report judged again.

use std::fs;
use std::path::PathBuf;

use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, TensorProto};
use prost::Message;
use serde_json::Value;

use super::command::Folder;
use super::common::{Build, conv, python, residual_block};
use super::{edit, net, set_dims, weight};

/// `net()` with a weight that is off by far more than rounding, and by far less than anyone sees.
fn close() -> ModelProto {
    let mut model = net();
    edit(weight(&mut model, 2, 1), |w| w[[0, 0, 1, 1]] += 1e-3);
    model
}

/// One convolution with a free batch.
fn free(offset: f64) -> ModelProto {
    let mut b = Build::new(3);
    let x = b.input("x", &[-1, 3, 6, 6]);
    let y = b.conv(&x, &conv(3, 4, 3));
    b.output(&y);
    let mut model = b.model();
    edit(weight(&mut model, 0, 1), |w| w[[1, 0, 1, 1]] += offset);
    model
}

fn json(folder: &Folder, arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, stdout, stderr) = folder.run(&[&["verify", "--json"][..], arguments].concat());
    (code, serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}\n{stdout}{stderr}")))
}

/// The comparison of the rewritten model with the original in `engine`, of the first output.
fn comparison<'r>(report: &'r Value, engine: &str) -> &'r Value {
    let all = report["outputs"][0]["comparisons"].as_array().unwrap();
    let found = all.iter().find(|c| c["engine"] == engine && c["against"] == "original");
    found.unwrap_or_else(|| panic!("no comparison in {engine}: {all:?}"))
}

fn least_atol(report: &Value) -> f64 {
    let outputs = report["outputs"].as_array().unwrap().iter();
    let all = outputs.flat_map(|o| o["comparisons"].as_array().unwrap());
    all.map(|c| c["would_pass"][0]["atol"].as_f64().unwrap()).fold(0.0, f64::max)
}

#[test]
fn verdicts_are_told_in_words() {
    let folder = Folder::new(&[("a.onnx", &net()), ("b.onnx", &close()), ("block.onnx", &residual_block(1, 4))]);
    assert_eq!(folder.run(&["rewrite", "block.onnx", "chain.onnx", "--quiet"]).0, Some(0));
    let verdict = |arguments: &[&str]| {
        let (code, report) = json(&folder, arguments);
        (code.unwrap(), report["verdict"].as_str().unwrap().to_owned(), report["status"].as_str().unwrap().to_owned())
    };
    let said = |code: i32, verdict: &str, status: &str| (code, verdict.to_owned(), status.to_owned());
    assert_eq!(verdict(&["a.onnx", "a.onnx"]), said(0, "equal", "equal"));
    assert_eq!(verdict(&["block.onnx", "chain.onnx"]), said(0, "equal within rounding", "equal"));
    assert_eq!(verdict(&["a.onnx", "b.onnx"]), said(1, "different", "mismatch"));
    assert_eq!(verdict(&["a.onnx", "b.onnx", "--rtol", "0.1", "--atol", "10"]).1, "equal within tolerance");
    assert_eq!(verdict(&["a.onnx", "a.onnx", "--rtol", "0.1"]), said(0, "equal", "equal"));
    let (code, report) = json(&folder, &["a.onnx", "block.onnx", "--atol", "1e9"]);
    assert_eq!((code, &report["beyond_tolerance"], &report["verdict"]), (Some(1), &true.into(), &"different".into()));
    let (_, _, stderr) = folder.run(&["verify", "block.onnx", "chain.onnx"]);
    assert!(stderr.starts_with("equal within rounding; of the largest value: "), "{stderr}");
    for words in
        ["in float64, against the original: largest error", "in tract, against", "cosine 1 - ", "ulps, at most: 0 "]
    {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}

#[test]
fn no_tolerance_makes_evidence_or_shapes() {
    let mut b = Build::new(1);
    let x = b.input("x", &[1, 2, 4, 4]);
    let zero = b.floats(&[1], vec![0.0]);
    let y = b.node("Mul", &[&x, &zero], vec![]);
    b.output(&y);
    let silent = b.model();
    let mut other = silent.clone();
    edit(weight(&mut other, 0, 1), |w| w.fill(-0.0));
    let folder = Folder::new(&[("a.onnx", &silent), ("b.onnx", &other)]);
    let (code, report) = json(&folder, &["a.onnx", "b.onnx", "--atol", "1"]);
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("no evidence")), "{report}");
}

#[test]
fn a_tolerance_replaces_the_criterion_and_says_so() {
    let folder = Folder::new(&[("a.onnx", &net()), ("b.onnx", &close())]);
    let (_, plain) = json(&folder, &["a.onnx", "b.onnx"]);
    assert_eq!((&plain["tolerance"], &plain["verdict"]), (&Value::Null, &"different".into()));
    let least = least_atol(&plain);
    let above = format!("{}", least * 1.000_001);
    let below = format!("{}", least * 0.999_999);
    let (code, report) = json(&folder, &["a.onnx", "b.onnx", "--atol", &above]);
    assert_eq!((code, report["verdict"].as_str()), (Some(0), Some("equal within tolerance")));
    assert_eq!(report["tolerance"]["rtol"], 0.0);
    assert_eq!(report["first_difference"], Value::Null);
    let notes = report["notes"].to_string();
    assert!(notes.contains("by the usual criterion: 'Conv_"), "{notes}");
    let (code, report) = json(&folder, &["a.onnx", "b.onnx", "--atol", &below]);
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("different")));
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("beside this rtol an atol of") && message.contains("would pass"), "{message}");
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "b.onnx", "--atol", &above]);
    assert_eq!(code, Some(0));
    assert!(stderr.starts_with("equal within tolerance (rtol 0.0, atol ") && stderr.contains("in place of the usual"));
    // A tolerance can be stricter than the criterion, too.
    let block = residual_block(1, 4);
    let folder = Folder::new(&[("a.onnx", &block)]);
    assert_eq!(folder.run(&["rewrite", "a.onnx", "b.onnx", "--quiet"]).0, Some(0));
    assert_eq!(folder.run(&["verify", "a.onnx", "b.onnx", "--atol", "1e-30"]).0, Some(1));
    for wrong in [["--rtol", "-1"], ["--atol", "nan"], ["--rtol", "inf"], ["--batch", "0"], ["--preprocess", "crop=1"]]
    {
        let (code, _, stderr) = folder.run(&[&["verify", "a.onnx", "b.onnx"][..], &wrong].concat());
        assert_eq!(code, Some(2), "{wrong:?}: {stderr}");
    }
}

#[test]
fn a_saved_report_is_judged_again() {
    let folder = Folder::new(&[("a.onnx", &net()), ("b.onnx", &close()), ("c.onnx", &residual_block(1, 4))]);
    let save = |name: &str, arguments: &[&str]| {
        let (_, stdout, _) = folder.run(&[&["verify", "--json"][..], arguments].concat());
        fs::write(folder.path(name), &stdout).unwrap();
        serde_json::from_str::<Value>(&stdout).unwrap()
    };
    let report = save("report.json", &["a.onnx", "b.onnx"]);
    let judged = |file: &str, tolerance: &[&str]| {
        let (code, stdout, stderr) = folder.run(&[&["verify", "--judge", file, "--json"][..], tolerance].concat());
        let judged: Value = serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stderr}"));
        (code.unwrap(), judged["verdict"].as_str().unwrap().to_owned())
    };
    // The same as running the models again, at many tolerances.
    let least = least_atol(&report);
    for (rtol, atol) in [(0.0, least * 1.01), (0.0, least * 0.99), (1e-4, 1e-5), (1e-2, 1e-3), (0.3, 1e-6)] {
        let tolerance = [format!("--rtol={rtol}"), format!("--atol={atol}")];
        let tolerance: Vec<&str> = tolerance.iter().map(String::as_str).collect();
        let (code, run) = json(&folder, &[&["a.onnx", "b.onnx"][..], &tolerance].concat());
        let again = judged("report.json", &tolerance);
        assert_eq!((again.0, again.1.as_str()), (code.unwrap(), run["verdict"].as_str().unwrap()), "{tolerance:?}");
    }
    save("same.json", &["a.onnx", "a.onnx"]);
    assert_eq!(judged("same.json", &["--rtol", "0"]), (0, "equal".to_owned()));
    save("other.json", &["a.onnx", "c.onnx"]);
    assert_eq!(judged("other.json", &["--atol", "1e9"]), (1, "different".to_owned()));
    let (_, stdout, _) = folder.run(&["rewrite", "c.onnx", "d.onnx", "--json"]);
    fs::write(folder.path("rewrite.json"), stdout).unwrap();
    assert_eq!(judged("rewrite.json", &["--rtol", "1e-2", "--atol", "10"]), (0, "equal within tolerance".to_owned()));
    let (code, stdout, stderr) = folder.run(&["verify", "--judge", "report.json", "--atol", "1e-9"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with("different (rtol 0.0, atol 1e-9): ") && stderr.contains("does not pass"), "{stderr}");

    let error = |arguments: &[&str]| {
        let (code, _, stderr) = folder.run(&[&["verify"][..], arguments].concat());
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        stderr
    };
    assert!(error(&["--judge", "report.json"]).contains("by --rtol, --atol or both"));
    assert!(error(&["--judge", "none.json", "--rtol", "1"]).contains("none.json: "));
    assert!(error(&["--judge", "a.onnx", "--rtol", "1"]).contains("a.onnx: "));
    assert!(error(&["--judge", "report.json", "a.onnx", "--rtol", "1"]).contains("cannot be used with"));
    assert!(error(&["a.onnx"]).contains("required"));
    fs::write(folder.path("cut.json"), &report.to_string()[..200]).unwrap();
    assert!(error(&["--judge", "cut.json", "--rtol", "1"]).contains("no report of a verification"));
}

#[test]
fn batches_are_tried_where_they_are_free() {
    let folder = Folder::new(&[("free.onnx", &free(0.0)), ("net.onnx", &net())]);
    let (code, report) = json(&folder, &["free.onnx", "free.onnx", "--batch", "5,7"]);
    assert_eq!(code, Some(0));
    let sizes: Vec<u64> =
        report["sizes"].as_array().unwrap().iter().map(|s| s["inputs"][0]["shape"][0].as_u64().unwrap()).collect();
    assert!(sizes.contains(&5) && sizes.contains(&7), "{sizes:?}");
    let (code, report) = json(&folder, &["net.onnx", "net.onnx", "--batch", "5"]);
    assert_eq!(code, Some(0));
    let notes = report["notes"].to_string();
    assert!(notes.contains("a batch of 5 was not tried: no input leaves the size of its first axis free"), "{notes}");
}

#[test]
fn what_only_a_batch_shows_is_seen() {
    // The second adds 1 where there are 8 images or more.
    let build = |limit: f64| {
        let mut b = Build::new(3);
        let x = b.input("x", &[-1, 3]);
        let shape = b.node("Shape", &[&x], vec![]);
        let zero = b.ints(&[0]);
        let count = b.node("Gather", &[&shape, &zero], vec![]);
        let float = b.node("Cast", &[&count], vec![super::common::int("to", DataType::Float as i64)]);
        let limit = b.floats(&[1], vec![limit]);
        let more = b.node("Greater", &[&float, &limit], vec![]);
        let bump = b.node("Cast", &[&more], vec![super::common::int("to", DataType::Float as i64)]);
        let y = b.node("Add", &[&x, &bump], vec![]);
        b.output(&y);
        b.model()
    };
    let folder = Folder::new(&[("a.onnx", &build(1e6)), ("b.onnx", &build(7.5))]);
    let (_, report) = json(&folder, &["a.onnx", "b.onnx", "--batch", "8"]);
    assert_eq!(report["status"], "mismatch", "{report}");
    let worst = comparison(&report, "float64")["worst"].clone();
    assert_eq!(report["sizes"][worst["size"].as_u64().unwrap() as usize]["inputs"][0]["shape"][0], 8);
}

/// A folder of test data for `free()`.
fn test_data(folder: &Folder, name: &str, tensors: &[(&str, &[i64], f32)]) {
    let path = folder.path(name);
    fs::create_dir_all(&path).unwrap();
    for (file, dims, value) in tensors {
        let count: i64 = dims.iter().product();
        let data: Vec<f32> = (0..count).map(|v| value * ((v % 7) as f32 - 3.0)).collect();
        let tensor = TensorProto {
            dims: dims.to_vec(),
            data_type: Some(DataType::Float as i32),
            float_data: data,
            ..TensorProto::default()
        };
        fs::write(path.join(file), tensor.encode_to_vec()).unwrap();
    }
}

#[test]
fn sets_of_several_shapes_are_compared_each_in_its_own() {
    let folder = Folder::new(&[("a.onnx", &free(0.0)), ("b.onnx", &free(0.5))]);
    for (number, batch) in [(0, 2), (1, 6), (2, 2)] {
        let name = format!("data/test_data_set_{number}");
        test_data(&folder, &name, &[("input_0.pb", &[batch, 3, 6, 6], 1e7)]);
    }
    let (code, report) = json(&folder, &["a.onnx", "a.onnx", "--inputs", "data"]);
    assert_eq!(code, Some(0), "{report}");
    let kinds = |size: usize| report["sizes"][size]["kinds"].to_string();
    let sizes = report["sizes"].as_array().unwrap();
    assert!(kinds(0).contains("given test_data_set_0") && kinds(0).contains("given test_data_set_2"), "{report}");
    let last = sizes.len() - 1;
    assert!(kinds(last).contains("test_data_set_1") && !kinds(last).contains("normal"), "{report}");
    assert_eq!(sizes[last]["inputs"][0]["shape"][0], 6);
    // No seeded value is so large.
    let (code, report) = json(&folder, &["a.onnx", "b.onnx", "--inputs", "data"]);
    assert_eq!(code, Some(1));
    assert!(comparison(&report, "tract")["worst"]["input"].as_str().unwrap().starts_with("given test_data_set_"));
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "a.onnx", "--inputs", "data/test_data_set_7"]);
    assert!(code == Some(2) && stderr.contains("data/test_data_set_7"), "{stderr}");
}

#[test]
fn expected_outputs_are_compared() {
    let folder = Folder::new(&[("a.onnx", &free(0.0))]);
    test_data(&folder, "data", &[("input_0.pb", &[2, 3, 6, 6], 1.0)]);
    // What comes out for them is what is expected then.
    let arguments = ["verify", "a.onnx", "a.onnx", "--inputs", "data", "--save-outputs", "out", "--json"];
    let (code, stdout, stderr) = folder.run(&arguments);
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let number = report["saved"].as_array().unwrap().iter().position(|s| s == "given data, size 0").unwrap();
    let saved = folder.path(&format!("out/tract/original/test_data_set_{number}/output_0.pb"));
    fs::copy(&saved, folder.path("data/output_0.pb")).unwrap();
    let (code, report) = json(&folder, &["a.onnx", "a.onnx", "--inputs", "data"]);
    assert_eq!(code, Some(0), "{report}");
    let all = report["outputs"][0]["comparisons"].as_array().unwrap();
    let models: Vec<&str> =
        all.iter().filter(|c| c["against"] == "expected").map(|c| c["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["original", "rewritten"]);

    test_data(&folder, "data", &[("output_0.pb", &[2, 4, 6, 6], 1.0)]);
    let (code, report) = json(&folder, &["a.onnx", "a.onnx", "--inputs", "data"]);
    assert_eq!((code, report["verdict"].as_str()), (Some(1), Some("different")));
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("the original model in tract, against the expected output: beyond rtol 0.001"),
        "{message}"
    );
    assert_eq!(json(&folder, &["a.onnx", "a.onnx", "--inputs", "data", "--atol", "1e6"]).0, Some(0));
    test_data(&folder, "data", &[("output_0.pb", &[1, 4, 6, 6], 1.0)]);
    let (code, report) = json(&folder, &["a.onnx", "a.onnx", "--inputs", "data", "--atol", "1e6"]);
    assert_eq!(code, Some(1), "another shape: {report}");
    assert!(report["message"].as_str().unwrap().contains("shape [1, 4, 6, 6] became [2, 4, 6, 6]"), "{report}");
}

#[test]
fn nan_is_fed_and_noted() {
    let folder = Folder::new(&[("a.onnx", &free(0.0))]);
    test_data(&folder, "data", &[("input_0.pb", &[1, 3, 6, 6], f32::NAN)]);
    let (code, report) = json(&folder, &["a.onnx", "a.onnx", "--inputs", "data"]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report["notes"].to_string().contains("given data input: 'x' holds NaN in 108 of 108 entries"), "{report}");
}

#[test]
fn many_sets_are_tried_some_at_a_time() {
    let folder = Folder::new(&[("a.onnx", &free(0.0)), ("b.onnx", &free(0.5))]);
    for number in 0..50 {
        let value = if number == 49 { 1e9 } else { 1.0 };
        test_data(&folder, &format!("data/test_data_set_{number}"), &[("input_0.pb", &[1, 3, 6, 6], value)]);
    }
    let (code, report) = json(&folder, &["a.onnx", "b.onnx", "--inputs", "data"]);
    assert_eq!(code, Some(1));
    let kinds = report["sizes"][0]["kinds"].to_string();
    assert!((0..50).all(|n| kinds.contains(&format!("\"given test_data_set_{n}\""))), "{kinds}");
    assert_eq!(comparison(&report, "tract")["worst"]["input"], "given test_data_set_49");
}

#[test]
fn what_was_fed_is_saved_and_read_again() {
    let mut other = free(1e-3);
    set_dims(&mut other.graph.as_mut().unwrap().input[0], &[None, Some(3), Some(6), Some(6)]);
    let folder = Folder::new(&[("a.onnx", &free(0.0)), ("b.onnx", &other)]);
    let arguments = ["a.onnx", "b.onnx", "--save-inputs", "in", "--save-outputs", "out"];
    let (code, report) = json(&folder, &arguments);
    assert_eq!(code, Some(1));
    let saved = report["saved"].as_array().unwrap();
    assert!(saved.len() > 10 && saved[0] == "normal, size 0", "{saved:?}");
    let count = |path: &str| fs::read_dir(folder.path(path)).unwrap().count();
    let of_tract = saved.iter().filter(|s| s.as_str().unwrap().ends_with(", size 0")).count();
    assert_eq!(
        (count("in"), count("out/tract/original"), count("out/tract/rewritten")),
        (saved.len(), of_tract, of_tract)
    );
    assert_eq!(count("out/float64/original"), saved.len() - of_tract, "other sizes are run in float64 alone");
    let (_, again) = json(&folder, &["a.onnx", "b.onnx", "--inputs", "in"]);
    let kinds: String = again["sizes"].as_array().unwrap().iter().map(|s| s["kinds"].to_string()).collect();
    assert!((0..saved.len()).all(|n| kinds.contains(&format!("\"given test_data_set_{n}\""))), "{kinds}");
    let max = |report: &Value| comparison(report, "tract")["max_error"].as_f64().unwrap();
    assert_eq!(max(&report), max(&again), "the same values");

    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "b.onnx", "--save-inputs", "in"]);
    assert!(code == Some(2) && stderr.contains("in: it holds something already"), "{stderr}");
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "b.onnx", "--save-inputs", "a.onnx"]);
    assert!(code == Some(2) && stderr.contains("a.onnx: "), "{stderr}");
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "b.onnx", "--save-inputs", "s", "--save-outputs", "s"]);
    assert!(code == Some(2) && stderr.contains("different folders"), "{stderr}");
}

/// Every figure against NumPy, which reads what was saved.
#[test]
fn figures_are_those_of_numpy() {
    let mut b = Build::new(4);
    let x = b.input("x", &[2, 3, 6, 6]);
    let y = b.conv(&x, &conv(3, 5, 3));
    let z = b.node("Relu", &[&y], vec![]);
    b.output(&y);
    b.output(&z);
    let model = b.model();
    let mut other = model.clone();
    edit(weight(&mut other, 0, 1), |w| w[[3, 0, 1, 1]] += 1e-4);
    edit(weight(&mut other, 0, 1), |w| w[[1, 2, 0, 1]] -= 3e-3);
    let folder = Folder::new(&[("a.onnx", &model), ("b.onnx", &other)]);
    for (name, pair) in [("far", ["a.onnx", "b.onnx"]), ("same", ["a.onnx", "a.onnx"])] {
        let outputs = format!("{name}.out");
        let (_, report) = json(&folder, &[&pair[..], &["--save-outputs", &outputs]].concat());
        let path = folder.path(&format!("{name}.json"));
        fs::write(&path, report.to_string()).unwrap();
        let folder: PathBuf = folder.path(&outputs);
        let lines = python::run("figures.py", &[path.to_str().unwrap(), folder.to_str().unwrap()]);
        assert_eq!(lines.lines().filter(|l| l.contains(" tract ")).count(), 2, "{lines}");
    }
}

#[cfg(feature = "images")]
#[test]
fn images_are_fed_in_batches() {
    use image::{Rgb, RgbImage};
    let folder = Folder::new(&[("a.onnx", &free(0.0)), ("b.onnx", &free(0.5))]);
    fs::create_dir(folder.path("photos")).unwrap();
    for number in 0..5_u8 {
        let picture = RgbImage::from_fn(9, 8, |x, y| Rgb([x as u8 * 20, y as u8 * 30, number * 50]));
        picture.save(folder.path(&format!("photos/{number}.png"))).unwrap();
    }
    let steps = ["--images", "photos", "--preprocess", "crop=6,scale=1/255,mean=0.5,std=0.25"];
    let (code, report) = json(&folder, &[&["a.onnx", "a.onnx", "--batch", "1,3"][..], &steps].concat());
    assert_eq!(code, Some(0), "{report}");
    let kinds: Vec<String> = report["sizes"].as_array().unwrap().iter().map(|s| s["kinds"].to_string()).collect();
    assert!(kinds[0].contains("\"given 0.png\"") && kinds[0].contains("\"given 4.png\""), "{kinds:?}");
    assert!(kinds.iter().any(|k| k.contains("given 0.png and 2 more")), "{kinds:?}");
    assert!(kinds.iter().any(|k| k.contains("given 3.png and 1 more")), "{kinds:?}");
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "a.onnx", "--images", "photos"]);
    assert!(code == Some(2) && stderr.contains("0.png: shape [1, 3, 8, 9] does not fit 'x'"), "{stderr}");
    let (code, _, stderr) = folder.run(&["verify", "a.onnx", "a.onnx", "--images", "none"]);
    assert!(code == Some(2) && stderr.contains("none: "), "{stderr}");
}
