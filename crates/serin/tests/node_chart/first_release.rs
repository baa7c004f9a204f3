//! docs/first-release.md, followed as it is written: each command of the page, in its order, in a shell.

use crate::{SOON, of_the_tests};
use anyhow::{Context, Result, ensure};
use serin_testkit::eventually;
use serin_testkit::helm::Helm;
use serin_testkit::node::{APP, Node};
use std::collections::VecDeque;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../../../docs/first-release.md");
/// What the page asks for at its top.
const INSTALL: &str = include_str!("../../../../docs/install.md");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The program, for commands.
const PROGRAM: &str = env!("CARGO_BIN_EXE_serin");
/// What runs in the pods of the page: it says the pod's name.
const AGNHOST: &str = "image: registry.k8s.io/e2e-test-images/agnhost:2.53, args: [netexec, --http-port=8080]";

#[test]
fn the_first_release_goes_as_its_page_says() -> Result<()> {
    let _turn = crate::turn();
    let node = Node::start()?;
    install(&node)?;
    let mut reader = Reader::new(&node)?;

    let services = reader.run("kubectl -n serin-system get service serin")?;
    let columns: Vec<&str> = services.lines().next_back().unwrap_or_default().split_whitespace().collect();
    reader.address = (*columns.get(3).with_context(|| services.clone())?).to_owned();
    reader.run("kubectl apply -f shop.yaml")?;
    let anyone = reader.next("curl -H 'Host: shop.example' http://ADDRESS/hostname")?;
    reader.until_version(anyone, "checkout")?;

    reader.run("kubectl apply -f release.yaml")?;
    reader.next("kubectl -n shop get canaryrelease -w")?;
    let watched = node.spawn("watch", node.kubectl_command(&["-n", "shop", "get", "canaryrelease", "-w"]))?;
    reader.until_phase("Progressing")?;
    let tester = reader.next("curl -H 'Host: shop.example' -H 'X-Canary: always' http://ADDRESS/hostname")?;
    reader.until_version(tester, "checkout-v2")?;

    reader.until_programmed()?;
    reader.run("serin promote checkout -n shop")?;
    reader.until_phase("Promoted")?;
    reader.until_version(anyone, "checkout-v2")?;
    reader.run("serin abort checkout -n shop")?;
    reader.until_phase("Aborted")?;
    reader.until_version(tester, "checkout")?;
    reader.run("serin retry checkout -n shop")?;
    reader.until_phase("Progressing")?;
    reader.run("kubectl -n shop annotate canaryrelease checkout serin.dev/abort=1 --overwrite")?;
    reader.until_phase("Aborted")?;

    // The page goes on from a release that is promoted.
    reader.shell("serin retry checkout -n shop")?;
    reader.until_phase("Progressing")?;
    reader.until_programmed()?;
    reader.shell("serin promote checkout -n shop")?;
    reader.until_phase("Promoted")?;
    let edit = reader.run("kubectl -n shop get canaryrelease checkout -o jsonpath='{.status.finalize.edits[*].text}'")?;
    reader.shell(&edit)?;
    reader.until_phase("Completed")?;
    reader.until_version(anyone, "checkout-v2")?;
    ensure!(reader.commands.is_empty(), "the page has more commands: {:?}", reader.commands);
    let log = watched.log();
    ensure!(["Progressing", "Promoted", "Aborted", "Completed"].iter().all(|phase| log.contains(phase)), "{log}");
    Ok(())
}

/// With the image of the tests: there is none to pull here.
fn install(node: &Node) -> Result<()> {
    let [_, helm] = Helm::both()?;
    let line = "helm install serin charts/serin -n serin-system --create-namespace";
    ensure!(commands(INSTALL).iter().any(|command| command == line), "docs/install.md no longer says {line}");
    let (chart, values) = (format!("{ROOT}/charts/serin"), of_the_tests(&helm)?);
    let words = line.split(' ').skip(1).map(|word| if word == "charts/serin" { &chart } else { word });
    let words: Vec<&str> = words.chain(["--values", &values, "--wait", "--timeout", "3m"]).collect();
    helm.on(&node.kubeconfig(), &words)?.ok().map(drop)
}

/// Who follows the page: the files that were saved, and the commands that are still to come.
struct Reader<'a> {
    node: &'a Node,
    commands: VecDeque<String>,
    /// What the page calls ADDRESS.
    address: String,
}

impl<'a> Reader<'a> {
    fn new(node: &'a Node) -> Result<Self> {
        let app = format!(
            "image: {}, args: [origin, --listen, '0.0.0.0:8080', --label, $(POD)], env: [{{name: POD, valueFrom: {{fieldRef: {{fieldPath: \
             metadata.name}}}}}}]",
            APP[0]
        );
        let blocks = PAGE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
        let names = PAGE.split("\n`").skip(1).filter_map(|rest| rest.split_once("`: ")).map(|(name, _)| name);
        let files: Vec<_> = names.zip(blocks).collect();
        ensure!(files.iter().map(|(name, _)| *name).eq(["shop.yaml", "release.yaml"]), "the page has other files: {files:?}");
        ensure!(files[0].1.matches(AGNHOST).count() == 2, "the page has other pods");
        for (name, content) in files {
            fs::write(node.folder().join(name), content.replace(AGNHOST, &app))?;
        }
        Ok(Self { node, commands: commands(PAGE).into(), address: String::new() })
    }

    /// The page's next command, which is this one.
    fn next<'c>(&mut self, expected: &'c str) -> Result<&'c str> {
        let next = self.commands.pop_front().unwrap_or_default();
        ensure!(next == expected, "the page's next command is {next:?}, not {expected:?}");
        Ok(expected)
    }

    /// Runs it too, and gives what it prints.
    fn run(&mut self, expected: &str) -> Result<String> {
        let command = self.next(expected)?;
        self.shell(command)
    }

    fn shell(&self, line: &str) -> Result<String> {
        let folder = Path::new(PROGRAM).parent().context("serin is in no folder")?;
        self.node.shell(&line.replace("ADDRESS", &self.address), &[folder])?.ok().with_context(|| line.to_owned())
    }

    fn until_phase(&self, phase: &str) -> Result<()> {
        eventually(&format!("the release is {phase}"), SOON, || {
            let status = self.shell("kubectl -n shop get canaryrelease checkout -o jsonpath='{.status}'")?;
            ensure!(status.contains(&format!(r#""phase":"{phase}""#)), "{status}");
            Ok(())
        })
    }

    /// A person is slower than this: until each replica follows, nothing is promoted.
    fn until_programmed(&self) -> Result<()> {
        let path = "{.status.conditions[?(@.type==\"Programmed\")].status}";
        eventually("each replica follows", SOON, || {
            let status = self.shell(&format!("kubectl -n shop get canaryrelease checkout -o jsonpath='{path}'"))?;
            ensure!(status == "True", "Programmed is {status}");
            Ok(())
        })
    }

    /// Until a pod of this Deployment answers.
    fn until_version(&self, command: &str, deployment: &str) -> Result<()> {
        eventually(&format!("{deployment} answers {command}"), SOON, || {
            let answer = self.shell(command)?;
            let of = answer.trim_end().rsplitn(3, '-').nth(2);
            ensure!(of == Some(deployment), "{answer}");
            Ok(())
        })
    }
}

/// Every command of a page, in blocks and in sentences, without its comment.
fn commands(page: &str) -> Vec<String> {
    let is_command = |line: &&str| ["kubectl ", "curl ", "serin ", "helm "].iter().any(|program| line.starts_with(program));
    let mut found = Vec::new();
    for (nth, part) in page.split("```").enumerate() {
        let lines: Vec<&str> = if nth % 2 == 0 { part.split('`').skip(1).step_by(2).collect() } else { part.lines().collect() };
        let commands = lines.into_iter().filter(is_command).map(|line| line.split(" #").next().unwrap_or(line));
        found.extend(commands.map(|command| command.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    found
}
