//! `cargo xtask image`: the program that a release ships, static and with the list of its crates inside, its SBOM, and the image of both.
//!
//! The same sources and toolchain give the same bytes, wherever they lie: paths of this machine are written as `/serin` and `/cargo`, and nothing
//! has a date. `--check` shows it by a second build, of a copy in another folder.

use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use object::Object;

use crate::run::{cargo, passes, root, stdout};
use crate::tiers::Outcome;

/// Puts the list of crates into the program, where scanners for vulnerabilities find it.
const AUDITABLE: (&str, &str) = ("cargo-auditable", "0.7.7");
/// Writes the SBOM.
const CYCLONEDX: (&str, &str) = ("cargo-cyclonedx", "0.5.9");
/// What the folder holds afterwards, beside `rootfs/`, which is the image's root.
const FILES: [&str; 3] = ["serin", "serin.cdx.json", "serin.tar"];

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The image's name with its tag.
    name: String,
    /// The folder that is written.
    out: PathBuf,
    /// The profile of the build; `dist` is what ships.
    profile: String,
    /// Builds twice and compares.
    check: bool,
}

impl Options {
    /// Reads the words behind `image`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self { name: "serin:dev".into(), out: root().join("target/image"), profile: "dist".into(), check: false };
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let mut value = || words.next().with_context(|| format!("{option} has no value"));
            match *option {
                "--name" => options.name = (*value()?).to_owned(),
                "--out" => options.out = std::path::absolute(value()?).context("--out")?,
                "--profile" => options.profile = (*value()?).to_owned(),
                "--check" => options.check = true,
                _ => bail!("no option {option}"),
            }
        }
        Ok(options)
    }
}

/// Builds, and prints where the files are.
pub(crate) fn run(options: &Options) -> Result<()> {
    build(&root(), &options.out, options)?;
    if options.check {
        compare(options)?;
    }
    for file in FILES {
        println!("{}", options.out.join(file).display());
    }
    Ok(())
}

/// Builds the sources of one folder into another.
fn build(sources: &Path, out: &Path, options: &Options) -> Result<()> {
    let target = format!("{ARCH}-unknown-linux-gnu");
    let variable = target.replace('-', "_");
    let build_folder = out.join("build");
    let cargo_home = home()?;
    let written_as = [(sources, "/serin"), (cargo_home.as_path(), "/cargo"), (build_folder.as_path(), "/build")];
    let of_rust: Vec<_> = written_as.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
    let of_c: Vec<_> = written_as.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display())).collect();
    let path =
        format!("{}/bin:{}/bin:{}", tool(AUDITABLE)?.display(), tool(CYCLONEDX)?.display(), std::env::var("PATH").unwrap_or_default());

    let mut build = cargo(&["auditable", "build", "--locked", "--package", "serin", "--bin", "serin", "--target", &target]);
    build.args(["--profile", &options.profile]).current_dir(sources).env("PATH", &path).env("CARGO_TARGET_DIR", &build_folder);
    build.env(
        format!("CARGO_TARGET_{}_RUSTFLAGS", variable.to_uppercase()),
        format!("-C target-feature=+crt-static -C strip=symbols {}", of_rust.join(" ")),
    );
    // Archives of C objects have a date, and mimalloc that of its build, unless these are set.
    build.env("ZERO_AR_DATE", "1").env("SOURCE_DATE_EPOCH", "0");
    passes(build.env(format!("CFLAGS_{variable}"), of_c.join(" ")))?;

    let mut sbom =
        cargo(&["cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", &target, "--override-filename", "serin.cdx"]);
    sbom.args(["--manifest-path", "crates/serin/Cargo.toml"]).current_dir(sources).env("PATH", &path);
    passes(sbom.env("CARGO_TARGET_DIR", &build_folder).env("SOURCE_DATE_EPOCH", "0"))?;
    let written = sources.join("crates/serin/serin.cdx.json");
    let text = fs::read_to_string(&written).with_context(|| format!("cannot read {}", written.display()))?;
    // Each crate of the workspace has got one.
    for folder in fs::read_dir(sources.join("crates")).context("cannot list the crates")? {
        let other = folder?.path().join("serin.cdx.json");
        if other.is_file() {
            fs::remove_file(&other).with_context(|| format!("cannot remove {}", other.display()))?;
        }
    }
    write(&out.join("serin.cdx.json"), &text.replace(&sources.display().to_string(), "/serin"))?;

    let profile_folder = if options.profile == "dev" { "debug" } else { &options.profile };
    let program = build_folder.join(&target).join(profile_folder).join("serin");
    fs::copy(&program, out.join("serin")).with_context(|| format!("cannot copy {}", program.display()))?;
    let mut image = cargo(&["run", "--quiet", "--package", "serin-testkit", "--bin", "testkit", "--", "image", "--name", &options.name]);
    passes(image.args(["--program"]).arg(out.join("serin")).arg("--sbom").arg(out.join("serin.cdx.json")).arg(out))
}

/// A second build from a copy of the sources must give the same bytes.
fn compare(options: &Options) -> Result<()> {
    let elsewhere = std::env::temp_dir().join(format!("serin-image-{}", std::process::id()));
    let sources = elsewhere.join("a-folder-of-another-name");
    fs::create_dir_all(&elsewhere).with_context(|| format!("cannot create {}", elsewhere.display()))?;
    let outcome = (|| {
        copy_sources(&sources, &options.out)?;
        let second = elsewhere.join("image");
        build(&sources, &second, options)?;
        for file in FILES {
            let read = |folder: &Path| fs::read(folder.join(file)).with_context(|| format!("cannot read {file}"));
            ensure!(read(&options.out)? == read(&second)?, "{file} is another one when it is built from another folder");
        }
        Ok(())
    })();
    fs::remove_dir_all(&elsewhere).with_context(|| format!("cannot remove {}", elsewhere.display()))?;
    outcome
}

/// The sources as they lie here, committed or not, without what git ignores and without the folder that is written.
fn copy_sources(to: &Path, out: &Path) -> Result<()> {
    let mut list = Command::new("git");
    let listed = stdout(list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root()))?;
    // What was deleted and is not committed yet is listed too.
    let there = listed.split_terminator('\0').filter(|path| root().join(path).is_file() && !root().join(path).starts_with(out));
    for path in there {
        let (from, to) = (root().join(path), to.join(path));
        fs::create_dir_all(to.parent().unwrap_or(&to)).with_context(|| format!("cannot create the folder of {}", to.display()))?;
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

/// A cargo subcommand of a fixed version, installed once into the user's cache.
fn tool((name, version): (&str, &str)) -> Result<PathBuf> {
    let set = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache =
        set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache"))).context("neither XDG_CACHE_HOME nor HOME is set")?;
    let folder = cache.join("serin").join(format!("{name}-{version}"));
    if !folder.join("bin").join(name).is_file() {
        eprintln!("installing {name} {version} into {}, once", folder.display());
        passes(cargo(&["install", "--quiet", "--locked", "--version", version, name, "--root"]).arg(&folder))?;
    }
    Ok(folder)
}

/// Where cargo keeps the sources of crates.
fn home() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"))).context("neither CARGO_HOME nor HOME is set")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The tier `image`: what ships is reproducible, static, and says what it is made of.
pub(crate) fn tier(_: bool) -> Result<Outcome> {
    let options = Options { check: true, ..Options::parse(&[])? };
    run(&options)?;
    let program = fs::read(options.out.join("serin")).context("cannot read the program")?;
    let program = object::File::parse(&*program).context("cannot read the program")?;
    ensure!(program.section_by_name(".interp").is_none(), "the program asks for a dynamic loader");
    ensure!(program.section_by_name(".dep-v0").is_some(), "the program holds no list of its crates");
    let archive = fs::read(options.out.join("serin.tar")).context("cannot read the image")?;
    let user = br#""User":"65532:65532""#;
    ensure!(archive.windows(user.len()).any(|window| window == user), "the image does not run as 65532");
    let version = stdout(Command::new(options.out.join("serin")).arg("--version").env_clear())?;
    ensure!(version.starts_with("serin "), "it says {version:?}");
    let sbom = fs::read_to_string(options.out.join("serin.cdx.json")).context("cannot read the SBOM")?;
    let crates = crates_of_serin()?;
    ensure!(crates.len() > 100, "cargo tree names {} crates", crates.len());
    let missing: Vec<_> = crates.iter().filter(|(name, version)| !sbom.contains(&format!("pkg:cargo/{name}@{version}"))).collect();
    ensure!(missing.is_empty(), "the SBOM lacks {missing:?}");
    Ok(Outcome::Passed)
}

/// Name and version of each crate that goes into the program, itself too.
fn crates_of_serin() -> Result<BTreeSet<(String, String)>> {
    let target = format!("{ARCH}-unknown-linux-gnu");
    let arguments =
        ["tree", "--locked", "--package", "serin", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}", "--target"];
    let tree = stdout(cargo(&arguments).arg(&target))?;
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    Ok(crates.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_are_named() -> Result<()> {
        let options = Options::parse(&["--name", "registry.example/serin:1", "--out", "/image", "--check"])?;
        assert_eq!(options, Options { name: "registry.example/serin:1".into(), out: "/image".into(), profile: "dist".into(), check: true });
        assert!(Options::parse(&["--push"]).is_err_and(|error| error.to_string() == "no option --push"));
        assert!(Options::parse(&["--name"]).is_err_and(|error| error.to_string() == "--name has no value"));
        Ok(())
    }
}
