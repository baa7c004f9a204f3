//! The commands that need nothing that runs.

use crate::running::serin;
use anyhow::{Context, Result, ensure};
use serin_testkit::manifests::CRDS;
use std::fs;

#[test]
fn crds_prints_what_the_folder_of_that_name_holds() -> Result<()> {
    let output = serin().arg("crds").output()?;
    let printed = String::from_utf8(output.stdout)?;
    ensure!(output.status.success());
    // Each file begins with where it comes from.
    let kept = CRDS.lines().filter(|line| !line.starts_with("# Generated"));
    let differs = printed.lines().zip(kept.clone()).find(|(printed, kept)| printed != kept);
    assert_eq!((differs, printed.lines().count()), (None, kept.count()), "`cargo xtask generate` writes them");
    Ok(())
}

/// The exit code of `serin check` on these files, and what it prints.
fn check(files: &[(&str, &str)]) -> Result<(i32, String)> {
    let folder = tempfile::tempdir()?;
    for (name, text) in files {
        fs::write(folder.path().join(name), text)?;
    }
    let output = serin().current_dir(folder.path()).arg("check").args(files.iter().map(|(name, _)| name)).output()?;
    Ok((output.status.code().context("it was killed")?, String::from_utf8([output.stdout, output.stderr].concat())?))
}

const GOOD: &str = "apiVersion: serin.dev/v1alpha1
kind: CanaryRelease
metadata: {name: checkout, namespace: shop}
spec: {scope: {service: checkout}, canary: {service: checkout-v2}, strategy: {percentage: 10}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec: {defaultBackend: {service: {name: checkout, port: {number: 80}}}}
";

#[test]
fn check_passes_what_is_right_and_names_file_object_field_and_fix_of_what_is_not() -> Result<()> {
    assert_eq!(check(&[("good.yaml", GOOD)])?, (0, "2 objects, 0 findings\n".to_owned()));
    let bad = GOOD.replace("percentage: 10", "percentage: 12.5").replace("{service: checkout}", "{servce: checkout}");
    let bad = bad.replace("number: 80", "number: http");
    let (code, printed) = check(&[("good.yaml", GOOD), ("bad.yaml", &bad), ("broken.yaml", "a: ]")])?;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(code, 1);
    assert_eq!(
        lines[..3],
        [
            "bad.yaml: CanaryRelease shop/checkout: spec.scope.servce: scope has no field servce. Did you mean service?",
            "bad.yaml: CanaryRelease shop/checkout: spec.strategy.percentage: percentage is 12.5, which is read as a floating-point number. \
             Put it in quotes: \"12.5\".",
            "bad.yaml: Ingress shop/shop: spec.defaultBackend.service.port.number: invalid type: string \"http\", expected i32.",
        ]
    );
    ensure!(lines[3].starts_with("broken.yaml: "), "{printed}");
    assert_eq!(lines[4], "4 objects, 4 findings");
    Ok(())
}

#[test]
fn check_of_a_file_that_is_not_there_names_it() -> Result<()> {
    let output = serin().args(["check", "nothing.yaml"]).output()?;
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1));
    ensure!(error.starts_with("error: nothing.yaml: "), "{error}");
    Ok(())
}

#[test]
fn plan_prints_the_timetable_of_a_file_and_refuses_what_check_refuses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("release.yaml");
    let plan = |steps: &str| -> Result<(bool, String)> {
        let spec = "{scope: {service: a}, canary: {service: b}, strategy: {steps: STEPS}}".replace("STEPS", steps);
        let head = "apiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {name: a, namespace: shop}\n";
        std::fs::write(&file, format!("{head}spec: {spec}\n"))?;
        let output = serin().arg("plan").arg(&file).args(["--start", "2026-12-01T09:00:00Z"]).output()?;
        Ok((output.status.success(), String::from_utf8(if output.status.success() { output.stdout } else { output.stderr })?))
    };
    let (good, told) = plan("[{weight: 10, for: 1h}]")?;
    assert!(good && told.lines().any(|line| line.contains("2026-12-01T10:00:00Z") && line.contains("Promoted")), "{told}");
    let (good, told) = plan("[{weight: 50}, {weight: 10}]")?;
    assert!(!good && told.contains("spec.strategy.steps[1].weight"), "{told}");
    Ok(())
}
