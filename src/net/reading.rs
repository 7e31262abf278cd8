//! One answer of HTTP/1.1 out of the bytes of a connection (RFC 9112, 6.3), as they come in.

use super::client::text_of;
use super::{Headers, Response};
use bytes::{Buf, BytesMut};
use httparse::{EMPTY_HEADER, ParserConfig, Status};
use std::mem::MaybeUninit;

/// Answers are read so far.
pub const LARGEST_ANSWER: usize = 8 << 20;
/// A head, or the trailer of a chunked body, is no longer than this and has no more lines.
const LONGEST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 100;
/// The line with the size of a chunk, with whatever it says besides.
const LONGEST_CHUNK_LINE: usize = 16 << 10;

/// How the end of a body is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Frame {
    /// so many bytes are to come
    Length(usize),
    /// a line with the size of the next chunk
    Chunk,
    /// so many bytes of a chunk, and the end of its line
    InChunk(usize),
    Trailer,
    /// the connection ends with it
    UntilEnd,
}

struct Head {
    status: u16,
    headers: Headers,
    frame: Frame,
    /// the connection may be used again
    keeps: bool,
}

/// An answer that is not whole so far.
#[derive(Default)]
pub struct Reading {
    head: Option<Head>,
    body: Vec<u8>,
}

impl Reading {
    /// Takes what it can of what was `held`, after which nothing more comes if that has `ended`. Gives the answer once it is whole, and whether
    /// the connection may be used again.
    pub fn take(&mut self, held: &mut BytesMut, ended: bool) -> Result<Option<(Response, bool)>, String> {
        if self.head.is_none() {
            self.head = head(held)?;
        }
        if let Some(head) = &mut self.head
            && !body(&mut head.frame, &mut self.body, held, ended)?
        {
            return cut_short(ended);
        }
        let Some(Head { status, headers, keeps, .. }) = self.head.take() else { return cut_short(ended) };
        // whatever follows was not asked for
        Ok(Some((Response { status, headers, body: std::mem::take(&mut self.body) }, keeps && held.is_empty())))
    }
}

fn cut_short<T>(ended: bool) -> Result<Option<T>, String> {
    if ended { Err("closed before the answer was whole".into()) } else { Ok(None) }
}

/// The next head that is not one of an interim answer, once it is whole.
fn head(held: &mut BytesMut) -> Result<Option<Head>, String> {
    loop {
        // room for so many lines takes longer to fill than the few that come to read
        let mut lines = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let length = match ParserConfig::default()
            .parse_response_with_uninit_headers(&mut parsed, held, &mut lines)
            .map_err(|error| format!("no answer of HTTP/1.1: {error}; it may be TLS, and the address begin with https://"))?
        {
            Status::Complete(length) => length,
            Status::Partial if held.len() > LONGEST_HEAD => return Err("the head of the answer does not end".into()),
            Status::Partial => return Ok(None),
        };
        let (status, newer) = (parsed.code.unwrap_or_default(), parsed.version == Some(1));
        let mut headers = Headers::with_capacity(parsed.headers.len(), length);
        parsed.headers.iter().for_each(|line| headers.push(line.name, line.value));
        held.advance(length);
        match status {
            100 | 102..=199 => continue,
            0..=101 => return Err(format!("status {status} was not asked for")),
            _ => {}
        }
        let frame = frame(status, newer, &headers)?;
        let says = |what: &str| words(&headers, "connection").any(|word| word.eq_ignore_ascii_case(what));
        // who says the length twice, and differently, may not mean the same end as we do
        let clear = ["transfer-encoding", "content-length"].iter().any(|name| headers.get_all(name).next().is_none());
        let keeps = clear && frame != Frame::UntilEnd && !says("close") && (newer || says("keep-alive"));
        return Ok(Some(Head { status, headers, frame, keeps }));
    }
}

/// The words of a header that is a list; what is no text is a word that nobody knows.
fn words<'a>(headers: &'a Headers, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).flat_map(|value| text_of(value).unwrap_or("?").split(',').map(str::trim))
}

fn frame(status: u16, newer: bool, headers: &Headers) -> Result<Frame, String> {
    if matches!(status, 204 | 304) {
        return Ok(Frame::Length(0));
    }
    if let Some(last) = words(headers, "transfer-encoding").last() {
        let chunked = last.eq_ignore_ascii_case("chunked");
        return match (newer, chunked) {
            (false, _) => Err("transfer-encoding in an answer of HTTP/1.0".into()),
            (true, true) => Ok(Frame::Chunk),
            (true, false) => Ok(Frame::UntilEnd),
        };
    }
    let mut lengths = words(headers, "content-length");
    let Some(length) = lengths.next() else { return Ok(Frame::UntilEnd) };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    match length.parse::<usize>() {
        Ok(bytes) if digits && lengths.all(|other| other == length) => within(bytes).map(Frame::Length),
        _ => Err("its content-length is no number".into()),
    }
}

fn within(bytes: usize) -> Result<usize, String> {
    if bytes > LARGEST_ANSWER { Err(format!("an answer of more than {LARGEST_ANSWER} bytes")) } else { Ok(bytes) }
}

/// Moves at most so many bytes; says how many there were.
fn pour(held: &mut BytesMut, body: &mut Vec<u8>, most: usize) -> usize {
    let bytes = most.min(held.len());
    body.extend_from_slice(&held[..bytes]);
    held.advance(bytes);
    bytes
}

/// Takes what is there of a body; says whether that was the last of it.
fn body(frame: &mut Frame, body: &mut Vec<u8>, held: &mut BytesMut, ended: bool) -> Result<bool, String> {
    loop {
        match *frame {
            Frame::Length(left) => {
                let left = left - pour(held, body, left);
                *frame = Frame::Length(left);
                return Ok(left == 0);
            }
            Frame::UntilEnd => {
                within(body.len() + held.len())?;
                pour(held, body, held.len());
                return Ok(ended);
            }
            // which the parser takes for 0
            Frame::Chunk if held.starts_with(b"\r") || held.starts_with(b";") => return Err("a chunk without a size".into()),
            Frame::Chunk => match httparse::parse_chunk_size(held).map_err(|_| "the size of a chunk is no number")? {
                Status::Complete((line, size)) => {
                    let size = within(usize::try_from(size).unwrap_or(usize::MAX))?;
                    within(body.len() + size)?;
                    held.advance(line);
                    *frame = if size == 0 { Frame::Trailer } else { Frame::InChunk(size) };
                }
                Status::Partial if held.len() > LONGEST_CHUNK_LINE => return Err("the size of a chunk does not end".into()),
                Status::Partial => return Ok(false),
            },
            Frame::InChunk(left) => {
                let left = left - pour(held, body, left);
                *frame = Frame::InChunk(left);
                if left > 0 || held.len() < 2 {
                    return Ok(false);
                }
                if !held.starts_with(b"\r\n") {
                    return Err("a chunk is longer than its size".into());
                }
                held.advance(2);
                *frame = Frame::Chunk;
            }
            Frame::Trailer => {
                let mut lines = [EMPTY_HEADER; MOST_HEADERS];
                match httparse::parse_headers(held, &mut lines).map_err(|error| format!("the trailer of the answer: {error}"))? {
                    Status::Complete((length, _)) => {
                        held.advance(length);
                        return Ok(true);
                    }
                    Status::Partial if held.len() > LONGEST_HEAD => return Err("the trailer of the answer does not end".into()),
                    Status::Partial => return Ok(false),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, body, and whether the connection may be used again.
    type Read = Result<Option<(u16, String, bool)>, String>;

    /// What is made of `text` that comes in pieces of so many bytes, after which the connection ends or stays.
    fn read(text: &[u8], piece: usize, ends: bool) -> Read {
        let (mut reading, mut held) = (Reading::default(), BytesMut::new());
        let told = |(answer, keeps): (Response, bool)| (answer.status, String::from_utf8_lossy(&answer.body).into_owned(), keeps);
        for part in text.chunks(piece) {
            held.extend_from_slice(part);
            if let Some(answer) = reading.take(&mut held, false)? {
                return Ok(Some(told(answer)));
            }
        }
        Ok(if ends { reading.take(&mut held, true)?.map(told) } else { None })
    }

    fn whole(text: &str, ends: bool) -> Read {
        let all = read(text.as_bytes(), text.len().max(1), ends);
        for piece in [1, 2, 3, 7, 50] {
            assert_eq!(read(text.as_bytes(), piece, ends), all, "{text} in pieces of {piece}");
        }
        all
    }

    fn good(status: u16, body: &str, keeps: bool) -> Read {
        Ok(Some((status, body.into(), keeps)))
    }

    #[test]
    fn an_answer_ends_where_the_standard_says() {
        for (text, status, body, keeps) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok", true),
            ("HTTP/1.1 200 \r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "", true),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 70\r\n\r\n", 304, "", true),
            ("HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 2\r\n\r\nok", 200, "ok", false),
            ("HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 2\r\n\r\nok", 200, "ok", false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok", false),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", 200, "ok", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 422 No\r\ncontent-length: 1\r\n\r\n!", 422, "!", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 200, "ok0123456789", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1\r\n!\r\n0\r\nlast: one\r\nmore: x\r\n\r\n", 200, "!", true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\ncontent-length: 7\r\n\r\n0\r\n\r\n", 200, "", false),
        ] {
            assert_eq!(whole(text, false), good(status, body, keeps), "{text}");
            assert_eq!(whole(text, true), good(status, body, keeps), "{text}");
            let cut = &text[..text.len() - 1];
            assert_eq!(whole(cut, false), Ok(None), "{cut}");
            assert!(whole(cut, true).is_err_and(|why| why.contains("closed before")), "{cut}");
        }
        for text in ["HTTP/1.1 200 OK\r\n\r\nto the end", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nto the end"] {
            assert_eq!(whole(text, true), good(200, "to the end", false));
            assert_eq!(whole(text, false), Ok(None));
        }
        assert!(whole("", true).is_err());
    }

    #[test]
    fn what_follows_an_answer_ends_the_use_of_its_connection() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n";
        assert_eq!(read(text, text.len(), false), good(200, "ok", false));
    }

    #[test]
    fn headers_are_all_there() {
        let mut held = BytesMut::from(&b"HTTP/1.1 429 Wait\r\nRetry-After: 7\r\nx: \xff\r\nx: b\r\ncontent-length: 0\r\n\r\n"[..]);
        let (answer, _) = Reading::default().take(&mut held, false).unwrap().unwrap();
        assert_eq!((answer.header("retry-after"), answer.header("x"), answer.headers.get_all("x").count()), (Some("7"), None, 2));
    }

    #[test]
    fn what_is_no_answer_is_refused_and_never_waited_for() {
        let long = |start: &str, more: &str| format!("{start}{}", more.repeat(70_000 / more.len()));
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let (head, many) = (long("HTTP/1.1 200 OK\r\nx: ", "y"), long("HTTP/1.1 200 OK\r\n", "x: y\r\n"));
        let (line, trailer) = (long(&format!("{chunks}1;"), "y"), long(&format!("{chunks}0\r\nx: "), "y"));
        for text in [
            "\x15\x03\x01\x00\x02\x02\x28",
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 099 Odd\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: 8388609\r\n\r\nok",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            &format!("{chunks}\r\n\r\n"),
            &format!("{chunks};x\r\n\r\n"),
            &format!("{chunks}x\r\n"),
            &format!("{chunks}2\r\nok!\r\n"),
            &format!("{chunks}2\r\nok\n0\r\n\r\n"),
            &format!("{chunks}ffffffffffffffff\r\n"),
            &format!("{chunks}fffffffffffffffff\r\n"),
            &format!("{chunks}800000\r\n{}\r\n1\r\n", "y".repeat(8 << 20)),
            &format!("{chunks}0\r\nno colon\r\n\r\n"),
            &head,
            &many,
            &line,
            &trailer,
        ] {
            let (at_once, in_pieces) = (read(text.as_bytes(), text.len().max(1), false), read(text.as_bytes(), 4096, false));
            assert!(at_once.is_err() && in_pieces.is_err(), "{at_once:?} {in_pieces:?} {}", &text[..text.len().min(90)]);
        }
        let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b'y'; LARGEST_ANSWER + 1]].concat();
        assert!(read(&endless, 8192, true).is_err_and(|why| why.contains("more than")));
    }

    #[test]
    fn no_bytes_at_all_make_it_panic() {
        let text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2;x\r\nok\r\n0\r\nlast: one\r\n\r\n";
        for at in 0..text.len() {
            for byte in [0, b'\r', b'\n', b' ', b':', b';', b',', b'0', b'9', b'f', 0x80, 0xff] {
                let mut text = text.to_vec();
                text[at] = byte;
                for piece in [1, 5, 1000] {
                    let _ = read(&text, piece, true);
                }
            }
        }
    }
}
