//! What an import has to say beside its documents.

use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;

/// One thing that somebody has to know before applying what came out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Note {
    /// What kind of thing.
    pub kind: Kind,
    /// The file, as it was named.
    pub file: Rc<str>,
    /// Which object, such as `plugin canary on service checkout`.
    pub object: Rc<str>,
    /// Which field, such as `config.hash`; empty when the whole is meant.
    pub field: String,
    /// A sentence that says what is so, and what to do.
    pub message: String,
}

/// How much a note weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The object became nothing.
    LeftOut,
    /// serin has nothing like it.
    NoEquivalent,
    /// It became something that may not be what is wanted.
    Decide,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeftOut => "left out",
            Self::NoEquivalent => "no equivalent",
            Self::Decide => "decide",
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}: ", self.kind, plain(&self.file), self.object)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Where an object stands, for notes.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) file: Rc<str>,
    /// Shown as it is, so whatever comes from a file went through [`plain`].
    pub(crate) object: Rc<str>,
}

/// Notes as they are collected, each once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) list: Vec<Note>,
    said: HashSet<Note>,
}

impl Notes {
    pub(crate) fn say(&mut self, kind: Kind, at: &At, field: &str, message: impl Into<String>) {
        let note = Note { kind, file: at.file.clone(), object: at.object.clone(), field: field.to_owned(), message: message.into() };
        if self.said.insert(note.clone()) {
            self.list.push(note);
        }
    }

    pub(crate) fn decide(&mut self, at: &At, field: &str, message: impl Into<String>) {
        self.say(Kind::Decide, at, field, message);
    }

    pub(crate) fn no_equivalent(&mut self, at: &At, field: &str, message: impl Into<String>) {
        self.say(Kind::NoEquivalent, at, field, message);
    }

    pub(crate) fn left_out(&mut self, at: &At, field: &str, message: impl Into<String>) {
        self.say(Kind::LeftOut, at, field, message);
    }
}

/// The longest text of a file that is shown.
const SHOWN: usize = 80;

/// A text of a file as it may stand in a line of a terminal and in a comment of YAML: short, and nothing that ends a line or moves a cursor.
pub(crate) fn plain(text: &str) -> String {
    let mut plain: String = text.chars().take(SHOWN).map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect();
    if text.chars().nth(SHOWN).is_some() {
        plain.push_str("...");
    }
    plain
}

/// Neither a control character, nor a line or direction of its own to any reader.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_file_is_one_short_line() {
        assert_eq!(plain("a\nb\u{1b}[2J\u{2028}c"), "a\u{fffd}b\u{fffd}[2J\u{fffd}c");
        assert_eq!(plain(&"x".repeat(1000)).len(), SHOWN + 3);
        assert_eq!(plain("größe"), "größe");
    }
}
