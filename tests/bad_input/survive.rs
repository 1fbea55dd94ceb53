//! Running a model through the library and surviving it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use onnx_rm::engine;
use onnx_rm::graph::validate;
use onnx_rm::io::{LoadOptions, Model, load};
use onnx_rm::options::{ActivationForm, Options};

use super::*;

/// The models of these tests are a few kilobytes. What asks for as much as this believes a number in a file.
const BOMB: usize = 64 << 20;

/// The system's allocator, which remembers the largest request.
struct Remembering;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// True while this thread does what must not ask for much: other tests run beside it.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Remembering = Remembering;

// SAFETY: all memory comes from the system's allocator and goes back to it.
unsafe impl GlobalAlloc for Remembering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WATCHED.try_with(Cell::get).unwrap_or(false) {
            LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What became of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It could not be loaded, or its graph is broken.
    Refused,
    /// This many joins were removed.
    Rewritten(usize),
}

/// Loads and rewrites the model in `file`, as by default and with every option on.
///
/// # Panics
/// When any of that panics, allocates absurdly, or leaves a graph that is not valid. `name` says which model it was.
pub(super) fn survives(file: &Path, name: &str) -> Fate {
    WATCHED.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let Ok(model) = load(file, &LoadOptions::default().drop_unknown_fields(true)) else { return Fate::Refused };
        let all = Options::default().long_skips(true).activation(ActivationForm::Select);
        rewritten(model.clone(), &all);
        rewritten(model, &Options::default())
    }));
    WATCHED.set(false);
    assert!(
        LARGEST.load(Ordering::Relaxed) < BOMB,
        "{name}: allocated {} bytes at once",
        LARGEST.load(Ordering::Relaxed)
    );
    result.unwrap_or_else(|_| panic!("{name} panicked"))
}

fn rewritten(mut model: Model, options: &Options) -> Fate {
    let before = model.proto().encode_to_vec();
    let Ok(outcome) = engine::rewrite(&mut model, options, &mut onnx_rm::engine::go_on) else { return Fate::Refused };
    let removed = outcome.removed().count();
    if removed > 0 {
        validate(model.proto()).unwrap();
        let before = ModelProto::decode(before.as_slice()).unwrap();
        assert_eq!(ends(model.proto()), ends(&before));
    } else {
        assert!(model.proto().encode_to_vec() == before, "changed without saying so");
    }
    Fate::Rewritten(removed)
}

/// Inputs and outputs of the graph, which no rewrite may change.
fn ends(model: &ModelProto) -> (&[onnx_rm::onnx::ValueInfoProto], &[onnx_rm::onnx::ValueInfoProto]) {
    let graph = model.graph.as_ref().unwrap();
    (&graph.input, &graph.output)
}

/// A file for the models of one test. When the test fails the last of them stays in it.
pub(super) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
