//! Colours for a terminal, or none.

use crate::check::Verdict;
use anstyle::{AnsiColor, Style};

#[derive(Clone, Copy)]
pub(super) struct Paint(pub bool);

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const FAULT: Style = AnsiColor::Magenta.on_default();
pub(super) const MARKED: Style = AnsiColor::Red.on_default().bold();

impl Paint {
    pub fn text(self, style: Style, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
    pub fn verdict(self, verdict: Verdict, text: &str) -> String {
        self.text(style(verdict), text)
    }
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => AnsiColor::Green.on_default(),
        Verdict::NotExercised => AnsiColor::Blue.on_default(),
        Verdict::Unknown => AnsiColor::Yellow.on_default().bold(),
        Verdict::Fail => AnsiColor::Red.on_default().bold(),
        Verdict::NotApplicable => DIM,
    }
}

/// One letter a verdict, told apart without colour.
pub(super) fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Pass => '.',
        Verdict::NotExercised => 'o',
        Verdict::Unknown => '?',
        Verdict::Fail => 'F',
        Verdict::NotApplicable => '-',
    }
}

/// Control characters would let a name in a history draw on the reader's terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Breaks a text into lines of at most `width`, at spaces where there are some.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut len = 0;
    for word in clean(text).split(' ').filter(|word| !word.is_empty()) {
        let mut word: Vec<char> = word.chars().collect();
        if len > 0 && len + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            len = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.push(std::mem::replace(&mut word, rest).into_iter().collect());
        }
        if len > 0 {
            line.push(' ');
            len += 1;
        }
        len += word.len();
        line.extend(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}
