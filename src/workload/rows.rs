//! Rows of an order history, one at a time, from CSV or lines of JSON, plain or compressed with gzip.
//!
//! What is wrong with one row is said of that row, and reading goes on. What is wrong with the file ends the import.

use super::columns::{Columns, Field};
use super::import::{ImportError, Reason};
use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Cursor, Read};

const GZIP: &[u8] = &[0x1f, 0x8b];
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
/// So many bytes are enough to tell what a file is.
const START: u64 = 512;
/// A longer line of JSON is no order line, and is not held in memory.
const LONGEST_LINE: u64 = 1 << 20;
/// So many column names are kept for messages.
const MOST_NAMES: usize = 200;

/// What a row says in each mapped column, trimmed; none where it says nothing.
pub(super) struct Row<'a> {
    fields: [Option<Cow<'a, [u8]>>; Field::ALL.len()],
}

impl Row<'_> {
    pub(super) fn get(&self, field: Field) -> Option<&[u8]> {
        self.fields[field as usize].as_deref()
    }
}

/// Why a row could not be read, and how.
pub(super) type Refused = (Reason, String);

/// Calls `each` with every row and the line that it begins on.
pub(super) fn read(reader: impl Read, name: &str, columns: &Columns, each: &mut dyn FnMut(u64, Result<Row<'_>, Refused>)) -> Result<(), ImportError> {
    let file = Source { name, columns };
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let start = take_start(&mut reader).map_err(|e| file.broken(0, &e))?;
    if start.starts_with(GZIP) {
        let packed = Cursor::new(start).chain(reader);
        return file.text(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(packed)), each);
    }
    if !start.is_empty() && name.to_ascii_lowercase().ends_with(".gz") {
        let error = file.error(None, "the name ends in `.gz`, but the file does not begin as gzip does");
        return Err(error.help("if it is plain text, drop `.gz` from its name"));
    }
    file.text(Cursor::new(start).chain(reader), each)
}

/// Takes the first bytes. A pipe may hand them out one by one, so a single read would not do.
fn take_start(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    reader.take(START).read_to_end(&mut start)?;
    Ok(start)
}

struct Source<'a> {
    name: &'a str,
    columns: &'a Columns,
}

/// How many lines of the file stand in a record whose quoted fields take in whole rows: a comment may go over several lines, but not with as many fields
/// on one of them as the header has.
fn swallowed(record: &csv::ByteRecord, delimiter: u8, fields: usize) -> Option<u64> {
    let inside = || record.iter().flat_map(|field| field.split(|byte| *byte == b'\n').skip(1)).filter(|line| !line.is_empty());
    let is_row = |line: &[u8]| fields > 1 && line.iter().filter(|byte| **byte == delimiter).count() + 1 == fields;
    inside().any(is_row).then(|| 1 + inside().count() as u64)
}

impl Source<'_> {
    fn error(&self, line: Option<u64>, message: impl Into<String>) -> ImportError {
        ImportError { file: self.name.to_string(), line, message: message.into(), help: None, lacks_columns: false }
    }

    fn broken(&self, after: u64, e: &io::Error) -> ImportError {
        let line = (after > 0).then_some(after);
        self.error(line, format!("cannot be read on from here: {e}")).help("a cut or damaged file? The rows before this line are not used either")
    }

    fn text(&self, mut reader: impl BufRead, each: &mut dyn FnMut(u64, Result<Row<'_>, Refused>)) -> Result<(), ImportError> {
        let start = take_start(&mut reader).map_err(|e| self.broken(0, &e))?;
        if start.is_empty() {
            return Err(self.error(None, "the file is empty; expected a header and rows, or one JSON object a line"));
        }
        if start.starts_with(b"PK\x03\x04") {
            return Err(self.error(None, "this is a zip archive or a workbook, not text").help("export it as CSV; gzip is read as it is"));
        }
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(self.error(None, "the text is UTF-16; expected UTF-8"));
        }
        let mark = if start.starts_with(UTF8_MARK) { UTF8_MARK.len() as u64 } else { 0 };
        let is_json = start[mark as usize..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let mut start = Cursor::new(start);
        start.set_position(mark);
        let reader = start.chain(reader);
        if is_json { self.json(reader, each) } else { self.csv(reader, each) }
    }

    fn csv(&self, reader: impl Read, each: &mut dyn FnMut(u64, Result<Row<'_>, Refused>)) -> Result<(), ImportError> {
        // Flexible, so that a row with a field too many is the row's problem and not the file's.
        // Lines end at a line feed, for with the default terminator the line numbers of a file with carriage returns are wrong;
        // a carriage return is trimmed off with other space. The last line is ended too, so that every record has its end.
        let reader = reader.chain(&b"\n"[..]);
        let mut builder = csv::ReaderBuilder::new();
        let mut csv = builder.delimiter(self.columns.delimiter()).flexible(true).terminator(csv::Terminator::Any(b'\n')).from_reader(reader);
        let header: Vec<String> = match csv.byte_headers() {
            Ok(header) => header.iter().map(|name| String::from_utf8_lossy(name).trim().to_string()).collect(),
            Err(e) => return Err(self.broken(1, &e.into())),
        };
        let places = self.places(&header)?;
        let mut record = csv::ByteRecord::new();
        loop {
            match csv.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(e) => return Err(self.broken(csv.position().line(), &e.into())),
            }
            if record.len() == 1 && header.len() > 1 && record.as_slice().trim_ascii().is_empty() {
                continue;
            }
            // The reader says where it stopped; where it began may be before some blank lines.
            let breaks = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
            // A record that its quote never lets end took in the end of the last line, too.
            let ended = u64::from(!record.as_slice().ends_with(b"\n"));
            let line = csv.position().line().saturating_sub(ended + breaks);
            let swallowed = if breaks > 0 { swallowed(&record, self.columns.delimiter(), header.len()) } else { None };
            if let Some(lines) = swallowed {
                // each is a row of the file, and none of them could be read
                for at in 0..lines {
                    let where_from = if at == 0 { "a quote begins here".into() } else { format!("a quote that began in line {line}") };
                    each(line + at, Err((Reason::MalformedRow, format!("{where_from} and takes in whole rows: one is missing or too many"))));
                }
            } else if record.len() == header.len() {
                let fields = places.map(|place| place.and_then(|place| record.get(place)).and_then(said).map(Cow::Borrowed));
                each(line, Ok(Row { fields }));
            } else {
                each(line, Err((Reason::MalformedRow, format!("{} fields, the header has {}", record.len(), header.len()))));
            }
        }
    }

    /// Where each mapped column stands in the header.
    fn places(&self, header: &[String]) -> Result<[Option<usize>; Field::ALL.len()], ImportError> {
        let places = Field::ALL.map(|field| self.columns.name_of(field).and_then(|name| header.iter().position(|column| column == name)));
        let missing: Vec<Field> = Field::ALL.into_iter().filter(|field| places[*field as usize].is_none()).collect();
        self.check_found(1, &missing, header)?;
        for name in Field::ALL.into_iter().filter_map(|field| self.columns.name_of(field)) {
            if header.iter().filter(|column| *column == name).count() > 1 {
                return Err(self.error(Some(1), format!("the header has more than one column `{name}`; which one is meant cannot be known")));
            }
        }
        Ok(places)
    }

    /// An error that names every mapped column which the file does not have, and the nearest that it has.
    fn check_found(&self, line: u64, missing: &[Field], has: &[String]) -> Result<(), ImportError> {
        let wanted: Vec<(Field, &str)> = missing.iter().filter_map(|field| Some((*field, self.columns.name_of(*field)?))).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let problems: Vec<String> = wanted
            .iter()
            .map(|(field, name)| {
                let near = nearest(name, has).map_or(String::new(), |near| format!("; is it `{near}`?"));
                format!("no column `{name}`, which `{}.column` names{near}", field.table())
            })
            .collect();
        let names: Vec<String> = has.iter().map(|name| format!("`{name}`")).collect();
        let mut help = format!("the file has the columns {}", names.join(", "));
        if let [only] = has
            && let Some(other) = [',', ';', '\t', '|'].into_iter().find(|delimiter| only.contains(*delimiter))
        {
            help = format!(
                "with {:?} between fields the header is a single column; it looks as if it were {other:?}: set `delimiter`",
                char::from(self.columns.delimiter())
            );
        }
        Err(ImportError { lacks_columns: true, ..self.error(Some(line), problems.join("\n")).help(help) })
    }

    fn json(&self, mut reader: impl BufRead, each: &mut dyn FnMut(u64, Result<Row<'_>, Refused>)) -> Result<(), ImportError> {
        let (mut seen, mut lists, mut first) = (BTreeSet::new(), BTreeSet::new(), None);
        let (mut bytes, mut line) = (Vec::new(), 0u64);
        loop {
            bytes.clear();
            if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(|e| self.broken(line, &e))? == 0 {
                break;
            }
            line += 1;
            if bytes.len() as u64 == LONGEST_LINE && !bytes.ends_with(b"\n") {
                reader.skip_until(b'\n').map_err(|e| self.broken(line, &e))?;
                each(line, Err((Reason::MalformedRow, format!("more than {LONGEST_LINE} bytes in a line"))));
                continue;
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<Map<String, Value>>(&bytes) {
                Ok(object) => {
                    first = first.or(Some(line));
                    for key in object.keys().filter(|key| seen.len() < MOST_NAMES && !seen.contains(*key)).cloned().collect::<Vec<_>>() {
                        lists.extend(object.get(&key).filter(|value| value.is_array()).map(|_| key.clone()));
                        seen.insert(key);
                    }
                    each(line, self.json_row(&object));
                }
                Err(e) => each(line, Err((Reason::MalformedRow, format!("not a JSON object on one line: {e}")))),
            }
        }
        // A key may be absent from any one object; a column that no object has is a mistake of the map.
        let missing: Vec<Field> =
            Field::ALL.into_iter().filter(|field| self.columns.name_of(*field).is_some_and(|name| !seen.contains(name))).collect();
        if seen.is_empty() || seen.len() == MOST_NAMES {
            return Ok(());
        }
        // every object lacks it, so the first one shows it
        self.check_found(first.unwrap_or(line), &missing, &seen.into_iter().collect::<Vec<_>>()).map_err(|error| match lists.first() {
            Some(list) => error.help(format!(
                "`{list}` is a list, and here each line of an order is an object of its own; `orderstorm generate --format csv` writes rows that can be read"
            )),
            None => error,
        })
    }

    fn json_row<'a>(&self, object: &'a Map<String, Value>) -> Result<Row<'a>, Refused> {
        let mut row = Row { fields: Default::default() };
        for field in Field::ALL {
            let Some(name) = self.columns.name_of(field) else { continue };
            row.fields[field as usize] = match object.get(name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => said(text.as_bytes()).map(Cow::Borrowed),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(Cow::Owned(value.to_string().into_bytes())),
                Some(_) => return Err((Reason::MalformedRow, format!("`{name}` is not a plain value"))),
            };
        }
        Ok(row)
    }
}

/// The bytes without the space around them; none if nothing is left.
fn said(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.trim_ascii();
    (!bytes.is_empty()).then_some(bytes)
}

/// The name most like the one wanted, if it is like it at all.
fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], "");
    let wanted = plain(wanted);
    let scored = names.iter().map(|name| (strsim::jaro_winkler(&wanted, &plain(name)), name.as_str()));
    scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}
