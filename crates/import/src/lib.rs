//! Configurations of other gateways as objects of serin, and what of them has no equivalent.
//!
//! Texts in, texts out: no gateway and no cluster is asked.

pub mod kong;

mod document;
mod names;
mod note;
mod number;

pub use document::{Document, Imported};
pub use note::{Kind, Note};

/// One file of a configuration.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// What it is called in notes and errors.
    pub name: &'a str,
    /// YAML or JSON.
    pub text: &'a str,
}

/// What an import is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The namespace of what says none; without one, that of whoever applies it.
    pub namespace: Option<String>,
    /// Give also what releases stand on: Services, routes, consumers.
    pub all: bool,
}

/// A file that is no configuration. Whatever is wrong within one is a [`Note`].
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is no YAML or JSON.
    #[error("{file}: {message}")]
    Syntax {
        /// Which file.
        file: String,
        /// Where and why, in one line.
        message: String,
    },
    /// It is none of what is read.
    #[error("{file}: document {document} is {shape}: give {wanted}")]
    Unknown {
        /// Which file.
        file: String,
        /// Which document, from 1.
        document: usize,
        /// What it is instead.
        shape: String,
        /// What is read.
        wanted: &'static str,
    },
}
