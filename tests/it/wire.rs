//! What is beside the contract itself: TLS, logs, traces.
#![cfg(unix)]

use crate::live::Service;
use crate::world::{Folder, items, text};
use orderstorm::net::{Arrived, Client, Deed, How, Limits, Request, Server};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads")
}

/// A port on which TLS is taken off in front of `address`, and in PEM the authority that signed its certificate for localhost.
fn secured(runtime: &Runtime, address: &str) -> (u16, String) {
    let (key, server_key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).expect("an authority");
    let names = CertificateParams::new(vec!["localhost".to_string()]).expect("a name");
    let signed = names.signed_by(&server_key, &Issuer::new(params, key)).expect("a certificate");
    let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().expect("versions");
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key");
    let config = versions.with_no_client_auth().with_single_cert(vec![signed.der().clone()], key).expect("they go together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let to = address.to_string();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, to) = (acceptor.clone(), to.clone());
            tokio::spawn(async move {
                let (Ok(mut inside), Ok(mut stream)) = (TcpStream::connect(to).await, acceptor.accept(stream).await) else { return };
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut inside).await;
            });
        }
    });
    (port, root.pem())
}

fn profile(url: &str, more: &str) -> String {
    format!("name = \"mine\"\ntitle = \"mine\"\n[http]\nbase_url = \"{url}\"\n{more}\n[clock]\nmode = \"skip\"\n")
}

#[test]
fn a_target_behind_tls_is_driven_where_its_authority_is_named_and_refused_where_it_is_not() {
    let (folder, runtime) = (Folder::new("wire-tls"), runtime());
    let service = Service::start(&folder, &[]);
    let (port, pem) = secured(&runtime, service.address());
    std::fs::create_dir(folder.at("mine")).expect("a folder");
    folder.write("mine/ca.pem", &pem);
    folder.write("mine/good.toml", profile(&format!("https://localhost:{port}"), "ca_file = \"ca.pem\""));
    folder.write("mine/unknown.toml", profile(&format!("https://localhost:{port}"), ""));
    folder.write("mine/name.toml", profile(&format!("https://127.0.0.1:{port}"), "ca_file = \"ca.pem\""));
    folder.write("mine/plain.toml", profile(&format!("http://localhost:{port}"), ""));
    folder.write("mine/no-tls.toml", profile(&service.url.replace("http://127.0.0.1", "https://localhost"), "ca_file = \"ca.pem\""));
    folder.write("mine/no-file.toml", profile("https://localhost", "ca_file = \"none.pem\""));
    folder.write("mine/no-ca.toml", profile("https://localhost", "ca_file = \"good.toml\""));
    folder.run("out", &["S01.base", "--faults", "none,duplicate", "--orders", "3", "--target", "mine/good.toml"], 0);
    for (name, code, parts) in [
        ("unknown", 3, ["no authority that is known here has signed it", "ca_file"]),
        ("name", 3, ["is for another name than 127.0.0.1", "start it first"]),
        ("plain", 3, ["it may be TLS", "https://"]),
        ("no-tls", 3, ["does not speak TLS", "http://"]),
        ("no-file", 2, ["mine/none.pem", "cannot be read"]),
        ("no-ca", 2, ["mine/good.toml", "BEGIN CERTIFICATE"]),
    ] {
        folder.orderstorm(&["check-target", &format!("mine/{name}.toml")]).exits(code).says(&parts);
    }
}

#[test]
fn logs_tell_a_live_run_step_by_step_and_never_the_secret() {
    let folder = Folder::new("wire-logs");
    // base64 of "nobody may read this"
    let secret = "whsec_bm9ib2R5IG1heSByZWFkIHRoaXM=";
    let service = Service::start(&folder, &["--log", "trace"]);
    let run = |out: &str, more: &[&str]| {
        let mut all = vec!["run", "S01.base", "--faults", "none,sink-503,reply-lost", "--orders", "2", "--target", "reference", "--out", out];
        all.extend(more);
        let ran =
            folder.command(&all).env("ORDERSTORM_TARGET_URL", &service.url).env("ORDERSTORM_WEBHOOK_SECRET", secret).output().expect("it starts");
        assert_eq!(ran.status.code(), Some(0));
        (String::from_utf8_lossy(&ran.stdout).into_owned(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let (_, said) = run("loud", &["--log", "trace"]);
    let steps =
        ["case begins", "sandbox opened", "connected", " sent ", "sent again", "answer ", "call received", "event received", "answered", "case ends"];
    for step in steps {
        assert!(said.contains(step), "`{step}` is not in\n{said}");
    }
    let theirs = service.said();
    for step in ["sandbox opened", "received", "call sent", "call answered", "event sent", "event not taken", "clock", "sandbox closed"] {
        assert!(theirs.contains(step), "`{step}` is not in\n{theirs}");
    }
    for word in [&secret[6..], "nobody may read this"] {
        assert!(!said.contains(word) && !theirs.contains(word), "`{word}` is in a log");
    }
    let (_, said) = run("json", &["--log", "info", "--log-format", "json"]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert!(lines.iter().any(|line| line["message"] == "case ends" && line["verdict"] == "pass" && line["level"] == "INFO"), "{lines:?}");
    assert!(lines.iter().all(|line| line["level"] != "DEBUG"), "{lines:?}");
    assert_eq!(run("quiet", &[]).1, "", "nobody asked for logs");
    // time in the simulation is not wall time, and its loop is hot: it says nothing at all
    let simulated = folder.orderstorm(&["run", "S01.base", "--faults", "none,reply-lost", "--out", "simulated", "--log", "trace"]).exits(0);
    assert_eq!(simulated.err, "");
}

/// A server of this test: what it was sent, and an answer to each.
pub fn receiver<F, Fut>(runtime: &Runtime, answer: F) -> String
where
    F: Fn(Arrived) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Deed> + Send + 'static,
{
    let server = runtime.block_on(Server::bind("127.0.0.1:0", Limits { body: 8 << 20, ..Limits::default() })).expect("a free port");
    let url = format!("http://{}", server.address().expect("its address"));
    runtime.spawn(server.run(answer));
    url
}

/// A collector of spans, and what it was told.
pub fn collector(runtime: &Runtime) -> (String, Arc<Mutex<Vec<Value>>>) {
    let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
    let told = bodies.clone();
    let url = receiver(runtime, move |arrived| {
        assert_eq!(arrived.path, "/v1/traces");
        told.lock().expect("whole").push(serde_json::from_slice(&arrived.body).expect("JSON"));
        async { said(b"{}".to_vec()) }
    });
    (url, bodies)
}

pub fn spans_of(bodies: &[Value]) -> Vec<&Value> {
    bodies.iter().flat_map(|body| items(&body["resourceSpans"][0]["scopeSpans"][0]["spans"])).collect()
}

/// An attribute of a span, empty where it has none.
pub fn attribute(span: &Value, key: &str) -> String {
    let found = items(&span["attributes"]).iter().find(|attribute| attribute["key"] == key);
    found.map(|attribute| text(&attribute["value"]["stringValue"]).to_string()).unwrap_or_default()
}

/// Stands before a service and passes on what it is sent, with the body as `change` makes it.
fn before(runtime: &Runtime, url: &str, change: impl Fn(&Arrived) -> Vec<u8> + Send + Sync + 'static) -> String {
    let client = Client::new(url, 64, Duration::from_secs(15)).expect("an address");
    receiver(runtime, move |arrived| {
        let names = ["content-type", "traceparent", "x-message-id", "idempotency-key", "x-correlation-id", "x-causation-id"];
        let headers = names.into_iter().filter_map(|name| Some((name, arrived.header(name)?.to_string()))).collect();
        let body = change(&arrived);
        let request = Request { method: arrived.method.parse().expect("a method"), path: arrived.path, headers, body };
        let client = client.clone();
        async move {
            match client.send(request).await {
                Ok(answer) => Deed::Answer { status: answer.status, headers: Vec::new(), body: answer.body.to_vec(), how: How::AtOnce },
                Err(_) => Deed::Cut,
            }
        }
    })
}

fn said(body: Vec<u8>) -> Deed {
    Deed::Answer { status: 200, headers: Vec::new(), body, how: How::AtOnce }
}

#[test]
fn spans_have_the_ids_that_are_on_the_wire_and_the_target_goes_on_with_the_trace() {
    let (folder, runtime) = (Folder::new("wire-otlp"), runtime());
    let service = Service::start(&folder, &[]);
    let (collector, bodies) = collector(&runtime);
    // looks at what commands carry
    let carried: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let seen = carried.clone();
    let before = before(&runtime, &service.url, move |arrived| {
        if let (Some(id), Some(context)) = (arrived.header("x-message-id"), arrived.header("traceparent")) {
            seen.lock().expect("whole").insert(id.into(), context.into());
        }
        arrived.body.to_vec()
    });
    folder.write("mine.toml", profile(&before, "").replace("[clock]", "[webhooks]\nsecret = \"x\"\n[clock]"));
    let run = folder.orderstorm(&[
        "run",
        "--case",
        "S01.base.none.web.*",
        "--orders",
        "3",
        "--target",
        "./mine.toml",
        "--out",
        "out",
        "--otlp",
        &collector,
    ]);
    let run = run.exits(0).says(&["spans    "]);
    assert!(!run.err.contains("dropped"), "{}", run.err);

    let bodies = bodies.lock().expect("whole").clone();
    let spans = spans_of(&bodies);
    let carried = carried.lock().expect("whole").clone();
    // orders of the case, and the probes before it
    assert!(carried.len() >= 3, "{} commands", carried.len());
    let (mut traces, mut placed) = (BTreeSet::new(), 0);
    for (id, context) in carried.iter() {
        let span = spans.iter().find(|span| span["kind"] == 3 && attribute(span, "orderstorm.message_id") == *id).expect("a span of the command");
        assert_eq!(format!("00-{}-{}-01", text(&span["traceId"]), text(&span["spanId"])), *context);
        if span["name"] == "PlaceOrder" {
            placed += 1;
            traces.insert(text(&span["traceId"]));
        }
    }
    assert_eq!(traces.len(), placed, "a trace an order");
    let ours: BTreeSet<&str> = spans.iter().map(|span| text(&span["spanId"])).collect();
    let of_orders = |name: &str| spans.iter().filter(|span| span["name"] == name && span["kind"] == 2).copied().collect::<Vec<&Value>>();
    for name in ["payment.authorize", "order.accepted", "node.release", "order.completed"] {
        let spans = of_orders(name);
        assert!(spans.len() >= 3, "{name}: {}", spans.len());
        for span in spans {
            assert!(traces.contains(text(&span["traceId"])), "{name} is in no trace of a command");
            // the span of the target itself, which only the target could tell of
            assert!(!text(&span["parentSpanId"]).is_empty() && !ours.contains(text(&span["parentSpanId"])), "{span}");
        }
    }
    let callbacks: Vec<&&Value> = spans.iter().filter(|span| span["kind"] == 3 && text(&span["name"]).starts_with("node.")).collect();
    assert!(callbacks.len() >= 3 && callbacks.iter().all(|span| traces.contains(text(&span["traceId"]))), "{callbacks:?}");

    folder.orderstorm(&["run", "S01.base", "--otlp", &collector]).exits(2).says(&["--otlp is for a live target"]);
    folder.orderstorm(&["run", "S01.base", "--target", "reference-process", "--otlp", &collector]).exits(2).says(&["over HTTP"]);
    let mut lost =
        folder.command(&["run", "--case", "S01.base.none.web.1", "--target", "./mine.toml", "--out", "lost", "--otlp", "http://127.0.0.1:1"]);
    let lost = lost.output().expect("it starts");
    let err = String::from_utf8_lossy(&lost.stderr);
    assert!(lost.status.success() && err.contains("spans    0 told, ") && err.contains("dropped: no connection"), "{err}");
}

#[test]
fn a_target_that_signs_with_another_secret_is_not_waited_for() {
    let (folder, runtime) = (Folder::new("wire-secret"), runtime());
    let service = Service::start(&folder, &[]);
    // gives it a secret that nobody else knows
    let before = before(&runtime, &service.url, |arrived| {
        let body = String::from_utf8_lossy(&arrived.body).into_owned();
        body.replace("whsec_c2VjcmV0LW9mLXRoaXMtdGVzdA==", "whsec_YW5vdGhlci1vbmUtYWx0b2dldGhlcg==").into_bytes()
    });
    let secret = "[webhooks]\nsecret = \"whsec_c2VjcmV0LW9mLXRoaXMtdGVzdA==\"\n[clock]";
    folder.write("mine.toml", profile(&before, "").replace("[clock]", secret));
    folder.orderstorm(&["check-target", "./mine.toml"]).exits(4).says(&["messages of the target could not be read: `webhook-signature`"]);
}
