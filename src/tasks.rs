//! Work that falls into independent pieces, none of which depends on how many threads there are.

use std::num::NonZero;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

/// Multiply-accumulates, or as much, below which a second thread does not pay: it costs some ten microseconds to start.
const WORTH_A_THREAD: usize = 1 << 18;

/// Processors. Asking the system reads several files.
static PROCESSORS: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));

/// Calls `f` on every task, `work` multiply-accumulates in all: on as many threads as that is worth and there are
/// processors; on this one alone when no other starts. Tasks are made when they are taken. Each thread gives all of its tasks the same
/// `T::default()` to work in.
pub(crate) fn each<S: Default, T>(work: usize, tasks: impl Iterator<Item = T> + Send, f: impl Fn(&mut S, T) + Sync) {
    let most = tasks.size_hint().1.unwrap_or(usize::MAX);
    share((*PROCESSORS).min(most).min(work / WORTH_A_THREAD + 1), tasks, f);
}

fn share<S: Default, T>(threads: usize, tasks: impl Iterator<Item = T> + Send, f: impl Fn(&mut S, T) + Sync) {
    if threads <= 1 {
        let mut space = S::default();
        return tasks.for_each(|task| f(&mut space, task));
    }
    let queue = Mutex::new(tasks);
    let work = || {
        let mut space = S::default();
        loop {
            let task = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            match task {
                Some(task) => f(&mut space, task),
                None => break,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that the system refuses is not missed: the others take its tasks.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn every_task_is_done_once_however_many_threads_there_are() {
        for threads in [1, 2, 5] {
            let mut done = vec![0; 100];
            share(threads, done.iter_mut(), |seen: &mut Vec<i32>, n: &mut i32| {
                seen.push(0);
                *n += 1;
            });
            assert_eq!(done, [1; 100]);
        }
    }
}
