//! Ending at once, and leaving nothing behind: Ctrl-C and its kind, limits of file size and of memory.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

/// Stack of the thread that waits for signals.
const STACK: usize = 256 << 10;

/// How long a fault waits for the temporary files to go, lest it waits forever.
const PATIENCE: Duration = Duration::from_secs(3);

/// From now on the signals that ask a program to end, and a fault of its own, take its temporary files away first. Who asks
/// gets the exit code 128 + signal; a fault (no memory, a stack overflow) ends as it ever did.
///
/// # Errors
/// When the system refuses a handler, or a thread.
pub(super) fn handle() -> std::io::Result<()> {
    // With any handler a file that grows too large is an error of `write`, else it would end this process.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    // What `nohup` and shells in the background ignore stays ignored.
    let asked = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(asked.chain([SIGABRT]))?;
    let wait = move || {
        let Some(signal) = signals.forever().next() else { return };
        crate::io::discard();
        if signal == SIGABRT {
            let _ = low_level::emulate_default_handler(signal);
        }
        low_level::exit(128 + signal);
    };
    thread::Builder::new().name("signals".to_owned()).stack_size(STACK).spawn(wait)?;
    // `abort` ends the process as soon as its handler returns: this one, called behind that of `Signals`, gives the thread
    // time.
    // SAFETY: a handler may sleep, and nothing else happens here.
    unsafe { low_level::register(SIGABRT, || thread::sleep(PATIENCE)) }?;
    Ok(())
}

/// True when whoever started this process had it ignore `signal`.
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no action is set; the one in force is written to `action`, and read only if it was.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
