//! What came out, as text.

use crate::note::{Kind, Note};
use serde::Serialize;
use std::fmt;

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it was made of, in one line.
    pub of: String,
    /// The object, as YAML.
    pub yaml: String,
}

impl Document {
    pub(crate) fn new(of: impl Into<String>, object: &impl Serialize) -> Self {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        let yaml =
            serde_saphyr::to_string_with_options(object, options).expect("objects have text as keys, and no number that YAML has not");
        Self { of: of.into(), yaml }
    }
}

/// What an import gives. As text it is one file of YAML, which begins with the notes.
#[derive(Debug, Default)]
pub struct Imported {
    /// The objects, in the order of the configuration: releases first.
    pub documents: Vec<Document>,
    /// What must be there besides, a line each.
    pub needs: Vec<String>,
    /// What somebody has to know.
    pub notes: Vec<Note>,
}

impl Imported {
    /// Whether something that would be a release became none.
    pub fn left_out(&self) -> bool {
        self.notes.iter().any(|note| note.kind == Kind::LeftOut)
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.notes.is_empty() {
            writeln!(f, "# Before you apply this:")?;
            self.notes.iter().try_for_each(|note| writeln!(f, "# - {note}"))?;
        }
        if !self.needs.is_empty() {
            writeln!(f, "# It stands on:")?;
            self.needs.iter().try_for_each(|need| writeln!(f, "# - {need}"))?;
        }
        for (index, document) in self.documents.iter().enumerate() {
            if index > 0 || !self.notes.is_empty() || !self.needs.is_empty() {
                writeln!(f, "---")?;
            }
            writeln!(f, "# {}", document.of)?;
            f.write_str(&document.yaml)?;
        }
        Ok(())
    }
}
