//! The canary plugin's own parameters, of every version since 0.33.
//!
//! Names and defaults are those of Kong's public documentation of the plugin; `whitelist` and `blacklist` became `allow` and `deny` in 2.1.

use super::entities::Plugin;
use super::json::Object;
use crate::note::{Notes, plain};
use crate::number;

/// The most buckets that serin takes.
const MOST_BUCKETS: f64 = 1_000_000.0;
/// What there is without `steps`, and what serin has by itself too.
pub(super) const STEPS: u32 = 1000;
const PARAMETERS: [&str; 12] = [
    "start",
    "duration",
    "percentage",
    "steps",
    "hash",
    "hash_header",
    "groups",
    "upstream_host",
    "upstream_port",
    "upstream_uri",
    "upstream_fallback",
    "canary_by_header_name",
];

/// What the plugin is told.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) hash: Hash,
    /// In percent, exact to four decimals.
    pub(super) percentage: Option<String>,
    pub(super) start: Option<String>,
    pub(super) duration: String,
    pub(super) steps: u32,
    pub(super) groups: Vec<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) uri: Option<String>,
    pub(super) fallback: bool,
    pub(super) by_header: Option<String>,
}

/// `config.hash`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hash {
    Consumer,
    Ip,
    None,
    Header(String),
    Allow,
    Deny,
}

impl Settings {
    /// Reads a plugin's configuration; `None`, and a note, when what it means cannot be known.
    pub(super) fn of(plugin: &Plugin, notes: &mut Notes) -> Option<Self> {
        let mut said = Notes::default();
        let config = Object { at: plugin.at.clone(), members: &plugin.config };
        let settings = Self::read(&config, &mut said);
        // Members are named as the plugin's page does.
        for note in said.list {
            let field = if note.field.is_empty() { "config".to_owned() } else { format!("config.{}", note.field) };
            notes.say(note.kind, &plugin.at, &field, note.message);
        }
        settings
    }

    fn read(config: &Object<'_>, notes: &mut Notes) -> Option<Self> {
        for name in config.members.keys().filter(|name| !PARAMETERS.contains(&name.as_str())) {
            notes.no_equivalent(&config.at, &plain(name), "The plugin's documentation has no such parameter. It is left out.");
        }
        let hash = hash(config, notes)?;
        let groups = config.texts("groups", notes);
        if hash.by_group() {
            for ignored in ["percentage", "start"].iter().filter(|field| config.get(field).is_some()) {
                let message = "With hash allow or deny the groups alone decide, so it is left out.";
                notes.decide(&config.at, ignored, message);
            }
        } else if !groups.is_empty() {
            notes.decide(&config.at, "groups", "Without hash allow or deny nothing reads it. It is left out.");
        }
        let percentage = match config.number("percentage", notes) {
            Some(number) => Some(percentage(number, config, notes)?),
            None => None,
        };
        let (start, duration) = if percentage.is_some() || hash.by_group() { (None, "1h".to_owned()) } else { line(config, notes)? };
        Some(Self {
            percentage,
            start,
            duration,
            steps: steps(config, notes),
            groups,
            host: config.text("upstream_host", notes),
            port: config.port("upstream_port", notes),
            uri: config.text("upstream_uri", notes),
            fallback: config.flag("upstream_fallback", notes).unwrap_or(false),
            by_header: config.text("canary_by_header_name", notes).filter(|name| header(name, "canary_by_header_name", config, notes)),
            hash,
        })
    }
}

impl Hash {
    pub(super) fn by_group(&self) -> bool {
        matches!(self, Self::Allow | Self::Deny)
    }
}

fn hash(config: &Object<'_>, notes: &mut Notes) -> Option<Hash> {
    Some(match config.text("hash", notes).as_deref() {
        None | Some("consumer") => Hash::Consumer,
        Some("ip") => Hash::Ip,
        Some("none") => Hash::None,
        Some("allow" | "whitelist") => Hash::Allow,
        Some("deny" | "blacklist") => Hash::Deny,
        Some("header") => {
            let name = config.text("hash_header", notes).filter(|name| header(name, "hash_header", config, notes));
            if name.is_none() {
                notes.decide(&config.at, "hash_header", "hash is header, and this names none, so consumers are hashed. Set split.name.");
            }
            name.map_or(Hash::Consumer, Hash::Header)
        }
        Some(other) => {
            let message = format!("It is {:?}; Kong has consumer, ip, header, none, allow and deny. Correct it.", plain(other));
            notes.left_out(&config.at, "hash", message);
            return None;
        }
    })
}

/// Whether a text can be the name of a header; if not, it is said.
fn header(name: &str, field: &str, config: &Object<'_>, notes: &mut Notes) -> bool {
    let valid = is_token(name);
    if !valid {
        notes.decide(&config.at, field, format!("{:?} is no name of a header. It is left out.", plain(name)));
    }
    valid
}

/// Whether a text can be the name of a header, a token of RFC 9110.
pub(super) fn is_token(name: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(may_stand)
}

fn percentage(number: f64, config: &Object<'_>, notes: &mut Notes) -> Option<String> {
    let Some((text, cut)) = number::percent(number) else {
        notes.left_out(&config.at, "percentage", format!("It is {number}; Kong takes 0 to 100. Correct it."));
        return None;
    };
    if cut {
        notes.decide(&config.at, "percentage", format!("It is {number}; serin takes four decimals, so it is {text}."));
    }
    Some(text)
}

fn line(config: &Object<'_>, notes: &mut Notes) -> Option<(Option<String>, String)> {
    let start = match config.number("start", notes) {
        None => None,
        Some(number) => match number::moment(number) {
            Some(moment) => Some(moment),
            None => {
                notes.left_out(&config.at, "start", format!("It is {number}, which is no time in seconds since 1970. Correct it."));
                return None;
            }
        },
    };
    let seconds = config.number("duration", notes).unwrap_or(3600.0);
    let Some(duration) = number::span(seconds) else {
        notes.left_out(&config.at, "duration", format!("It is {seconds}; it must be seconds from 0 to 359996400. Correct it."));
        return None;
    };
    Some((start, duration))
}

fn steps(config: &Object<'_>, notes: &mut Notes) -> u32 {
    let Some(number) = config.number("steps", notes) else { return STEPS };
    let taken = number.floor().clamp(1.0, MOST_BUCKETS);
    if taken != number {
        notes.decide(&config.at, "steps", format!("It is {number}; serin takes whole numbers from 1 to 1000000, so it is {taken}."));
    }
    taken as u32
}
