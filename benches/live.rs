//! What the load path costs: orders offered to a stub that answers at once, beside `wrk` (Debian: `apt install wrk`) with equal requests.
//!
//! `cargo bench --bench live` offers 10,000 orders a second for 20 s; `cargo bench --bench live -- 10000 120` for two minutes, and with a third
//! number in bodies of about that many bytes. With `OHA=PROGRAM` in the environment that client runs too (`benches/peers/run`). Ours plans, offers, hears,
//! records, judges and measures: once each order at its moment, and once what is due in a millisecond together. The others send as fast as they can, and so find several answers at each awakening; wrk runs once more at the rate that
//! ours had, which is nearer to the same work: whoever keeps to a schedule awakes for it. CPU is that of the client alone, microseconds a request.
//! Loopback, one machine: the stub has its share of the same cores, so achieved rates say more about the machine than about the clients.

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a bench that cannot begin has nothing to measure, and it runs in real time")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the lines of a larger order are for.
const SKUS: [&str; 10] = ["A", "A2", "B", "C", "D", "E", "F", "G", "H", "K"];
/// Different bodies that oha chooses from.
const OHA_BODIES: usize = 50_000;
/// Connections of the others.
const CONNECTIONS: u32 = 32;

#[derive(Default)]
struct Count {
    orders: AtomicU64,
    bytes: AtomicU64,
    /// looks at an order
    reads: AtomicU64,
    /// what it was told lies on each shelf: nothing is ever taken from one
    shelves: Mutex<BTreeMap<String, i64>>,
}

/// Takes requests of the contract and answers each at once: orders with a definite no, so that nothing follows.
fn stub() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("an address"));
    let count: Arc<Count> = Arc::default();
    for stream in listener.incoming().flatten() {
        let count = count.clone();
        std::thread::spawn(move || answer_all(stream, &count));
    }
}

fn answer_all(mut stream: TcpStream, count: &Count) {
    let _ = stream.set_nodelay(true);
    let (mut held, mut chunk) = (Vec::new(), [0u8; 65_536]);
    loop {
        while let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) {
            let head = String::from_utf8_lossy(&held[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0usize);
            if held.len() < end + length {
                break;
            }
            let first = head.lines().next().unwrap_or_default().to_string();
            let body: Vec<u8> = held[end..end + length].to_vec();
            held.drain(..end + length);
            if stream.write_all(&answer(&first, &body, count)).is_err() {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(read) => held.extend_from_slice(&chunk[..read]),
        }
    }
}

fn answer(first: &str, body: &[u8], count: &Count) -> Vec<u8> {
    let respond = |status: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let path = first.split(' ').nth(1).unwrap_or_default();
    if path.ends_with("/orders") {
        count.orders.fetch_add(1, Ordering::Relaxed);
        count.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        return respond("422 Unprocessable Content", r#"{"type":"about:blank","title":"rejected","status":422,"code":"out_of_stock"}"#);
    }
    if path == "/count" {
        let [orders, bytes, reads] = [&count.orders, &count.bytes, &count.reads].map(|count| count.swap(0, Ordering::Relaxed));
        return respond("200 OK", &format!("{orders} {bytes} {reads}"));
    }
    if path.ends_with("/clock") {
        let to =
            String::from_utf8_lossy(body).split("\"to_ns\":").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        let to = to.filter(|digits| !digits.is_empty());
        return respond("200 OK", &format!(r#"{{"busy":false,"idle":{},"now_ns":{}}}"#, to.is_none(), to.unwrap_or("0".into())));
    }
    if path == "/v1" {
        return respond(
            "200 OK",
            r#"{"contract":"orderstorm/v1","name":"stub","version":"1","durable":false,"capabilities":[],"clock":{"mode":"skip","scale":1.0}}"#,
        );
    }
    if let Some((_, shelf)) = path.split_once("/inventory/") {
        let on_hand = count.shelves.lock().expect("whole").get(shelf).copied();
        return on_hand
            .map_or_else(|| respond("404 Not Found", "{}"), |on_hand| respond("200 OK", &format!(r#"{{"on_hand":{on_hand},"reserved":0}}"#)));
    }
    count.reads.fetch_add(u64::from(path.contains("/orders/")), Ordering::Relaxed);
    if let Ok(told) = serde_json::from_slice::<serde_json::Value>(body) {
        let node = told["data"]["node_id"].as_str().unwrap_or_default();
        for line in told["data"]["lines"].as_array().into_iter().flatten() {
            let shelf = format!("{node}/{}", line["sku"].as_str().unwrap_or_default()).to_lowercase();
            count.shelves.lock().expect("whole").insert(shelf, line["quantity"].as_i64().unwrap_or_default());
        }
    }
    if first.starts_with("get") { respond("404 Not Found", "{}") } else { respond("200 OK", "{}") }
}

/// Orders and their bytes since the last time, and looks at orders.
fn read_count(address: &str) -> [u64; 3] {
    let mut stream = TcpStream::connect(address).expect("the stub is there");
    stream.write_all(b"GET /count HTTP/1.1\r\nhost: stub\r\nconnection: close\r\n\r\n").expect("the stub listens");
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("the stub answers");
        length = line.strip_prefix("content-length: ").and_then(|text| text.trim().parse().ok()).unwrap_or(length);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the stub answers");
    let text = String::from_utf8_lossy(&body).into_owned();
    let mut numbers = text.split(' ').map(|number| number.parse().expect("a number"));
    [(); 3].map(|()| numbers.next().expect("three numbers"))
}

/// CPU seconds and resident memory of a process, from /proc.
fn used(pid: u32) -> Option<(f64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    // ticks of a hundredth of a second, as on every Linux of today
    Some((ticks / 100.0, resident))
}

struct Ran {
    seconds: f64,
    cpu: f64,
    /// resident memory in MiB, every tenth of the run
    resident: Vec<u64>,
    said: String,
}

/// Runs a command to its end, and watches it.
fn watch(mut command: Command, expected_s: f64) -> Ran {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be started");
    let mut out = child.stdout.take().expect("its output");
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = out.read_to_string(&mut said);
        said
    });
    let (mut last, mut resident, mut next) = ((0.0, 0), Vec::new(), 0.0);
    while child.try_wait().expect("a child of ours").is_none() {
        last = used(child.id()).filter(|(cpu, _)| *cpu > 0.0).unwrap_or(last);
        if began.elapsed().as_secs_f64() >= next {
            resident.push(last.1 / 1024);
            next += expected_s / 10.0;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ran { seconds: began.elapsed().as_secs_f64(), cpu: last.0, resident, said: said.join().unwrap_or_default() }
}

fn row(name: &str, ran: &Ran, [orders, bytes, reads]: [u64; 3]) {
    let (requests, size) = (orders + reads, bytes / orders.max(1));
    let each = ran.cpu * 1e6 / requests.max(1) as f64;
    println!("{name:<16} {requests:>9} requests of {size:>3} bytes in {:>6.1} s, {each:>6.1} CPU-us each", ran.seconds);
    if reads > 0 {
        println!(
            "             {:.0} a second, {reads} of them look at an order at rest, and have no body; {:.1} CPU-us an order",
            requests as f64 / ran.seconds,
            ran.cpu * 1e6 / orders.max(1) as f64
        );
    }
}

struct Stub(Child);

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    if std::env::args().any(|word| word == "stub") {
        return stub();
    }
    let (rate, seconds) = (numbers.first().copied().unwrap_or(10_000), numbers.get(1).copied().unwrap_or(20));
    let size = numbers.get(2).copied();
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    let mut child = Stub(child.arg("stub").stdout(Stdio::piped()).spawn().expect("the stub starts"));
    let mut address = String::new();
    BufReader::new(child.0.stdout.take().expect("its output")).read_line(&mut address).expect("an address");
    let address = address.trim();
    let dir = std::env::temp_dir().join(format!("orderstorm-live-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let offer = |lines: usize, orders: u64, seconds: u64, coalesce: &str| {
        let target = write(
            "stub.toml",
            format!(
                "name = \"stub\"\ntitle = \"a stub\"\n[http]\nbase_url = \"http://{address}\"\nmax_in_flight = 1024\n[clock]\nmode = \"skip\"\n[limits]\nsend_lag = \"2s\"\ncoalesce = \"{coalesce}\"\n"
            ),
        );
        let lines: Vec<String> = SKUS.iter().take(lines).map(|sku| format!("{{ sku = \"{sku}\", qty = 1 }}")).collect();
        let scenario = write(
            "load.toml",
            format!(
                "name = \"LOAD\"\ntitle = \"Orders\"\nabout = \"Orders for goods that are sold out.\"\nstock = {{ \"A@DC1\" = 0 }}\nmatrix = {{ channels = [\"web\"] }}\n\n[order]\nlines = [{}]\n",
                lines.join(", ")
            ),
        );
        let load = write(
            "rate.toml",
            format!("name = \"rate\"\ntitle = \"{rate} a second\"\norders = {orders}\n[arrival]\nprocess = \"poisson\"\nrate = {rate}.0\n"),
        );
        let mut ours = Command::new(env!("CARGO_BIN_EXE_orderstorm"));
        ours.arg("run").arg(scenario).args(["--faults", "none", "--record", "failures"]).arg("--profile").arg(load).arg("--target").arg(&target);
        let out = dir.join("out");
        let _ = std::fs::remove_dir_all(&out);
        ours.arg("--out").arg(out);
        let errors = dir.join("errors.txt");
        ours.stderr(std::fs::File::create(&errors).expect("a file"));
        let ran = watch(ours, seconds as f64);
        let count = read_count(address);
        assert!(count[0] > 0, "orderstorm offered nothing: {}", std::fs::read_to_string(&errors).unwrap_or_default());
        (ran, count)
    };
    // a larger body is an order of more lines: two trials say how many come nearest to the size
    let lines = match size {
        Some(size) => {
            let [one, two] = [1, 2].map(|lines| {
                let (_, [orders, bytes, _]) = offer(lines, 200, 1, "0s");
                bytes / orders.max(1)
            });
            let each = two.saturating_sub(one).max(1);
            1 + (size.saturating_sub(one) + each / 2) / each
        }
        None => 1,
    };
    println!("{rate} orders a second offered for {seconds} s to a stub that answers at once");
    let ours = |name: &str, coalesce: &str| {
        let (ran, count) = offer(lines as usize, rate * seconds, seconds, coalesce);
        row(name, &ran, count);
        println!("             resident memory by tenths of the run, MiB: {:?}", ran.resident);
        let words = ["ack", "send_lag", "PASS", "FAIL", "UNKNOWN"];
        for line in ran.said.lines().filter(|line| words.iter().any(|word| line.trim_start().starts_with(word))) {
            println!("             {}", line.trim());
        }
        (ran, count)
    };
    ours("orderstorm", "0s");
    let (ran, count) = ours("orderstorm, 1 ms", "1ms");
    let size = (count[1] / count[0].max(1)) as usize;
    let url = format!("http://{address}/v1/load/orders");
    // as ours: an order, and later a look at it
    let requests = format!(
        "local n, look = 0, false\nlocal pad = string.rep(\"x\", {})\nwrk.headers[\"content-type\"] = \"application/json\"\n\
         function request()\n  look = not look\n  if not look then return wrk.format(\"GET\", \"/v1/load/orders/O\" .. n) end\n  n = n + 1\n\
         return wrk.format(\"POST\", \"/v1/load/orders\", {{[\"idempotency-key\"] = \"k\" .. n}}, '{{\"order_id\":\"O' .. n .. '\",\"pad\":\"' .. pad .. '\"}}')\nend\n",
        size.saturating_sub(33)
    );
    // a connection thinks for exponential times, as a Poisson process has it: whole milliseconds, which is what wrk can wait, right on average
    let sent = (count[0] + count[2]) as f64 / ran.seconds;
    let think = format!(
        "local mean = {:.3}\nfunction delay()\n  return math.floor(mean * -math.log(1 - math.random()) + math.random())\nend\n",
        f64::from(CONNECTIONS) * 1e3 / sent
    );
    for (name, script) in [("wrk, Lua", requests.clone()), ("wrk, paced", requests + &think)] {
        let mut wrk = Command::new("wrk");
        let lua = write("orders.lua", script);
        wrk.args(["-t", "1", "-c", &CONNECTIONS.to_string(), "-d", &format!("{seconds}s"), "-s"]).arg(&lua).arg(&url);
        other(name, "wrk", "apt install wrk", wrk, address, seconds);
    }
    if let Ok(program) = std::env::var("OHA") {
        // its bodies are lines of a file, which it takes at random
        let line = |n: usize| {
            let start = format!("{{\"order_id\":\"O{n:06}\",\"pad\":\"");
            format!("{start}{}\"}}\n", "x".repeat(size.saturating_sub(start.len() + 2)))
        };
        let bodies = write("bodies.txt", (0..OHA_BODIES).map(line).collect());
        let mut oha = Command::new(&program);
        oha.args([
            "--no-tui",
            "-z",
            &format!("{seconds}s"),
            "-c",
            &CONNECTIONS.to_string(),
            "-m",
            "POST",
            "-T",
            "application/json",
            "-H",
            "idempotency-key: k",
            "-Z",
        ]);
        oha.arg(bodies).arg(&url);
        other("oha", &program, "cargo install oha", oha, address, seconds);
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// A client beside ours, if it is there: `asked` is what to call, `get` how to install it.
fn other(name: &str, asked: &str, get: &str, mut command: Command, address: &str, seconds: u64) {
    // only whether it starts: wrk answers the question for its version with an exit code of 1
    if Command::new(asked).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("{name:<16} is not installed: {get}");
        return;
    }
    command.stderr(Stdio::null());
    let ran = watch(command, seconds as f64);
    row(name, &ran, read_count(address));
}
