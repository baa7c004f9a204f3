//! Who asks, once that is known.

use crate::Consumer;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// A longer name is nobody's.
const LONGEST_NAME: usize = 1024;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The position of the method that found out, among those of its policy.
    pub(crate) method: usize,
    /// The user name, if there is one: a token may say nothing of it.
    pub(crate) username: Option<Arc<str>>,
    /// The Consumer whose credential matched, or whom a trusted header names: only then do its groups count.
    pub(crate) known: Option<Arc<Consumer>>,
    /// What the token or the header says.
    pub(crate) groups: Vec<String>,
    /// What the token says.
    pub(crate) claims: Map<String, Value>,
}

impl Identity {
    /// Of a consumer whose credential matched.
    pub(crate) fn of(method: usize, consumer: &Arc<Consumer>) -> Self {
        Self {
            method,
            username: Some(Arc::clone(&consumer.username)),
            known: Some(Arc::clone(consumer)),
            groups: Vec::new(),
            claims: Map::new(),
        }
    }

    /// The consumer's user name.
    pub fn consumer(&self) -> Option<&Arc<str>> {
        self.username.as_ref()
    }

    /// Whether the consumer is in this group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups().any(|own| own == group)
    }

    /// The groups: the Consumer's, then those of the token or the header.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        let known = self.known.iter().flat_map(|consumer| &consumer.groups);
        known.chain(&self.groups).map(String::as_str)
    }

    /// A claim of the token: a string, or the JSON text of a number or boolean.
    pub fn claim(&self, name: &str) -> Option<Cow<'_, str>> {
        text(self.claims.get(name)?)
    }
}

/// The text of a claim that is one; of a number that is no integer the shortest.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a text can be the name of a consumer or a group.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
}
