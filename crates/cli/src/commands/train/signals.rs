//! What Ctrl-C and TERM do to a training.

use exavox_pipeline::blocks::StopFlag;
use signal_hook::consts::{SIGINT, SIGTERM};

/// As [`stop_first`](crate::commands::job::stop_first); the second one gives the terminal back first, which is
/// more than a handler of signals may do: a thread waits for them.
#[cfg(unix)]
pub(super) fn stop_first_with_screen(stop: &StopFlag) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let stop = stop.clone();
    let wait = move || {
        for signal in signals.forever() {
            if stop.is_set() {
                super::dashboard::leave();
                // It does not come back from this.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            stop.stop();
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}

/// As [`stop_first`].
#[cfg(not(unix))]
pub(super) fn stop_first_with_screen(stop: &StopFlag) -> std::io::Result<()> {
    crate::commands::job::stop_first(stop)
}
