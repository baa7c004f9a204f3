//! Memory over many edits while one response never ends.

use crate::churn::Churn;
use crate::site::{Site, shared};
use anyhow::{Context, Result, ensure};
use serin_testkit::origin::{Behaviour, Origin};
use serin_testkit::{long, manifests};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

const STREAM: &str = "stream.example";
/// Routes beside the one that is edited: each table has them all, so one that is kept shows.
const ROUTES: usize = 300;
/// Edits until all that is allocated once is there.
const WARM: usize = 50;
/// What may come on top, in KiB: half of what the tables of 200 edits take together, were they kept.
const MOST: u64 = 20 * 1024;

#[test]
fn memory_stays_flat_over_edits_while_a_response_streams() -> Result<()> {
    let site = Site::new(shared()?, "memory")?;
    let endless = Origin::start((site.cluster.outside(202), 0), "endless")?;
    endless.behave(Behaviour { endless: true, ..Behaviour::default() });
    let routes = (0..ROUTES).map(|nth| manifests::ingress(site.namespace, &format!("r{nth}"), &format!("r{nth}.example"), "/", "checkout"));
    let stream = manifests::service(site.namespace, "stream", &[endless.address()])
        + &manifests::ingress(site.namespace, "stream", STREAM, "/", "stream");
    site.cluster.apply(&routes.chain([stream]).collect::<String>())?;
    let serin = site.serin(15)?;
    let mut churn = Churn::start(&site, &serin)?;

    let mut client = TcpStream::connect(serin.http())?;
    write!(client, "GET / HTTP/1.1\r\nHost: {STREAM}\r\n\r\n")?;
    let mut lines = BufReader::new(client).lines().map_while(Result::ok).filter(|line| line == "endless");
    lines.next().context("the stream does not begin")?;
    // A release takes several tables for an edit, and longer.
    let mut edit = |nth: usize| if nth.is_multiple_of(10) { churn.edit_release() } else { churn.edit_route() };
    (0..WARM).try_for_each(&mut edit)?;
    let before = serin.process.memory()?;
    let edits = if long() { 1_000 } else { 200 };
    (0..edits).try_for_each(&mut edit)?;
    let after = serin.process.memory()?;
    println!("{before} KiB after {WARM} edits, {after} KiB after {edits} more");
    ensure!(after < before + MOST, "memory grew from {before} to {after} KiB in {edits} edits");
    // What came meanwhile, and then what comes now: it is the same response.
    ensure!(lines.by_ref().take(100).count() == 100, "the stream has ended");
    Ok(())
}
