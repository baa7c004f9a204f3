//! Commands: one annotation each for orders and for abort; each is done once and recorded, refusals too.

use jiff::Timestamp;

/// No command that tools send is longer.
const MAX_CHARS: usize = 128;

/// What a person may order; abort has an annotation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// 100 % in one write.
    Promote,
    /// Keep the weight.
    Pause,
    /// End command, step and analysis pauses.
    Resume,
    /// End the running step.
    Skip,
    /// From Aborted to the first step.
    Retry,
}

/// An annotation of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Its value.
    pub value: String,
    /// The field manager that wrote it.
    pub tool: Option<String>,
}

impl From<&str> for Annotation {
    fn from(value: &str) -> Self {
        Self { value: value.to_owned(), tool: None }
    }
}

impl From<String> for Annotation {
    fn from(value: String) -> Self {
        Self { value, tool: None }
    }
}

/// A command as it was read: `verb` or `verb@token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What to do; `None` when the word is unknown.
    pub verb: Option<Verb>,
    /// The whole text of the annotation.
    pub text: String,
    /// What follows the `@`.
    pub token: Option<String>,
}

impl Command {
    /// Reads the annotation's value; of one that is too long for status, the beginning.
    pub fn parse(text: &str) -> Self {
        let text = text.char_indices().nth(MAX_CHARS).map_or(text, |(end, _)| &text[..end]);
        let (word, token) = match text.split_once('@') {
            Some((word, token)) => (word, Some(token.to_owned())),
            None => (text, None),
        };
        let verb = match word {
            "promote" => Some(Verb::Promote),
            "pause" => Some(Verb::Pause),
            "resume" => Some(Verb::Resume),
            "skip" => Some(Verb::Skip),
            "retry" => Some(Verb::Retry),
            _ => None,
        };
        Self { verb, text: text.to_owned(), token }
    }

    /// Whether `last` is this very command.
    pub(crate) fn is(&self, last: &Record) -> bool {
        match (&self.token, &last.token) {
            (Some(a), Some(b)) => a == b,
            _ => self.text == last.command,
        }
    }
}

/// Whether a token of the form `<release id>-<n>` names another release than `release`.
pub(crate) fn names_another(token: &str, release: &str) -> bool {
    let Some((id, n)) = token.rsplit_once('-') else { return false };
    let is_id = id.len() == 10 && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_id && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && id != release
}

/// What became of the last command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The whole text of the annotation.
    pub command: String,
    /// Its token.
    pub token: Option<String>,
    /// The field manager that wrote it.
    pub tool: Option<String>,
    /// When it was decided.
    pub at: Timestamp,
    /// Whether it was done, else why not.
    pub outcome: Outcome,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, with a sentence that says when it may be done.
    Refused(String),
    /// It was there before the release: recorded, so that it is never done later, and nobody is told.
    Ignored,
}

/// What became of the last abort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbortRecord {
    /// The annotation's value.
    pub token: String,
    /// The field manager that wrote it.
    pub tool: Option<String>,
    /// When it was decided.
    pub at: Timestamp,
    /// Why it was not done; `None` when it was.
    pub refused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_word_and_a_token() {
        let c = Command::parse("skip@0123456789-4");
        assert_eq!((c.verb, c.token.as_deref()), (Some(Verb::Skip), Some("0123456789-4")));
        assert_eq!(Command::parse("resume").verb, Some(Verb::Resume));
        assert_eq!(Command::parse("explode@1").verb, None);
    }

    #[test]
    fn only_a_token_with_another_release_id_is_for_another_release() {
        assert!(names_another("0123456789-4", "aaaaaaaaaa"));
        assert!(!names_another("0123456789-4", "0123456789"));
        assert!(!names_another("my-token", "aaaaaaaaaa"));
        assert!(!names_another("7", "aaaaaaaaaa"));
    }
}
