//! The log: an event is one line, whatever stands in it.

use std::io::{self, IsTerminal, Write};

/// Standard error, where each event comes as one piece.
#[derive(Debug)]
pub(crate) struct Lines;

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let colours = io::stderr().is_terminal();
        io::stderr().lock().write_all(one_line(&String::from_utf8_lossy(event), colours).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What an object or a file says must neither begin a line of its own nor move what a terminal shows: line ends within, control characters
/// and those that turn the direction of writing are escaped. The escapes of colours are the logger's own, which escapes those of others.
fn one_line(event: &str, colours: bool) -> String {
    let (text, end) = event.strip_suffix('\n').map_or((event, ""), |text| (text, "\n"));
    let mut line = String::with_capacity(event.len());
    for char in text.chars() {
        match char {
            '\u{1b}' if colours => line.push(char),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => line.extend(char.escape_unicode()),
            _ if char.is_control() => line.extend(char.escape_default()),
            _ => line.push(char),
        }
    }
    line + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_event_begins_a_line_or_moves_what_is_shown() {
        assert_eq!(one_line("INFO a\nb\r\n\tc\0 é\n", false), "INFO a\\nb\\r\\n\\tc\\u{0} é\n");
        assert_eq!(one_line("a\u{202e}b\u{2028}c\u{85}d\u{1b}[2J", false), "a\\u{202e}b\\u{2028}c\\u{85}d\\u{1b}[2J");
        assert_eq!(one_line("\u{1b}[32mINFO\u{1b}[0m a\n", true), "\u{1b}[32mINFO\u{1b}[0m a\n");
        assert_eq!(one_line("", false), "");
    }
}
