//! From files to entities: declarative configuration, and what the Admin API answers.

use super::entities::{Kong, Target, find};
use super::json::{Object, Reference};
use super::read::{self, Below};
use crate::note::{At, Kind, Notes, plain};
use crate::{File, ImportError};
use serde_json::{Map, Value};
use std::rc::Rc;

/// What is read, for whoever gives something else.
const WANTED: &str =
    "declarative configuration (`deck gateway dump`, kong.yml), or what the Admin API answers: an object, or a page with `data`";

/// The lists of a declarative configuration that are read.
const LISTS: [&str; 9] = ["services", "apis", "routes", "consumers", "consumer_groups", "upstreams", "targets", "plugins", "acls"];

/// All entities of the files.
pub(super) fn read(files: &[File<'_>], notes: &mut Notes) -> Result<Kong, ImportError> {
    let mut reader = Reader { kong: Kong::default(), targets: Vec::new(), memberships: Vec::new(), shared: Map::new(), notes };
    for file in files {
        let name: Rc<str> = file.name.into();
        for (index, document) in parse(file)?.iter().enumerate() {
            let unknown =
                |shape: &str| ImportError::Unknown { file: plain(file.name), document: index + 1, shape: shape.to_owned(), wanted: WANTED };
            reader.document(&name, document).map_err(unknown)?;
        }
    }
    let Reader { mut kong, targets, memberships, .. } = reader;
    for (consumer, group) in memberships {
        if let Some(consumer) = find(&kong.consumers, &consumer).and_then(|place| kong.consumers.get_mut(place))
            && !consumer.groups.contains(&group)
        {
            consumer.groups.push(group);
        }
    }
    kong.settle(targets);
    Ok(kong)
}

fn parse(file: &File<'_>) -> Result<Vec<Value>, ImportError> {
    let syntax =
        |message: String| ImportError::Syntax { file: plain(file.name), message: plain(message.lines().next().unwrap_or_default()) };
    if file.text.trim_start().starts_with(['{', '[']) {
        // YAML written as JSON is told by the reader of YAML.
        if let Ok(value) = serde_json::from_str(file.text) {
            return Ok(vec![value]);
        }
    }
    let documents: Vec<Value> = serde_saphyr::from_multiple(file.text).map_err(|error| syntax(error.to_string()))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

struct Reader<'n> {
    kong: Kong,
    /// Targets that are not nested in their upstream.
    targets: Vec<Target>,
    /// Which consumer is in which group, where neither holds the other.
    memberships: Vec<(Reference, String)>,
    /// decK's `_plugin_configs`.
    shared: Map<String, Value>,
    notes: &'n mut Notes,
}

impl Reader<'_> {
    /// The error says what it is instead.
    fn document(&mut self, file: &Rc<str>, document: &Value) -> Result<(), &'static str> {
        match document {
            Value::Array(items) => self.page(file, items),
            Value::Object(members) if members.contains_key("apiVersion") => Err("an object of Kubernetes"),
            Value::Object(members) => {
                if let Some(Value::Array(items)) = members.get("data") {
                    if members.get("next").is_some_and(Value::is_string) {
                        let at = At { file: file.clone(), object: "page".into() };
                        self.notes.decide(&at, "next", "There is another page. Give it too.");
                    }
                    return self.page(file, items);
                }
                let is_list = |name: &str| members.get(name).is_some_and(Value::is_array);
                if members.contains_key("_format_version") || LISTS.iter().any(|name| is_list(name)) && kind(members).is_none() {
                    self.declarative(file, members);
                    return Ok(());
                }
                self.entity(file, 0, members)
            }
            _ => Err("no object"),
        }
    }

    fn page(&mut self, file: &Rc<str>, items: &[Value]) -> Result<(), &'static str> {
        items.iter().enumerate().try_for_each(|(place, item)| self.entity(file, place, item.as_object().ok_or("a list of something else")?))
    }

    /// One object of the Admin API, which does not say what it is.
    fn entity(&mut self, file: &Rc<str>, place: usize, members: &Map<String, Value>) -> Result<(), &'static str> {
        let members =
            members.get("consumer_group").and_then(Value::as_object).filter(|_| members.len() <= 2).map_or(members, |inner| inner);
        let list = kind(members).ok_or("no entity of Kong that is known here")?;
        self.take(list, &Object::new(file, singular(list), place, members));
        Ok(())
    }

    fn declarative(&mut self, file: &Rc<str>, members: &Map<String, Value>) {
        let at = At { file: file.clone(), object: "configuration".into() };
        let whole = Object { at, members };
        if let Some(shared) = whole.part("_plugin_configs", self.notes) {
            self.shared.extend(shared.clone());
        }
        for list in LISTS {
            for object in whole.objects(list, singular(list), self.notes) {
                self.take(list, &object);
            }
        }
        let filled = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
        let others = members.iter().filter(|(name, value)| !name.starts_with('_') && !LISTS.contains(&name.as_str()) && filled(value));
        for (name, _) in others {
            self.notes.say(Kind::NoEquivalent, &whole.at, &plain(name), "It is not imported.");
        }
    }

    /// Takes an entity, and all that is nested in it.
    fn take(&mut self, list: &str, object: &Object<'_>) {
        match list {
            "services" | "apis" => {
                let service = read::service(object, self.notes);
                let place = self.kong.services.len();
                self.kong.services.push(service);
                if list == "apis" {
                    self.kong.routes.push(read::route(object, Some(place), self.notes));
                }
                for route in object.objects("routes", "route", self.notes) {
                    self.route(&route, Some(place));
                }
                self.plugins(object, &Below { service: Some(place), ..Below::default() });
            }
            "routes" => self.route(object, None),
            "consumers" => {
                let consumer = read::consumer(object, self.notes);
                let place = self.kong.consumers.len();
                self.kong.consumers.push(consumer);
                self.plugins(object, &Below { consumer: Some(place), ..Below::default() });
            }
            "consumer_groups" => {
                let group = read::group(object, self.notes);
                let place = self.kong.groups.len();
                for member in object.objects("consumers", "consumer", self.notes) {
                    let by = ["username", "id", "custom_id"].iter().find_map(|field| member.text(field, self.notes));
                    self.memberships.extend(by.map(Reference::Text).zip(group.name.clone()));
                }
                self.kong.groups.push(group);
                self.plugins(object, &Below { group: Some(place), ..Below::default() });
            }
            "upstreams" => {
                let upstream = read::upstream(object, self.notes);
                self.kong.upstreams.push(upstream);
            }
            "targets" => self.targets.extend(read::target(object, self.notes)),
            "acls" => {
                let (consumer, group) = (object.reference("consumer", self.notes), object.text("group", self.notes));
                self.memberships.extend(consumer.zip(group));
            }
            _ => self.plugin(object, &Below::default()),
        }
    }

    fn route(&mut self, object: &Object<'_>, service: Option<usize>) {
        let route = read::route(object, service, self.notes);
        let place = self.kong.routes.len();
        self.kong.routes.push(route);
        self.plugins(object, &Below { route: Some(place), ..Below::default() });
    }

    fn plugins(&mut self, object: &Object<'_>, below: &Below) {
        for plugin in object.objects("plugins", "plugin", self.notes) {
            self.plugin(&plugin, below);
        }
    }

    fn plugin(&mut self, object: &Object<'_>, below: &Below) {
        let mut object = object.clone();
        object.at.object = format!("{}{}", object.at.object, self.on(&object, below)).into();
        let object = &object;
        let Some(mut plugin) = read::plugin(object, below, self.notes) else { return };
        if let Some(named) = object.text("_config", self.notes) {
            match self.shared.get(&named).and_then(Value::as_object) {
                Some(shared) => shared.iter().filter(|(_, value)| !value.is_null()).for_each(|(name, value)| {
                    plugin.config.entry(name.clone()).or_insert_with(|| value.clone());
                }),
                None => self.notes.decide(&object.at, "_config", format!("_plugin_configs has no {:?}. Add it.", plain(&named))),
            }
        }
        self.kong.plugins.push(plugin);
    }
}

impl Reader<'_> {
    /// What a plugin is on, as its author knows it: ` on service checkout`.
    fn on(&self, object: &Object<'_>, below: &Below) -> String {
        let kong = &self.kong;
        let at = |place: Option<usize>, of: fn(&Kong, usize) -> Option<&At>| {
            place.and_then(|place| of(kong, place)).map(|at| at.object.to_string())
        };
        let nested = [
            at(below.service, |kong, place| Some(&kong.services.get(place)?.at)),
            at(below.route, |kong, place| Some(&kong.routes.get(place)?.at)),
            at(below.consumer, |kong, place| Some(&kong.consumers.get(place)?.at)),
            below.group.and_then(|place| kong.groups.get(place)?.name.as_deref()).map(|name| format!("consumer group {}", plain(name))),
        ];
        // A wrong reference is said when it is read.
        let mut silent = Notes::default();
        let mut named = |field: &str| match object.reference(field, &mut silent) {
            Some(Reference::Text(text)) => {
                let at = match field {
                    "service" | "api" => {
                        at(find(&kong.services, &Reference::Text(text.clone())), |kong, place| Some(&kong.services.get(place)?.at))
                    }
                    "route" => at(find(&kong.routes, &Reference::Text(text.clone())), |kong, place| Some(&kong.routes.get(place)?.at)),
                    "consumer" => {
                        at(find(&kong.consumers, &Reference::Text(text.clone())), |kong, place| Some(&kong.consumers.get(place)?.at))
                    }
                    _ => None,
                };
                Some(at.unwrap_or_else(|| format!("{} {}", field.replace('_', " "), plain(&text))))
            }
            _ => None,
        };
        let named: Vec<String> =
            ["service", "api", "route", "consumer", "consumer_group"].iter().filter_map(|field| named(field)).collect();
        let on: Vec<String> = nested.into_iter().flatten().chain(named).collect();
        if on.is_empty() { String::new() } else { format!(" on {}", on.join(" and ")) }
    }
}

/// Which list an object of the Admin API belongs into, by what only such an object has.
fn kind(members: &Map<String, Value>) -> Option<&'static str> {
    let has = |fields: &[&str]| fields.iter().any(|field| members.contains_key(*field));
    let is = |field: &str, text: &str| members.get(field).is_some_and(|value| value == text);
    Some(match () {
        () if has(&["config"]) && has(&["name"]) || is("name", "canary") => "plugins",
        () if has(&["target"]) => "targets",
        () if has(&["upstream_url", "uris", "strip_uri"]) => "apis",
        () if has(&["group"]) && has(&["consumer", "consumer_id"]) => "acls",
        () if has(&["username", "custom_id"]) => "consumers",
        () if has(&["slots", "healthchecks", "hash_on", "algorithm"]) => "upstreams",
        () if has(&["host", "url"]) => "services",
        () if has(&["paths", "hosts", "methods", "strip_path", "regex_priority", "expression"]) => "routes",
        () if has(&["name"])
            && members.keys().all(|field| ["id", "name", "tags", "created_at", "updated_at", "consumers"].contains(&field.as_str())) =>
        {
            "consumer_groups"
        }
        () => return None,
    })
}

fn singular(list: &'static str) -> &'static str {
    match list {
        "apis" => "API",
        "consumer_groups" => "consumer group",
        other => other.strip_suffix('s').unwrap_or(other),
    }
}
