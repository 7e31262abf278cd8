//! Files that a run takes in besides scenarios and profiles: recorded order histories and the maps of their columns.

use super::{Library, Problem, Problems};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The column map for the UCI Online Retail history.
const ONLINE_RETAIL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/columns/online-retail.toml"));

/// The column map for what `generate` writes.
const GENERATED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/columns/orderstorm.toml"));

/// Column maps that come with the program, by the path under which `init` writes them out.
pub const COLUMN_MAPS: &[(&str, &str)] = &[("profiles/columns/online-retail.toml", ONLINE_RETAIL), ("profiles/columns/orderstorm.toml", GENERATED)];

impl Library {
    /// Names of the column maps that are shipped.
    pub fn column_maps() -> Vec<&'static str> {
        COLUMN_MAPS.iter().map(|(path, _)| path.rsplit('/').next().unwrap_or(path).trim_end_matches(".toml")).collect()
    }

    /// A column map by name or path: (name for messages, text).
    pub fn column_map(&mut self, asked: &str) -> Result<(String, String), Problems> {
        let known = Library::column_maps();
        if let Some((_, (path, text))) = known.iter().zip(COLUMN_MAPS).find(|(name, _)| **name == asked) {
            let name = format!("shipped:{path}");
            self.files.insert(name.clone(), hex(&Sha256::digest(text.as_bytes())));
            return Ok((name, (*text).to_string()));
        }
        let help = format!("name a column map file, or a shipped one: {}", known.join(", "));
        let text = std::fs::read_to_string(asked)
            .map_err(|error| Problems(vec![Problem::plain(format!("cannot read the column map {asked}: {error}"), Some(help))]))?;
        self.files.insert(asked.to_string(), hex(&Sha256::digest(text.as_bytes())));
        Ok((asked.to_string(), text))
    }

    /// Opens a recorded history; its digest goes into the run's manifest.
    pub fn open_source(&mut self, path: &Path) -> Result<BufReader<File>, Problems> {
        let shown = path.display().to_string();
        let cannot = |error: io::Error| {
            let help = "give the path of a CSV or JSON Lines file, plain or gzip".to_string();
            Problems(vec![Problem::plain(format!("cannot read the order history {shown}: {error}"), Some(help))])
        };
        let mut sha = Sha256::new();
        let mut file = File::open(path).map_err(cannot)?;
        let mut block = vec![0; 256 * 1024];
        loop {
            match file.read(&mut block).map_err(cannot)? {
                0 => break,
                n => sha.update(&block[..n]),
            }
        }
        self.files.insert(shown.clone(), hex(&sha.finalize()));
        Ok(BufReader::new(File::open(path).map_err(cannot)?))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
