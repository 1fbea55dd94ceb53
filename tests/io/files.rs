//! Files and folders: what is there already, what is left behind.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::build::residual_block;
use super::*;
use onnx_rm::io::{save, stage};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A model with nothing to remove, in an encoding that no encoder makes: fields backwards, numbers too long.
fn unusual() -> Vec<u8> {
    let mut b = build::Build::new(1);
    let x = b.input("x", &[1, 4, 8, 8]);
    let y = b.relu(&x);
    b.output(&y);
    let model = b.model();
    let mut file = ModelProto { graph: model.graph.clone(), ..ModelProto::default() }.encode_to_vec();
    file.extend(ModelProto { graph: None, ir_version: None, ..model }.encode_to_vec());
    file.extend([0x08, 0x88, 0x80, 0x00]);
    file
}

#[test]
fn a_run_that_applies_nothing_writes_what_it_read() {
    let folder = Folder::new();
    let path = folder.path("m.onnx");
    fs::write(&path, unusual()).unwrap();
    let model = rewritten(&path, 0);
    assert_eq!(model.proto().ir_version, Some(8));
    assert!(model.proto().encode_to_vec() != unusual(), "a fresh encoding would look the same");
    for to in [&folder.path("out.onnx"), &path] {
        save(&model, to).unwrap();
        assert!(fs::read(to).unwrap() == unusual());
    }
    assert_eq!(folder.list(), ["m.onnx", "out.onnx"]);
}

#[test]
fn a_model_can_replace_itself() {
    let folder = Folder::new();
    let path = folder.write("m.onnx", &residual_block(1, 6));
    let model = rewritten(&path, 1);
    save(&model, &path).unwrap();
    assert_eq!(open(&path).proto(), model.proto());
    assert_eq!(folder.list(), ["m.onnx"]);
}

#[test]
fn permissions_are_those_of_the_file_replaced_or_of_the_input() {
    let folder = Folder::new();
    let path = folder.write("m.onnx", &residual_block(1, 6));
    set_mode(&path, 0o640);
    let model = rewritten(&path, 1);
    let out = folder.path("out.onnx");
    save(&model, &out).unwrap();
    assert_eq!(mode(&out), 0o640);
    set_mode(&out, 0o604);
    save(&model, &out).unwrap();
    assert_eq!(mode(&out), 0o604);
}

#[test]
fn a_link_is_followed() {
    let folder = Folder::new();
    fs::create_dir(folder.path("real")).unwrap();
    fs::write(folder.path("real/old.onnx"), "old").unwrap();
    let link = folder.path("link.onnx");
    symlink("real/old.onnx", &link).unwrap();
    let model = rewritten(&folder.write("m.onnx", &residual_block(1, 16)), 1);
    save(&model, &link).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(open(&folder.path("real/old.onnx")).proto(), model.proto());
    assert_eq!(folder.list(), ["link.onnx", "m.onnx", "real/"]);
    let nowhere = folder.path("nowhere.onnx");
    symlink("missing/m.onnx", &nowhere).unwrap();
    save(&model, &nowhere).unwrap_err();
    // Its external data would be beside the one path or the other, not beside both.
    let mut external = residual_block(1, 16);
    let mut file = Vec::new();
    initializers_mut(&mut external).iter_mut().for_each(|t| move_out(t, "w.bin", &mut file));
    fs::write(folder.path("w.bin"), file).unwrap();
    let model = rewritten(&folder.write("external.onnx", &external), 1);
    let before = fs::read(&link).unwrap();
    let error = save(&model, &link).unwrap_err().to_string();
    assert!(error.contains("link into another folder"), "{error}");
    assert!(fs::read(&link).unwrap() == before);
    assert_eq!(fs::read_dir(folder.path("real")).unwrap().count(), 1);
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let folder = Folder::new();
    let model = rewritten(&folder.write("m.onnx", &residual_block(1, 6)), 1);
    fs::create_dir(folder.path("dir")).unwrap();
    let cases = [
        (folder.path("dir"), "it is a directory"),
        (folder.path("new/"), "it is a directory"),
        (folder.path("none/out.onnx"), "cannot write into the folder"),
        (folder.path("m.onnx/out.onnx"), "m.onnx/out.onnx: "),
        (PathBuf::from("/dev/null"), "it is not a regular file"),
        (PathBuf::new(), "it has no file name"),
    ];
    for (path, want) in cases {
        let error = save(&model, &path).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    assert_eq!(folder.list(), ["dir/", "m.onnx"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let folder = Folder::new();
    let path = folder.write("m.onnx", &residual_block(1, 6));
    let model = rewritten(&path, 1);
    set_mode(folder.0.path(), 0o555);
    // The superuser may write everywhere: nothing to see then.
    let bound = fs::write(folder.path("probe"), "").is_err();
    let result = save(&model, &folder.path("out.onnx"));
    set_mode(folder.0.path(), 0o755);
    if bound {
        assert!(result.unwrap_err().to_string().contains("permission denied"));
        assert_eq!(folder.list(), ["m.onnx"]);
    } else {
        result.unwrap();
    }
}

#[test]
fn a_name_need_not_be_text() {
    let folder = Folder::new();
    let path = folder.0.path().join(std::ffi::OsStr::from_bytes(b"m\xff.onnx"));
    let model = rewritten(&folder.write("m.onnx", &residual_block(1, 6)), 1);
    save(&model, &path).unwrap();
    assert_eq!(open(&path).proto(), model.proto());
}

#[test]
fn nothing_is_left_of_what_is_not_committed() {
    let folder = Folder::new();
    let model = rewritten(&folder.write("m.onnx", &residual_block(1, 6)), 1);
    let out = folder.path("out.onnx");
    fs::write(&out, "old").unwrap();
    let staged = stage(&model, &out).unwrap();
    assert_eq!(open(&staged.path()).proto(), model.proto());
    assert_eq!(folder.list().len(), 3);
    drop(staged);
    assert_eq!(folder.list(), ["m.onnx", "out.onnx"]);
    assert_eq!(fs::read(&out).unwrap(), b"old");
    // A folder takes the name meanwhile, and no file can replace it.
    let staged = stage(&model, &folder.path("late.onnx")).unwrap();
    fs::create_dir_all(folder.path("late.onnx/full")).unwrap();
    staged.commit().unwrap_err();
    assert_eq!(folder.list(), ["late.onnx/", "m.onnx", "out.onnx"]);
}

/// Protobuf ends at 2 GiB; the file has a hole, so it takes no space.
#[test]
fn a_file_that_is_too_large_is_refused() {
    let folder = Folder::new();
    let path = folder.path("m.onnx");
    fs::File::create(&path).unwrap().set_len(1 << 31).unwrap();
    assert!(refusal(&path).contains("2147483648 bytes are more than a protobuf message can hold"));
}
