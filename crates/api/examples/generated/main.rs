//! Writes what the types say, below the folder that is named: `crds/` and `docs/reference.md`; or prints the CRDs.
//! `cargo xtask generate` runs it.

mod reference;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let Some(root) = std::env::args().nth(1) else {
        print!("{}", serin_api::crd_yaml());
        return Ok(());
    };
    let root = Path::new(&root);
    for (name, text) in serin_api::crd_files() {
        std::fs::write(root.join("crds").join(name), text)?;
    }
    std::fs::write(root.join("docs/reference.md"), reference::page())
}
