//! Members of an object of any shape, with a note for each that is not what Kong has there.

use crate::note::{At, Notes, plain};
use serde_json::{Map, Value};
use std::rc::Rc;

/// One object of a configuration.
#[derive(Debug, Clone)]
pub(super) struct Object<'a> {
    pub(super) at: At,
    pub(super) members: &'a Map<String, Value>,
}

/// How an entity names another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// By id or name.
    Text(String),
    /// It is nested in the entity at this place of its list.
    Nested(usize),
}

impl<'a> Object<'a> {
    /// `kind` and what the entity is called, else its place.
    pub(super) fn new(file: &Rc<str>, kind: &str, place: usize, members: &'a Map<String, Value>) -> Self {
        let called = ["name", "username", "custom_id", "target", "group", "id"].iter();
        let mut called = called.filter_map(|field| members.get(*field).and_then(Value::as_str)).filter(|text| !text.is_empty());
        let object = match called.next() {
            Some(name) => format!("{kind} {}", plain(name)),
            None => format!("{kind} {} of the list", place + 1),
        };
        Self { at: At { file: file.clone(), object: object.into() }, members }
    }

    /// A member that is there and not null.
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.members.get(field).filter(|value| !value.is_null())
    }

    /// A text; YAML makes a number of a name without letters.
    pub(super) fn text(&self, field: &str, notes: &mut Notes) -> Option<String> {
        let text = match self.get(field)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return self.not(field, "a text", notes),
        };
        if text.contains("${{") {
            let message = "It is filled in by decK. Give what `deck gateway dump` or `deck file render --populate-env-vars` writes.";
            notes.decide(&self.at, field, message);
        }
        Some(text).filter(|text| !text.is_empty())
    }

    /// A number; the Admin API takes one as text too.
    pub(super) fn number(&self, field: &str, notes: &mut Notes) -> Option<f64> {
        let number = match self.get(field)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite()).or_else(|| self.not(field, "a number", notes))
    }

    /// A port; 0 and what is beyond a port are none.
    pub(super) fn port(&self, field: &str, notes: &mut Notes) -> Option<u16> {
        let number = self.number(field, notes)?;
        let port = (number.fract() == 0.0 && (1.0..=65_535.0).contains(&number)).then_some(number as u16);
        port.or_else(|| self.not(field, "a port from 1 to 65535", notes))
    }

    pub(super) fn flag(&self, field: &str, notes: &mut Notes) -> Option<bool> {
        match self.get(field)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text == "true" || text == "false" => Some(text == "true"),
            _ => self.not(field, "true or false", notes),
        }
    }

    /// A list of texts; one text is a list of one.
    pub(super) fn texts(&self, field: &str, notes: &mut Notes) -> Vec<String> {
        let texts = match self.get(field) {
            None => return Vec::new(),
            Some(Value::String(text)) => Some(vec![text.clone()]),
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        texts.or_else(|| self.not(field, "a list of texts", notes)).unwrap_or_default()
    }

    /// The objects of a list, each with its place.
    pub(super) fn objects(&self, field: &str, kind: &str, notes: &mut Notes) -> Vec<Object<'a>> {
        let items = match self.get(field) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items.as_slice(),
            // An empty list is an empty object to Lua.
            Some(Value::Object(members)) if members.is_empty() => return Vec::new(),
            Some(_) => return self.not(field, "a list of objects", notes).unwrap_or_default(),
        };
        let mut objects = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            match item.as_object() {
                Some(members) => objects.push(Self::new(&self.at.file, kind, place, members)),
                None => {
                    self.not::<()>(&format!("{field}[{place}]"), "an object", notes);
                }
            }
        }
        objects
    }

    /// An object within this one, for notes a part of it.
    pub(super) fn part(&self, field: &str, notes: &mut Notes) -> Option<&'a Map<String, Value>> {
        match self.get(field)? {
            Value::Object(members) => Some(members),
            _ => self.not(field, "an object", notes),
        }
    }

    /// What `{"id": ...}`, a name, or the older `..._id` names.
    pub(super) fn reference(&self, field: &str, notes: &mut Notes) -> Option<Reference> {
        let older = format!("{field}_id");
        let text = match self.get(field) {
            None => self.get(&older).and_then(Value::as_str),
            Some(Value::String(text)) => Some(text.as_str()),
            Some(Value::Object(members)) => ["id", "name", "username"].iter().find_map(|by| members.get(*by)).and_then(Value::as_str),
            Some(_) => None,
        };
        if text.is_none() && (self.get(field).is_some() || self.get(&older).is_some()) {
            return self.not(field, "a name, or an object with id or name", notes);
        }
        text.map(|text| Reference::Text(text.to_owned()))
    }

    /// Says that a member is of another shape.
    fn not<T>(&self, field: &str, wanted: &str, notes: &mut Notes) -> Option<T> {
        let shape = match self.members.get(field) {
            Some(Value::String(text)) => format!("{:?}", plain(text)),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Array(_)) => "a list".to_owned(),
            Some(Value::Object(_)) => "an object".to_owned(),
            Some(Value::Null) | None => "something else".to_owned(),
        };
        notes.decide(&self.at, field, format!("It is {shape}, and not {wanted}, so it is read as if it were not there. Correct it."));
        None
    }
}
