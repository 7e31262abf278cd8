//! Bytes to entries, one at a time, as far as the file goes.

use super::needs::lacks;
use super::problem::{Fault, ReadError};
use super::row::{Footer, Lexicon, Row};
use crate::history::fingerprint::hex;
use crate::history::{Entry, HISTORY_VERSION, Header};
use crate::model::ForeignNames;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// No line that a run writes comes near this; a longer one is not a history.
const LONGEST_LINE: u64 = 64 << 20;

/// What a reader yields: entries, then one end.
#[derive(Clone, PartialEq, Debug)]
pub enum Item {
    Entry(Box<Entry>),
    End(End),
}

/// How a file ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// the footer is there, and what it counts and digests is what was read
    pub complete: bool,
    /// the footer has a digest, so that a change would have been noticed
    pub digested: bool,
    /// what is missing or was changed, where it is not complete
    pub missing: Option<String>,
    pub entries: u64,
    /// SHA-256 of the header and entries as read
    pub digest: String,
}

/// Reads a history, plain or gzipped. After the header come [`Item::Entry`]s and one [`Item::End`]; a line that cannot be
/// understood is a [`ReadError`], after which there is nothing more.
pub struct HistoryReader {
    file: String,
    input: Box<dyn BufRead>,
    header: Header,
    lexicon: Lexicon,
    sha: Sha256,
    line: Vec<u8>,
    line_no: u64,
    entries: u64,
    /// first gap in the numbering
    gap: Option<String>,
    over: bool,
}

/// How reading a line went.
enum Got {
    Line,
    /// the input ends, perhaps with the beginning of a line in the buffer
    Eof,
    /// the input cannot be read any further
    Broken(String),
}

impl HistoryReader {
    pub fn open(path: &Path) -> Result<HistoryReader, Box<ReadError>> {
        let file = path.display().to_string();
        match File::open(path) {
            Ok(input) => HistoryReader::from_reader(&file, input),
            Err(error) => Err(Box::new(ReadError { file, what: format!("cannot be opened: {error}"), ..ReadError::default() })),
        }
    }

    /// `name` is what errors call the input.
    pub fn from_reader(name: &str, input: impl Read + 'static) -> Result<HistoryReader, Box<ReadError>> {
        let mut input = BufReader::with_capacity(64 * 1024, input);
        let bad = |what: String| {
            Box::new(ReadError { file: name.into(), what, expected: "a history of orderstorm (see docs/history.md)".into(), ..ReadError::default() })
        };
        let start = input.fill_buf().map_err(|error| bad(format!("cannot be read: {error}")))?;
        if start.is_empty() {
            return Err(bad("the file is empty".into()));
        }
        let input: Box<dyn BufRead> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::with_capacity(64 * 1024, MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        };
        let mut reader = HistoryReader {
            file: name.into(),
            input,
            header: Header::default(),
            lexicon: Lexicon::new(&Default::default()),
            sha: Sha256::new(),
            line: Vec::new(),
            line_no: 0,
            entries: 0,
            gap: None,
            over: false,
        };
        reader.read_header()?;
        Ok(reader)
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How the file names what is not ours.
    pub fn names(&self) -> &ForeignNames {
        &self.lexicon.foreign
    }

    fn read_header(&mut self) -> Result<(), Box<ReadError>> {
        let got = self.read_line();
        let text = String::from_utf8_lossy(&self.line).into_owned();
        let fail = |fault: Fault| Err(fault.at(&self.file, 1, &text));
        match got {
            Got::Line => {}
            Got::Eof => return fail(Fault::new("the file ends in the middle of its first line", "the header, a whole line")),
            Got::Broken(why) => return fail(Fault::new(why, "the header, a whole line")),
        }
        #[derive(Deserialize)]
        struct Version {
            orderstorm_history: u32,
        }
        match serde_json::from_str::<Version>(&text) {
            Ok(Version { orderstorm_history: HISTORY_VERSION }) => {}
            Ok(Version { orderstorm_history: other }) => {
                return fail(Fault::new(
                    format!("the history has format version {other}"),
                    format!("version {HISTORY_VERSION}, which this program reads"),
                ));
            }
            Err(_) => return fail(Fault::new("the first line is not the header of a history", "an object with `orderstorm_history`")),
        }
        match serde_json::from_str::<Header>(&text) {
            Ok(header) => {
                let words = header.fixture.policies.words();
                // a misspelt word would silently switch a rule off
                if let Some((key, word, known)) = words.into_iter().find(|(_, word, known)| !word.is_empty() && !known.contains(word)) {
                    return fail(Fault::unknown_word(&text, key, "word for this policy", word, known.iter().copied()));
                }
                self.lexicon = Lexicon::new(&header.fixture);
                self.header = header;
                self.sha.update(&self.line);
                Ok(())
            }
            Err(error) => fail(Fault::of_json(&text, &error)),
        }
    }

    fn read_line(&mut self) -> Got {
        self.line.clear();
        self.line_no += 1;
        let mut limited = (&mut self.input).take(LONGEST_LINE);
        match limited.read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.last() == Some(&b'\n') => Got::Line,
            Ok(n) if n as u64 == LONGEST_LINE => Got::Broken(format!("line {} is longer than any entry", self.line_no)),
            Ok(_) => Got::Eof,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Got::Broken("the gzip stream was cut off".into()),
            Err(error) => Got::Broken(format!("the file cannot be read on ({error})")),
        }
    }

    fn end(&mut self, missing: Option<String>, digested: bool) -> Item {
        self.over = true;
        let digest = hex(&self.sha.clone().finalize());
        Item::End(End { complete: missing.is_none(), digested, missing, entries: self.entries, digest })
    }

    fn cut(&mut self, why: &str) -> Item {
        let line = self.line_no;
        let at = match (self.line.is_empty(), line) {
            (true, _) => format!("after line {}", line - 1),
            (false, _) => format!("at line {line} in the middle of an entry"),
        };
        self.end(Some(format!("the footer is missing: {why} {at}")), false)
    }

    fn close(&mut self, footer: &Footer) -> Item {
        let digest = hex(&self.sha.clone().finalize());
        let footer_line = self.line_no;
        let after = match self.read_text() {
            Got::Eof if self.line.is_empty() => None,
            Got::Broken(why) => Some(format!("the footer is there, but {why} after it")),
            Got::Line | Got::Eof => Some(format!("line {} stands after the footer, which must be the last", self.line_no)),
        };
        let missing = if let Some(gap) = self.gap.take() {
            Some(gap)
        } else if let Some(entries) = footer.entries.filter(|entries| *entries != self.entries) {
            Some(format!("the footer at line {footer_line} counts {entries} entries, the file has {}: lines were taken out or put in", self.entries))
        } else if footer.sha256.is_none() && !self.header.is_foreign() {
            Some(format!("the footer at line {footer_line} has lost its digest, which every record of orderstorm has"))
        } else if footer.sha256.as_ref().is_some_and(|sha256| !sha256.eq_ignore_ascii_case(&digest)) {
            Some(format!(
                "the digest in the footer at line {footer_line} is not that of the lines before it: the file was changed after it was written"
            ))
        } else {
            after
        };
        self.end(missing, footer.sha256.is_some())
    }

    /// The next line that is not blank.
    fn read_text(&mut self) -> Got {
        loop {
            match self.read_line() {
                Got::Line if self.line.trim_ascii().is_empty() => {}
                got => return got,
            }
        }
    }

    fn item(&mut self) -> Result<Item, Box<ReadError>> {
        match self.read_text() {
            Got::Line => {}
            // an editor may leave out the last line's end: a footer is whole all the same
            Got::Eof => match serde_json::from_slice::<Row<'_>>(&self.line).ok().and_then(|row| row.end) {
                Some(footer) => return Ok(self.close(&footer)),
                None => return Ok(self.cut("the file ends")),
            },
            Got::Broken(why) => return Ok(self.cut(&format!("{why},"))),
        }
        let line = match std::str::from_utf8(&self.line) {
            Ok(line) => line,
            Err(error) => {
                let fault = Fault { column: Some(error.valid_up_to() + 1), ..Fault::new("the line is not UTF-8 text", "one JSON object a line") };
                return Err(fault.at(&self.file, self.line_no, &String::from_utf8_lossy(&self.line)));
            }
        };
        let row: Row<'_> = serde_json::from_str(line).map_err(|error| Fault::of_json(line, &error).at(&self.file, self.line_no, line))?;
        if let Some(footer) = row.end {
            return Ok(self.close(&footer));
        }
        let entry = row.entry(self.entries + 1, &mut self.lexicon, line).map_err(|fault| fault.at(&self.file, self.line_no, line))?;
        if let Some(fault) = self.header.is_foreign().then(|| lacks(&entry)).flatten() {
            return Err(fault.at(&self.file, self.line_no, line));
        }
        self.sha.update(&self.line);
        self.entries += 1;
        if entry.n != self.entries && self.gap.is_none() {
            self.gap = Some(format!("line {} is entry {} where {} should follow: the file was changed", self.line_no, entry.n, self.entries));
        }
        Ok(Item::Entry(Box::new(entry)))
    }
}

impl Iterator for HistoryReader {
    type Item = Result<Item, Box<ReadError>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let item = self.item();
        self.over |= item.is_err();
        Some(item)
    }
}

/// A whole history in memory; for the short ones that a person looks at.
pub struct Recorded {
    pub header: Header,
    pub entries: Vec<Entry>,
    pub end: End,
    pub names: ForeignNames,
}

pub fn read_history(path: &Path) -> Result<Recorded, Box<ReadError>> {
    let mut reader = HistoryReader::open(path)?;
    let mut entries = Vec::new();
    let missing = Some("the end of the file was not reached".into());
    let mut end = End { complete: false, digested: false, missing, entries: 0, digest: String::new() };
    for item in &mut reader {
        match item? {
            Item::Entry(entry) => entries.push(*entry),
            Item::End(found) => end = found,
        }
    }
    Ok(Recorded { header: reader.header, entries, end, names: reader.lexicon.foreign })
}
