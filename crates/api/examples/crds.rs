//! Prints the CRDs as the CRD files hold them.

fn main() {
    println!("{}", serde_json::to_string_pretty(&serin_api::crds()).unwrap_or_default());
}
