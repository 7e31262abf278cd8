//! How a foreign API is spoken to: the mapping of a target profile, compiled. What it says is data; who sends and receives is elsewhere.
//!
//! Rooms: `expr` (expressions and templates), `file` (what the tables may hold), `compile` (from the tables to this).

mod compile;
mod expr;
mod file;

pub use compile::{compile, join};
pub use expr::{Expr, Scope, Shape, Template, value_of};
pub use file::{MappingFile, OutcomeClass, Role, Scheme, SessionScope, StatesSeen};

use crate::model::{Class, Code, Op};
use crate::sim::Span;
use minijinja::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A mapping, compiled: every expression was read, every name is known.
#[derive(Debug)]
pub struct Mapping {
    pub roles: Vec<(&'static str, Role)>,
    pub headers: Vec<(&'static str, Template)>,
    pub reset: Option<Reset>,
    pub ready: Option<Step>,
    pub outcome: Vec<OutcomeRule>,
    pub reasons: BTreeMap<String, Code>,
    pub words: Value,
    pub sessions: BTreeMap<String, Session>,
    pub lookups: BTreeMap<String, Lookup>,
    pub open: Vec<Step>,
    pub close: Vec<Step>,
    pub commands: BTreeMap<Op, Vec<Step>>,
    pub silent: BTreeSet<Op>,
    pub read_order: Option<Read>,
    pub read_stock: Option<Read>,
    pub events: Events,
    pub partners: Vec<Partner>,
}

#[derive(Debug)]
pub struct Step {
    /// such as `PlaceOrder/add`
    pub name: String,
    pub for_each: Option<Expr>,
    pub when: Option<Expr>,
    pub method: String,
    pub path: Template,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(&'static str, Template)>,
    pub body: Body,
    pub session: Option<String>,
    pub bind: Vec<Bind>,
    pub commit: bool,
    pub until: Option<Until>,
    pub pause: Span,
    pub outcome: Vec<OutcomeRule>,
}

#[derive(Debug)]
pub enum Body {
    None,
    Json(Shape),
    Text(Template),
}

/// `name` or `name[expression]`, and what is kept there.
#[derive(Debug)]
pub struct Bind {
    pub name: String,
    pub index: Option<Expr>,
    pub value: Expr,
}

#[derive(Debug)]
pub struct Until {
    pub holds: Expr,
    pub every: Span,
    pub within: Span,
}

#[derive(Debug)]
pub struct OutcomeRule {
    pub when: Expr,
    pub class: OutcomeClass,
    pub reason: Option<Expr>,
    pub after: Span,
}

#[derive(Debug)]
pub struct Session {
    pub scope: SessionScope,
    pub login: Vec<Step>,
    pub capture: Vec<(String, Expr)>,
    pub headers: Vec<(&'static str, Template)>,
    pub lost: Option<Expr>,
    pub renew_on: Option<Code>,
}

#[derive(Debug)]
pub struct Lookup {
    /// read anew for each case
    pub of_case: bool,
    pub step: Step,
    pub each: Expr,
    pub key: Expr,
    pub value: Expr,
}

#[derive(Debug)]
pub struct Reset {
    pub command: Vec<String>,
    pub timeout: Span,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub struct Read {
    pub step: Step,
    pub out: BTreeMap<String, Expr>,
}

#[derive(Debug)]
pub struct Events {
    pub subscribe: Vec<Step>,
    pub verify: Option<(Scheme, String, Template)>,
    pub id: Option<Expr>,
    pub sequence: Option<Expr>,
    pub park: Span,
    pub answer: u16,
    pub states_seen: StatesSeen,
    pub polls: Vec<Poll>,
    pub rules: Vec<EventRule>,
}

#[derive(Debug)]
pub struct Poll {
    pub name: String,
    pub every: Span,
    pub step: Step,
    pub each: Expr,
    pub key: Expr,
    pub snapshot: Shape,
    pub cursor: Option<Expr>,
    pub start: Option<Template>,
}

#[derive(Debug)]
pub struct EventRule {
    /// number from 1, for errors
    pub number: usize,
    pub when: Option<Expr>,
    pub also: bool,
    /// none: ignored
    pub op: Option<Op>,
    pub order: Whose,
    pub each: Option<Expr>,
    pub data: Shape,
    pub bind: Vec<Bind>,
    pub key: Option<Expr>,
}

/// Whose event or call it is.
#[derive(Debug)]
pub enum Whose {
    /// our name of the order
    Named(Expr),
    /// the order in whose bag one of these stands under that name
    Known(Vec<(String, Expr)>),
    /// no order's
    Nobody,
}

/// A partner's API as the target calls it.
#[derive(Debug)]
pub struct Partner {
    pub method: String,
    pub path: String,
    pub op: Op,
    pub order: Whose,
    pub key: Option<Expr>,
    pub data: Shape,
    /// by the word for the outcome
    pub answer: BTreeMap<String, (u16, Option<Shape>)>,
}

/// The partner that does an operation; none for what the target does itself.
pub fn partner_of(op: Op) -> Option<&'static str> {
    let name = op.name();
    let partner = ["payment", "fraud", "address", "node", "carrier", "notification"];
    matches!(op.class(), Class::Call | Class::Callback).then(|| partner.into_iter().find(|partner| name.split('.').next() == Some(partner)))?
}

impl Mapping {
    pub fn role(&self, partner: &str) -> Role {
        self.roles.iter().find(|(name, _)| *name == partner).map_or(Role::Internal, |(_, role)| *role)
    }

    /// Events of the vocabulary that this target announces.
    pub fn claims(&self) -> Vec<Op> {
        let mut claims: Vec<Op> = self.events.rules.iter().filter_map(|rule| rule.op).filter(|op| op.class() == Class::Event).collect();
        claims.sort_unstable();
        claims.dedup();
        claims
    }

    /// What of partners' work is in a record: that of those which orderstorm plays. Of one that is driven the calls that something sets off.
    pub fn facts(&self) -> Vec<Op> {
        let driven = |op: Op| op.class() != Class::Call || self.events.rules.iter().any(|rule| rule.op == Some(op));
        let played = |op: &Op| match partner_of(*op).map(|partner| self.role(partner)) {
            None | Some(Role::Internal) => false,
            Some(Role::Called) => true,
            Some(Role::Driven) => driven(*op),
        };
        Op::ALL.iter().copied().filter(played).collect()
    }
}
