//! The whole story, as the README shows it.

use crate::running::serin;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::process::{Output, Stdio};
use std::thread;

struct Story {
    code: Option<i32>,
    text: String,
}

impl Story {
    fn new(output: Output) -> Result<Self> {
        let text = String::from_utf8([output.stdout, output.stderr].concat())?;
        Ok(Self { code: output.status.code(), text })
    }

    /// The weights that were asked for, frame by frame.
    fn asked(&self) -> Result<Vec<f64>> {
        let words = self.text.lines().filter_map(|line| line.split_once(" asked ")?.1.split_whitespace().next());
        words.map(|word| word.parse().with_context(|| format!("{word:?} is no weight"))).collect()
    }

    /// The line that begins so.
    fn line(&self, start: &str) -> Result<&str> {
        self.text.lines().find(|line| line.starts_with(start)).with_context(|| format!("no {start:?} in:\n{}", self.text))
    }

    /// The manifests that it shows at its end.
    fn manifests(&self) -> Result<&str> {
        let (_, rest) = self.text.split_once("This is what ran, as files of a folder:\n\n").context("no manifests")?;
        Ok(rest.split_once("\n\nNext: ").context("no end of the manifests")?.0)
    }
}

#[test]
fn the_demo_promotes_with_nobody_moved_back_and_with_fail_it_rolls_back() -> Result<()> {
    // Side by side: most of their time they wait.
    let failing = serin().args(["demo", "--fail"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let failing = thread::spawn(move || failing.wait_with_output());
    let good = Story::new(serin().arg("demo").output()?)?;
    let bad = Story::new(failing.join().expect("it does not panic")?)?;
    promoted(&good)?;
    aborted(&bad)?;

    let folder = tempfile::tempdir()?;
    let shown = folder.path().join("demo.yaml");
    fs::write(&shown, good.manifests()?)?;
    let checked = serin().arg("check").arg(&shown).output()?;
    assert_eq!(String::from_utf8(checked.stdout)?, "4 objects, 0 findings\n", "what it shows can be used");
    Ok(())
}

fn promoted(story: &Story) -> Result<()> {
    assert_eq!(story.code, Some(0), "{}", story.text);
    let asked = story.asked()?;
    ensure!(asked.is_sorted() && asked.first() < Some(&25.0) && asked.last() == Some(&100.0), "{asked:?}");
    ensure!(story.line("Promoted after ")?.contains(". 100 % on checkout-v2:80"), "{}", story.text);
    let users = story.line("Users: 201; none of them ever moved back from the canary to stable.")?;
    ensure!(users.ends_with(" 0 answered 5xx, 0 lost."), "{users}");
    Ok(())
}

fn aborted(story: &Story) -> Result<()> {
    assert_eq!(story.code, Some(0), "{}", story.text);
    let asked = story.asked()?;
    let most = asked.iter().copied().fold(0.0, f64::max);
    ensure!(most >= 40.0 && asked.last() == Some(&0.0), "{asked:?}");
    let last = story.text.lines().rfind(|line| line.contains(" asked ")).context("no frame")?;
    ensure!(last.contains("Aborted ") && last.contains("verdict Fail "), "the verdict that aborted it is shown: {last}");
    let ending = story.line("Aborted after ")?;
    ensure!(ending.contains("Check errors failed: canary ") && ending.contains(", stable 0.00 % of "), "figures of both sides: {ending}");
    ensure!(ending.ends_with("Fix it, then: serin retry checkout"), "{ending}");
    story.line("Users: 201; after the rollback the canary answered ").map(drop)
}
