//! The log: an event is one line, whatever stands in it.

use std::io::{self, IsTerminal, Write};

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// Standard error, where each event comes as one piece.
#[derive(Debug)]
pub(crate) struct Lines(pub(crate) LogFormat);

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = match self.0 {
            LogFormat::Text => one_line(&text, io::stderr().is_terminal()),
            LogFormat::Json => json_line(&text),
        };
        io::stderr().lock().write_all(line.as_bytes())?;
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

/// The same of an object, whose texts have control characters below the space escaped already: the others as JSON writes them.
fn json_line(event: &str) -> String {
    let (text, end) = event.strip_suffix('\n').map_or((event, ""), |text| (text, "\n"));
    let mut line = String::with_capacity(event.len());
    for char in text.chars() {
        match char {
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                line.push_str(&format!("\\u{:04x}", u32::from(char)))
            }
            _ if char.is_control() => line.push_str(&format!("\\u{:04x}", u32::from(char))),
            _ => line.push(char),
        }
    }
    line + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_stays_one_line_and_stays_an_object() {
        let event = "{\"message\":\"a\\nb\u{202e}c\u{85}\u{7f}\"}\n";
        let line = json_line(event);
        assert_eq!(line, "{\"message\":\"a\\nb\\u202ec\\u0085\\u007f\"}\n");
        let object: serde_json::Value = serde_json::from_str(&line).expect("an object");
        assert_eq!(object["message"], "a\nb\u{202e}c\u{85}\u{7f}");
    }

    #[test]
    fn nothing_in_an_event_begins_a_line_or_moves_what_is_shown() {
        assert_eq!(one_line("INFO a\nb\r\n\tc\0 é\n", false), "INFO a\\nb\\r\\n\\tc\\u{0} é\n");
        assert_eq!(one_line("a\u{202e}b\u{2028}c\u{85}d\u{1b}[2J", false), "a\\u{202e}b\\u{2028}c\\u{85}d\\u{1b}[2J");
        assert_eq!(one_line("\u{1b}[32mINFO\u{1b}[0m a\n", true), "\u{1b}[32mINFO\u{1b}[0m a\n");
        assert_eq!(one_line("", false), "");
    }
}
