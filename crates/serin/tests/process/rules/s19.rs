use crate::site::Site;
use anyhow::{Result, ensure};

/// Who answers the tester, the employee, the customer, and somebody without a key.
fn answers(site: &Site) -> Result<[String; 4]> {
    let ask = |headers: &[(&str, &str)]| -> Result<String> { Ok(site.ask(&site.host(), "/", headers)?.body.trim_end().to_owned()) };
    Ok([ask(&[("apikey", "key-of-tessa")])?, ask(&[("apikey", "key-of-emil")])?, ask(&[("apikey", "key-of-carl")])?, ask(&[])?])
}

fn resume(site: &Site) -> Result<()> {
    let said = site.command(&["resume"])?;
    ensure!(said.status.success(), "{said:?}");
    Ok(())
}

#[test]
fn s19_testers_then_employees_then_everyone_and_groups_of_steps_add_up() -> Result<()> {
    let site = Site::shown("s19-groups-in-turn", &[])?;
    site.reaches("Paused", "0")?;
    assert_eq!(answers(&site)?, ["v2", "v1", "v1", "v1"]);
    resume(&site)?;
    site.reaches("Paused", "0")?;
    assert_eq!(answers(&site)?, ["v2", "v2", "v1", "v1"]);
    assert_eq!(site.release()?["status"]["traffic"]["groups"], serde_json::json!(["employees", "testers"]));
    resume(&site)?;
    site.reaches("Promoted", "100")?;
    assert_eq!(answers(&site)?, ["v2", "v2", "v2", "v2"]);
    Ok(())
}
