//! gRPC and events by HTTP/2 on both sides.

use crate::http2_origin::{Http2Origin, h2c, whole};
use crate::support::{Client, Origin, PATIENCE, eventually, everything_to, publish, serve, settings};
use crate::told::Lines;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use serde_json::json;
use serin_proxy::{AccessLog, Proxy, Settings};
use std::io::{Read, Write};
use tokio::net::TcpStream;

fn by_http2() -> Settings {
    Settings { http2_prior_knowledge: true, ..settings() }
}

fn play<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await.expect("in time") })
}

async fn client(proxy: &Proxy) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(proxy.local_addr()).await.expect("a connection");
    let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    tokio::spawn(connection);
    client
}

fn call(method: &str) -> Request<()> {
    let request =
        Request::post(format!("http://shop.example/shop.Checkout/{method}")).header("te", "trailers").header("grpc-timeout", "5S");
    request.header("content-type", "application/grpc+proto").body(()).expect("a request")
}

fn message(text: &str) -> Bytes {
    let length = u8::try_from(text.len()).expect("a short text");
    Bytes::from([&[0, 0, 0, 0, length], text.as_bytes()].concat())
}

fn trailers(status: &'static str) -> HeaderMap {
    let fields = [("grpc-status", status), ("grpc-message", "so%20it%20is"), ("x-sum", "7")];
    fields.into_iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
}

/// Says back each message as it comes, and then the status that the method is called by.
fn echo() -> Http2Origin {
    Http2Origin::serving(|request, mut respond| async move {
        assert_eq!((request.headers()["te"].as_bytes(), request.headers()["grpc-timeout"].as_bytes()), (&b"trailers"[..], &b"5S"[..]));
        let head = Response::builder().header("content-type", "application/grpc+proto");
        let mut stream = respond.send_response(head.body(()).expect("a head"), false).expect("a stream");
        let mut body = request.into_body();
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).expect("capacity");
            stream.send_data(data, false).expect("a stream");
        }
        stream.send_trailers(trailers("0")).expect("a stream");
    })
}

#[test]
fn messages_of_a_stream_go_both_ways_as_they_come_and_its_trailers_behind_them() {
    let origin = echo();
    let proxy = serve(by_http2(), h2c(&[origin.address()]));
    play(async {
        let mut client = client(&proxy).await;
        let (response, mut request) = client.send_request(call("Talk"), false).expect("a stream");
        let (parts, mut body) = response.await.expect("an answer before any message").into_parts();
        assert_eq!((parts.status.as_u16(), parts.headers["content-type"].as_bytes()), (200, &b"application/grpc+proto"[..]));
        for text in ["one", "two", "three"] {
            request.send_data(message(text), false).expect("a stream");
            assert_eq!(body.data().await.expect("a piece").expect("no reset"), message(text));
        }
        request.send_data(Bytes::new(), true).expect("a stream");
        assert!(body.data().await.is_none());
        let trailers = body.trailers().await.expect("no reset").expect("trailers");
        let told = ["grpc-status", "grpc-message", "x-sum"].map(|name| trailers[name].to_str().expect("text"));
        assert_eq!(told, ["0", "so%20it%20is", "7"]);
    });
    assert_eq!(proxy.counters().totals().failures, Default::default());
}

#[test]
fn status_of_each_call_and_the_protocol_are_in_the_access_log_and_the_metrics() {
    let (origin, lines) = (echo(), Lines::default());
    let settings = Settings { access_log: AccessLog::Json, ..by_http2() };
    let proxy = Proxy::start_logging_to(settings, Box::new(lines.clone())).expect("a proxy");
    for endpoints in [vec![origin.address()], Vec::new()] {
        publish(&proxy, h2c(&endpoints));
        play(async {
            let (response, _) = client(&proxy).await.send_request(call("Pay"), true).expect("a stream");
            let mut body = response.await.expect("an answer").into_body();
            while let Some(Ok(_)) = body.data().await {}
            body.trailers().await.expect("no reset");
        });
    }
    Client::of(&proxy).get("/");
    let requests = || proxy.counters().totals().requests;
    eventually("all are counted", || requests() == [0, 1, 2] && proxy.counters().totals().grpc.iter().sum::<u64>() == 2);
    let text = proxy.counters().text();
    for line in [
        r#"serin_client_requests_total{protocol="HTTP/1.1"} 1"#,
        r#"serin_client_requests_total{protocol="HTTP/2"} 2"#,
        r#"serin_grpc_responses_total{grpc_status="0"} 1"#,
        r#"serin_grpc_responses_total{grpc_status="14"} 1"#,
        r#"serin_grpc_responses_total{grpc_status="none"} 0"#,
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
    }
    drop(proxy);
    let logged: Vec<serde_json::Value> = lines.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<_> = logged.iter().map(|line| (&line["protocol"], &line["status"], &line["grpc_status"])).collect();
    let (by_1, by_2, none) = (&json!("HTTP/1.1"), &json!("HTTP/2"), &json!(null));
    assert_eq!(told, [(by_2, &json!(200), &json!(0)), (by_2, &json!(200), &json!(14)), (by_1, &json!(503), none)]);
}

#[test]
fn calls_at_once_by_one_connection_are_so_at_the_origin() {
    let origin = echo();
    let proxy = serve(Settings { workers: 1, ..by_http2() }, h2c(&[origin.address()]));
    play(async {
        let mut client = client(&proxy).await;
        let mut calls = Vec::new();
        for nth in 0..50 {
            client = client.ready().await.expect("room");
            let (response, mut request) = client.send_request(call("Pay"), false).expect("a stream");
            request.send_data(message(&nth.to_string()), true).expect("a stream");
            calls.push((nth, response));
        }
        for (nth, response) in calls {
            let mut body = response.await.expect("an answer").into_body();
            assert_eq!(body.data().await.expect("a piece").expect("no reset"), message(&nth.to_string()));
            assert_eq!(body.trailers().await.expect("no reset").expect("trailers")["grpc-status"], "0");
        }
    });
    assert_eq!(origin.origin.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn failure_of_serins_own_is_a_head_alone() {
    let proxy = serve(by_http2(), h2c(&[]));
    play(async {
        let mut client = client(&proxy).await;
        let (response, _) = client.send_request(call("Pay"), true).expect("a stream");
        let response = response.await.expect("an answer");
        assert!(response.body().is_end_stream(), "its trailers are all there is");
        let told = ["content-type", "grpc-status", "grpc-message"].map(|name| response.headers()[name].to_str().expect("text"));
        assert_eq!((response.status().as_u16(), told), (200, ["application/grpc", "14", "the backend has no endpoint"]));
    });
}

#[test]
fn stream_that_the_client_resets_is_reset_at_the_origin() {
    let (tell, told) = std::sync::mpsc::channel();
    let origin = Http2Origin::serving(move |request, mut respond| {
        let tell = tell.clone();
        async move {
            let _stream = respond.send_response(Response::new(()), false).expect("a stream");
            tell.send("begun").expect("somebody listens");
            assert!(whole(request).await.is_none(), "it has no end");
            tell.send("reset").expect("somebody listens");
        }
    });
    let proxy = serve(by_http2(), h2c(&[origin.address()]));
    play(async {
        let mut client = client(&proxy).await;
        let (response, mut request) = client.send_request(call("Talk"), false).expect("a stream");
        response.await.expect("an answer");
        assert_eq!(told.recv_timeout(PATIENCE), Ok("begun"));
        request.send_reset(h2::Reason::CANCEL);
        tokio::task::yield_now().await;
        let told = tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE)).await.expect("no panic");
        assert_eq!(told, Ok("reset"));
    });
}

#[test]
fn event_arrives_while_the_answer_is_open() {
    let (next, events) = std::sync::mpsc::channel::<()>();
    let events = std::sync::Mutex::new(events);
    let origin = Origin::talking(move |mut stream| {
        let mut head = [0; 4096];
        let _ = stream.read(&mut head);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").expect("the proxy reads");
        while events.lock().expect("no panic").recv().is_ok() {
            stream.write_all(b"data: now\n\n").expect("the proxy reads");
        }
    });
    let proxy = serve(by_http2(), everything_to(&[origin.address]));
    play(async {
        let mut client = client(&proxy).await;
        let (response, _) = client.send_request(Request::get("http://a/").body(()).expect("a request"), true).expect("a stream");
        let mut body = response.await.expect("a head before any event").into_body();
        for _ in 0..3 {
            next.send(()).expect("the origin waits");
            assert_eq!(body.data().await.expect("a piece").expect("no reset"), "data: now\n\n");
        }
    });
}
