//! Container images without a container engine: one layer of files and a config, as a docker archive that `ctr images import`,
//! `docker load` and `kind load image-archive` take.
//!
//! The same files give the same bytes: entries are sorted, owned by root and dated 1970, so an image's id changes only with its content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

/// What goes into an image, and how it runs.
#[derive(Clone, Debug)]
pub struct Image {
    /// Names with tags, such as `serin.test/serin:1`; a container runtime finds it by each.
    pub names: Vec<String>,
    /// The program, and arguments that come before those of the container.
    pub entrypoint: Vec<String>,
    /// Arguments when the container gives none.
    pub command: Vec<String>,
    /// `UID:GID` that it runs as; root when empty.
    pub user: String,
    /// Labels, such as those of `org.opencontainers.image`.
    pub labels: BTreeMap<String, String>,
    /// By absolute path without the leading `/`; folders above them come by themselves.
    pub files: BTreeMap<String, Entry>,
}

/// One file or folder of an image.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Content, and mode such as 0o755.
    File(Vec<u8>, u32),
    /// A folder with this mode.
    Folder(u32),
}

impl Entry {
    /// A program of this machine.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn program(path: &Path) -> Result<Self> {
        Ok(Self::File(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?, 0o755))
    }
}

impl Image {
    /// Writes the archive and gives the image's id, `sha256:...`.
    ///
    /// # Errors
    /// When a path is too long for an archive, or the file cannot be written.
    pub fn write(&self, to: &Path) -> Result<String> {
        let layer = self.layer()?;
        let layer_id = sha256(&layer);
        let config = self.config(&layer_id).to_string().into_bytes();
        let id = sha256(&config);
        let manifest = json!([{"Config": format!("{id}.json"), "RepoTags": self.names, "Layers": [format!("{layer_id}/layer.tar")]}]);
        let mut archive = Builder::new(Vec::with_capacity(layer.len() + 8_192));
        append(&mut archive, &format!("{id}.json"), EntryType::Regular, 0o644, &config)?;
        append(&mut archive, &format!("{layer_id}/layer.tar"), EntryType::Regular, 0o644, &layer)?;
        append(&mut archive, "manifest.json", EntryType::Regular, 0o644, manifest.to_string().as_bytes())?;
        let bytes = archive.into_inner().context("cannot end the archive")?;
        // Another test process may read it meanwhile.
        let unfinished = to.with_added_extension(format!("{}.unfinished", std::process::id()));
        let mut file = fs::File::create(&unfinished).with_context(|| format!("cannot write {}", unfinished.display()))?;
        file.write_all(&bytes).with_context(|| format!("cannot write {}", unfinished.display()))?;
        fs::rename(&unfinished, to).with_context(|| format!("cannot write {}", to.display()))?;
        Ok(format!("sha256:{id}"))
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut layer = Builder::new(Vec::new());
        for folder in self.folders_above() {
            append(&mut layer, &folder, EntryType::Directory, 0o755, &[])?;
        }
        for (path, entry) in &self.files {
            match entry {
                Entry::File(content, mode) => append(&mut layer, path, EntryType::Regular, *mode, content)?,
                Entry::Folder(mode) => append(&mut layer, path, EntryType::Directory, *mode, &[])?,
            }
        }
        layer.into_inner().context("cannot end the layer")
    }

    /// Those that no entry names itself.
    fn folders_above(&self) -> BTreeSet<String> {
        let above = self.files.keys().flat_map(|path| path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        above.filter(|folder| !self.files.contains_key(folder)).collect()
    }

    fn config(&self, layer: &str) -> Value {
        json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": self.entrypoint, "Cmd": self.command, "User": self.user, "Labels": self.labels},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]}
        })
    }
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, mode: u32, content: &[u8]) -> Result<()> {
    ensure!(!path.is_empty() && !path.starts_with('/'), "{path:?} is no path below the root of an image");
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, path, content).with_context(|| format!("cannot put {path} into the archive"))
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn image() -> Image {
        let files = [("usr/bin/app", Entry::File(b"program".to_vec(), 0o755)), ("tmp", Entry::Folder(0o1777))];
        Image {
            names: vec!["serin.test/app:1".into(), "serin.test/app:2".into()],
            entrypoint: vec!["/usr/bin/app".into()],
            command: vec!["serve".into()],
            user: "65532:65532".into(),
            labels: BTreeMap::new(),
            files: files.map(|(path, entry)| (path.to_owned(), entry)).into(),
        }
    }

    fn entries(bytes: &[u8]) -> Result<BTreeMap<String, (u32, Vec<u8>)>> {
        let mut archive = tar::Archive::new(bytes);
        let mut entries = BTreeMap::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            ensure!(entry.header().mtime()? == 0 && entry.header().uid()? == 0, "an entry with a date or an owner");
            entries.insert(entry.path()?.display().to_string(), (entry.header().mode()?, content));
        }
        Ok(entries)
    }

    #[test]
    fn an_archive_names_its_config_and_its_layer_by_their_content() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("serin-image-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (first, second) = (folder.join("first.tar"), folder.join("second.tar"));
        let id = image().write(&first)?;
        assert_eq!(id, image().write(&second)?);
        let bytes = fs::read(&first)?;
        assert_eq!(bytes, fs::read(&second)?, "the same files give other bytes");
        fs::remove_dir_all(&folder)?;

        let entries = entries(&bytes)?;
        let json = |name: &str| -> Result<Value> { Ok(serde_json::from_slice(&entries.get(name).context("no such entry")?.1)?) };
        let manifest = json("manifest.json")?;
        assert_eq!(manifest[0]["RepoTags"], json!(["serin.test/app:1", "serin.test/app:2"]));
        let config_name = manifest[0]["Config"].as_str().context("no config")?;
        assert_eq!(format!("sha256:{}", config_name.trim_end_matches(".json")), id);
        let config = json(config_name)?;
        assert_eq!((&config["config"]["User"], &config["config"]["Cmd"]), (&json!("65532:65532"), &json!(["serve"])));
        let layer = &entries.get(manifest[0]["Layers"][0].as_str().context("no layer")?).context("no such layer")?.1;
        assert_eq!(config["rootfs"]["diff_ids"], json!([format!("sha256:{}", sha256(layer))]));

        let inside = self::entries(layer)?;
        let modes: Vec<_> = inside.iter().map(|(path, (mode, _))| (path.trim_end_matches('/'), *mode)).collect();
        assert_eq!(modes, [("tmp", 0o1777), ("usr", 0o755), ("usr/bin", 0o755), ("usr/bin/app", 0o755)]);
        assert_eq!(inside.get("usr/bin/app").map(|(_, content)| content.as_slice()), Some(b"program".as_slice()));
        Ok(())
    }

    #[test]
    fn a_path_from_the_root_is_refused() {
        let mut image = image();
        image.files.insert("/app".into(), Entry::Folder(0o755));
        assert!(image.layer().is_err());
    }
}
