//! A standalone's releases, through its admin port.

use crate::admin::{MERGE_PATCH, Name, QUESTION};
use crate::explain::Question;
use crate::update::Said;
use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest answer that is read: a thousand releases fit in.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// Where questions are asked.
const EXPLAIN: &str = "/v1/explain";
/// How long one exchange may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A standalone's admin port, by its address.
#[derive(Debug, Clone)]
pub struct AdminClient {
    address: String,
}

impl AdminClient {
    /// `HOST:PORT`, with or without `http://` before it.
    pub fn new(address: &str) -> Self {
        Self { address: address.trim_start_matches("http://").trim_end_matches('/').to_owned() }
    }

    /// All releases with their status, by namespace and name.
    pub async fn list(&self) -> anyhow::Result<Vec<Value>> {
        let mut answer = self.exchange(Method::GET, "/v1/releases", Bytes::new()).await?;
        match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            _ => bail!("{} answered without items: is it serin's admin port?", self.address),
        }
    }

    /// One release with its status.
    pub async fn release(&self, name: &Name) -> anyhow::Result<Value> {
        self.exchange(Method::GET, &path(name), Bytes::new()).await
    }

    /// A merge patch of its annotations; answers the release after it.
    pub async fn patch(&self, name: &Name, patch: &Value) -> anyhow::Result<Value> {
        self.exchange(Method::POST, &path(name), patch.to_string().into()).await
    }

    /// What a replica serves and counted, for whoever this token is of.
    pub async fn counters(&self, token: &str) -> anyhow::Result<Said> {
        let answer = self.exchange_as(Method::GET, "/v1/counters", Bytes::new(), Some(token)).await?;
        serde_json::from_value(answer)
            .with_context(|| format!("{} answered without counters: is it another version of serin?", self.address))
    }

    /// What it would do with a request.
    pub async fn explain(&self, question: &Question) -> anyhow::Result<Value> {
        self.exchange(Method::POST, EXPLAIN, serde_json::to_vec(question)?.into()).await
    }

    /// Whether traffic may be sent there; else what it waits for.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn ready(&self) -> anyhow::Result<Result<(), String>> {
        let (status, body) = self.send(Method::GET, "/readyz", Bytes::new(), None).await?;
        Ok(if status.is_success() { Ok(()) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&body).trim_end())) })
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Value> {
        self.exchange_as(method, path, body, None).await
    }

    async fn exchange_as(&self, method: Method, path: &str, body: Bytes, token: Option<&str>) -> anyhow::Result<Value> {
        let (status, body) = self.send(method, path, body, token).await?;
        let answer: Value = serde_json::from_slice(&body).with_context(|| format!("{} answered {status} without JSON", self.address))?;
        match answer["error"].as_str() {
            Some(error) if !status.is_success() => bail!("{error}"),
            _ if !status.is_success() => bail!("{} answered {status}", self.address),
            _ => Ok(answer),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Bytes, token: Option<&str>) -> anyhow::Result<(StatusCode, Bytes)> {
        let content_type = if path == EXPLAIN { QUESTION } else { MERGE_PATCH };
        let exchange = async {
            let stream = TcpStream::connect(&self.address)
                .await
                .with_context(|| format!("{}: is `serin standalone` running there?", self.address))?;
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let connection = tokio::spawn(connection);
            let mut request = Request::builder();
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let request = request
                .method(method)
                .uri(path)
                .header(header::HOST, &self.address)
                .header(header::CONTENT_TYPE, content_type)
                .body(Full::new(body))
                .with_context(|| format!("--admin {} is no address", self.address))?;
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.map_err(anyhow::Error::from_boxed)?.to_bytes();
            connection.abort();
            Ok((status, body))
        };
        tokio::time::timeout(TIMEOUT, exchange).await.with_context(|| format!("{} did not answer within {TIMEOUT:?}", self.address))?
    }
}

fn path(name: &Name) -> String {
    format!("/v1/releases/{}/{}", name.namespace, name.name)
}
