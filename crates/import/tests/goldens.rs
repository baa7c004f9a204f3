//! Configurations in, objects and notes out: each folder of `cases` is one case, with the files that are given together.
//!
//! The examples of the plugin's page are what the Admin API answers to them. A case whose name begins with `all` is asked for everything.

use serde_json::Value;
use serin_import::{File, Imported, Options, kong};
use std::path::{Path, PathBuf};
use std::{fs, io};

fn cases() -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    cases.sort();
    Ok(cases)
}

fn import(case: &Path) -> io::Result<Imported> {
    let mut paths = fs::read_dir(case)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json" || extension == "yaml"));
    paths.sort();
    let named = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read: Vec<(String, String)> = paths.iter().map(|path| Ok((named(path), fs::read_to_string(path)?))).collect::<io::Result<_>>()?;
    let files: Vec<File<'_>> = read.iter().map(|(name, text)| File { name, text }).collect();
    let all = case.file_name().is_some_and(|name| name.to_string_lossy().starts_with("all"));
    let options = Options { namespace: Some("shop".to_owned()), all };
    kong::import(&files, &options).map_err(io::Error::other)
}

#[test]
fn each_case_gives_its_golden() -> io::Result<()> {
    let cases = cases()?;
    assert!(cases.len() >= 20, "the cases are there");
    for case in cases {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&case);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("imported", import(&case).expect("it is imported")));
    }
    Ok(())
}

/// The objects of what was printed.
fn objects(imported: &Imported) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&imported.to_string()).expect("it is YAML");
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

#[test]
fn every_object_is_one_that_serin_accepts() -> io::Result<()> {
    let mut seen = 0;
    for case in cases()? {
        let imported = import(&case)?;
        let objects = objects(&imported);
        assert_eq!(objects.len(), imported.documents.len(), "{}", case.display());
        for object in objects.iter().filter(|object| object["apiVersion"] == "serin.dev/v1alpha1") {
            let findings = serin_api::findings(object["kind"].as_str().unwrap_or_default(), object).expect("it is a kind of serin's");
            // What this version does not serve yet is no fault of the import.
            let wrong: Vec<_> = findings.iter().filter(|finding| finding.reason != serin_api::reason::NOT_IMPLEMENTED).collect();
            assert!(wrong.is_empty(), "{}: {object}: {wrong:?}", case.display());
            seen += 1;
        }
    }
    assert!(seen >= 40, "{seen} objects");
    Ok(())
}
