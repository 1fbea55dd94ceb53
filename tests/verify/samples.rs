//! Inputs that the user has: each kind that can be read, and what is said of those that cannot.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array4, ArrayD, IxDyn};
use onnx_rm::onnx::tensor_proto::DataType;
use onnx_rm::onnx::{ModelProto, StringStringEntryProto, TensorProto};
use onnx_rm::verify::reference::Value;
use onnx_rm::verify::samples::Samples;
use onnx_rm::verify::signature::{self, Port};
use prost::Message;

use super::common::{Build, conv};

/// One input `x` of `[batch, 3, 4, 4]`, one output.
fn net() -> ModelProto {
    let mut b = Build::new(1);
    let x = b.input("x", &[-1, 3, 4, 4]);
    let y = b.conv(&x, &conv(3, 2, 3));
    b.output(&y);
    b.model()
}

fn ports(model: &ModelProto) -> (Vec<Port>, Vec<Port>) {
    let graph = model.graph.as_ref().unwrap();
    (signature::inputs(graph), graph.output.iter().map(Port::new).collect())
}

fn open(path: &Path) -> Result<Samples, String> {
    let (inputs, outputs) = ports(&net());
    Samples::open(path, &inputs, &outputs).map_err(|e| e.to_string())
}

/// Why the first set cannot be read.
fn refused(path: &Path) -> String {
    match open(path) {
        Ok(samples) => samples.read(0).unwrap_err().to_string(),
        Err(e) => e,
    }
}

fn ramp(shape: &[usize]) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    ArrayD::from_shape_vec(IxDyn(shape), (0..count).map(|v| v as f32 / 8.0).collect()).unwrap()
}

fn tensor(name: &str, values: &ArrayD<f32>) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_type: Some(DataType::Float as i32),
        dims: values.shape().iter().map(|d| *d as i64).collect(),
        raw_data: Some(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
        ..TensorProto::default()
    }
}

fn floats(value: &Value) -> Vec<f32> {
    value.floats().unwrap().iter().map(|v| *v as f32).collect()
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn arrays_and_archives_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let values = ramp(&[2, 3, 4, 4]);
    let npy = folder.path().join("x.npy");
    ndarray_npy::write_npy(&npy, &values).unwrap();
    let compressed = folder.path().join("x.npz");
    let mut npz = ndarray_npy::NpzWriter::new_compressed(fs::File::create(&compressed).unwrap());
    npz.add_array("x", &values).unwrap();
    npz.finish().unwrap();
    for path in [npy, compressed] {
        let samples = open(&path).unwrap();
        assert_eq!((samples.len(), samples.name(0)), (1, "given"));
        let sample = samples.read(0).unwrap();
        assert_eq!(sample.inputs["x"].shape(), [2, 3, 4, 4]);
        assert_eq!(floats(&sample.inputs["x"]), values.iter().copied().collect::<Vec<_>>());
        assert!(sample.expected.is_empty() && samples.read(1).is_err());
    }
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    ndarray_npy::write_npy(&path, &ramp(&[1, 3, 4, 5])).unwrap();
    assert!(
        refused(&path).contains("shape [1, 3, 4, 5] does not fit 'x' float [batch, 3, 4, 4]"),
        "{}",
        refused(&path)
    );
    ndarray_npy::write_npy(&path, &ArrayD::from_elem(IxDyn(&[1, 3, 4, 4]), true)).unwrap();
    assert!(refused(&path).contains("it holds booleans, another type than 'x'"), "{}", refused(&path));
    assert!(refused(&folder.path().join("none.npy")).contains("none.npy: "));
    assert!(refused(&put(folder.path(), "short.npy", b"\x93NUMPY\x01\x00")).contains("ends"));
    assert!(refused(&put(folder.path(), "x.pb", b"")).contains("a single tensor is not enough"));
    // An archive whose array asks for more memory than there is.
    let header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999, 99999, 99999), }";
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let array = [b"\x93NUMPY\x01\x00", &length[..], header].concat();
    let mut zip = zip::ZipWriter::new(fs::File::create(folder.path().join("huge.npz")).unwrap());
    zip.start_file("x.npy", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &array).unwrap();
    zip.finish().unwrap();
    let reason = refused(&folder.path().join("huge.npz"));
    assert!(reason.contains("array 'x': shape [99999, 99999, 99999] is too large"), "{reason}");
}

#[test]
fn an_array_alone_is_for_one_input() {
    let mut b = Build::new(1);
    let (x, z) = (b.input("x", &[1, 2]), b.input("z", &[1, 2]));
    let y = b.add(&x, &z);
    b.output(&y);
    let (inputs, outputs) = ports(&b.model());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    ndarray_npy::write_npy(&path, &ramp(&[1, 2])).unwrap();
    let error = Samples::open(&path, &inputs, &outputs).unwrap().read(0).unwrap_err().to_string();
    assert!(error.contains("an .npy file is for one input, and the model has x, z"), "{error}");
}

#[test]
fn test_data_is_read_by_name_or_number() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, outputs) = ports(&net());
    let (first, second) = (ramp(&[1, 3, 4, 4]), ramp(&[5, 3, 4, 4]));
    let sets = [folder.path().join("test_data_set_10"), folder.path().join("test_data_set_9")];
    put(&sets[0], "input_0.pb", tensor("x", &first).encode_to_vec());
    put(&sets[1], "input_0.pb", tensor("", &second).encode_to_vec());
    put(&sets[1], "output_0.pb", tensor(&outputs[0].name, &ramp(&[5, 2, 4, 4])).encode_to_vec());
    put(folder.path(), "model.onnx", b"");
    let samples = open(folder.path()).unwrap();
    assert_eq!(
        (samples.len(), samples.name(0), samples.name(1)),
        (2, "given test_data_set_9", "given test_data_set_10"),
        "in the order of their numbers"
    );
    let sample = samples.read(0).unwrap();
    assert_eq!(floats(&sample.inputs["x"]), second.iter().copied().collect::<Vec<_>>());
    assert_eq!(sample.expected[&outputs[0].name].shape(), [5, 2, 4, 4]);
    assert!(samples.read(1).unwrap().expected.is_empty());
    let alone = Samples::open(&sets[0], &inputs, &outputs).unwrap();
    assert_eq!(floats(&alone.read(0).unwrap().inputs["x"]), first.iter().copied().collect::<Vec<_>>());
}

#[test]
fn test_data_that_cannot_be_used_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str, content: &[u8]| {
        let set = folder.path().join(name);
        put(&set, "input_0.pb", content);
        refused(&set)
    };
    let reason = refused(folder.path());
    assert!(reason.contains("neither input_0.pb nor a folder test_data_set_0"), "{reason}");
    let reason = with("damaged", b"\xff\xff\xff\xff no protobuf");
    assert!(reason.contains("input_0.pb: no tensor: "), "{reason}");
    let mut huge = tensor("x", &ramp(&[1]));
    huge.dims = vec![1 << 40, 1 << 40];
    let reason = with("huge", &huge.encode_to_vec());
    assert!(reason.contains("tensor 'x'") && reason.contains("too large"), "{reason}");
    huge.dims = vec![1, 3, 4, 4];
    let reason = with("short", &huge.encode_to_vec());
    assert!(reason.contains("asks for 48 elements"), "{reason}");
    huge.dims = vec![-1];
    assert!(with("negative", &huge.encode_to_vec()).contains("no dimension"));
    let reason = with("shape", &tensor("x", &ramp(&[1, 3, 5, 4])).encode_to_vec());
    assert!(reason.contains("shape [1, 3, 5, 4] does not fit"), "{reason}");
    let mut external = tensor("x", &ramp(&[1, 3, 4, 4]));
    let entry = StringStringEntryProto { key: Some("location".into()), value: Some("../../secret".into()) };
    external.external_data = vec![entry];
    assert!(with("external", &external.encode_to_vec()).contains("in another file, which is not looked at"));
    let set = folder.path().join("second");
    put(&set, "input_0.pb", tensor("x", &ramp(&[1, 3, 4, 4])).encode_to_vec());
    put(&set, "input_1.pb", tensor("z", &ramp(&[1, 3, 4, 4])).encode_to_vec());
    assert!(refused(&set).contains("tensor 'z' is number 1 of 1"), "{}", refused(&set));
    put(&set, "input_1.pb", tensor("x", &ramp(&[1, 3, 4, 4])).encode_to_vec());
    assert!(refused(&set).contains("a second tensor for 'x'"));
    let set = folder.path().join("missing");
    put(&set, "input_0.pb", tensor("x", &ramp(&[1, 3, 4, 4])).encode_to_vec());
    let mut b = Build::new(1);
    let (x, z) = (b.input("x", &[1, 3, 4, 4]), b.input("z", &[1, 3, 4, 4]));
    let y = b.add(&x, &z);
    b.output(&y);
    let (inputs, outputs) = ports(&b.model());
    let error = Samples::open(&set, &inputs, &outputs).unwrap().read(0).unwrap_err().to_string();
    assert!(error.contains("there is no tensor for input 'z' float [1, 3, 4, 4]"), "{error}");
}

#[cfg(feature = "images")]
mod images {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
    use onnx_rm::verify::samples::Preprocess;

    use super::*;

    /// Each pixel is its place: red its row, green its column, blue its picture.
    fn picture(height: u32, width: u32, number: u8) -> DynamicImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([y as u8, x as u8, number])).into()
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn of(folder: &Path, steps: &str, batch: usize, model: &ModelProto) -> Result<Samples, String> {
        let steps: Preprocess = steps.parse().unwrap();
        Samples::images(folder, &steps, batch, &ports(model).0).map_err(|e| e.to_string())
    }

    fn error(folder: &Path, steps: &str) -> String {
        match of(folder, steps, 1, &net()) {
            Ok(samples) => samples.read(0).unwrap_err().to_string(),
            Err(e) => e,
        }
    }

    #[test]
    fn pixels_come_out_where_they_belong() {
        let folder = tempfile::tempdir().unwrap();
        for number in [2_u8, 1, 3] {
            let bytes = encoded(&picture(8, 6, number), ImageFormat::Png);
            put(folder.path(), &format!("{number}.PNG"), bytes);
        }
        put(folder.path(), "notes.txt", b"no image");
        let samples = of(folder.path(), "crop=4,order=bgr,scale=1/2,mean=1:2:3,std=2", 2, &net()).unwrap();
        assert_eq!((samples.len(), samples.name(0), samples.name(1)), (2, "given 1.PNG and 1 more", "given 3.PNG"));
        let sample = samples.read(0).unwrap();
        assert_eq!(sample.inputs["x"].shape(), [2, 3, 4, 4]);
        let values = sample.inputs["x"].floats().unwrap();
        for (index, found) in values.indexed_iter() {
            let (number, channel, row, column) = (index[0], index[1], index[2], index[3]);
            // The middle of 8 rows and 6 columns begins at row 2 and column 1.
            let byte = [number + 1, column + 1, row + 2][channel] as f64;
            assert_eq!(*found, (byte / 2.0 - [1.0, 2.0, 3.0][channel]) / 2.0, "{index:?}");
        }
        let mut b = Build::new(1);
        let x = b.input("x", &[-1, 8, 6, 3]);
        let y = b.node("Relu", &[&x], vec![]);
        b.output(&y);
        let behind = of(folder.path(), "layout=nhwc", 3, &b.model()).unwrap().read(0).unwrap();
        let values = behind.inputs["x"].floats().unwrap();
        assert_eq!(values.shape(), [3, 8, 6, 3]);
        assert!(values.indexed_iter().all(|(i, v)| *v == [i[1], i[2], i[0] + 1][i[3]] as f64));
    }

    #[test]
    fn images_are_brought_to_their_size() {
        let folder = tempfile::tempdir().unwrap();
        let plain: DynamicImage = RgbImage::from_pixel(40, 20, Rgb([10, 200, 30])).into();
        put(folder.path(), "plain.jpg", encoded(&plain, ImageFormat::Jpeg));
        let sample = of(folder.path(), "resize=4,crop=4", 1, &net()).unwrap().read(0).unwrap();
        let values = sample.inputs["x"].floats().unwrap();
        assert_eq!(values.shape(), [1, 3, 4, 4]);
        for (index, value) in values.indexed_iter() {
            // JPEG keeps a plain colour but for a unit or two.
            assert!((value - [10.0, 200.0, 30.0][index[1]]).abs() <= 3.0, "{index:?}: {value}");
        }
        let gray = of(folder.path(), "resize=4x4,order=gray", 1, &{
            let mut b = Build::new(1);
            let x = b.input("x", &[1, 1, 4, 4]);
            let y = b.node("Relu", &[&x], vec![]);
            b.output(&y);
            b.model()
        });
        let luma = 0.2126 * 10.0 + 0.7152 * 200.0 + 0.0722 * 30.0;
        let found = gray.unwrap().read(0).unwrap().inputs["x"].floats().unwrap()[[0, 0, 1, 1]];
        assert!((found - luma).abs() <= 3.0, "{found} for {luma}");
        assert!(error(folder.path(), "").contains("shape [1, 3, 20, 40] does not fit 'x'"));
        assert!(error(folder.path(), "resize=4,crop=8").contains("8x8 cannot be cut out of 4x8 pixels"));
    }

    /// The checksum of a part of a PNG file.
    fn crc(bytes: &[u8]) -> u32 {
        let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
        !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
    }

    #[test]
    fn images_that_cannot_be_used_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(error(folder.path(), "").contains("no .png, .jpg or .jpeg file"));
        let whole = encoded(&picture(4, 4, 1), ImageFormat::Png);
        let path = folder.path();
        let only = |name: &str, content: &[u8]| {
            for entry in fs::read_dir(path).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
            put(path, name, content);
        };
        only("cut.png", &whole[..whole.len() / 2]);
        assert!(error(path, "").contains("cut.png: no image that can be read"), "{}", error(path, ""));
        only("text.jpeg", b"no image");
        assert!(error(path, "").contains("text.jpeg: no image that can be read"));
        // Headers that promise more pixels than can be held, in some bytes.
        for side in [125_000_u32, 16_000] {
            let mut bomb = whole.clone();
            bomb[16..20].copy_from_slice(&side.to_be_bytes());
            bomb[20..24].copy_from_slice(&side.to_be_bytes());
            let sum = crc(&bomb[12..29]);
            bomb[29..33].copy_from_slice(&sum.to_be_bytes());
            only("bomb.png", &bomb);
            let reason = error(path, "");
            assert!(reason.contains("exceeds limit") || reason.contains("16000x16000 pixels are too many"), "{reason}");
        }
        only("flat.png", &encoded(&picture(1, 200, 1), ImageFormat::Png));
        assert!(error(path, "resize=8192").contains("too large"), "{}", error(path, "resize=8192"));
        only("a.png", &whole);
        put(path, "b.png", encoded(&picture(5, 4, 1), ImageFormat::Png));
        let error = of(path, "", 2, &net()).unwrap().read(0).unwrap_err().to_string();
        assert!(error.contains("b.png: 5x4 pixels beside 4x4: say resize= or crop="), "{error}");
    }

    #[test]
    fn bytes_go_to_integers_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a.png", encoded(&picture(4, 4, 200), ImageFormat::Png));
        let mut model = net();
        super::super::set_type(&mut model.graph.as_mut().unwrap().input[0], DataType::Uint8);
        let sample = of(folder.path(), "", 1, &model).unwrap().read(0).unwrap();
        let Value::I(values) = &sample.inputs["x"] else { panic!("{sample:?}") };
        assert!(values.indexed_iter().all(|(i, v)| *v == [i[2] as i64, i[3] as i64, 200][i[1]]));
        let error = of(folder.path(), "scale=1/255", 1, &model).unwrap().read(0).unwrap_err().to_string();
        assert!(error.contains("takes integers: leave out scale=, mean= and std="), "{error}");
    }
}

#[test]
fn types_and_ranges_are_kept() {
    let mut model = net();
    super::set_type(&mut model.graph.as_mut().unwrap().input[0], DataType::Int8);
    let (inputs, outputs) = ports(&model);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let read = |value: i32| {
        ndarray_npy::write_npy(&path, &Array4::from_elem((1, 3, 4, 4), value)).unwrap();
        Samples::open(&path, &inputs, &outputs).unwrap().read(0).map_err(|e| e.to_string())
    };
    assert!(read(-128).is_ok());
    assert!(
        read(200).unwrap_err().contains("it holds integers beyond -128 to 127, which is what 'x' int8"),
        "{:?}",
        read(200)
    );
}
