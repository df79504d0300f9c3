//! ratatui's pictures as the sequences that terminals have had since the VT100. The backends that come with
//! ratatui bring what reads keys and mice; nothing here does.

use std::io::{self, Write};

use console::Term;
use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::Modifier;

/// Takes the second screen of a terminal, without a cursor.
pub(super) const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// Gives the terminal back.
pub(super) const LEAVE: &str = "\x1b[?1049l\x1b[?25h";

/// Writes symbols, bold or not, to their places.
#[derive(Debug)]
pub(super) struct Ansi<W: Write> {
    writer: W,
    cursor: Position,
}

impl<W: Write> Ansi<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, cursor: Position::ORIGIN }
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes())
    }
}

impl<W: Write> Backend for Ansi<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let (mut next, mut was_bold) = (None, false);
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                self.set_cursor_position((x, y))?;
            }
            let is_bold = cell.modifier.contains(Modifier::BOLD);
            if is_bold != was_bold {
                self.put(if is_bold { "\x1b[1m" } else { "\x1b[0m" })?;
            }
            self.put(cell.symbol())?;
            // What follows a wide symbol is further on, and gets a place of its own.
            (next, was_bold) = (Some((x.saturating_add(1), y)), is_bold);
        }
        if was_bold { self.put("\x1b[0m") } else { Ok(()) }
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.put("\x1b[?25l")
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.put("\x1b[?25h")
    }

    /// Where it was put: the terminal is not asked.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = position.into();
        let (row, column) = (u32::from(self.cursor.y) + 1, u32::from(self.cursor.x) + 1);
        self.put(&format!("\x1b[{row};{column}H"))
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.put(match region {
            ClearType::All => "\x1b[2J",
            ClearType::AfterCursor => "\x1b[J",
            ClearType::BeforeCursor => "\x1b[1J",
            ClearType::CurrentLine => "\x1b[2K",
            ClearType::UntilNewLine => "\x1b[K",
        })
    }

    /// Of the terminal of stderr; 80 by 24 if it does not say.
    fn size(&self) -> io::Result<Size> {
        let (rows, columns) = Term::stderr().size();
        Ok(Size::new(columns, rows))
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn neighbours_share_a_place_and_bold_ends() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 2));
        buffer.set_string(0, 0, "ab\x1b[2J", Style::new());
        buffer.set_string(2, 1, "c", Style::new().add_modifier(Modifier::BOLD));
        let mut ansi = Ansi::new(Vec::new());
        let changes = Buffer::empty(buffer.area).diff(&buffer);
        ansi.draw(changes.into_iter()).unwrap();
        let written = String::from_utf8(ansi.writer).unwrap();
        // A sequence in a name is not one any more.
        assert_eq!(written, "\x1b[1;1Hab[2J\x1b[2;3H\x1b[1mc\x1b[0m");
    }
}
