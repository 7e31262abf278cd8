//! What is wrong with a line, said so that it can be mended without opening the source of this program.

use std::fmt;

/// A line that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReadError {
    pub file: String,
    /// from 1; 0 where no line is at fault
    pub line: u64,
    /// from 1
    pub column: Option<usize>,
    pub field: Option<String>,
    pub what: String,
    pub expected: String,
    /// the nearest known word
    pub nearest: Option<String>,
    /// the line, cut to what is around the fault
    pub excerpt: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(field) = &self.field {
            write!(f, " (in `{field}`)")?;
        }
        if !self.excerpt.is_empty() {
            write!(f, "\n  | {}", self.excerpt)?;
        }
        if !self.expected.is_empty() {
            write!(f, "\n  expected {}", self.expected)?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "\n  did you mean `{nearest}`?")?;
        }
        Ok(())
    }
}
impl std::error::Error for ReadError {}

/// A fault within one line; the reader adds where the line stands.
#[derive(Debug, Default)]
pub(super) struct Fault {
    pub column: Option<usize>,
    pub field: Option<String>,
    pub what: String,
    pub expected: String,
    pub nearest: Option<String>,
}

impl Fault {
    pub fn new(what: impl Into<String>, expected: impl Into<String>) -> Fault {
        Fault { what: what.into(), expected: expected.into(), ..Fault::default() }
    }

    /// A word that is not in a closed list.
    pub fn unknown_word<'a>(line: &str, field: &str, kind: &str, word: &str, known: impl IntoIterator<Item = &'a str>) -> Fault {
        let known: Vec<&str> = known.into_iter().filter(|k| !k.is_empty()).collect();
        let expected = if known.len() > 12 {
            format!("one of the {} known: {}, ..", known.len(), known[..6].join(", "))
        } else {
            format!("one of {}", known.join(", "))
        };
        Fault {
            column: line.find(&format!("\"{word}\"")).map(|at| at + 1),
            field: Some(field.into()),
            what: format!("unknown {kind} `{word}`"),
            expected,
            nearest: nearest(word, known),
        }
    }

    /// What serde found, in our words.
    pub fn of_json(line: &str, error: &serde_json::Error) -> Fault {
        let full = error.to_string();
        let text = full.rsplit_once(" at line ").map_or(full.as_str(), |(text, _)| text);
        let column = (error.column() > 0).then(|| error.column());
        if error.is_syntax() || error.is_eof() {
            return Fault { column, ..Fault::new(format!("not JSON: {text}"), "one JSON object a line") };
        }
        let words: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
        if let (true, [unknown, known @ ..]) = (text.starts_with("unknown field"), words.as_slice()) {
            let known = known.iter().copied().filter(|k| *k != "end");
            return Fault {
                column: column.map(|c| c.saturating_sub(unknown.chars().count() + 1).max(1)),
                expected: format!("one of the keys {}", known.clone().collect::<Vec<_>>().join(", ")),
                nearest: nearest(unknown, known),
                ..Fault::new(format!("unknown key `{unknown}`"), "")
            };
        }
        if let (true, [missing]) = (text.starts_with("missing field"), words.as_slice()) {
            return Fault::new(format!("the key `{missing}` is missing"), format!("`{missing}` (see docs/history.md)"));
        }
        let (what, expected) = text.split_once(", expected ").unwrap_or((text, ""));
        Fault { column, field: field_before(line, error.column()), ..Fault::new(what, plain(expected)) }
    }

    pub fn at(self, file: &str, line_no: u64, line: &str) -> Box<ReadError> {
        let Fault { column, field, what, expected, nearest } = self;
        Box::new(ReadError { file: file.into(), line: line_no, column, field, what, expected, nearest, excerpt: excerpt(line, column.unwrap_or(1)) })
    }
}

pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let limit = 1 + word.chars().count() / 3;
    let ranked = known.into_iter().map(|k| (strsim::damerau_levenshtein(word, k), k)).filter(|(distance, _)| *distance <= limit);
    ranked.min_by_key(|(distance, _)| *distance).map(|(_, k)| k.to_owned())
}

fn plain(expected: &str) -> String {
    match expected {
        "u64" | "u32" | "u16" | "u8" => format!("a whole number from 0 that fits {expected}"),
        "i64" | "i32" => format!("a whole number that fits {expected}"),
        "a borrowed string" | "a string" | "str" => "a text in quotes".into(),
        "a sequence" => "a list".into(),
        other => other.into(),
    }
}

/// The key whose value stands before a column.
fn field_before(line: &str, column: usize) -> Option<String> {
    let mut end = column.min(line.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    let (head, _) = line[..end].rsplit_once("\":")?;
    head.rsplit_once('"').map(|(_, key)| key.to_owned())
}

/// At most a terminal's width of the line, around the fault.
fn excerpt(line: &str, column: usize) -> String {
    const WIDTH: usize = 100;
    let chars: Vec<char> = line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if chars.len() <= WIDTH {
        return chars.into_iter().collect();
    }
    let start = column.saturating_sub(WIDTH / 2).min(chars.len() - WIDTH);
    let cut: String = chars[start..start + WIDTH].iter().collect();
    format!("{}{cut}{}", if start > 0 { ".." } else { "" }, if start + WIDTH < chars.len() { ".." } else { "" })
}
