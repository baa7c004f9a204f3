//! What a client is told with a 401 (RFC 9110, section 11.6.1): how it could show who it is.

use crate::{Method, Policy, Refusal};
use http::HeaderValue;

impl Policy {
    /// The values of `WWW-Authenticate`, one for each way that there is.
    pub fn challenges(&self, refusal: Refusal) -> Vec<HeaderValue> {
        let mut challenges: Vec<String> = Vec::new();
        for challenge in self.methods.iter().filter_map(|method| challenge(method, refusal)) {
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
        if challenges.is_empty() {
            // A 401 has one (RFC 9110, section 15.5.2), also where only the proxy in front could do anything about it.
            challenges.push("TrustedHeaders".to_owned());
        }
        challenges.into_iter().filter_map(|challenge| HeaderValue::try_from(challenge).ok()).collect()
    }
}

fn challenge(method: &Method, refusal: Refusal) -> Option<String> {
    match method {
        Method::KeyAuth(_) => Some("Key realm=\"serin\"".to_owned()),
        Method::BasicAuth(basic) => Some(format!("Basic realm={}, charset=\"UTF-8\"", quoted(&basic.realm))),
        Method::Jwt(_) => Some(match refusal {
            Refusal::Token(fault) => format!("Bearer realm=\"serin\", error=\"invalid_token\", error_description=\"{fault}\""),
            // Without a token there is no error to speak of (RFC 6750, section 3.1).
            Refusal::Missing | Refusal::Wrong => "Bearer realm=\"serin\"".to_owned(),
        }),
        Method::TrustedHeaders(_) => None,
    }
}

/// A quoted string (RFC 9110, section 5.6.4), without what one cannot have.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
