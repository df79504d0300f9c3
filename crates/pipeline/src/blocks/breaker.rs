//! Stops a stage whose first blocks all fail in the same way: the next thousand would too.

/// This many different blocks must have failed alike, and none succeeded.
const ALIKE: usize = 5;

/// Watches the first blocks of a run.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    kind: Option<String>,
    alike: usize,
    closed: bool,
}

impl Breaker {
    /// A block succeeded: whatever fails from now on is not systematic.
    pub(super) fn succeeded(&mut self) {
        self.closed = true;
    }

    /// A block failed. True if the stage should stop.
    pub(super) fn failed(&mut self, error: &str) -> bool {
        let kind = kind(error);
        if self.closed {
            return false;
        }
        if self.kind.as_deref().is_some_and(|first| first != kind) {
            self.closed = true;
            return false;
        }
        self.kind = Some(kind);
        self.alike += 1;
        self.alike >= ALIKE
    }
}

/// An error without what differs from block to block: its numbers.
fn kind(error: &str) -> String {
    let mut kind: String =
        error.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
    while kind.contains("##") {
        kind = kind.replace("##", "#");
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops_after(events: &[Option<&str>]) -> Option<usize> {
        let mut breaker = Breaker::default();
        events.iter().position(|event| match event {
            None => {
                breaker.succeeded();
                false
            }
            Some(error) => breaker.failed(error),
        })
    }

    #[test]
    fn the_same_error_in_all_first_blocks_stops() {
        let errors: Vec<String> =
            (0..9).map(|n| format!("v.zarr: chunk {n}: no such file")).collect();
        let events: Vec<_> = errors.iter().map(|e| Some(e.as_str())).collect();
        assert_eq!(stops_after(&events), Some(ALIKE - 1));
    }

    #[test]
    fn a_success_or_another_error_does_not() {
        let same = Some("chunk 1: damaged");
        assert_eq!(stops_after(&[same, same, None, same, same, same, same, same, same]), None);
        assert_eq!(stops_after(&[same, Some("disk full"), same, same, same, same, same]), None);
    }
}
