//! Lines of access logs: serin's own in both forms, and the Common and Combined ones.

use regex::Regex;
use serde_json::{Deserializer, Value};
use std::collections::BTreeMap;

/// What a line says, by the names of serin's own log: `client`, `consumer`, `host`, `path`, and of the others `user`, `referer` and `agent`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line(BTreeMap<String, String>);

/// Reads lines.
#[derive(Debug)]
pub(super) struct Reader(Regex);

impl Line {
    /// A field that is there: neither empty nor a dash.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty() && *value != "-")
    }
}

impl Reader {
    pub(super) fn new() -> Self {
        let common = r#"^(\S+) \S+ (\S.*?) \[[^\]]*\] "(?:[A-Z]+ )?((?:[^"\\]|\\.)*?)(?: HTTP/[0-9.]+)?" \S+ \S+(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?"#;
        Self(Regex::new(common).expect("it compiles: the tests use it"))
    }

    /// `None`: it is of no form that is known.
    pub(super) fn read(&self, line: &str) -> Option<Line> {
        match line.trim_end() {
            json if json.starts_with('{') => of_json(json),
            line => self.common(line).or_else(|| of_pairs(line)),
        }
    }

    fn common(&self, line: &str) -> Option<Line> {
        let found = self.0.captures(line)?;
        let names = ["client", "user", "path", "referer", "agent"].into_iter().zip(found.iter().skip(1));
        Some(Line(names.filter_map(|(name, value)| Some((name.to_owned(), value?.as_str().to_owned()))).collect()))
    }
}

fn of_json(text: &str) -> Option<Line> {
    let Value::Object(members) = serde_json::from_str(text).ok()? else { return None };
    let fields = members.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Number(number) => Some((name, number.to_string())),
        _ => None,
    });
    Some(Line(fields.collect()))
}

/// `TIME client=... host="..."`: what stands in quotes is escaped as in JSON.
fn of_pairs(line: &str) -> Option<Line> {
    let (_, mut rest) = line.split_once(' ')?;
    let mut fields = BTreeMap::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let (text, end) = if value.starts_with('"') {
            let mut texts = Deserializer::from_str(value).into_iter::<String>();
            (texts.next()?.ok()?, texts.byte_offset())
        } else {
            let end = value.find(' ').unwrap_or(value.len());
            (value[..end].to_owned(), end)
        };
        fields.insert(name.to_owned(), text);
        rest = value[end..].trim_start_matches(' ');
    }
    fields.contains_key("path").then_some(Line(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_form_say_who_asked_for_what() {
        let reader = Reader::new();
        for line in [
            r#"192.0.2.7 - alice [10/Oct/2026:13:55:36 +0000] "GET /cart?x=1 HTTP/1.1" 200 2326"#,
            r#"192.0.2.7 - alice [10/Oct/2026:13:55:36 +0000] "GET /cart?x=1 HTTP/1.1" 200 2326 "-" "curl \"8\"" "more""#,
            r#"{"time":"t","client":"192.0.2.7","user":"alice","path":"/cart?x=1","bucket":null,"status":200}"#,
            r#"t client=192.0.2.7 method="GET" user=alice path="/cart?x=1" status=200 k=-"#,
        ] {
            let read = reader.read(line).expect(line);
            let fields = ["client", "user", "path", "referer", "k"].map(|name| read.get(name));
            assert_eq!(fields, [Some("192.0.2.7"), Some("alice"), Some("/cart?x=1"), None, None], "{line}");
        }
        for line in ["", "nothing", "{", "[]", "t client=a", "t path=\"", "\u{0}"] {
            assert_eq!(reader.read(line), None, "{line:?}");
        }
    }
}
