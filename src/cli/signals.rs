//! Signals that ask a run to stop: Ctrl-C, and what schedulers and closing terminals send.
//!
//! The first one sets a flag: the run finishes the step in hand, saves it, and ends with the status that shells
//! give a program that a signal ended, 128 and the signal's number. A second one ends the program at once.

use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The status to end with once a signal has come; 0 before.
static STATUS: AtomicU8 = AtomicU8::new(0);

/// The status that a command which a signal stopped ends with, if one did.
pub fn status() -> Option<u8> {
    Some(STATUS.load(Ordering::Relaxed)).filter(|&status| status != 0)
}

/// A flag that the first signal sets: Ctrl-C, SIGTERM, SIGHUP and, with `usr1`, SIGUSR1.
///
/// # Errors
/// [`Error::Config`] when the system does not let the program watch for them.
#[cfg(unix)]
pub fn stop_on_signals(usr1: bool) -> Result<Arc<AtomicBool>> {
    use super::output::message;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    use signal_hook::iterator::Signals;
    use std::time::{Duration, Instant};

    /// A closed terminal can send SIGHUP twice: the kernel sends one, and the shell another.
    const SAME_HANGUP: Duration = Duration::from_millis(500);

    let mut watched = vec![SIGINT, SIGTERM];
    // What nohup started goes on after the terminal is closed.
    if !is_ignored(SIGHUP) {
        watched.push(SIGHUP);
    }
    if usr1 {
        watched.push(SIGUSR1);
    }
    let failed = |e| Error::Config(format!("cannot watch for signals: {e}"));
    let mut signals = Signals::new(watched).map_err(failed)?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let watch = move || {
        let mut first: Option<(i32, Instant)> = None;
        for signal in signals.forever() {
            let status = 128 + signal as u8;
            match first {
                None => first = Some((signal, Instant::now())),
                Some((SIGHUP, at)) if signal == SIGHUP && at.elapsed() < SAME_HANGUP => continue,
                Some(_) => signal_hook::low_level::exit(status.into()),
            }
            STATUS.store(status, Ordering::Relaxed);
            flag.store(true, Ordering::Relaxed);
            match signal {
                SIGINT => message("\nstopping after this step; press Ctrl-C again to stop at once"),
                _ => message(format_args!(
                    "{}: stopping after this step; another signal stops at once",
                    signal_hook::low_level::signal_name(signal).unwrap_or("signal")
                )),
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
    Ok(stop)
}

/// Whether the program was started with `signal` ignored.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut present = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action, sigaction only writes the present one to the place that it is given.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), present.as_mut_ptr()) == 0
            && present.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// A flag that the first Ctrl-C sets.
///
/// # Errors
/// [`Error::Config`] when the system does not let the program watch for it.
#[cfg(not(unix))]
pub fn stop_on_signals(_usr1: bool) -> Result<Arc<AtomicBool>> {
    use super::output::message;

    const INTERRUPTED: u8 = 130;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
        STATUS.store(INTERRUPTED, Ordering::Relaxed);
        message("\nstopping after this step; press Ctrl-C again to stop at once");
    })
    .map_err(|e| Error::Config(format!("cannot watch for Ctrl-C: {e}")))?;
    Ok(stop)
}
