//! Manifests in a folder: `*.yaml`, `*.yml` and `*.json` whose name does not begin with a dot, several documents a file.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which object a manifest is. The API group is not part of it: serin reads no two kinds of one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `Service`, `Ingress`, ...
    pub kind: String,
    /// Empty for what has none, such as an IngressClass.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// One object of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Which object.
    pub key: Key,
    /// The object, its namespace filled in.
    pub object: Value,
    /// The file that it is from.
    pub path: PathBuf,
}

/// What is wrong with a file, or with one document of it.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than [`LARGEST`].
    #[error("{}: it has {size} bytes, and at most {LARGEST} are read: split it", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// It held objects and is empty, as it is for a moment while it is written.
    #[error("{}: it is empty, so what it held serves on: delete the file to remove that", path.display())]
    Emptied {
        /// Which file.
        path: PathBuf,
    },
    /// It is no YAML or JSON.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and why, in one line.
        message: String,
    },
    /// A document that is no Kubernetes object.
    #[error("{}: document {document}: {field} is missing: every object needs apiVersion, kind and metadata.name", path.display())]
    NotAnObject {
        /// Which file.
        path: PathBuf,
        /// Which document, from 1.
        document: usize,
        /// Which field.
        field: &'static str,
    },
}

/// The largest file that is read: decisions wait while it is.
pub const LARGEST: u64 = 16 << 20;

/// A folder's files as they were last read well. A file that does not parse keeps its last good objects, and one that is as it was is not
/// parsed again.
#[derive(Debug, Default)]
pub struct Folder {
    files: BTreeMap<PathBuf, File>,
}

#[derive(Debug, Default)]
struct File {
    text: String,
    manifests: Vec<Arc<Manifest>>,
}

/// What reading a folder again gave.
#[derive(Debug, Default)]
pub struct Reading {
    /// Each object once: of several the one whose file comes first by name.
    pub manifests: BTreeMap<Key, Arc<Manifest>>,
    /// Files that were left as they were, and why.
    pub errors: Vec<ManifestError>,
    /// Objects that were given again, and the file that is ignored for it.
    pub repeated: Vec<(Key, PathBuf)>,
}

impl Folder {
    /// Reads every file of `dir`. Only a folder that cannot be listed is an error; whatever is wrong within is told in the reading.
    pub fn read(&mut self, dir: &Path) -> Result<Reading, ManifestError> {
        let mut reading = Reading::default();
        let mut files = BTreeMap::new();
        for path in paths(dir)? {
            let last = self.files.remove(&path).unwrap_or_default();
            let file = match read(&path) {
                Ok(text) if text == last.text => last,
                Ok(text) if text.is_empty() && !last.manifests.is_empty() => {
                    reading.errors.push(ManifestError::Emptied { path: path.clone() });
                    last
                }
                read => match read.and_then(|text| File::parse(&path, text)) {
                    Ok(file) => file,
                    Err(error) => {
                        reading.errors.push(error);
                        last
                    }
                },
            };
            files.insert(path, file);
        }
        self.files = files;
        for (path, file) in &self.files {
            for manifest in &file.manifests {
                if reading.manifests.contains_key(&manifest.key) {
                    reading.repeated.push((manifest.key.clone(), path.clone()));
                } else {
                    reading.manifests.insert(manifest.key.clone(), Arc::clone(manifest));
                }
            }
        }
        Ok(reading)
    }
}

impl File {
    fn parse(path: &Path, text: String) -> Result<Self, ManifestError> {
        let manifests = parse(path, &text)?.into_iter().map(Arc::new).collect();
        Ok(Self { text, manifests })
    }
}

/// The manifest files of a folder, by name.
fn paths(dir: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let failed = |source| ManifestError::Io { path: dir.to_owned(), source };
    let entries = std::fs::read_dir(dir).map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let mut paths: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(|path| is_manifest(path) && path.is_file()).collect();
    paths.sort();
    Ok(paths)
}

fn is_manifest(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
}

/// The text of one file.
pub fn read(path: &Path) -> Result<String, ManifestError> {
    let failed = |source| ManifestError::Io { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST {
        return Err(ManifestError::TooLarge { path: path.to_owned(), size });
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The objects of one file. Lists are taken apart, empty documents left out; a namespaced object without a namespace is in `default`.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    let syntax = |message: String| ManifestError::Syntax { path: path.to_owned(), message };
    let documents: Vec<Value> = if path.extension().is_some_and(|e| e == "json") {
        vec![serde_json::from_str(text).map_err(|e| syntax(e.to_string()))?]
    } else {
        serde_saphyr::from_multiple(text).map_err(|e| syntax(one_line(&e.to_string())))?
    };
    let mut manifests = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        for object in items(document) {
            let missing = |field| ManifestError::NotAnObject { path: path.to_owned(), document: index + 1, field };
            manifests.push(manifest(path, object).map_err(missing)?);
        }
    }
    Ok(manifests)
}

/// The objects of a document: those of a List, none of an empty one.
fn items(mut document: Value) -> Vec<Value> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items,
        _ if document.is_null() => Vec::new(),
        _ => vec![document],
    }
}

fn manifest(path: &Path, mut object: Value) -> Result<Manifest, &'static str> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
    text("/apiVersion").ok_or("apiVersion")?;
    let kind = text("/kind").ok_or("kind")?;
    let name = text("/metadata/name").ok_or("metadata.name")?;
    let namespace = match text("/metadata/namespace") {
        _ if kind == "IngressClass" => String::new(),
        Some(namespace) => namespace,
        None => "default".to_owned(),
    };
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = Value::String(namespace.clone());
    }
    Ok(Manifest { key: Key { kind, namespace, name }, object, path: path.to_owned() })
}

fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(Path::new("a.yaml"), text).unwrap().into_iter().map(|m| m.key.to_string()).collect()
    }

    #[test]
    fn documents_and_lists_are_taken_apart() {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: b, namespace: shop}}\n- {apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: serin}}\n";
        assert_eq!(names(text), ["Service default/a", "Service shop/b", "IngressClass serin"]);
        assert!(names("").is_empty());
        assert!(names("# nothing but a comment\n").is_empty());
    }

    #[test]
    fn errors_name_file_document_and_field() {
        let error = parse(Path::new("dir/a.yaml"), "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\nkind: Service\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "dir/a.yaml: document 2: apiVersion is missing: every object needs apiVersion, kind and metadata.name"
        );
        let error = parse(Path::new("a.yaml"), "a: [").unwrap_err().to_string();
        assert!(error.starts_with("a.yaml: ") && error.contains("line"), "{error}");
    }

    #[test]
    fn a_broken_file_keeps_its_last_good_objects_and_the_first_file_holds_an_object() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let service =
            |name: &str, label: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, labels: {{from: {label}}}}}\n");
        write("a.yaml", &service("a", "a"));
        write("b.yml", &format!("{}---\n{}", service("a", "b"), service("b", "b")));
        write(".hidden.yaml", &service("hidden", "hidden"));
        write("notes.txt", "not a manifest");
        let mut folder = Folder::default();
        let reading = folder.read(dir.path()).unwrap();
        assert_eq!(reading.manifests.len(), 2);
        assert_eq!(reading.manifests.values().next().unwrap().object["metadata"]["labels"]["from"], "a");
        assert_eq!(reading.repeated.len(), 1);
        write("b.yml", "kind: [");
        let reading = folder.read(dir.path()).unwrap();
        assert_eq!((reading.manifests.len(), reading.errors.len()), (2, 1));
        std::fs::remove_file(dir.path().join("b.yml")).unwrap();
        assert_eq!(folder.read(dir.path()).unwrap().manifests.len(), 1);
    }

    #[test]
    fn a_file_that_is_being_rewritten_loses_nothing_and_one_that_says_nothing_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        let mut folder = Folder::default();
        std::fs::write(&file, "").unwrap();
        assert!(folder.read(dir.path()).unwrap().errors.is_empty(), "it never held anything");
        std::fs::write(&file, "{apiVersion: v1, kind: Service, metadata: {name: a}}").unwrap();
        folder.read(dir.path()).unwrap();
        std::fs::write(&file, "").unwrap();
        for _ in 0..2 {
            let reading = folder.read(dir.path()).unwrap();
            assert_eq!((reading.manifests.len(), reading.errors.len()), (1, 1));
        }
        std::fs::write(&file, "# nothing any more").unwrap();
        let reading = folder.read(dir.path()).unwrap();
        assert_eq!((reading.manifests.len(), reading.errors.len()), (0, 0));
    }

    #[test]
    fn a_huge_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("a.yaml")).unwrap().set_len(LARGEST + 1).unwrap();
        let error = Folder::default().read(dir.path()).unwrap().errors.remove(0).to_string();
        assert!(error.ends_with("a.yaml: it has 16777217 bytes, and at most 16777216 are read: split it"), "{error}");
    }
}
