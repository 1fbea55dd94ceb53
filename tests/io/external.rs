//! Weights in files beside the model.

use super::build::residual_block;
use super::*;
use onnx_rm::io::save;
use onnx_rm::onnx::TensorProto;

/// A residual block with 16 channels (weights of 9 KiB) and two tensors that no rewrite touches.
fn block() -> ModelProto {
    let mut model = residual_block(1, 16);
    for name in ["first", "second"] {
        let kept = TensorProto { name: Some(name.into()), ..initializers(&model)[0].clone() };
        model.graph.as_mut().unwrap().initializer.push(kept);
    }
    model
}

/// Writes `model` into `folder` as `name`, its weights in turn into the files at `locations`.
fn write(folder: &Folder, name: &str, mut model: ModelProto, locations: &[&str]) -> PathBuf {
    let mut files = vec![Vec::new(); locations.len()];
    for (index, tensor) in initializers_mut(&mut model).iter_mut().enumerate() {
        let file = index % locations.len();
        move_out(tensor, locations[file], &mut files[file]);
    }
    for (location, file) in locations.iter().zip(files) {
        let path = folder.path(location);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    folder.write(name, &model)
}

/// Where each external weight of the file at `path` says that it is, as written.
fn locations(path: &Path) -> Vec<String> {
    let model = ModelProto::decode(fs::read(path).unwrap().as_slice()).unwrap();
    let external = initializers(&model).iter().flat_map(|t| &t.external_data);
    let mut found: Vec<String> = external.filter(|e| e.key() == "location").map(|e| e.value().to_owned()).collect();
    found.sort();
    found.dedup();
    found
}

/// What [`block`] becomes without any file.
fn block_rewritten() -> ModelProto {
    let mut model = block();
    onnx_rm::engine::rewrite_proto(&mut model, &Options::default(), &mut onnx_rm::engine::go_on).unwrap();
    model
}

#[test]
fn content_is_read_once_and_not_copied() {
    let folder = Folder::new();
    let model = open(&write(&folder, "m.onnx", block(), &["a.bin", "sub/b.bin"]));
    assert_eq!(contents(model.proto()), contents(&block()));
    assert_eq!(model.side_files().iter().map(|f| f.location.as_str()).collect::<Vec<_>>(), ["a.bin", "sub/b.bin"]);
    for tensor in initializers(model.proto()) {
        let raw = tensor.raw_data.as_ref().unwrap().as_ptr_range();
        let inside = |f: &onnx_rm::io::SideFile| {
            let file = f.content.as_ptr_range();
            file.start <= raw.start && raw.end <= file.end
        };
        assert!(model.side_files().iter().any(inside), "{}", tensor.name());
    }
}

#[test]
fn without_a_length_the_shape_says_it() {
    let folder = Folder::new();
    let path = write(&folder, "m.onnx", block(), &["w.bin"]);
    let mut model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
    initializers_mut(&mut model).iter_mut().for_each(|t| t.external_data.retain(|e| e.key() != "length"));
    assert_eq!(contents(open(&folder.write("m.onnx", &model)).proto()), contents(&block()));
}

#[test]
fn a_location_must_lie_in_the_folder_and_in_the_file() {
    let folder = Folder::new();
    fs::create_dir(folder.path("in")).unwrap();
    fs::create_dir(folder.path("in/sub")).unwrap();
    let secret = folder.path("secret.bin");
    fs::write(&secret, vec![0; 1 << 16]).unwrap();
    fs::write(folder.path("in/short.bin"), vec![0; 10]).unwrap();
    std::os::unix::fs::symlink(&secret, folder.path("in/link.bin")).unwrap();
    std::os::unix::fs::symlink(folder.0.path(), folder.path("in/up")).unwrap();
    let outside = "leads out of the model's folder";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("location", "../secret.bin")], outside),
        (&[("location", "sub/../../secret.bin")], outside),
        (&[("location", secret.to_str().unwrap())], outside),
        (&[("location", "..\\secret.bin")], outside),
        (&[("location", "link.bin")], outside),
        (&[("location", "up/secret.bin")], outside),
        (&[("location", "missing.bin")], "'missing.bin': No such file"),
        (&[("location", "sub")], "'sub': it is a directory"),
        (&[("location", ".")], "'.': it is a directory"),
        (&[("location", "")], "gives no location"),
        (&[], "gives no location"),
        (&[("location", "short.bin"), ("offset", "4"), ("length", "7")], "offset 4 and length 7 lie outside"),
        (&[("location", "short.bin"), ("offset", "11")], "offset 11 and length 9216 lie outside"),
        (&[("location", "short.bin"), ("offset", "18446744073709551615"), ("length", "2")], "lie outside"),
        (&[("location", "short.bin"), ("offset", "-4")], "offset is '-4', which is no number"),
        (&[("location", "short.bin"), ("length", "many")], "length is 'many', which is no number"),
        (&[("location", "short.bin"), ("length", "10")], "asks for 9216 bytes, but there are 10"),
    ];
    for (entries, want) in cases {
        let mut model = block();
        let tensor = &mut initializers_mut(&mut model)[0];
        let name = tensor.name().to_owned();
        tensor.raw_data = None;
        tensor.data_location = Some(DataLocation::External as i32);
        tensor.external_data = entries.iter().map(|(k, v)| entry(k, v)).collect();
        let error = refusal(&folder.write("in/m.onnx", &model));
        assert!(error.contains(want) && error.contains("in/m.onnx: ") && error.contains(&name), "{entries:?}: {error}");
    }
    fs::write(folder.path("in/inner.bin"), vec![0; 9216]).unwrap();
    std::os::unix::fs::symlink("inner.bin", folder.path("in/inner_link.bin")).unwrap();
    let mut model = block();
    let tensor = &mut initializers_mut(&mut model)[0];
    tensor.raw_data = None;
    tensor.data_location = Some(DataLocation::External as i32);
    tensor.external_data = vec![entry("location", "./inner_link.bin")];
    open(&folder.write("in/m.onnx", &model));
}

#[test]
fn an_unedited_model_takes_its_side_files_along() {
    let (from, to) = (Folder::new(), Folder::new());
    let path = write(&from, "m.onnx", block(), &["a.bin", "sub/b.bin"]);
    let model = open(&path);
    for _ in 0..2 {
        save(&model, &to.path("out.onnx")).unwrap();
        assert_eq!(to.list(), ["a.bin", "out.onnx", "sub/"]);
    }
    for (a, b) in [("m.onnx", "out.onnx"), ("a.bin", "a.bin"), ("sub/b.bin", "sub/b.bin")] {
        assert!(fs::read(from.path(a)).unwrap() == fs::read(to.path(b)).unwrap(), "{b}");
    }
    // In its own folder it has them already.
    save(&model, &from.path("out.onnx")).unwrap();
    assert_eq!(from.list(), ["a.bin", "m.onnx", "out.onnx", "sub/"]);
    save(&model, &path).unwrap();
    assert_eq!(contents(open(&path).proto()), contents(&block()));
}

#[test]
fn a_side_file_of_another_model_is_not_replaced() {
    let (from, to) = (Folder::new(), Folder::new());
    let model = open(&write(&from, "m.onnx", block(), &["w.bin"]));
    fs::write(to.path("w.bin"), "another model's").unwrap();
    let error = save(&model, &to.path("out.onnx")).unwrap_err().to_string();
    assert!(error.contains("w.bin', which another file has"), "{error}");
    assert_eq!(to.list(), ["w.bin"]);
    assert_eq!(fs::read(to.path("w.bin")).unwrap(), b"another model's");
    save(&model, &to.path("w.bin")).unwrap_err();
}

#[test]
fn an_edited_model_keeps_its_weights_outside_in_one_file() {
    let (from, to) = (Folder::new(), Folder::new());
    let path = write(&from, "m.onnx", block(), &["a.bin", "b.bin"]);
    let before = from.list();
    let model = rewritten(&path, 1);
    for folder in [&from, &to] {
        let out = folder.path("out.onnx");
        save(&model, &out).unwrap();
        assert_eq!(locations(&out), ["out.onnx.data"]);
        assert!(fs::metadata(&out).unwrap().len() < 8192, "new weights are external too");
        assert_eq!(contents(open(&out).proto()), contents(&block_rewritten()));
    }
    assert_eq!(to.list(), ["out.onnx", "out.onnx.data"]);
    assert_eq!(from.list(), [before.clone(), vec!["out.onnx".into(), "out.onnx.data".into()]].concat());
    assert_eq!(contents(open(&path).proto()), contents(&block()), "the input is as it was");
}

#[test]
fn what_was_inside_stays_inside() {
    let folder = Folder::new();
    let mut model = block();
    let mut file = Vec::new();
    let kept = initializers_mut(&mut model).iter_mut().find(|t| t.name() == "first").unwrap();
    move_out(kept, "w.bin", &mut file);
    fs::write(folder.path("w.bin"), file).unwrap();
    let removed = rewritten(&folder.write("m.onnx", &model), 1);
    let out = folder.path("out.onnx");
    save(&removed, &out).unwrap();
    let written = ModelProto::decode(fs::read(&out).unwrap().as_slice()).unwrap();
    let find = |name: &str| initializers(&written).iter().find(|t| t.name() == name).unwrap();
    assert!(find("first").raw_data.is_none() && find("second").raw_data.is_some());
    assert_eq!(contents(open(&out).proto()), contents(&block_rewritten()));
}

/// Another tool wrote the old side file: nobody knows what else reads it.
#[test]
fn a_model_that_replaces_itself_leaves_the_side_file_of_another_tool() {
    for (side, new) in [("m.onnx.data", "m.onnx.1.data"), ("other.bin", "m.onnx.data")] {
        let folder = Folder::new();
        let path = write(&folder, "m.onnx", block(), &[side]);
        let before = fs::read(folder.path(side)).unwrap();
        let model = rewritten(&path, 1);
        assert_eq!(save(&model, &path).unwrap().left, [folder.path(side)]);
        assert_eq!(locations(&path), [new]);
        assert_eq!(contents(open(&path).proto()), contents(&block_rewritten()));
        // The model in memory still has what it read.
        assert_eq!(contents(model.proto()), contents(&block_rewritten()));
        assert!(fs::read(folder.path(side)).unwrap() == before);
        let mut want = vec!["m.onnx", new, side];
        want.sort_unstable();
        assert_eq!(folder.list(), want);
    }
}

/// Writes a rewritten block to `out.onnx`, as an earlier run did, from weights that `seed` makes.
fn earlier_output(folder: &Folder, seed: u64) -> PathBuf {
    let inner = Folder::new();
    let model = rewritten(&write(&inner, "m.onnx", residual_block(seed, 16), &["w.bin"]), 1);
    let out = folder.path("out.onnx");
    save(&model, &out).unwrap();
    out
}

#[test]
fn an_own_side_file_goes_when_its_model_is_replaced() {
    let folder = Folder::new();
    let out = earlier_output(&folder, 7);
    assert_eq!(folder.list(), ["out.onnx", "out.onnx.data"]);
    // The same again is the same file.
    let first = [fs::read(&out).unwrap(), fs::read(folder.path("out.onnx.data")).unwrap()];
    earlier_output(&folder, 7);
    assert_eq!(folder.list(), ["out.onnx", "out.onnx.data"]);
    assert!(first == [fs::read(&out).unwrap(), fs::read(folder.path("out.onnx.data")).unwrap()]);
    // A model without side files leaves none behind.
    let inside = Folder::new();
    save(&rewritten(&inside.write("m.onnx", &residual_block(7, 16)), 1), &out).unwrap();
    assert_eq!(folder.list(), ["out.onnx"]);
    // Other weights take another name, and then the first goes.
    earlier_output(&folder, 7);
    earlier_output(&folder, 8);
    assert_eq!(folder.list(), ["out.onnx", "out.onnx.1.data"]);
    open(&out);
    earlier_output(&folder, 9);
    assert_eq!(folder.list(), ["out.onnx", "out.onnx.data"]);
    open(&out);
}

#[test]
fn an_own_side_file_stays_when_another_model_reads_it() {
    let folder = Folder::new();
    let out = earlier_output(&folder, 7);
    let copy = folder.path("copy.onnx");
    fs::copy(&out, &copy).unwrap();
    let before = contents(open(&copy).proto());
    earlier_output(&folder, 8);
    assert_eq!(folder.list(), ["copy.onnx", "out.onnx", "out.onnx.1.data", "out.onnx.data"]);
    assert_eq!(contents(open(&copy).proto()), before);
    assert_ne!(contents(open(&out).proto()), before);
}

/// Also while another run counts on it.
#[test]
fn an_own_side_file_stays_while_another_run_needs_it() {
    let folder = Folder::new();
    earlier_output(&folder, 7);
    let source = Folder::new();
    let model = rewritten(&write(&source, "m.onnx", residual_block(7, 16), &["w.bin"]), 1);
    let waiting = onnx_rm::io::stage(&model, &folder.path("out.onnx")).unwrap();
    earlier_output(&folder, 8);
    let saved = waiting.commit().unwrap();
    assert_eq!(saved.left, Vec::<PathBuf>::new());
    assert_eq!(contents(open(&folder.path("out.onnx")).proto()), contents(model.proto()));
}

#[test]
fn an_unrelated_file_with_the_name_of_the_side_file_is_not_replaced() {
    let (from, to) = (Folder::new(), Folder::new());
    let model = rewritten(&write(&from, "m.onnx", block(), &["w.bin"]), 1);
    let other = write(&to, "other.onnx", residual_block(5, 16), &["out.onnx.data"]);
    fs::create_dir(to.path("out.onnx.1.data")).unwrap();
    std::os::unix::fs::symlink("nowhere", to.path("out.onnx.2.data")).unwrap();
    for _ in 0..2 {
        save(&model, &to.path("out.onnx")).unwrap();
        assert_eq!(locations(&to.path("out.onnx")), ["out.onnx.3.data"]);
        assert_eq!(contents(open(&to.path("out.onnx")).proto()), contents(&block_rewritten()));
        assert_eq!(contents(open(&other).proto()), contents(&residual_block(5, 16)));
    }
}

/// Cut or written to by another program: what was read stays as it was.
#[test]
fn what_becomes_of_a_file_later_changes_nothing() {
    let (folder, to) = (Folder::new(), Folder::new());
    let path = write(&folder, "m.onnx", block(), &["a.bin", "sub/b.bin"]);
    let model = rewritten(&path, 1);
    for name in ["m.onnx", "a.bin", "sub/b.bin"] {
        let file = fs::OpenOptions::new().write(true).open(folder.path(name)).unwrap();
        file.set_len(if name == "a.bin" { 100 } else { 0 }).unwrap();
    }
    assert_eq!(contents(model.proto()), contents(&block_rewritten()));
    save(&model, &to.path("out.onnx")).unwrap();
    assert_eq!(contents(open(&to.path("out.onnx")).proto()), contents(&block_rewritten()));
}

#[test]
fn a_file_of_the_input_is_never_replaced_by_another_output() {
    let folder = Folder::new();
    let path = write(&folder, "in.onnx", block(), &["out.onnx.data"]);
    save(&rewritten(&path, 1), &folder.path("out.onnx")).unwrap();
    assert_eq!(folder.list(), ["in.onnx", "out.onnx", "out.onnx.1.data", "out.onnx.data"]);
    assert_eq!(contents(open(&path).proto()), contents(&block()));
    assert_eq!(contents(open(&folder.path("out.onnx")).proto()), contents(&block_rewritten()));
    // Nor the model itself.
    let path = write(&folder, "x.data", block(), &["w.bin"]);
    save(&rewritten(&path, 1), &folder.path("x")).unwrap();
    assert_eq!(contents(open(&path).proto()), contents(&block()));
    assert_eq!(contents(open(&folder.path("x")).proto()), contents(&block_rewritten()));
}

#[test]
fn tensors_at_one_place_stay_at_one_place() {
    let folder = Folder::new();
    let mut model = block();
    let mut file = Vec::new();
    let tensors = initializers_mut(&mut model);
    let kept = tensors.iter().position(|t| t.name() == "first").unwrap();
    move_out(&mut tensors[kept], "w.bin", &mut file);
    let twin = TensorProto { name: Some("second".into()), ..tensors[kept].clone() };
    *tensors.iter_mut().find(|t| t.name() == "second").unwrap() = twin;
    fs::write(folder.path("w.bin"), &file).unwrap();
    save(&rewritten(&folder.write("m.onnx", &model), 1), &folder.path("out.onnx")).unwrap();
    let written = ModelProto::decode(fs::read(folder.path("out.onnx")).unwrap().as_slice()).unwrap();
    let place = |name: &str| initializers(&written).iter().find(|t| t.name() == name).unwrap().external_data.clone();
    assert_eq!(place("first"), place("second"));
}

/// Also in the graphs that train the model.
#[test]
fn training_graphs_take_their_weights_along() {
    let (from, to) = (Folder::new(), Folder::new());
    let mut model = block();
    let mut tensor = TensorProto { name: Some("t".into()), ..initializers(&model)[0].clone() };
    let content = tensor.raw_data.clone().unwrap();
    let mut file = Vec::new();
    move_out(&mut tensor, "w.bin", &mut file);
    fs::write(from.path("w.bin"), file).unwrap();
    let graph = onnx_rm::onnx::GraphProto { initializer: vec![tensor], ..Default::default() };
    model.training_info = vec![onnx_rm::onnx::TrainingInfoProto { algorithm: Some(graph), ..Default::default() }];
    save(&rewritten(&from.write("m.onnx", &model), 1), &to.path("out.onnx")).unwrap();
    let read = open(&to.path("out.onnx")).into_proto();
    assert_eq!(read.training_info[0].algorithm.as_ref().unwrap().initializer[0].raw_data, Some(content));
}
