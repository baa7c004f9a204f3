//! Kong: declarative configuration and what the Admin API answers.
//!
//! Each canary plugin becomes a CanaryRelease, and so does each Upstream whose targets have two weights. What the plugin means is what
//! Kong's public documentation of it says, versions 0.33 and later.

mod around;
mod build;
mod canary;
mod entities;
mod json;
mod paths;
mod people;
mod place;
mod read;
mod scope;
mod settings;
mod target;
mod tree;
mod weights;

use crate::note::{At, Notes};
use crate::{Document, File, ImportError, Imported, Options};
use build::Build;
use entities::Kong;
use std::collections::BTreeMap;

/// Reads the files as one configuration: what one names another may hold.
///
/// # Errors
/// When a file is no YAML or JSON, or none of what Kong writes. All else is a note.
pub fn import(files: &[File<'_>], options: &Options) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    let kong = tree::read(files, &mut notes)?;
    let mut build = Build::new(&kong, options, notes);
    for plugin in kong.plugins.iter().filter(|plugin| plugin.name == "canary") {
        canary::release(plugin, &mut build);
    }
    weights::releases(&mut build);
    others(&kong, options.all, &mut build.notes);
    let mut imported = Imported::default();
    let around: Vec<Document> = if options.all { around::documents(&mut build) } else { Vec::new() };
    if !options.all && !build.releases.is_empty() {
        imported.needs = around::needs(&mut build);
    }
    imported.documents = build.releases;
    imported.documents.extend(around);
    imported.notes = build.notes.list;
    Ok(imported)
}

/// Says which other plugins there are, each kind once.
fn others(kong: &Kong, all: bool, notes: &mut Notes) {
    let mut seen: BTreeMap<&str, (&At, usize)> = BTreeMap::new();
    for plugin in kong.plugins.iter().filter(|plugin| plugin.name != "canary") {
        seen.entry(&plugin.name).or_insert((&plugin.at, 0)).1 += 1;
    }
    for (name, (at, count)) in seen {
        let often = if count == 1 { String::new() } else { format!(" It is there {count} times.") };
        match name {
            _ if people::METHODS.contains(&name) && all => {}
            _ if people::METHODS.contains(&name) => {
                notes.decide(at, "", format!("Who a request comes from is an AuthPolicy in serin; --all makes one of it.{often}"));
            }
            "jwt" => {
                let message = "serin verifies the tokens of an issuer by its key set: write an AuthPolicy with a jwt method by hand.";
                notes.decide(at, "", format!("{message}{often}"));
            }
            _ => notes.no_equivalent(at, "", format!("serin does releases; this it does not do.{often}")),
        }
    }
}
