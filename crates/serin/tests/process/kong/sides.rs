//! Splits are as Kong says, counted by who answered real requests.

use super::site::{HOST, Moved, with, without};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

fn count(sides: &[bool]) -> usize {
    sides.iter().filter(|canary| **canary).count()
}

fn tenants(number: usize) -> Vec<Option<String>> {
    (0..number).map(|n| Some(format!("tenant-{n}"))).collect()
}

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

#[test]
fn of_100_steps_at_10_percent_exactly_10_requests_of_100_reach_the_canary_with_hash_none() -> Result<()> {
    let moved = Moved::of(&json!({"hash": "none", "percentage": 10, "steps": 100, "upstream_host": "checkout-v2"}))?;
    moved.reaches("Steady", "10")?;
    let mut client = moved.client()?;
    for _ in 0..5 {
        assert_eq!(count(&client.sides(HOST, 100)?), 10);
    }
    Ok(())
}

#[test]
fn by_header_each_value_stays_on_its_side_and_a_higher_percentage_moves_nobody_back() -> Result<()> {
    let plugin =
        |percentage: u32| json!({"hash": "header", "hash_header": "X-Tenant", "percentage": percentage, "upstream_host": "checkout-v2"});
    let moved = Moved::of(&plugin(10))?;
    moved.reaches("Steady", "10")?;
    let tenants = tenants(1000);
    let first = moved.client()?.sides_of(HOST, &tenants)?;
    assert_eq!(moved.client()?.sides_of(HOST, &tenants)?, first, "on another connection too");
    ensure!((60..=140).contains(&count(&first)), "{} of 1000 values at 10 %", count(&first));
    moved.again(&plugin(50))?;
    moved.reaches("Steady", "50")?;
    let second = moved.client()?.sides_of(HOST, &tenants)?;
    assert_eq!(first.iter().zip(&second).filter(|(was, is)| **was && !**is).count(), 0);
    ensure!((430..=570).contains(&count(&second)), "{} of 1000 values at 50 %", count(&second));
    Ok(())
}

#[test]
fn by_address_each_address_stays_on_its_side_and_a_higher_percentage_moves_nobody_back() -> Result<()> {
    let plugin = |percentage: u32| json!({"hash": "ip", "percentage": percentage, "upstream_host": "checkout-v2"});
    // As kong.conf has trusted_ips.
    let moved =
        Moved::start_with(|stable, canary| with(&plugin(20), stable, canary), "", &["--trusted-proxies".into(), "127.0.0.0/8".into()])?;
    moved.reaches("Steady", "20")?;
    let of_each =
        || (0..200).map(|n| Ok(moved.side(HOST, &[("X-Forwarded-For", &format!("198.51.100.{n}"))])? == "v2")).collect::<Result<Vec<_>>>();
    let first = of_each()?;
    assert_eq!(of_each()?, first, "the same addresses again");
    ensure!((15..=70).contains(&count(&first)), "{} of 200 addresses at 20 %", count(&first));
    moved.again(&plugin(60))?;
    moved.reaches("Steady", "60")?;
    let second = of_each()?;
    assert_eq!(first.iter().zip(&second).filter(|(was, is)| **was && !**is).count(), 0);
    ensure!((90..=150).contains(&count(&second)), "{} of 200 addresses at 60 %", count(&second));
    Ok(())
}

#[test]
fn a_consumer_that_is_missing_falls_to_the_address_and_is_counted() -> Result<()> {
    let moved = Moved::of(&json!({"percentage": 50, "upstream_host": "checkout-v2"}))?;
    moved.reaches("Steady", "50")?;
    let sides = moved.client()?.sides_of(HOST, &tenants(100))?;
    ensure!(count(&sides) == 0 || count(&sides) == 100, "one address has two sides: {sides:?}");
    serin_testkit::eventually("the fallbacks are counted", crate::site::PATIENCE, || {
        let status = moved.status()?;
        ensure!(status["measured"]["fallbacks"]["ClientIP"] == 100, "{}", status["measured"]);
        Ok(())
    })
}

#[test]
fn a_consumer_and_an_address_that_are_both_missing_fall_to_every_request_in_turn() -> Result<()> {
    let plugin = json!({"percentage": 10, "steps": 100, "upstream_host": "checkout-v2"});
    // A proxy that is trusted and says no address: the client's is missing, and it is never the proxy's own.
    let moved = Moved::start_with(|stable, canary| with(&plugin, stable, canary), "", &["--trusted-proxies".into(), "127.0.0.0/8".into()])?;
    moved.reaches("Steady", "10")?;
    assert_eq!(count(&moved.client()?.sides(HOST, 100)?), 10);
    serin_testkit::eventually("the fallbacks are counted", crate::site::PATIENCE, || {
        let status = moved.status()?;
        ensure!(status["measured"]["fallbacks"]["Request"] == 100, "{}", status["measured"]);
        Ok(())
    })
}

#[test]
fn percentage_wins_over_start_and_duration() -> Result<()> {
    let moved = Moved::of(&json!({"hash": "none", "percentage": 12.5, "start": now()?, "duration": 10, "upstream_host": "checkout-v2"}))?;
    moved.reaches("Steady", "12.5")?;
    assert_eq!(count(&moved.client()?.sides(HOST, 1000)?), 125);
    Ok(())
}

#[test]
fn a_start_in_the_past_counts_in_full_and_one_to_come_sends_nobody() -> Result<()> {
    // Of ten steps over ten hours five and a half are past.
    let past = json!({"hash": "none", "steps": 10, "start": now()? - 19_800, "duration": 36_000, "upstream_host": "checkout-v2"});
    let moved = Moved::of(&past)?;
    moved.reaches("Progressing", "50")?;
    // Status says what is served a moment before it is.
    serin_testkit::eventually("half of it is served", crate::site::PATIENCE, || {
        let canary = count(&moved.client()?.sides(HOST, 100)?);
        ensure!(canary == 50, "{canary} of 100");
        Ok(())
    })?;

    let to_come = json!({"hash": "none", "steps": 10, "start": now()? + 3600, "duration": 36_000, "upstream_host": "checkout-v2"});
    let moved = Moved::of(&to_come)?;
    serin_testkit::eventually("it waits for its start", crate::site::PATIENCE, || {
        let status = moved.status()?;
        ensure!(status["phase"] == "Scheduled", "{}", status["phase"]);
        Ok(())
    })?;
    assert_eq!(count(&moved.client()?.sides(HOST, 100)?), 0);
    Ok(())
}

#[test]
fn a_line_of_a_moment_goes_from_nobody_to_everyone() -> Result<()> {
    let moved = Moved::of(&json!({"hash": "header", "hash_header": "X-Tenant", "duration": 3, "upstream_host": "checkout-v2"}))?;
    let tenants = tenants(100);
    let mut client = moved.client()?;
    let mut before = vec![false; 100];
    while count(&before) < 100 {
        let sides = client.sides_of(HOST, &tenants)?;
        assert_eq!(before.iter().zip(&sides).filter(|(was, is)| **was && !**is).count(), 0, "somebody flip-flopped");
        before = sides;
    }
    moved.reaches("Promoted", "100")
}

#[test]
fn always_goes_to_the_canary_never_to_stable_and_anything_else_where_it_would_have_gone() -> Result<()> {
    let plugin = |percentage: u32| json!({"hash": "none", "percentage": percentage, "canary_by_header_name": "X-Canary", "upstream_host": "checkout-v2"});
    let moved = Moved::of(&plugin(0))?;
    moved.reaches("Steady", "0")?;
    for (value, side) in [("always", "v2"), ("never", "v1"), ("Always", "v1"), ("perhaps", "v1")] {
        assert_eq!(moved.side(HOST, &[("X-Canary", value)])?, side, "{value} at 0 %");
    }
    moved.again(&plugin(100))?;
    moved.reaches("Promoted", "100")?;
    for (value, side) in [("always", "v2"), ("never", "v1"), ("perhaps", "v2")] {
        assert_eq!(moved.side(HOST, &[("X-Canary", value)])?, side, "{value} at 100 %");
    }
    Ok(())
}

#[test]
fn upstream_uri_takes_the_place_of_the_whole_path_and_the_query_stays() -> Result<()> {
    let moved = Moved::of(&json!({"percentage": 100, "upstream_uri": "/v2/cart"}))?;
    moved.reaches("Promoted", "100")?;
    let answer = moved.ask(HOST, "/shop/cart/7?page=2", &[])?;
    assert_eq!((answer.header("x-origin"), answer.header("x-target")), (Some("v1"), Some("/v2/cart?page=2")));
    Ok(())
}

#[test]
fn a_host_outside_is_reached_and_gets_the_host_that_kong_sends_or_the_clients_where_kong_preserves_it() -> Result<()> {
    let config = |preserve: bool| {
        move |stable: &serin_testkit::origin::Origin, canary: &serin_testkit::origin::Origin| {
            let address = canary.address();
            let plugin = json!({"percentage": 100, "upstream_host": address.ip(), "upstream_port": address.port()});
            let mut config = with(&plugin, stable, canary);
            config["services"][0]["routes"][0]["preserve_host"] = json!(preserve);
            config
        }
    };
    let moved = Moved::start(config(false))?;
    moved.reaches("Promoted", "100")?;
    let outside = moved.canary.address().to_string();
    for (preserve, host) in [(false, outside.as_str()), (true, HOST)] {
        moved.edit(config(preserve))?;
        serin_testkit::eventually("it gets that host", crate::site::PATIENCE, || {
            let answer = moved.ask(HOST, "/", &[])?;
            ensure!((answer.header("x-origin"), answer.header("x-host")) == (Some("v2"), Some(host)), "{answer:?}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn the_path_of_kongs_service_stands_before_that_of_each_request_on_both_sides() -> Result<()> {
    let config = |percentage: u32| {
        move |stable: &_, canary: &_| {
            let mut config = with(&json!({"percentage": percentage, "upstream_host": "checkout-v2"}), stable, canary);
            config["services"][0]["path"] = json!("/api/");
            config
        }
    };
    let moved = Moved::start(config(0))?;
    moved.reaches("Steady", "0")?;
    for (percentage, side) in [(0, "v1"), (100, "v2")] {
        moved.edit(config(percentage))?;
        moved.until_side(HOST, &[], side)?;
        let answer = moved.ask(HOST, "/cart?page=2", &[])?;
        assert_eq!((answer.header("x-origin"), answer.header("x-target")), (Some(side), Some("/api/cart?page=2")));
    }
    Ok(())
}

#[test]
fn without_targets_the_canary_falls_back_when_kong_would_and_fails_when_kong_would() -> Result<()> {
    let config = |fallback: bool| {
        move |stable: &_, canary: &_| {
            let plugin = json!({"hash": "none", "percentage": 50, "upstream_fallback": fallback, "upstream_host": "checkout-v2"});
            let mut config = with(&plugin, stable, canary);
            config["upstreams"][1]["targets"] = json!([]);
            config
        }
    };
    let moved = Moved::start(config(false))?;
    // Nobody is sent to a canary that was never there, so it is there first.
    moved.edit(|stable, canary| with(&json!({"hash": "none", "percentage": 50, "upstream_host": "checkout-v2"}), stable, canary))?;
    moved.reaches("Steady", "50")?;
    moved.edit(config(false))?;
    let ten = || (0..10).map(|_| moved.side(HOST, &[])).collect::<Result<Vec<_>>>();
    serin_testkit::eventually("its share fails", crate::site::PATIENCE, || {
        let sides = ten()?;
        ensure!(
            sides.iter().filter(|side| *side == "503").count() == 5 && sides.iter().filter(|side| *side == "v1").count() == 5,
            "{sides:?}"
        );
        Ok(())
    })?;
    moved.edit(config(true))?;
    serin_testkit::eventually("stable takes all", crate::site::PATIENCE, || {
        let sides = ten()?;
        ensure!(sides.iter().all(|side| side == "v1"), "{sides:?}");
        Ok(())
    })
}

#[test]
fn a_plugin_on_a_route_leaves_the_others_alone() -> Result<()> {
    let moved = Moved::start(|stable, canary| {
        let mut config = without(stable, canary);
        let routes = config["services"][0]["routes"].as_array_mut();
        routes.into_iter().for_each(|routes| routes.push(json!({"name": "partners", "hosts": ["partners.example"]})));
        config["plugins"] = json!([{"name": "canary", "instance_name": "checkout", "route": "shop",
            "config": {"percentage": 100, "upstream_host": "checkout-v2"}}]);
        config
    })?;
    moved.reaches("Promoted", "100")?;
    assert_eq!([moved.side(HOST, &[])?, moved.side("partners.example", &[])?], ["v2", "v1"]);
    Ok(())
}

#[test]
fn a_global_plugin_takes_every_route() -> Result<()> {
    let moved = Moved::start(|stable, canary| {
        let mut config = without(stable, canary);
        config["plugins"] =
            json!([{"name": "canary", "instance_name": "checkout", "config": {"percentage": 100, "upstream_host": "checkout-v2"}}]);
        config
    })?;
    moved.reaches("Promoted", "100")?;
    assert_eq!(moved.side(HOST, &[])?, "v2");
    Ok(())
}

/// The walk-through of the blog: one Upstream, a target of weight 100, and one of weight 1.
#[test]
fn weighted_targets_split_as_their_weights_say_up_to_the_switch_and_back() -> Result<()> {
    let config = |old: u32, new: u32| {
        move |stable: &serin_testkit::origin::Origin, canary: &serin_testkit::origin::Origin| -> Value {
            let mut config = without(stable, canary);
            config["upstreams"] = json!([{"name": "checkout", "targets": [
                {"target": stable.address().to_string(), "weight": old}, {"target": canary.address().to_string(), "weight": new}]}]);
            config
        }
    };
    let moved = Moved::start(config(100, 1))?;
    moved.reaches("Steady", "0.99")?;
    assert_eq!(count(&moved.client()?.sides(HOST, 1010)?), 10);
    moved.edit(config(100, 25))?;
    moved.reaches("Steady", "20")?;
    assert_eq!(count(&moved.client()?.sides(HOST, 100)?), 20);
    moved.edit(config(0, 100))?;
    moved.reaches("Promoted", "100")?;
    assert_eq!(count(&moved.client()?.sides(HOST, 100)?), 100);
    moved.edit(config(100, 0))?;
    moved.reaches("Steady", "0")?;
    assert_eq!(count(&moved.client()?.sides(HOST, 100)?), 0);
    Ok(())
}

#[test]
fn finalising_early_and_disabling_do_at_once_what_the_page_says() -> Result<()> {
    let plugin = json!({"hash": "none", "percentage": 10, "upstream_host": "checkout-v2"});
    let moved = Moved::of(&plugin)?;
    moved.reaches("Steady", "10")?;
    moved.edit(|stable, canary| {
        let mut config = with(&plugin, stable, canary);
        config["plugins"][0]["enabled"] = json!(false);
        config
    })?;
    moved.reaches("Disabled", "0")?;
    assert_eq!(count(&moved.client()?.sides(HOST, 100)?), 0);
    // A PATCH of the Service and a DELETE of the plugin: everyone is on the canary.
    moved.edit(|stable, canary| {
        let mut config = without(stable, canary);
        config["services"][0]["host"] = json!("checkout-v2");
        config
    })?;
    moved.until_side(HOST, &[], "v2")?;
    assert_eq!(count(&moved.client()?.sides(HOST, 100)?), 100);
    Ok(())
}

#[test]
fn blue_and_green_are_one_edit_of_the_service_there_and_back() -> Result<()> {
    let config = |host: &'static str| {
        move |stable: &_, canary: &_| {
            let mut config = without(stable, canary);
            config["services"][0]["host"] = json!(host);
            config
        }
    };
    let moved = Moved::start(config("checkout"))?;
    moved.until_side(HOST, &[], "v1")?;
    moved.edit(config("checkout-v2"))?;
    moved.until_side(HOST, &[], "v2")?;
    moved.edit(config("checkout"))?;
    moved.until_side(HOST, &[], "v1").context("the way back")
}
