//! The client beside servers that do as they please.

use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A server that does `with` to each connection, and counts whole requests.
fn server(with: fn(&mut std::net::TcpStream, &dyn Fn() -> bool)) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, count) = (stream.unwrap(), count.clone());
            std::thread::spawn(move || {
                let mut reading = stream.try_clone().unwrap();
                let read = || {
                    let (mut text, mut byte) = (Vec::new(), [0]);
                    while !text.ends_with(b"\r\n\r\n") {
                        if (&reading).read(&mut byte).unwrap_or(0) == 0 {
                            return false;
                        }
                        text.push(byte[0]);
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    true
                };
                with(&mut stream, &read);
                let _ = reading.flush();
            });
        }
    });
    (url, requests)
}

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn ask() -> Request {
    Request { method: Method::POST, path: "/orders".into(), headers: vec![("x-message-id", "1".into())], body: Vec::new() }
}

fn client(url: &str) -> Client {
    Client::new(url, 4, Duration::from_millis(300)).unwrap()
}

#[test]
fn what_was_written_is_never_written_again() {
    let (url, requests) = server(|_, read| {
        read();
    });
    let failed = runtime().block_on(client(&url).send(ask())).err();
    assert!(matches!(failed, Some(Failed::Broken(_))), "{failed:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[test]
fn requests_wait_for_their_turn() {
    let runtime = runtime();
    let (url, requests) = server(|stream, read| {
        while read() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let client = Client::new(&url, 100, Duration::from_secs(10)).unwrap();
    client.pace(100);
    runtime.block_on(async {
        let began = tokio::time::Instant::now();
        let sends = (0..21).map(|_| {
            tokio::spawn({
                let client = client.clone();
                async move { client.send(ask()).await }
            })
        });
        for sent in sends.collect::<Vec<_>>() {
            sent.await.unwrap().unwrap();
        }
        // the last of 21 leaves twenty turns of ten milliseconds after the first, and no sooner
        assert!(began.elapsed() >= Duration::from_millis(200));
    });
    assert_eq!(requests.load(Ordering::SeqCst), 21);
}

#[test]
fn a_body_may_trickle_and_what_breaks_off_is_reset_and_never_whole() {
    let (said, heard) = std::sync::mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut text, mut some) = (stream.unwrap(), String::new(), [0; 4096]);
            let end = loop {
                match stream.read(&mut some) {
                    Ok(0) => break "closed".to_string(),
                    Ok(n) => text += &String::from_utf8_lossy(&some[..n]),
                    Err(error) => break format!("{:?}", error.kind()),
                }
                if text.ends_with("0123456789") {
                    let _ = stream.write_all(GOOD);
                }
            };
            said.send((text, end)).unwrap();
        }
    });
    let (client, runtime) = (client(&url), runtime());
    let mut request = ask();
    request.body = b"0123456789".to_vec();
    let failed = runtime.block_on(client.send_as(How::BrokenOff, request)).err();
    assert!(matches!(failed, Some(Failed::Broken(_))), "{failed:?}");
    let (text, end) = heard.recv().unwrap();
    assert!(text.contains("content-length: 10") && text.ends_with("\r\n\r\n01234"), "{text}");
    assert_eq!(end, "ConnectionReset");
    let mut request = ask();
    request.body = b"0123456789".to_vec();
    let answer = runtime.block_on(client.send_as(How::Slowly(Duration::from_millis(200)), request)).map(|answer| answer.status);
    assert_eq!(answer, Ok(200));
    drop((client, runtime));
    assert!(heard.recv().unwrap().0.ends_with("0123456789"));
}

#[test]
fn a_connection_that_ended_while_it_was_idle_is_replaced_and_one_that_lives_is_used_again() {
    let (url, requests) = server(|stream, read| {
        read();
        let _ = stream.write_all(GOOD);
    });
    let (client, runtime) = (client(&url), runtime());
    for n in 1..=3 {
        let answer = runtime.block_on(client.send(ask())).map(|answer| (answer.status, answer.body));
        assert_eq!(answer.unwrap(), (200, b"ok".to_vec()));
        assert_eq!(requests.load(Ordering::SeqCst), n);
        // its end must have come, or the next request is on its way into nowhere
        while client.0.lanes.idle.lock().unwrap().iter().any(|lane| !lane.has_ended()) {
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        }
    }
    let (url, _) = server(|stream, read| {
        while read() {
            let _ = stream.write_all(GOOD);
        }
    });
    let client = super::Client::new(&url, 4, Duration::from_millis(300)).unwrap();
    for _ in 0..3 {
        runtime.block_on(client.send(ask())).map(|answer| answer.status).unwrap();
    }
    assert_eq!(client.0.lanes.idle.lock().unwrap().len(), 1);
}

#[allow(clippy::disallowed_methods, reason = "a server of these tests takes its time")]
fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Status and length of the body.
type Answer = Result<(u16, usize), Failed>;

/// What the client makes of a server that does `with` to each connection, and how many requests came.
fn asked(with: fn(&mut std::net::TcpStream, &dyn Fn() -> bool), times: usize) -> (Vec<Answer>, usize) {
    let ((url, requests), runtime) = (server(with), runtime());
    let client = client(&url);
    let ask = |_| {
        let answer = runtime.block_on(client.send(ask())).map(|answer| (answer.status, answer.body.len()));
        // an end of the connection that follows the answer is noticed
        pause(20);
        answer
    };
    ((0..times).map(ask).collect(), requests.load(Ordering::SeqCst))
}

#[test]
fn an_answer_may_come_in_any_form_and_its_connection_goes_on_where_it_can() {
    let (answers, requests) = asked(
        |stream, read| {
            for n in 0.. {
                if !read() {
                    return;
                }
                let _ = match n % 3 {
                    0 => stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\ncontent-length: 2\r\n\r\nok"),
                    1 => stream.write_all(b"HTTP/1.1 202 Later\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n"),
                    _ => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n"),
                };
            }
        },
        6,
    );
    let round = [Ok((201, 2)), Ok((202, 3)), Ok((204, 0))];
    assert_eq!((answers, requests), ([round.clone(), round].concat(), 6));
}

#[test]
fn a_connection_that_is_to_close_or_that_says_too_much_is_not_used_again() {
    for with in [
        |stream: &mut std::net::TcpStream, read: &dyn Fn() -> bool| {
            while read() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
                // whoever sends more gets a wrong answer
                let _ = read() && stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").is_ok();
            }
        },
        |stream: &mut std::net::TcpStream, read: &dyn Fn() -> bool| {
            read();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
            read();
        },
        |stream: &mut std::net::TcpStream, read: &dyn Fn() -> bool| {
            read();
            let _ = stream.write_all(GOOD);
            pause(5);
            let _ = stream.write_all(b"HTTP/1.1 408 Late\r\ncontent-length: 0\r\n\r\n");
            read();
        },
        |stream: &mut std::net::TcpStream, read: &dyn Fn() -> bool| {
            read();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nok");
        },
    ] {
        assert_eq!(asked(with, 3), (vec![Ok((200, 2)); 3], 3));
    }
}

#[test]
fn what_is_no_answer_leaves_it_open_what_became_of_the_request() {
    for with in [
        |stream: &mut std::net::TcpStream, read: &dyn Fn() -> bool| {
            drop((read(), stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok")))
        },
        |stream: &mut std::net::TcpStream, read: &dyn Fn() -> bool| drop((read(), stream.write_all(b"HTTP/1.1 200"))),
        |stream: &mut std::net::TcpStream, read: &dyn Fn() -> bool| drop((read(), stream.write_all(b"no HTTP at all\r\n"), read())),
        |stream: &mut std::net::TcpStream, read: &dyn Fn() -> bool| {
            // closed with bytes unread: a reset
            let mut byte = [0];
            let _ = (stream.read(&mut byte), read);
        },
    ] {
        let (answers, requests) = asked(with, 2);
        assert!(answers.iter().all(|answer| matches!(answer, Err(Failed::Broken(_)))), "{answers:?}");
        assert!(requests == 2 || requests == 0, "{requests}");
    }
}

#[test]
fn a_request_that_does_not_go_out_at_once_goes_out_whole_and_an_early_answer_counts() {
    let large = || Request { body: (0..6 << 20).map(|n| n as u8).collect(), ..ask() };
    let (url, _) = server(|stream, read| {
        for _ in 0..2 {
            read();
            let mut body = vec![0; 6 << 20];
            // slow, so that the client has to wait
            pause(20);
            stream.read_exact(&mut body).unwrap();
            assert!(body.iter().enumerate().all(|(n, byte)| *byte == n as u8));
            let _ = stream.write_all(GOOD);
        }
    });
    let (runtime, client) = (runtime(), Client::new(&url, 4, Duration::from_secs(10)).unwrap());
    for _ in 0..2 {
        assert_eq!(runtime.block_on(client.send(large())).map(|answer| answer.status), Ok(200));
        assert_eq!(client.0.lanes.idle.lock().unwrap().len(), 1);
    }
    let (url, requests) = server(|stream, read| {
        read();
        let _ = stream.write_all(b"HTTP/1.1 413 Too Much\r\ncontent-length: 0\r\n\r\n");
        pause(500);
    });
    let client = Client::new(&url, 4, Duration::from_secs(10)).unwrap();
    for n in 1..3 {
        assert_eq!(runtime.block_on(client.send(large())).map(|answer| answer.status), Ok(413));
        assert_eq!((client.0.lanes.idle.lock().unwrap().len(), requests.load(Ordering::SeqCst)), (0, n));
    }
}

#[test]
fn any_thread_may_begin_a_request_and_no_more_are_under_way_than_may_be() {
    let (url, requests) = server(|stream, read| {
        while read() {
            pause(2);
            let _ = stream.write_all(GOOD);
        }
    });
    let (runtime, client, (tell, told)) = (runtime(), client(&url), std::sync::mpsc::channel());
    for _ in 0..3 {
        for _ in 0..20 {
            let tell = tell.clone();
            client.start(runtime.handle(), ask(), move |answer| drop(tell.send(answer.map(|answer| answer.status))));
        }
        for _ in 0..20 {
            assert_eq!(told.recv().unwrap(), Ok(200));
        }
        assert!(client.0.lanes.idle.lock().unwrap().len() <= 4);
    }
    assert_eq!(requests.load(Ordering::SeqCst), 60);
    for request in [Request { path: "/a b".into(), ..ask() }, Request { headers: vec![("x", "a\r\nb: c".into())], ..ask() }] {
        let tell = tell.clone();
        client.start(runtime.handle(), request, move |answer| drop(tell.send(answer.map(|answer| answer.status))));
        assert!(matches!(told.recv().unwrap(), Err(Failed::Malformed(_))));
    }
    assert_eq!(requests.load(Ordering::SeqCst), 60);
}

#[test]
fn connections_end_with_their_client_and_requests_with_their_runtime() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    let (url, _) = server(|stream, read| {
        while read() {
            let _ = stream.write_all(GOOD);
        }
        ENDED.fetch_add(1, Ordering::SeqCst);
    });
    let (first, runtime) = (client(&url), runtime());
    assert_eq!(runtime.block_on(first.send(ask())).map(|answer| answer.status), Ok(200));
    drop(first);
    while ENDED.load(Ordering::SeqCst) == 0 {
        pause(1);
    }
    let (url, requests) = server(|_, read| while read() {});
    let (client, (tell, told)) = (client(&url), std::sync::mpsc::channel());
    client.start(runtime.handle(), ask(), move |answer| drop(tell.send(answer.map(|answer| answer.status))));
    while requests.load(Ordering::SeqCst) == 0 {
        pause(1);
    }
    drop(runtime);
    assert!(told.recv_timeout(Duration::from_secs(5)).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn a_request_that_is_out_of_time_has_had_all_of_its_time_and_its_connection_is_not_used_again() {
    let (url, requests) = server(|stream, read| {
        read();
        let _ = stream.write_all(GOOD);
        while read() {}
    });
    let (client, runtime) = (client(&url), runtime());
    for n in 1..3 {
        assert_eq!(runtime.block_on(client.send(ask())).map(|answer| answer.status), Ok(200));
        pause(170);
        let began = tokio::time::Instant::now();
        assert_eq!(runtime.block_on(client.send(ask())).err(), Some(Failed::TimedOut));
        assert!(began.elapsed() >= Duration::from_millis(299), "{:?}", began.elapsed());
        assert_eq!((client.0.lanes.idle.lock().unwrap().len(), requests.load(Ordering::SeqCst)), (0, 2 * n));
    }
}

#[test]
fn nobody_there_and_no_answer_are_told_apart() {
    let refused = runtime().block_on(client("http://127.0.0.1:1").send(ask())).err();
    assert!(matches!(refused, Some(Failed::Refused(_))), "{refused:?}");
    let (url, _) = server(|_, read| while read() {});
    assert_eq!(runtime().block_on(client(&url).send(ask())).err(), Some(Failed::TimedOut));
    assert!(Client::new("ftp://127.0.0.1", 1, Duration::ZERO).is_err_and(|why| why.contains("not understood")));
}
