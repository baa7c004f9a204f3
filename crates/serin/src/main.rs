//! The binary: arguments and wiring only.

use clap::Parser;

/// A Kubernetes ingress controller that makes canary releases a first-class object. Under construction: it has no command yet.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {}

fn main() {
    Arguments::parse();
}
