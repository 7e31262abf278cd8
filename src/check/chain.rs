//! One sentence of `flow` over the events of one object: `a > b > (c & d)`.
//!
//! A step needs every part before it to have reached its least number (precedence), and a step with a greatest number may
//! not come after a later part has begun. What is still missing is judged at rest. The first thing that goes wrong is all
//! that one sentence says of one object: "b came before a" and "a came after b" are one mistake.

use crate::model::Op;
use crate::scenario::{Chain, FlowStep, StepTree};

/// A chain with its steps in one row.
#[derive(Debug)]
pub(super) struct Compiled {
    pub chain: Chain,
    /// each with the number of its part
    steps: Vec<(FlowStep, usize)>,
}

/// How far one object has come.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    counts: Box<[u32]>,
    entries: Box<[u64]>,
    pub wrong: Option<Wrong>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wrong {
    pub what: String,
    pub evidence: Vec<u64>,
}

impl Compiled {
    pub fn new(chain: &Chain) -> Compiled {
        let steps = chain.parts.iter().enumerate().flat_map(|(part, tree)| tree.steps().into_iter().map(move |step| (step, part))).collect();
        Compiled { chain: chain.clone(), steps }
    }
    pub fn ops(&self) -> impl Iterator<Item = Op> + '_ {
        self.steps.iter().map(|(step, _)| step.op)
    }
    pub fn start(&self) -> Progress {
        Progress { counts: vec![0; self.steps.len()].into(), entries: vec![0; self.steps.len()].into(), wrong: None }
    }

    /// Takes one event in.
    pub fn step(&self, progress: &mut Progress, op: Op, n: u64) {
        // a step named twice: its occurrences go to the first that still has room
        let room = |i: &usize| self.steps[*i].0.count.max.is_none_or(|max| progress.counts[*i] < max);
        let mut named = (0..self.steps.len()).filter(|i| self.steps[*i].0.op == op);
        let Some(first) = named.clone().next() else { return };
        let at = named.find(room).or_else(|| (0..self.steps.len()).rev().find(|i| self.steps[*i].0.op == op)).unwrap_or(first);
        let (step, part) = self.steps[at];
        let before = progress.entries[at];
        progress.counts[at] += 1;
        progress.entries[at] = n;
        if progress.wrong.is_some() {
            return;
        }
        let wrong = |what: String, evidence: Vec<u64>| Some(Wrong { what, evidence });
        if let Some(max) = step.count.max
            && progress.counts[at] > max
        {
            let what = format!("{op} came {} times, at most {max} is right", progress.counts[at]);
            progress.wrong = wrong(what, vec![before, n]);
            return;
        }
        let missing = self.missing(progress, 0..part);
        if !missing.is_empty() {
            progress.wrong = wrong(format!("{op} came without {} before it", missing.join(", ")), vec![n]);
            return;
        }
        let later = (0..self.steps.len()).find(|i| self.steps[*i].1 > part && progress.counts[*i] > 0);
        if let (Some(later), Some(_)) = (later, step.count.max) {
            let what = format!("{op} came after {}", self.steps[later].0.op);
            progress.wrong = wrong(what, vec![progress.entries[later], n]);
            return;
        }
        let mut cursor = 0;
        for tree in &self.chain.parts {
            let two = two_of_or(tree, &progress.counts, &mut cursor);
            if let Some((one, other)) = two {
                let what = format!("both {} and {} came", self.steps[one].0.op, self.steps[other].0.op);
                progress.wrong = wrong(what, vec![progress.entries[one], progress.entries[other]]);
                return;
            }
        }
    }

    /// What the object still owes.
    pub fn owes(&self, progress: &Progress) -> Vec<String> {
        self.missing(progress, 0..self.chain.parts.len())
    }
    /// The object took at least one step.
    pub fn begun(&self, progress: &Progress) -> bool {
        progress.counts.iter().any(|count| *count > 0)
    }
    pub fn last_entry(&self, progress: &Progress) -> u64 {
        progress.entries.iter().copied().max().unwrap_or(0)
    }

    fn missing(&self, progress: &Progress, parts: std::ops::Range<usize>) -> Vec<String> {
        let (mut cursor, mut missing) = (0, Vec::new());
        for (i, tree) in self.chain.parts.iter().enumerate() {
            let owed = owed(tree, &progress.counts, &mut cursor);
            if parts.contains(&i) {
                missing.extend(owed);
            }
        }
        missing
    }
}

/// What a part lacks; empty if it is satisfied. Moves the cursor over its steps.
fn owed(tree: &StepTree, counts: &[u32], cursor: &mut usize) -> Vec<String> {
    match tree {
        StepTree::One(step) => {
            let count = counts.get(*cursor).copied().unwrap_or(0);
            *cursor += 1;
            match step.count.min {
                min if count >= min => Vec::new(),
                1 => vec![step.op.name().to_string()],
                min => vec![format!("{} ({count} of {min})", step.op)],
            }
        }
        StepTree::And(all) => all.iter().flat_map(|tree| owed(tree, counts, cursor)).collect(),
        StepTree::Or(any) => {
            let each: Vec<Vec<String>> = any.iter().map(|tree| owed(tree, counts, cursor)).collect();
            if each.iter().any(Vec::is_empty) {
                Vec::new()
            } else {
                vec![each.iter().map(|owed| owed.join(" and ")).collect::<Vec<_>>().join(" or ")]
            }
        }
    }
}

/// Two steps of different branches of an `(a | b)` that both came.
fn two_of_or(tree: &StepTree, counts: &[u32], cursor: &mut usize) -> Option<(usize, usize)> {
    match tree {
        StepTree::One(_) => {
            *cursor += 1;
            None
        }
        StepTree::And(all) => all.iter().fold(None, |found, tree| two_of_or(tree, counts, cursor).or(found)),
        StepTree::Or(any) => {
            let (mut came, mut found) = (Vec::new(), None);
            for branch in any {
                let from = *cursor;
                found = two_of_or(branch, counts, cursor).or(found);
                came.extend((from..*cursor).find(|i| counts.get(*i).is_some_and(|count| *count > 0)));
            }
            if came.len() > 1 { Some((came[0], came[1])) } else { found }
        }
    }
}
