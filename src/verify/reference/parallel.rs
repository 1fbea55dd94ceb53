//! Work that falls into independent pieces.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Threads worth starting.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Calls `f` on every task, on as many threads as there are processors; on this one alone when no other starts.
pub(super) fn each<T: Send>(tasks: Vec<T>, f: impl Fn(T) + Sync) {
    let helpers = threads().min(tasks.len()).saturating_sub(1);
    let queue = Mutex::new(tasks.into_iter());
    let work = || {
        loop {
            let task = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            match task {
                Some(task) => f(task),
                None => break,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // A thread that the system refuses is not missed: the others take its tasks.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}
