//! As much of Kong's Admin API as docs/kong.md uses: requests of curl, applied to a declarative configuration.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

/// Applies every `curl` of a block.
pub(super) fn apply(config: &mut Value, block: &str) -> Result<()> {
    let joined = block.replace("\\\n", " ");
    let commands: Vec<&str> = joined.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ensure!(!commands.is_empty(), "a block without a request");
    commands.into_iter().try_for_each(|command| request(config, command).with_context(|| command.to_owned()))
}

fn request(config: &mut Value, command: &str) -> Result<()> {
    let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches('"')).collect();
    let ["curl", "-X", method, url, data @ ..] = words.as_slice() else { bail!("it is no curl -X METHOD URL") };
    let path = url.strip_prefix("http://kong:8001/").context("it is not the Admin API's")?;
    let body = form(data)?;
    let segments: Vec<&str> = path.split('/').collect();
    match (*method, segments.as_slice()) {
        ("POST", ["plugins"]) => list(config, "plugins")?.push(body),
        ("POST", [kind @ ("services" | "routes" | "consumers"), name, "plugins"]) => {
            let mut plugin = body;
            plugin[kind.trim_end_matches('s')] = json!(name);
            list(config, "plugins")?.push(plugin);
        }
        ("POST", [kind @ ("upstreams" | "consumers")]) => list(config, kind)?.push(body),
        ("POST", ["consumers", name, "acls"]) => {
            let mut acl = body;
            acl["consumer"] = json!({"username": name});
            list(config, "acls")?.push(acl);
        }
        ("POST", ["upstreams", name, "targets"]) => {
            let mut target = body;
            target["upstream"] = json!(name);
            list(config, "targets")?.push(target);
        }
        ("PATCH", ["services", name]) => {
            let services = list(config, "services")?;
            let service = services.iter_mut().find(|service| service["name"] == *name).context("no such service")?;
            let members = body.as_object().into_iter().flatten();
            members.for_each(|(field, value)| service[field] = value.clone());
        }
        ("DELETE", ["plugins", _]) => {
            list(config, "plugins")?.pop().context("there is no plugin")?;
        }
        _ => bail!("the test has no such request"),
    }
    Ok(())
}

fn list<'c>(config: &'c mut Value, name: &str) -> Result<&'c mut Vec<Value>> {
    let members = config.as_object_mut().context("a configuration is an object")?;
    members.entry(name).or_insert_with(|| json!([])).as_array_mut().context("it is no list")
}

/// `--data "config.percentage=10"` and so on as the object that Kong makes of it.
fn form(words: &[&str]) -> Result<Value> {
    let mut body = Map::new();
    for pair in words.chunks(2) {
        let ["--data", pair] = pair else { bail!("{pair:?} is no --data") };
        let (name, text) = pair.split_once('=').with_context(|| format!("{pair} has no ="))?;
        let (of, name) = name.split_once('.').map_or((None, name), |(of, name)| (Some(of), name));
        let members = match of {
            Some(of) => body.entry(of).or_insert_with(|| json!({})).as_object_mut().context("it is given twice")?,
            None => &mut body,
        };
        let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        match name.strip_suffix("[]") {
            Some(name) => members.entry(name).or_insert_with(|| json!([])).as_array_mut().context("it is no list")?.push(value),
            None => {
                members.insert(name.to_owned(), value);
            }
        }
    }
    Ok(body.into())
}
