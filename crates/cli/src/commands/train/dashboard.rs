//! `exavox train --dashboard`: a screen that is drawn anew in its place, on a terminal.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exavox_pipeline::{Event, Observer};

use crate::printer::Printer;
use crate::progress::Progress;

mod ansi;
mod drawing;
mod screen;
mod state;

use screen::Screen;
pub(super) use screen::leave;
use state::State;

/// Time between two drawings.
const PAUSE: Duration = Duration::from_millis(200);

/// Draws what it is told. Where the screen is lost (a panic gives the terminal back, so that its message
/// is seen) the ordinary lines go on.
pub(super) struct Dashboard<'a> {
    lines: &'a Progress,
    printer: Printer,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    screen: Option<Screen>,
    drawn: Option<Instant>,
}

impl<'a> Dashboard<'a> {
    /// Takes the terminal. `title`: what is trained; `lines` are shown once there is no screen.
    ///
    /// # Errors
    /// What the terminal says.
    pub(super) fn open(
        title: &str,
        lines: &'a Progress,
        printer: Printer,
    ) -> std::io::Result<Self> {
        let (state, screen) = (State::new(title), Some(Screen::open()?));
        Ok(Self { lines, printer, inner: Mutex::new(Inner { state, screen, drawn: None }) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A worker that panicked while it held the lock leaves nothing worse than a wrong number.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Dashboard<'_> {
    fn notify(&self, event: &Event<'_>) {
        let inner = &mut *self.inner();
        if inner.screen.is_none() {
            return self.lines.notify(event);
        }
        inner.state.take(event);
        let is_new = matches!(event, Event::Advanced { .. } | Event::Trained(_));
        if is_new && inner.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE) {
            return;
        }
        inner.drawn = Some(Instant::now());
        let drawn = inner.screen.as_mut().is_some_and(|screen| screen.draw(&inner.state));
        if !drawn {
            inner.screen = None;
            self.told(&inner.state);
            inner.state.replay(&mut |event| self.lines.notify(event));
        }
    }
}

impl Dashboard<'_> {
    /// What was said while the screen was there, where it can still be read later.
    fn told(&self, state: &State) {
        state.warnings().iter().for_each(|text| self.printer.warning(text));
    }
}

impl Drop for Dashboard<'_> {
    fn drop(&mut self) {
        let inner = &mut *self.inner();
        if inner.screen.take().is_some() {
            self.told(&inner.state);
        }
    }
}
