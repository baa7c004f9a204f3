//! A proxy with a policy before two origins: alice's requests go to the canary, all others to stable.

use crate::support::{Client, Message, Origin, backend, publish, release, route, serve};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use http::HeaderName;
use serin_auth::{Anonymous, ApiKey, BasicAuth, Consumer, Credential, Directory, KeyAuth, Method, PasswordHash, Policy, TrustedHeaders};
use serin_proxy::{Limits, PasswordLimits, Proxy, Settings};
use serin_routing::config::{Auth, Backend, Config, People, Release, RouteRelease};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a guess may wait for its check: the thread that does it has a low priority, so on a busy machine it hardly runs.
const UNTIL_CHECKED: Duration = Duration::from_secs(120);

pub(super) const ISSUER: &str = "https://id.example";

pub(super) struct Site {
    pub(super) proxy: Proxy,
    stable: Origin,
    canary: Origin,
}

impl Site {
    pub(super) fn with(policy: Policy) -> Self {
        Self::of(Self::config(policy), crate::support::settings())
    }

    pub(super) fn of(config: Config, settings: Settings) -> Self {
        Self::on(serve(settings, Config::default()), config)
    }

    pub(super) fn on(proxy: Proxy, config: Config) -> Self {
        let site = Self { proxy, stable: Origin::saying("stable"), canary: Origin::saying("canary") };
        site.publish(config);
        site
    }

    /// The policy on `/`, none on `/open`; all that alice asks on `/` goes to the canary.
    pub(super) fn config(policy: Policy) -> Config {
        let to_canary = Release { people: People::Consumer("alice".into()), ..release(1000, 1000) };
        let guarded = RouteRelease { release: 0, stable: Some(0), canary: Some(1) };
        let mut guarded = route("/", 0, vec![guarded]);
        guarded.auth = Auth::Policy(0);
        Config {
            routes: vec![guarded, route("/open", 0, Vec::new())],
            releases: vec![to_canary],
            policies: vec![Arc::new(policy)],
            backends: backends(SocketAddr::from(([127, 0, 0, 1], 9)), SocketAddr::from(([127, 0, 0, 1], 9))),
            ..Config::default()
        }
    }

    pub(super) fn publish(&self, config: Config) {
        publish(&self.proxy, Config { backends: backends(self.stable.address, self.canary.address), ..config });
    }

    /// The answer to one request on a connection of its own.
    pub(super) fn ask(&self, request: impl AsRef<[u8]>) -> Message {
        Client::of(&self.proxy).send(request).response()
    }

    /// A client with that address of loopback.
    pub(super) fn client_from(&self, address: [u8; 4]) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((address, 0)).into()).expect("an address of loopback");
        socket.connect(&self.proxy.local_addr().into()).expect("a connection");
        Client::patient(socket.into(), UNTIL_CHECKED)
    }

    /// What the origins heard, stable's first.
    pub(super) fn origins(&self) -> impl Iterator<Item = Message> {
        self.stable.heard().into_iter().chain(self.canary.heard())
    }
}

fn backends(stable: SocketAddr, canary: SocketAddr) -> Vec<Backend> {
    vec![backend("shop/checkout:80", &[stable]), backend("shop/checkout-v2:80", &[canary])]
}

pub(super) fn policy(methods: Vec<Method>) -> Policy {
    let consumers = Arc::new(directory(&hash(4, "password")));
    Policy { name: "shop/policy".into(), methods, anonymous: Anonymous::Deny, hide_credentials: true, consumers }
}

/// alice and bob, both with the same password.
pub(super) fn directory(hash: &PasswordHash) -> Directory {
    let consumer = |name: &str| {
        let key = ApiKey::of_secret(format!("key of {name}").as_bytes()).expect("a key");
        let basic = Credential::BasicAuth { username: name.into(), hash: hash.clone() };
        let jwt = Credential::Jwt { issuer: ISSUER.into(), subject: format!("id-of-{name}") };
        Arc::new(Consumer {
            username: name.into(),
            groups: vec!["testers".into()],
            credentials: vec![Credential::KeyAuth(key), basic, jwt],
        })
    };
    Directory::new(vec![consumer("alice"), consumer("bob")])
}

/// The bcrypt hash of a password.
pub(super) fn hash(cost: u32, password: &str) -> PasswordHash {
    let engine = GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD);
    let salt = *b"0123456789abcdef";
    let hash = bcrypt::bcrypt(cost, salt, &[password.as_bytes(), &[0]].concat());
    PasswordHash::parse(format!("$2b${cost:02}${}{}", engine.encode(salt), engine.encode(&hash[..23])).as_bytes()).expect("a hash")
}

pub(super) fn by_key() -> Method {
    Method::KeyAuth(KeyAuth { headers: vec![HeaderName::from_static("apikey")], query: vec!["apikey".into()] })
}

pub(super) fn by_password() -> Method {
    Method::BasicAuth(BasicAuth { realm: "shop".into() })
}

pub(super) fn by_header(from: &str) -> Method {
    let (consumer, groups) = (HeaderName::from_static("x-auth-request-user"), Some(HeaderName::from_static("x-auth-request-groups")));
    Method::TrustedHeaders(TrustedHeaders { consumer, groups, from: vec![from.parse().expect("a network")] })
}

/// A request with a user's name and password.
pub(super) fn request(path: &str, username: &str, password: &str) -> String {
    let credentials = STANDARD.encode(format!("{username}:{password}"));
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Basic {credentials}\r\n\r\n")
}

/// Settings with these limits of passwords.
pub(super) fn limited(passwords: PasswordLimits) -> Settings {
    let settings = crate::support::settings();
    Settings { limits: Limits { passwords, ..settings.limits }, ..settings }
}
