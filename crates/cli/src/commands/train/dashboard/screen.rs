//! The terminal while the dashboard has it. No key is read: Ctrl-C is the signal that it always is.

use std::io::{self, BufWriter, Stderr, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ratatui::Terminal;

use super::ansi::{Ansi, ENTER, LEAVE};
use super::drawing::draw;
use super::state::State;

/// Whether the terminal shows the screen. For the process, as the terminal is: a panic and a signal give it
/// back, from any thread.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The second screen of the terminal of stderr; given back when this is dropped.
pub(super) struct Screen {
    terminal: Terminal<Ansi<BufWriter<Stderr>>>,
}

impl Screen {
    /// # Errors
    /// What the terminal says.
    pub(super) fn open() -> io::Result<Self> {
        let terminal = Terminal::new(Ansi::new(BufWriter::new(io::stderr())))?;
        leave_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        let screen = Self { terminal };
        io::stderr().write_all(ENTER.as_bytes())?;
        Ok(screen)
    }

    /// Draws; `false` if the screen is no more.
    pub(super) fn draw(&mut self, state: &State) -> bool {
        let now = Instant::now();
        TAKEN.load(Ordering::SeqCst) && self.terminal.draw(|frame| draw(frame, state, now)).is_ok()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back as it was, if it has been taken.
pub(in super::super) fn leave() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // There is nobody to tell: stderr is what failed.
        let _ = io::stderr().write_all(LEAVE.as_bytes());
    }
}

/// So that the message of a panic is on the screen that stays.
fn leave_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            leave();
            before(info);
        }));
    });
}
