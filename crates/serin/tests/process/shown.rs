//! The manifests of `e2e`, as they stand there: a test puts its own origins in the place of theirs and changes nothing else.

use anyhow::{Context, Result};
use serin_testkit::origin::Origin;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The file that is served from the beginning. What is applied later is in the folder `then`.
pub(crate) const MANIFESTS: &str = "manifests.yaml";
/// The ports at which `e2e/README.md` asks for origins: these for v1, with 10 more for v2. The first of each is a test's main one.
const PORTS: [u16; 3] = [9001, 9002, 9003];

/// A folder of `e2e`.
pub(crate) struct Shown {
    folder: PathBuf,
    /// What `serin standalone` is told beside.
    pub(crate) options: Vec<String>,
    /// The address in the manifests, and that of the origin which has its place.
    addresses: Vec<(String, String)>,
    /// Kept alive: they are asked by none.
    _others: Vec<Origin>,
}

impl Shown {
    /// The folder, and the first origin of v1 and of v2.
    pub(crate) fn of(name: &str) -> Result<(Self, Origin, Origin)> {
        let mut shown = Self { folder: shelf().join(name), options: Vec::new(), addresses: Vec::new(), _others: Vec::new() };
        let [first, others @ ..] = PORTS;
        for port in others.into_iter().flat_map(|port| [port, port + 10]) {
            if shown.read(MANIFESTS)?.contains(&written(port)) {
                let origin = shown.origin(port)?;
                shown._others.push(origin);
            }
        }
        let (stable, canary) = (shown.origin(first)?, shown.origin(first + 10)?);
        Ok((shown, stable, canary))
    }

    /// Its files of objects.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let names = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        Ok(names.collect::<Result<Vec<_>>>()?.into_iter().filter(|name| name.ends_with(".yaml")).collect())
    }

    /// A file of the folder, with the addresses of this test's origins.
    pub(crate) fn read(&self, file: &str) -> Result<String> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(self.addresses.iter().fold(text, |text, (written, is)| text.replace(written, is)))
    }

    fn origin(&mut self, port: u16) -> Result<Origin> {
        let origin = Origin::start((Ipv4Addr::LOCALHOST, 0), if port < 9010 { "v1" } else { "v2" })?;
        self.addresses.push((written(port), origin.address().to_string()));
        // As an EndpointSlice has it.
        self.addresses.push((format!("{{port: {port}}}"), format!("{{port: {}}}", origin.address().port())));
        Ok(origin)
    }
}

/// As the manifests have it.
fn written(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The folder of all of them.
pub(crate) fn shelf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e")
}
