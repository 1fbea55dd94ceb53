//! Files that are no model.

use super::*;
use onnx_rm::io::{LoadOptions, load};
use onnx_rm::onnx::tensor_proto::DataLocation;

#[test]
fn what_is_no_model_is_refused() {
    let tensor = good().graph.unwrap().initializer[0].encode_to_vec();
    let headless = ModelProto { graph: None, ..good() }.encode_to_vec();
    let cases: [(&[u8], &str); 7] = [
        (b"", "the file is empty"),
        (b"\n", "not an ONNX model"),
        (b"just some text, of the kind that people write", "not an ONNX model"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not an ONNX model"),
        (&tensor, "not an ONNX model"),
        (include_bytes!(concat!(env!("OUT_DIR"), "/onnx.desc")), "not an ONNX model"),
        (&headless, "it holds no graph"),
    ];
    for (bytes, want) in cases {
        Case::new(bytes).is_refused(&[want]);
    }
}

#[test]
fn a_file_that_is_not_there_or_is_a_folder() {
    let mut case = Case::new(b"");
    case.input = case.folder.path().join("missing.onnx");
    case.is_refused(&["No such file"]);
    fs::create_dir(&case.input).unwrap();
    case.is_refused(&["it is a directory"]);
}

#[test]
fn an_output_that_is_a_folder() {
    let mut case = Case::new(&good().encode_to_vec());
    let folder = case.folder.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let (code, stderr) = run(&case.input, &folder);
    assert_eq!((code, stderr.contains("folder: it is a directory")), (Some(2), true), "{stderr}");
    assert_eq!(names(&folder), Vec::<PathBuf>::new());
    case.output = case.folder.path().join("missing/out.onnx");
    let (code, stderr) = case.run();
    assert_eq!((code, stderr.contains("missing/out.onnx: ")), (Some(2), true), "{stderr}");
}

/// Wherever the file is cut.
#[test]
fn a_part_of_a_model_is_refused() {
    let whole = good().encode_to_vec();
    let case = Case::new(&whole);
    for end in 1..whole.len() {
        fs::write(&case.input, &whole[..end]).unwrap();
        let error = load(&case.input, &LoadOptions::default()).err();
        assert!(error.unwrap_or_else(|| panic!("cut at {end}")).to_string().contains("not an ONNX model"));
        if end % 97 == 0 {
            case.is_refused(&["not an ONNX model", "completely downloaded"]);
        }
    }
}

#[test]
fn external_data_that_is_not_there() {
    for (location, want) in
        [("missing.bin", "No such file"), ("../in.onnx", "leads out of the model's folder"), ("in.onnx", "lie outside")]
    {
        let mut model = good();
        let weight = tensor(&mut model, "w1");
        weight.raw_data = None;
        weight.data_location = Some(DataLocation::External as i32);
        let entry =
            |k: &str, v: &str| onnx_rm::onnx::StringStringEntryProto { key: Some(k.into()), value: Some(v.into()) };
        weight.external_data = vec![entry("location", location), entry("offset", "99999"), entry("length", "576")];
        Case::new(&model.encode_to_vec()).is_refused(&["tensor 'w1'", location, want]);
    }
}
