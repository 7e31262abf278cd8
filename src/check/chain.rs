//! One sentence of `flow` over the events of one object: `a > b > (c & d)`.
//!
//! A step needs every part before it to have reached its least number (precedence), and a step with a greatest number may
//! not come after a later part has begun. What is still missing is judged at rest. The first thing that goes wrong is all
//! that one sentence says of one object: "b came before a" and "a came after b" are one mistake.

use crate::model::Op;
use crate::scenario::{Chain, FlowStep, StepTree};
use smallvec::{SmallVec, smallvec};

/// A chain with its steps in one row.
#[derive(Debug)]
pub(super) struct Compiled {
    pub chain: Chain,
    /// each with the number of its part
    steps: Vec<(FlowStep, usize)>,
    /// there is an `(a | b)` in it
    chooses: bool,
}

/// How far one object has come.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    done: SmallVec<[Done; 6]>,
    /// rare, so kept elsewhere
    pub wrong: Option<Box<Wrong>>,
}

/// How often a step was taken, and in which entry the last time.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    count: u32,
    entry: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wrong {
    pub what: String,
    pub evidence: Vec<u64>,
}

impl Compiled {
    pub fn new(chain: &Chain) -> Compiled {
        let steps = chain.parts.iter().enumerate().flat_map(|(part, tree)| tree.steps().into_iter().map(move |step| (step, part))).collect();
        let chooses = chain.parts.iter().any(chooses);
        Compiled { chain: chain.clone(), steps, chooses }
    }
    pub fn ops(&self) -> impl Iterator<Item = Op> + '_ {
        self.steps.iter().map(|(step, _)| step.op)
    }
    pub fn start(&self) -> Progress {
        Progress { done: smallvec![Done::default(); self.steps.len()], wrong: None }
    }

    /// Takes one event in.
    pub fn step(&self, progress: &mut Progress, op: Op, n: u64) {
        // a step named twice: its occurrences go to the first that still has room
        let room = |i: &usize| self.steps[*i].0.count.max.is_none_or(|max| progress.done[*i].count < max);
        let mut named = (0..self.steps.len()).filter(|i| self.steps[*i].0.op == op);
        let Some(first) = named.clone().next() else { return };
        let at = named.find(room).or_else(|| (0..self.steps.len()).rev().find(|i| self.steps[*i].0.op == op)).unwrap_or(first);
        let (step, part) = self.steps[at];
        let before = progress.done[at].entry;
        progress.done[at].count += 1;
        progress.done[at].entry = n;
        if progress.wrong.is_some() {
            return;
        }
        let wrong = |what: String, evidence: Vec<u64>| Some(Box::new(Wrong { what, evidence }));
        if let Some(max) = step.count.max
            && progress.done[at].count > max
        {
            let what = format!("{op} came {} times, at most {max} is right", progress.done[at].count);
            progress.wrong = wrong(what, vec![before, n]);
            return;
        }
        let mut cursor = 0;
        // every part is asked, for the cursor's sake
        let reached = self.chain.parts[..part].iter().fold(true, |reached, tree| satisfied(tree, &progress.done, &mut cursor) & reached);
        if !reached {
            let missing = self.missing(progress, 0..part);
            progress.wrong = wrong(format!("{op} came without {} before it", missing.join(", ")), vec![n]);
            return;
        }
        let later = (0..self.steps.len()).find(|i| self.steps[*i].1 > part && progress.done[*i].count > 0);
        if let (Some(later), Some(_)) = (later, step.count.max) {
            let what = format!("{op} came after {}", self.steps[later].0.op);
            progress.wrong = wrong(what, vec![progress.done[later].entry, n]);
            return;
        }
        let mut cursor = 0;
        for tree in self.chain.parts.iter().filter(|_| self.chooses) {
            let two = two_of_or(tree, &progress.done, &mut cursor);
            if let Some((one, other)) = two {
                let what = format!("both {} and {} came", self.steps[one].0.op, self.steps[other].0.op);
                progress.wrong = wrong(what, vec![progress.done[one].entry, progress.done[other].entry]);
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
        progress.done.iter().any(|done| done.count > 0)
    }
    pub fn last_entry(&self, progress: &Progress) -> u64 {
        progress.done.iter().map(|done| done.entry).max().unwrap_or(0)
    }

    fn missing(&self, progress: &Progress, parts: std::ops::Range<usize>) -> Vec<String> {
        let (mut cursor, mut missing) = (0, Vec::new());
        for (i, tree) in self.chain.parts.iter().enumerate() {
            let owed = owed(tree, &progress.done, &mut cursor);
            if parts.contains(&i) {
                missing.extend(owed);
            }
        }
        missing
    }
}

/// Has a part all that it needs? Moves the cursor over its steps.
fn satisfied(tree: &StepTree, done: &[Done], cursor: &mut usize) -> bool {
    match tree {
        StepTree::One(step) => {
            let count = done.get(*cursor).map_or(0, |done| done.count);
            *cursor += 1;
            count >= step.count.min
        }
        StepTree::And(all) => all.iter().fold(true, |all, tree| satisfied(tree, done, cursor) & all),
        StepTree::Or(any) => any.iter().fold(false, |any, tree| satisfied(tree, done, cursor) | any),
    }
}

fn chooses(tree: &StepTree) -> bool {
    match tree {
        StepTree::One(_) => false,
        StepTree::And(all) => all.iter().any(chooses),
        StepTree::Or(_) => true,
    }
}

/// What a part lacks; empty if it is satisfied. Moves the cursor over its steps.
fn owed(tree: &StepTree, done: &[Done], cursor: &mut usize) -> Vec<String> {
    match tree {
        StepTree::One(step) => {
            let count = done.get(*cursor).map_or(0, |done| done.count);
            *cursor += 1;
            match step.count.min {
                min if count >= min => Vec::new(),
                1 => vec![step.op.name().to_string()],
                min => vec![format!("{} ({count} of {min})", step.op)],
            }
        }
        StepTree::And(all) => all.iter().flat_map(|tree| owed(tree, done, cursor)).collect(),
        StepTree::Or(any) => {
            let each: Vec<Vec<String>> = any.iter().map(|tree| owed(tree, done, cursor)).collect();
            if each.iter().any(Vec::is_empty) {
                Vec::new()
            } else {
                vec![each.iter().map(|owed| owed.join(" and ")).collect::<Vec<_>>().join(" or ")]
            }
        }
    }
}

/// Two steps of different branches of an `(a | b)` that both came.
fn two_of_or(tree: &StepTree, done: &[Done], cursor: &mut usize) -> Option<(usize, usize)> {
    match tree {
        StepTree::One(_) => {
            *cursor += 1;
            None
        }
        StepTree::And(all) => all.iter().fold(None, |found, tree| two_of_or(tree, done, cursor).or(found)),
        StepTree::Or(any) => {
            let (mut came, mut found) = (Vec::new(), None);
            for branch in any {
                let from = *cursor;
                found = two_of_or(branch, done, cursor).or(found);
                came.extend((from..*cursor).find(|i| done.get(*i).is_some_and(|done| done.count > 0)));
            }
            if came.len() > 1 { Some((came[0], came[1])) } else { found }
        }
    }
}
