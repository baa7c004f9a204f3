use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const COMMAND: &str = r#"{"metadata":{"annotations":{"serin.dev/command":"pause@1","serin.dev/abort":null}}}"#;

/// alice has a key; without one nobody is let in.
const GUARDED: &str = "
apiVersion: v1
kind: Service
metadata: {name: checkout, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec: {defaultBackend: {service: {name: checkout, port: {number: 80}}}}
---
apiVersion: serin.dev/v1alpha1
kind: AuthPolicy
metadata: {name: checkout, namespace: shop}
spec: {scope: {service: checkout}, methods: [{keyAuth: {headers: [apikey]}}, {basicAuth: {realm: shop}}]}
---
apiVersion: serin.dev/v1alpha1
kind: Consumer
metadata: {name: alice, namespace: shop}
spec: {credentials: [{keyAuth: {secretRef: {name: keys, key: alice}}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
stringData: {alice: key-of-alice}
";

/// What the port answers to these bytes, with a holder that knows `shop/checkout` only.
async fn exchange(request: &str) -> String {
    exchange_on("127.0.0.1:0", None, request).await
}

async fn exchange_on(listen: &str, table: Option<Arc<Table>>, request: &str) -> String {
    let listener = TcpListener::bind(listen).await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
    let (asks, mut asked) = mpsc::channel(1);
    tokio::spawn(serve(listener, asks, None));
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            match ask {
                Ask::Ready(reply) => drop(reply.send(false)),
                Ask::Metrics(reply) => drop(reply.send("serin_table_version 1\n".into())),
                Ask::Table(reply) => drop(reply.send(table.clone())),
                Ask::List(reply) => drop(reply.send(vec![json!({"metadata": {"name": "checkout"}})])),
                Ask::One(name, reply) => drop(reply.send((name.name == "checkout").then(|| json!({"found": true})))),
                Ask::Annotate(name, patch, reply) if name.name == "checkout" => drop(reply.send(Ok(json!(format!("{patch:?}"))))),
                // There are none without a reviewer.
                Ask::Counters(reply) => drop(reply),
                Ask::Annotate(_, _, reply) => drop(reply.send(Err(Refusal::NotFound))),
            }
        }
    });
    let mut stream = send(address, request).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn get(path: &str) -> String {
    exchange(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

async fn post(path: &str, host: &str, content_type: &str, body: &str) -> String {
    exchange(&posted(path, host, content_type, body)).await
}

fn posted(path: &str, host: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// A question about a request with this field.
fn question(name: &str, value: &str) -> String {
    let body = json!({"host": "shop.example", "target": "/", "headers": [[name, value]]}).to_string();
    posted("/v1/explain", "127.0.0.1", QUESTION, &body)
}

#[tokio::test]
async fn questions_are_asked_by_address_and_in_a_type_that_no_form_sends() {
    let asked = r#"{"host": "shop.example", "target": "/"}"#;
    for (host, content_type, status, says) in [
        ("evil.example:9901", QUESTION, "403", "by address only"),
        ("127.0.0.1", "text/plain", "415", "Content-Type must be application/json"),
        ("127.0.0.1", MERGE_PATCH, "415", "Content-Type must be application/json"),
        ("localhost:9901", QUESTION, "400", "no table is served yet"),
    ] {
        let answer = post("/v1/explain", host, content_type, asked).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(says), "{host} {content_type}: {answer}");
    }
}

#[tokio::test]
async fn questions_do_not_pile_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asks, mut asked) = mpsc::channel(1);
    tokio::spawn(serve(listener, asks, None));
    let (mut streams, mut held) = (Vec::new(), Vec::new());
    for _ in 0..QUESTIONS {
        streams.push(send(address, &question("a", "b")).await);
        held.push(asked.recv().await);
    }
    let mut answer = String::new();
    send(address, &question("a", "b")).await.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("ask again"), "{answer}");
    held.clear();
    for mut stream in streams {
        stream.read_to_string(&mut answer).await.unwrap();
    }
    let _open = send(address, &question("a", "b")).await;
    assert!(matches!(asked.recv().await, Some(Ask::Table(_))), "there is room again");
}

#[tokio::test]
async fn port_that_others_reach_tells_nobody_whether_a_credential_is_right() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("guarded.yaml"), GUARDED).unwrap();
    let table = Arc::new(crate::explain::table_of(folder.path()).unwrap());
    let basic = "Basic YWxpY2U6cGFzc3dvcmQ=";
    for (name, value, private, public) in [
        ("apikey", "key-of-alice", r#""consumer":"alice""#, r#""unchecked":true"#),
        ("apikey", "key-of-nobody", "the credentials are wrong", r#""unchecked":true"#),
        ("authorization", basic, "the credentials are wrong", r#""unchecked":true"#),
        ("a", "b", "the request has no credentials", "the request has no credentials"),
    ] {
        for (listen, says) in [("127.0.0.1:0", private), ("0.0.0.0:0", public)] {
            let answer = exchange_on(listen, Some(Arc::clone(&table)), &question(name, value)).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(says), "{name} {value} on {listen}: {answer}");
            assert!(listen == "127.0.0.1:0" || !answer.contains("alice"), "{answer}");
        }
    }
}

#[tokio::test]
async fn when_the_port_ends_so_do_the_connections_that_are_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let port = tokio::spawn(serve(listener, mpsc::channel(1).0, None));
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
