//! The process that stands by a node: it gives Services of type LoadBalancer their addresses, holds the lock of the node's slot, and takes
//! the node down when whoever started it has ended without saying that it shall stay.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader, Read};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::place::{BALANCERS, Nodes, Place};
use super::{Node, PID};

/// Said on the keeper's standard input: from now on the node outlives its starter.
pub(super) const STAY: &[u8] = b"stay\n";

/// Runs until the node is taken down: by another process, which kills this one first, or here.
///
/// # Errors
/// When there is no such node, or it cannot be taken down.
pub fn keep(name: &str) -> Result<()> {
    let place = Place::find(name)?;
    fs::write(place.folder.join(PID), std::process::id().to_string()).context("cannot write the keeper's pid")?;
    let node = Node::of(place.clone())?;
    std::thread::spawn(move || balance(&node));
    let mut said = Vec::new();
    io::stdin().lock().read_to_end(&mut said).context("cannot read the standard input")?;
    if said.ends_with(STAY) {
        loop {
            std::thread::park();
        }
    }
    Nodes::lock()?.clear(&place)
}

/// Follows all Services for as long as the process lives; the API server may come later, and go and come again.
fn balance(node: &Node) {
    let mut addresses = Addresses::default();
    loop {
        let mut watch = node.kubectl_command(&["get", "services", "-A", "-o", "json", "--watch", "--output-watch-events"]);
        match watch.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn() {
            Ok(mut child) => {
                let events =
                    BufReader::new(child.stdout.take().map_or_else(|| Box::new(io::empty()) as Box<dyn Read>, |out| Box::new(out)));
                for event in serde_json::Deserializer::from_reader(events).into_iter::<Value>().map_while(Result::ok) {
                    if let Some(change) = addresses.see(&event) {
                        let _ = assign(node, &change);
                    }
                }
                let _ = child.kill();
                let _ = child.wait();
            }
            Err(error) => eprintln!("cannot start kubectl: {error}"),
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn assign(node: &Node, change: &Change) -> Result<()> {
    let address = node.place.address(change.host);
    let patch = json!({"status": {"loadBalancer": {"ingress": [{"ip": address.to_string()}]}}}).to_string();
    let service = ["patch", "service", "-n", &change.namespace, &change.name, "--subresource=status", "--type=merge", "-p", &patch];
    // Gone meanwhile, or the API server is: the next watch tells.
    node.kubectl(&service, "")?.ok().map(drop)
}

/// Which Service has which address, by uid; of each address the last number counts.
#[derive(Default)]
struct Addresses {
    taken: BTreeMap<String, u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Change {
    namespace: String,
    name: String,
    host: u8,
}

impl Addresses {
    /// One event of the watch; what is to be written, if anything.
    fn see(&mut self, event: &Value) -> Option<Change> {
        let service = &event["object"];
        let meta = &service["metadata"];
        let uid = meta["uid"].as_str()?;
        if event["type"] == "DELETED" || service["spec"]["type"] != "LoadBalancer" {
            self.taken.remove(uid);
            return None;
        }
        let shown = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().and_then(|ip| ip.parse::<Ipv4Addr>().ok());
        if let Some(address) = shown {
            self.taken.insert(uid.to_owned(), address.octets()[3]);
            return None;
        }
        if meta["deletionTimestamp"].is_string() {
            return None;
        }
        // What was given before and is not shown was not written.
        let known = self.taken.get(uid).copied();
        let host = known.or_else(|| BALANCERS.clone().find(|host| !self.taken.values().any(|taken| taken == host)))?;
        self.taken.insert(uid.to_owned(), host);
        Some(Change { namespace: meta["namespace"].as_str()?.to_owned(), name: meta["name"].as_str()?.to_owned(), host })
    }
}

/// Kills the keeper of a place, which the lock says is alive.
pub(super) fn dismiss(place: &Place) -> Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let text = fs::read_to_string(place.folder.join(PID)).unwrap_or_default();
    if let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw)
        && place.is_kept()
    {
        kill_process(pid, Signal::KILL).context("cannot end the node's keeper")?;
        crate::eventually("the node's keeper has ended", Duration::from_secs(10), || {
            anyhow::ensure!(!place.is_kept(), "it still holds its lock");
            Ok(())
        })?;
    }
    Ok(())
}

/// The program of keepers.
pub(super) fn command(name: &str) -> Result<Command> {
    let mut command = Command::new(crate::program("testkit")?);
    command.args(["node", "--name", name, "keep"]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, uid: &str, service_type: &str, address: Option<&str>) -> Value {
        let ingress: Vec<Value> = address.map(|ip| json!({"ip": ip})).into_iter().collect();
        json!({"type": kind, "object": {
            "metadata": {"uid": uid, "name": uid, "namespace": "shop"}, "spec": {"type": service_type},
            "status": {"loadBalancer": {"ingress": ingress}}
        }})
    }

    fn given(addresses: &mut Addresses, event: &Value) -> Option<u8> {
        addresses.see(event).map(|change| change.host)
    }

    #[test]
    fn each_load_balancer_has_the_first_free_address() {
        let mut addresses = Addresses::default();
        assert_eq!(given(&mut addresses, &event("ADDED", "a", "LoadBalancer", None)), Some(65));
        assert_eq!(given(&mut addresses, &event("ADDED", "b", "LoadBalancer", None)), Some(66));
        assert_eq!(given(&mut addresses, &event("ADDED", "c", "ClusterIP", None)), None);
        assert_eq!(given(&mut addresses, &event("MODIFIED", "a", "LoadBalancer", Some("198.19.1.65"))), None);
        addresses.see(&event("DELETED", "a", "LoadBalancer", Some("198.19.1.65")));
        assert_eq!(given(&mut addresses, &event("ADDED", "d", "LoadBalancer", None)), Some(65));
    }

    #[test]
    fn an_address_that_was_not_written_is_given_again() {
        let mut addresses = Addresses::default();
        let service = event("ADDED", "a", "LoadBalancer", None);
        assert_eq!((given(&mut addresses, &service), given(&mut addresses, &service)), (Some(65), Some(65)));
    }

    #[test]
    fn an_address_of_another_run_stays_taken() {
        let mut addresses = Addresses::default();
        addresses.see(&event("ADDED", "old", "LoadBalancer", Some("198.19.1.65")));
        assert_eq!(given(&mut addresses, &event("ADDED", "new", "LoadBalancer", None)), Some(66));
    }
}
