//! `testkit image`: the image that a release ships. `cargo xtask image` builds what goes in and calls it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serin_testkit::image::{Entry, Image};

/// Makes the image of serin: FOLDER/serin.tar, and FOLDER/rootfs with the same files
#[derive(Args)]
pub(crate) struct Arguments {
    /// Its name with the tag
    #[arg(long)]
    name: String,
    /// The static program
    #[arg(long)]
    program: PathBuf,
    /// Its SBOM
    #[arg(long)]
    sbom: PathBuf,
    /// The folder
    folder: PathBuf,
}

pub(crate) fn image(arguments: &Arguments) -> Result<()> {
    let sbom = fs::read(&arguments.sbom).with_context(|| format!("cannot read {}", arguments.sbom.display()))?;
    let label = |name: &str, value: &str| (format!("org.opencontainers.image.{name}"), value.to_owned());
    let image = Image {
        names: vec![arguments.name.clone()],
        entrypoint: vec!["/serin".into()],
        command: vec!["controller".into()],
        user: "65532:65532".into(),
        labels: BTreeMap::from([
            label("title", "serin"),
            label("description", "Kubernetes ingress controller with canary releases"),
            label("licenses", "Apache-2.0"),
            label("version", env!("CARGO_PKG_VERSION")),
        ]),
        files: BTreeMap::from([
            ("serin".into(), Entry::program(&arguments.program)?),
            // Canaries outside the cluster and key sets by https are verified by these, unless --upstream-ca says otherwise.
            ("etc/ssl/certs/ca-certificates.crt".into(), Entry::File(authorities().into_bytes(), 0o644)),
            ("usr/share/serin/serin.cdx.json".into(), Entry::File(sbom, 0o644)),
        ]),
    };
    image.write(&arguments.folder.join("serin.tar"))?;
    for (path, entry) in &image.files {
        if let Entry::File(content, mode) = entry {
            write(&arguments.folder.join("rootfs").join(path), content, *mode)?;
        }
    }
    Ok(())
}

/// Mozilla's authorities, of the version that Cargo.lock names, as PEM.
fn authorities() -> String {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().fold(String::new(), |mut pem, certificate| {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = STANDARD.encode(certificate);
        for start in (0..text.len()).step_by(64) {
            let _ = writeln!(pem, "{}", &text[start..text.len().min(start + 64)]);
        }
        pem + "-----END CERTIFICATE-----\n"
    })
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file of an image stands in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(|| format!("cannot set the mode of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;
    use std::io::Read;

    const DOCKERFILE: &str = include_str!("../../../deploy/Dockerfile");

    fn entries(archive: &[u8]) -> Result<BTreeMap<String, (u32, Vec<u8>)>> {
        let mut entries = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries()? {
            let mut entry = entry?;
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            if entry.header().entry_type().is_file() {
                entries.insert(entry.path()?.display().to_string(), (entry.header().mode()?, content));
            }
        }
        Ok(entries)
    }

    #[test]
    fn the_image_holds_the_program_its_sbom_and_who_is_believed() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (program, sbom) = (folder.path().join("serin"), folder.path().join("serin.cdx.json"));
        fs::write(&program, "program")?;
        fs::write(&sbom, "{}")?;
        let out = folder.path().join("out");
        fs::create_dir(&out)?;
        image(&Arguments { name: "registry.example/serin:1".into(), program, sbom, folder: out.clone() })?;
        let mode = |path: &str| -> Result<u32> { Ok(fs::metadata(out.join("rootfs").join(path))?.permissions().mode() & 0o777) };
        assert_eq!((mode("serin")?, mode("usr/share/serin/serin.cdx.json")?), (0o755, 0o644));
        let believed = fs::read_to_string(out.join("rootfs/etc/ssl/certs/ca-certificates.crt"))?;
        assert_eq!(believed.matches("BEGIN CERTIFICATE").count(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(believed.lines().all(|line| line.len() <= 64) && out.join("serin.tar").is_file());
        Ok(())
    }

    #[test]
    fn the_dockerfile_makes_the_same_image_of_the_root_folder() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let out = folder.path();
        let (program, sbom) = (out.join("serin"), out.join("serin.cdx.json"));
        fs::write(&program, "program")?;
        fs::write(&sbom, "{}")?;
        image(&Arguments { name: "registry.example/serin:1".into(), program, sbom, folder: out.to_owned() })?;

        let archive = entries(&fs::read(out.join("serin.tar"))?)?;
        let of =
            |suffix: &str| archive.iter().find(|(path, _)| path.ends_with(suffix)).map(|(_, (_, content))| content).context("no entry");
        let layer = entries(of("/layer.tar")?)?;
        assert_eq!(layer.len(), 3);
        for (path, (mode, content)) in &layer {
            let beside = out.join("rootfs").join(path);
            assert_eq!((fs::metadata(&beside)?.permissions().mode() & 0o777, &fs::read(&beside)?), (*mode, content), "{path}");
        }

        let manifest: Value = serde_json::from_slice(of("manifest.json")?)?;
        let config: Value = serde_json::from_slice(of(manifest[0]["Config"].as_str().context("no config")?)?)?;
        let (_, last) = DOCKERFILE.rsplit_once("\nFROM scratch\n").context("its image has something below it")?;
        let user = config["config"]["User"].as_str().context("no user")?;
        let expected = [
            "COPY --from=build /image/rootfs/ /".to_owned(),
            format!("USER {user}"),
            format!("ENTRYPOINT {}", config["config"]["Entrypoint"]),
            format!("CMD {}", config["config"]["Cmd"]),
        ];
        assert_eq!(last.lines().collect::<Vec<_>>(), expected);
        Ok(())
    }
}
