//! One exchange with a target as a span, where somebody collects them.

use crate::model::{Message, Outcome};
use crate::net::{self, SpanKind, Spans};
use crate::sim::time_of_day_ns;
use crate::wire::{Names, TraceContext};
use serde_json::json;

/// Begun, and told when it ends. What nobody ends was never answered.
pub struct Exchange {
    spans: Spans,
    span: net::Span,
    ended: bool,
}

impl Exchange {
    pub fn begin(spans: &Spans, case: &str, kind: SpanKind, context: TraceContext, msg: &Message, names: &Names) -> Exchange {
        let mut attributes = vec![
            ("orderstorm.case", json!(case)),
            ("orderstorm.message_id", json!(names.show_id(msg.id))),
            ("http.request.method", json!(if msg.op == crate::model::Op::UpsertNode { "PUT" } else { "POST" })),
        ];
        if msg.order.is_some() {
            attributes.push(("orderstorm.order", json!(names.show_order(msg.order))));
        }
        let TraceContext { trace, span: id, parent } = context;
        let begin_ns = time_of_day_ns();
        let span = net::Span { trace, id, parent, name: msg.op.name(), kind, begin_ns, end_ns: begin_ns, attributes, failed: None };
        Exchange { spans: spans.clone(), span, ended: false }
    }

    /// It came to this: of a message that several requests were made of.
    pub fn end_as(mut self, outcome: Outcome) {
        self.ended = true;
        self.span.end_ns = time_of_day_ns();
        self.span.attributes.push(("orderstorm.outcome", json!(outcome.name())));
        let good = matches!(outcome, Outcome::Ok | Outcome::Replayed | Outcome::Pending | Outcome::Rejected);
        self.span.failed = (!good).then(|| outcome.name().into());
        self.spans.tell(self.span.clone());
    }

    /// There was an answer of this status, or none for this reason.
    pub fn end(mut self, answer: Result<u16, String>) {
        self.ended = true;
        self.tell(answer);
    }

    fn tell(&mut self, answer: Result<u16, String>) {
        self.span.end_ns = time_of_day_ns();
        match answer {
            Ok(status) => {
                self.span.attributes.push(("http.response.status_code", json!(status)));
                self.span.failed = (status >= 500).then(|| format!("status {status}"));
            }
            Err(why) => self.span.failed = Some(why),
        }
        self.spans.tell(self.span.clone());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(Err("no answer".into()));
        }
    }
}
