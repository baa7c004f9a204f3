//! Writes the CRD files into the folder that is named, or prints them: `cargo run -p serin-api --example crds -- crds`.

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args().nth(1) else {
        print!("{}", serin_api::crd_yaml());
        return Ok(());
    };
    for (name, text) in serin_api::crd_files() {
        std::fs::write(std::path::Path::new(&folder).join(name), text)?;
    }
    Ok(())
}
