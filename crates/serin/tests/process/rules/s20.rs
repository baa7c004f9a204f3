use crate::site::{PATIENCE, Site};
use anyhow::{Context, Result, ensure};
use serin_testkit::origin::Behaviour;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// An answer without end.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(site: &Site, canary: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(site.running.http)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET / HTTP/1.1\r\nHost: {}\r\nX-Canary: {canary}\r\n\r\n", site.host())?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The next line of the origin; `None` when the stream is over.
    fn next(&mut self) -> Result<Option<String>> {
        loop {
            let mut line = String::new();
            match self.0.read_line(&mut line) {
                Ok(0) => return Ok(None),
                Ok(_) if ["v1\n", "v2\n"].contains(&line.as_str()) => return Ok(Some(line.trim_end().to_owned())),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error).context("nothing came"),
            }
        }
    }

    /// That it goes on for some lines, of this origin.
    fn goes_on(&mut self, label: &str) -> Result<()> {
        for _ in 0..5 {
            let line = self.next()?;
            ensure!(line.as_deref() == Some(label), "{line:?} in place of {label}");
        }
        Ok(())
    }
}

fn site() -> Result<(Site, Stream, Stream)> {
    let site = Site::shown("s20-long-streams", &[])?;
    site.reaches("Progressing", "50")?;
    for origin in [&site.stable, &site.canary] {
        origin.behave(Behaviour { endless: true, ..Behaviour::default() });
    }
    let (mut of_stable, mut of_canary) = (Stream::open(&site, "never")?, Stream::open(&site, "always")?);
    of_stable.goes_on("v1")?;
    of_canary.goes_on("v2")?;
    Ok((site, of_stable, of_canary))
}

#[test]
fn s20_after_an_abort_streams_to_the_canary_end_when_drain_says_and_those_to_stable_go_on() -> Result<()> {
    let (site, mut of_stable, mut of_canary) = site()?;
    let end: jiff::Timestamp = site.status("/release/expectedEnd")?.parse().context("no expected end")?;
    let left = end.duration_since(jiff::Timestamp::now()).as_secs();
    ensure!((3_000..=3_700).contains(&left), "a step of an hour ends in {left} s");

    let begun = Instant::now();
    ensure!(site.command(&["abort"])?.status.success());
    let aborted = Instant::now();
    // Others are on stable at once.
    Stream::open(&site, "always")?.goes_on("v1")?;
    while let Some(line) = of_canary.next()? {
        ensure!(line == "v2" && begun.elapsed() < PATIENCE, "{line} after {:?}", begun.elapsed());
    }
    println!("the stream ended {:?} after the abort", begun.elapsed());
    ensure!(begun.elapsed() >= Duration::from_secs(3), "it ended after {:?}", begun.elapsed());
    ensure!(aborted.elapsed() < Duration::from_secs(8), "it ended after {:?}", aborted.elapsed());
    of_stable.goes_on("v1")
}

#[test]
fn s20_after_a_promotion_streams_to_stable_are_left_alone() -> Result<()> {
    let (site, mut of_stable, mut of_canary) = site()?;
    ensure!(site.command(&["promote", "--yes"])?.status.success());
    site.reaches("Promoted", "100")?;
    for _ in 0..10 {
        of_stable.goes_on("v1")?;
    }
    of_canary.goes_on("v2")
}
