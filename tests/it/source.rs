//! Reading our own source: files, and text in which only code is left.

use std::fs;
use std::path::{Path, PathBuf};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under `dir` (relative to the root) whose name ends in `ending`, as paths with `/` relative to the root, in order.
pub fn files(dir: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(&root().join(dir), ending, &mut found);
    found.sort();
    found
}

fn walk(dir: &Path, ending: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.starts_with('.') || (dir == root() && matches!(name, "target" | "results")) {
            continue;
        }
        if path.is_dir() {
            walk(&path, ending, found);
        } else if name.ends_with(ending) {
            let relative = path.strip_prefix(root()).expect("under the root");
            found.push(relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"));
        }
    }
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `source` with comments and the insides of strings and characters turned to blanks; every line keeps its number and length.
pub fn code(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(bytes, at),
            b'"' => quoted(bytes, at + 1),
            b'\'' => character(bytes, at),
            b'r' | b'b' | b'c' if !in_word(bytes, at) => match raw_string(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("blanks take the place of whole characters")
}

/// `code` without what is compiled for tests only: inline `#[cfg(test)]` modules and items turned to blanks.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_string();
    let mut from = 0;
    while let Some(start) = out[from..].find("#[cfg(test)]").map(|at| at + from) {
        // the item ends with its outermost closing brace, or with a semicolon before any brace
        let mut depth = 0;
        let mut end = out.len();
        for (at, byte) in out.bytes().enumerate().skip(start) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b';' if depth == 0 => depth = 0,
                _ => continue,
            }
            if depth == 0 {
                end = at + 1;
                break;
            }
        }
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
        from = start;
    }
    out
}

/// Files that hold test code only: those whose `mod` line stands under `#[cfg(test)]`.
pub fn test_files() -> Vec<String> {
    let mut found = Vec::new();
    for file in files("src", ".rs") {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
        let own = if matches!(name, "mod.rs" | "lib.rs" | "main.rs") { folder.to_string() } else { file.trim_end_matches(".rs").to_string() };
        let text = read(&file);
        for after in text.split("#[cfg(test)]").skip(1) {
            let (path, after) = match after.trim_start().strip_prefix("#[path = \"") {
                Some(rest) => rest.split_once("\"]").map_or((None, rest), |(path, rest)| (Some(path), rest)),
                None => (None, after),
            };
            let Some(name) = after.trim_start().strip_prefix("mod ").and_then(|rest| rest.split_once(';')) else { continue };
            if name.0.contains(char::is_whitespace) {
                continue;
            }
            found.push(match path {
                Some(path) => format!("{folder}/{path}"),
                None => format!("{own}/{}.rs", name.0),
            });
        }
    }
    found
}

/// Words and what is between them: identifiers whole, `::` as one, every other character by itself; each with its line.
pub fn words(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut chars = code.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        if c.is_whitespace() {
            continue;
        }
        let mut end = start + c.len_utf8();
        if is_word(c) {
            while let Some((at, next)) = chars.next_if(|(_, next)| is_word(*next)) {
                end = at + next.len_utf8();
            }
        } else if c == ':' && chars.next_if(|(_, next)| *next == ':').is_some() {
            end += 1;
        }
        found.push((line, &code[start..end]));
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn in_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|at| at + from)
}

fn block_comment(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn quoted(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"..", r#".."#, b"..", br#".."#, c".."`; none where it is only a word that begins with such a letter.
fn raw_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while at < bytes.len() && matches!(bytes[at], b'r' | b'b' | b'c') {
        at += 1;
    }
    let raw = bytes[start..at].contains(&b'r');
    let hashes = bytes[at..].iter().take_while(|byte| **byte == b'#').count();
    if at - start > 2 || bytes.get(at + hashes) != Some(&b'"') || (hashes > 0 && !raw) {
        return None;
    }
    if !raw {
        return Some(quoted(bytes, at + 1));
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    Some(find(bytes, at + hashes + 1, &close).map_or(bytes.len(), |end| end + close.len()))
}

/// The end of a character literal; a lifetime is left as it is.
fn character(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start + 1..];
    if rest.first() == Some(&b'\\') {
        return find(bytes, start + 3, b"'").map_or(bytes.len(), |end| end + 1);
    }
    let width = rest.first().map_or(1, |byte| match byte {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    });
    if rest.get(width) == Some(&b'\'') { start + width + 2 } else { start }
}

#[test]
fn only_code_is_left() {
    let source = "let a = \"crate::world\"; // crate::world\n/* crate::world /* nested */ crate::world */ let b = r#\"a \" crate::world\"#;\nlet c: &'static str = f('\"', '\\'', 'é', b\"x\"); crate::sim::now();\n";
    let left = code(source);
    assert_eq!(left.matches("crate").count(), 1, "{left}");
    assert!(left.contains("crate::sim::now()") && left.contains("&'static str"), "{left}");
    assert_eq!(left.lines().count(), source.lines().count());
}

#[test]
fn test_modules_are_left_out() {
    let left = without_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x {} }\n}\n#[cfg(test)]\nmod more;\nfn c() {}\n");
    assert!(left.contains("fn a()") && left.contains("fn c()"), "{left}");
    assert!(!left.contains("fn b") && !left.contains("more"), "{left}");
}
