//! What `serin import` gives is what authors apply: no rule refuses any of it.

use super::cel::schema;
use kube_cel::Validator;
use serde_json::Value;
use std::path::Path;
use std::{fs, io};

#[test]
fn no_rule_refuses_what_is_imported() -> io::Result<()> {
    let mut seen = 0;
    for case in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/cases"))? {
        let golden = fs::read_to_string(case?.path().join("imported.snap"))?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&golden).expect("a golden is YAML");
        for object in documents.into_iter().filter(|document| document["apiVersion"] == "serin.dev/v1alpha1") {
            let schema = schema(object["kind"].as_str().unwrap_or_default());
            let refused = Validator::new().validate_compiled(&schema, &object, None);
            assert!(refused.is_ok(), "{object}: {refused:?}");
            seen += 1;
        }
    }
    assert!(seen >= 35, "{seen} objects");
    Ok(())
}
