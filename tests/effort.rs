//! What a run costs, in requests for memory and in bytes: time cannot be tested, but work that grows faster than the model shows here.
#![allow(unsafe_code, clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "common/mod.rs"]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Build, conv, int, ints};
use ndarray::{ArrayD, IxDyn};
use onnx_rm::graph::Names;
use onnx_rm::onnx::ModelProto;
use onnx_rm::options::Options;
use onnx_rm::verify::reference::{EvalError, Value, run, run_to};

/// The system's allocator, which counts.
struct Counting;

static REQUESTS: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all memory comes from the system's allocator and goes back to it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTS.fetch_add(1, Relaxed);
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        REQUESTS.fetch_add(1, Relaxed);
        PEAK.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The counters are everyone's: every test here holds this from its first line to its last.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests for memory while `f` runs, the most bytes held by it at once, and its result.
fn cost<T>(f: impl FnOnce() -> T) -> (usize, usize, T) {
    let (requests, held) = (REQUESTS.load(Relaxed), HELD.load(Relaxed));
    PEAK.store(held, Relaxed);
    let result = f();
    (REQUESTS.load(Relaxed) - requests, PEAK.load(Relaxed).saturating_sub(held), result)
}

/// A chain of small residual blocks, of which only the nodes of a named one have names.
fn blocks(count: usize, named: bool) -> ModelProto {
    let mut b = Build::new(3);
    let mut at = b.input("x", &[1, 2, 4, 4]);
    let w = b.random(&[2, 2, 1, 1], 0.5);
    for _ in 0..count {
        let a = b.conv_with(&[&at, &w], &conv(2, 2, 1));
        let a = b.node("Elu", &[&a], vec![]);
        let a = b.conv_with(&[&a, &w], &conv(2, 2, 1));
        at = b.add(&a, &at);
    }
    b.output(&at);
    if !named {
        b.graph.node.iter_mut().for_each(|n| n.name = None);
    }
    b.model()
}

/// Twice as much, and a tenth for what grows in steps.
const TWICE: f64 = 2.2;

#[test]
fn rewriting_twice_as_many_blocks_is_twice_the_work() {
    let _alone = alone();
    for named in [true, false] {
        let work = |count| {
            let model = blocks(count, named);
            let (requests, _, (_, outcome)) = cost(|| common::rewrite(&model, &Options::default()));
            assert_eq!(common::joins(&outcome), 0);
            requests as f64
        };
        let (once, twice) = (work(150), work(300));
        assert!(twice < TWICE * once, "named {named}: {once} requests became {twice}");
    }
}

#[test]
fn evaluating_twice_as_many_blocks_is_twice_the_work() {
    let _alone = alone();
    let work = |count| {
        let model = blocks(count, true);
        let output = model.graph.as_ref().unwrap().output[0].name().to_owned();
        let feed = common::feed(&model, 1);
        cost(|| run_to(&model, &feed, &[&output]).unwrap()).0 as f64
    };
    let (once, twice) = (work(150), work(300));
    assert!(twice < TWICE * once, "{once} requests became {twice}");
}

#[test]
fn a_name_that_is_asked_for_often_is_not_counted_again() {
    let _alone = alone();
    let mut names = Names::new(&blocks(1, true));
    let calls = 5_000;
    let (requests, _, last) = cost(|| (0..calls).map(|_| names.fresh("again")).last());
    assert_eq!(last, Some(format!("again_{}", calls - 1)));
    assert!(requests < 8 * calls, "{requests} requests for {calls} names");
}

/// A list of sizes that doubles sixty times, of an input with these dimensions: how much memory looking at it takes.
fn doubling(shape: &[i64]) -> usize {
    let mut b = Build::new(2);
    let x = b.input("x", shape);
    let mut sizes = b.node("Shape", &[&x], vec![]);
    for _ in 0..60 {
        sizes = b.node("Concat", &[&sizes, &sizes], vec![int("axis", 0)]);
    }
    let y = b.relu(&x);
    b.output(&y);
    let model = b.model();
    let (_, peak, _) = cost(|| common::rewrite(&model, &Options::default()));
    peak
}

#[test]
fn a_list_of_sizes_that_doubles_node_by_node_is_not_written_out() {
    let _alone = alone();
    let free = doubling(&[1, -1, 3, 4]);
    assert!(free < 8 << 20, "{free} bytes");
    // Sizes that are all fixed are constants, which are bounded together.
    let fixed = doubling(&[1, 2, 3, 4]);
    assert!(fixed < 160 << 20, "{fixed} bytes");
}

/// Bytes of a tensor of float64.
fn bytes(shape: &[usize]) -> usize {
    8 * shape.iter().product::<usize>()
}

/// Columns, products and packed operands: some MiB for each of as many threads as there are processors.
fn working_space() -> usize {
    (16 << 20) * std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn a_convolution_holds_little_beside_its_input_and_output() {
    let _alone = alone();
    let large = |op: &str, weight: &[usize], attributes, shape: &[usize]| {
        let mut b = Build::new(1);
        let x = b.input("x", &[1, 4, 512, 512]);
        let w = b.random(weight, 0.5);
        let y = b.node(op, &[&x, &w], attributes);
        let model = b.model();
        let feed = common::feed(&model, 1);
        let (_, peak, trace) = cost(|| run_to(&model, &feed, &[&y]).unwrap());
        assert_eq!(trace.get(&y).unwrap().shape(), shape);
        // The evaluation has a copy of what it is fed.
        let both = bytes(&[4, 512, 512]) + bytes(shape);
        assert!(peak < both + working_space(), "{op}: {peak} bytes, {both} of them tensors");
    };
    large("Conv", &[4, 4, 7, 7], vec![ints("pads", &[3; 4])], &[1, 4, 512, 512]);
    let stride = vec![ints("strides", &[2, 2]), ints("pads", &[3; 4])];
    large("ConvTranspose", &[4, 2, 8, 8], stride, &[1, 2, 1024, 1024]);
    large("AveragePool", &[1], vec![ints("kernel_shape", &[31, 31]), ints("pads", &[15; 4])], &[1, 4, 512, 512]);
}

/// What `op` says of inputs that ask for more than one tensor may have, and the most bytes it held.
fn refusal(op: &str, inputs: impl FnOnce(&mut Build) -> Vec<String>, attributes: Vec<onnx_rm::onnx::AttributeProto>) {
    let mut b = Build::new(1);
    b.input("x", &[]);
    let inputs = inputs(&mut b);
    b.node(op, &inputs.iter().map(String::as_str).collect::<Vec<_>>(), attributes);
    let x = Value::F(ArrayD::zeros(IxDyn(&[1, 1, 64, 64])));
    let feed = BTreeMap::from([("x".to_owned(), x)]);
    let model = b.model();
    let (_, peak, result) = cost(|| run(&model, &feed));
    let error = result.err().unwrap_or_else(|| panic!("{op} gave a value"));
    assert!(matches!(&error, EvalError::Node { op: said, .. } if said == op), "{error}");
    assert!(peak < 1 << 22, "{op} held {peak} bytes before it said: {error}");
}

#[test]
fn a_size_is_refused_before_memory_is_asked_for() {
    let _alone = alone();
    let x = || "x".to_owned();
    let huge = 1 << 30;
    refusal("Tile", |b| vec![x(), b.ints(&[1, 1, huge, huge])], vec![]);
    refusal("Expand", |b| vec![x(), b.ints(&[1, huge, 64, 64])], vec![]);
    refusal("ConstantOfShape", |b| vec![b.ints(&[huge, 1])], vec![]);
    refusal("Range", |b| vec![b.ints(&[0]), b.ints(&[huge]), b.ints(&[1])], vec![]);
    refusal("Pad", |b| vec![x(), b.ints(&[0, 0, 1 << 27, 1 << 27, 0, 0, 0, 0])], vec![]);
    refusal("Resize", |b| vec![x(), String::new(), String::new(), b.ints(&[1, 1, 1 << 27, 1 << 27])], vec![]);
    refusal("OneHot", |b| vec![x(), b.ints(&[huge]), b.floats(&[2], vec![0.0, 1.0])], vec![]);
    let pool = |kernel: &[i64], pads: &[i64]| vec![ints("kernel_shape", kernel), ints("pads", pads)];
    refusal("AveragePool", |_| vec![x()], pool(&[1, 1], &[0, 0, huge, huge]));
    refusal("MaxPool", |_| vec![x()], pool(&[huge, huge], &[huge, huge, huge, huge]));
    let spread = vec![ints("strides", &[1 << 20, 1 << 20])];
    refusal("ConvTranspose", |b| vec![x(), b.floats(&[1, 1, 1, 1], vec![1.0])], spread);
    refusal("Conv", |b| vec![x(), b.floats(&[1, 1, 1, 1], vec![1.0])], vec![ints("pads", &[huge, huge, 0, 0])]);
    refusal("DepthToSpace", |_| vec![x()], vec![int("blocksize", 1 << 15)]);
}

/// A window larger than the map costs no more than the map: it holds nothing of its size, and its result is that of the whole map.
#[test]
fn a_huge_window_is_as_large_as_the_map() {
    let _alone = alone();
    let huge = (1 << 31) - 2;
    let pads = ints("pads", &[huge / 2, 0, huge / 2, 0]);
    for (op, want) in [("MaxPool", 4095.0), ("AveragePool", 4095.0 / 2.0)] {
        let mut b = Build::new(1);
        b.input("x", &[]);
        let y = b.node(op, &["x"], vec![ints("kernel_shape", &[huge, 64]), pads.clone(), ints("strides", &[64, 1])]);
        let x = ArrayD::from_shape_vec(IxDyn(&[1, 1, 64, 64]), (0..4096).map(f64::from).collect()).unwrap();
        let feed = BTreeMap::from([("x".to_owned(), Value::F(x))]);
        let model = b.model();
        let (_, peak, trace) = cost(|| run(&model, &feed).unwrap());
        let y = trace.get(&y).unwrap().floats().unwrap();
        assert_eq!(y.shape(), [1, 1, 2, 1]);
        assert_eq!(y.first(), Some(&want), "{op}");
        assert!(peak < 1 << 20, "{op} held {peak} bytes");
    }
}
