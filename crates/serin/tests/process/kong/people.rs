//! Consumers and groups: who they are is what Kong's key-auth says, with the keys in Secrets that somebody made.

use super::site::{HOST, Moved, with};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::origin::Origin;

/// So many consumers, the first three of them testers, each with a key.
const CONSUMERS: usize = 40;

fn consumers() -> Vec<String> {
    (0..CONSUMERS).map(|number| format!("user-{number}")).collect()
}

/// Kong with key-auth on the Service, and this canary plugin.
fn config(plugin: Value) -> impl FnOnce(&Origin, &Origin) -> Value {
    move |stable, canary| {
        let mut config = with(&plugin, stable, canary);
        config["consumers"] = consumers()
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let groups = if number < 3 { json!([{"group": "testers"}]) } else { json!([]) };
                json!({"username": name, "acls": groups, "keyauth_credentials": [{"key": "not taken along"}]})
            })
            .collect();
        config["plugins"].as_array_mut().into_iter().for_each(|plugins| {
            plugins.push(json!({"name": "key-auth", "service": "checkout", "config": {"key_names": ["apikey"], "anonymous": "guest"}}));
        });
        config
    }
}

/// The Secrets that the notes ask for.
fn secrets() -> String {
    let secret = |name: &String| {
        let metadata = json!({"name": format!("{name}-key"), "namespace": "shop"});
        format!(
            "---\n{}\n",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": format!("key-of-{name}")}})
        )
    };
    consumers().iter().map(secret).collect()
}

fn start(plugin: Value) -> Result<Moved> {
    Moved::start_with(config(plugin), &secrets(), &[])
}

/// Which consumers the canary answers.
fn on_the_canary(moved: &Moved) -> Result<Vec<bool>> {
    let side = |name: &String| Ok(moved.side(HOST, &[("apikey", &format!("key-of-{name}"))])? == "v2");
    consumers().iter().map(side).collect()
}

#[test]
fn a_consumer_stays_on_its_side_and_a_higher_percentage_moves_nobody_back() -> Result<()> {
    let plugin = |percentage: u32| json!({"percentage": percentage, "upstream_host": "checkout-v2"});
    let moved = start(plugin(20))?;
    moved.reaches("Steady", "20")?;
    let first = on_the_canary(&moved)?;
    assert_eq!(on_the_canary(&moved)?, first, "the same request again");
    moved.edit(config(plugin(70)))?;
    moved.reaches("Steady", "70")?;
    let second = on_the_canary(&moved)?;
    let count = |sides: &[bool]| sides.iter().filter(|canary| **canary).count();
    assert_eq!(first.iter().zip(&second).filter(|(was, is)| **was && !**is).count(), 0);
    ensure!(count(&first) < count(&second) && count(&second) < CONSUMERS, "{} and then {}", count(&first), count(&second));
    ensure!(count(&first) > 0, "nobody at 20 %");
    Ok(())
}

#[test]
fn allow_sends_its_groups_and_nobody_else_and_deny_everybody_else() -> Result<()> {
    let plugin = |hash: &str| json!({"hash": hash, "groups": ["testers"], "upstream_host": "checkout-v2"});
    let moved = start(plugin("whitelist"))?;
    let testers = |allowed: bool| {
        serin_testkit::eventually("the groups decide", crate::site::PATIENCE, || {
            let sides = on_the_canary(&moved)?;
            ensure!(sides.iter().enumerate().all(|(number, canary)| *canary == ((number < 3) == allowed)), "{sides:?}");
            Ok(())
        })
    };
    testers(true)?;
    assert_eq!(moved.side(HOST, &[])?, "v1", "who is nobody is in no group");
    moved.edit(config(plugin("deny")))?;
    testers(false)?;
    assert_eq!(moved.side(HOST, &[])?, "v2", "who is nobody is not denied");
    assert_eq!(moved.side(HOST, &[("apikey", "wrong")])?, "401");
    Ok(())
}

#[test]
fn a_plugin_on_a_consumer_of_a_service_is_for_that_consumer_alone() -> Result<()> {
    let moved = Moved::start_with(
        |stable, canary| {
            let mut config = config(json!({"percentage": 100, "upstream_host": "checkout-v2"}))(stable, canary);
            config["plugins"][0]["consumer"] = json!("user-7");
            config["plugins"][0]["instance_name"] = json!("checkout");
            config
        },
        &secrets(),
        &[],
    )?;
    moved.reaches("Promoted", "100")?;
    let sides = on_the_canary(&moved)?;
    let on: Vec<usize> = sides.iter().enumerate().filter(|(_, canary)| **canary).map(|(number, _)| number).collect();
    assert_eq!(on, [7]);
    Ok(())
}
