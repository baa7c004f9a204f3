use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const COMMAND: &str = r#"{"metadata":{"annotations":{"serin.dev/command":"pause@1","serin.dev/abort":null}}}"#;

/// What the port answers to these bytes, with a holder that knows `shop/checkout` only.
async fn exchange(request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asks, mut asked) = mpsc::channel(1);
    tokio::spawn(serve(listener, asks));
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            match ask {
                Ask::Ready(reply) => drop(reply.send(false)),
                Ask::Metrics(reply) => drop(reply.send("serin_table_version 1\n".into())),
                Ask::Table(reply) => drop(reply.send(None)),
                Ask::List(reply) => drop(reply.send(vec![json!({"metadata": {"name": "checkout"}})])),
                Ask::One(name, reply) => drop(reply.send((name.name == "checkout").then(|| json!({"found": true})))),
                Ask::Annotate(name, patch, reply) if name.name == "checkout" => drop(reply.send(Ok(json!(format!("{patch:?}"))))),
                Ask::Annotate(_, _, reply) => drop(reply.send(Err(Refusal::NotFound))),
            }
        }
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(path: &str) -> String {
    exchange(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

async fn post(path: &str, host: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    exchange(&format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
    .await
}

#[tokio::test]
async fn when_the_port_ends_so_do_the_connections_that_are_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let port = tokio::spawn(serve(listener, mpsc::channel(1).0));
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
    port.abort();
    // An idle one would be closed at last, by the wait for its next head.
    let rest = tokio::time::timeout(HEAD_TIMEOUT / 2, stream.read(&mut [0; 1024])).await;
    assert!(matches!(rest, Ok(Ok(0) | Err(_))), "{rest:?}");
}

#[tokio::test]
async fn reads_are_answered() {
    for (path, status, body) in [
        ("/healthz", "200", "ok"),
        ("/readyz", "503", "not served yet"),
        ("/metrics", "200", "serin_table_version 1"),
        ("/v1/releases", "200", r#"{"items":[{"metadata":{"name":"checkout"}}]}"#),
        ("/v1/releases/shop/checkout", "200", r#"{"found":true}"#),
        ("/v1/releases/shop/other", "404", "canaryrelease shop/other not found"),
        ("/", "404", "/v1/releases"),
    ] {
        let answer = get(path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(body), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_command_is_a_merge_patch_of_annotations() {
    for host in ["127.0.0.1:9901", "localhost", "[::1]:9901"] {
        let answer = post("/v1/releases/shop/checkout", host, MERGE_PATCH, COMMAND).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("pause@1"), "{host}: {answer}");
    }
    assert!(post("/v1/releases/shop/other", "127.0.0.1", MERGE_PATCH, COMMAND).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn no_page_of_a_browser_can_give_a_command() {
    let path = "/v1/releases/shop/checkout";
    assert!(post(path, "evil.example:9901", MERGE_PATCH, COMMAND).await.starts_with("HTTP/1.1 403"), "a name bound to loopback");
    for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert!(post(path, "127.0.0.1:9901", form, COMMAND).await.starts_with("HTTP/1.1 415"), "{form}");
    }
    assert!(exchange(&format!("DELETE {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn bodies_are_bounded_and_say_what_is_wrong() {
    let path = "/v1/releases/shop/checkout";
    for (body, status, says) in [
        ("{".to_owned(), "400", "EOF"),
        ("{}".to_owned(), "400", "annotations"),
        (r#"{"metadata":{"annotations":{"kubectl.kubernetes.io/x":"y"}}}"#.to_owned(), "400", "not serin's"),
        (r#"{"metadata":{"annotations":{"serin.dev/command":1}}}"#.to_owned(), "400", "text or null"),
        (" ".repeat(BODY_LIMIT + 1), "413", "at most"),
    ] {
        let answer = post(path, "127.0.0.1", MERGE_PATCH, &body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(says), "{answer}");
    }
}
