//! The assembler: which checkers there are, in the order in which their findings are shown. Can the record be relied on; safety by facts
//! alone; claims; what is owed at rest. `EXPECTATION`, the scenario's own, comes last.

use super::expectation::{self, Expectation};
use super::told::told;
use super::{
    Checker, Coverage, Invariant, accept_once, alloc_within_order, auth_once, backorder_fair, cancel_honest, capture_complete, capture_within_auth,
    capture_within_shipped, event_gapless, event_stable, evidence, exception_class, feed_tracked, no_lost, no_oversell, no_phantom, no_undersell,
    paid_before_release, partner_agreement, precedence, progress, quiet_after_end, refund_exact, refund_within_captured, reject_inert,
    release_within_alloc, released_on_end, replay_equal, reply_idempotent, restock_exact, routing, ship_once, state_agreement, stock_conserved,
    traceable,
};
use crate::history::Header;
use crate::scenario::Expect;

/// All invariants, by rank.
pub const INVARIANTS: &[&Invariant] = &[
    &evidence::ABOUT,
    &event_stable::ABOUT,
    &event_gapless::ABOUT,
    &ship_once::ABOUT,
    &paid_before_release::ABOUT,
    &capture_within_auth::ABOUT,
    &capture_within_shipped::ABOUT,
    &refund_within_captured::ABOUT,
    &auth_once::ABOUT,
    &refund_exact::ABOUT,
    &capture_complete::ABOUT,
    &accept_once::ABOUT,
    &no_phantom::ABOUT,
    &reply_idempotent::ABOUT,
    &precedence::ABOUT,
    &reject_inert::ABOUT,
    &no_oversell::ABOUT,
    &no_undersell::ABOUT,
    &alloc_within_order::ABOUT,
    &release_within_alloc::ABOUT,
    &routing::ABOUT,
    &backorder_fair::ABOUT,
    &quiet_after_end::ABOUT,
    &cancel_honest::ABOUT,
    &exception_class::ABOUT,
    &restock_exact::ABOUT,
    &released_on_end::ABOUT,
    &progress::ABOUT,
    &no_lost::ABOUT,
    &partner_agreement::ABOUT,
    &feed_tracked::ABOUT,
    &stock_conserved::ABOUT,
    &state_agreement::ABOUT,
    &traceable::ABOUT,
    &replay_equal::ABOUT,
];

/// What a check of this name claims.
pub fn invariant(name: &str) -> Option<&'static Invariant> {
    INVARIANTS.iter().copied().chain([&expectation::ABOUT]).find(|about| about.name == name)
}

/// One checker for each, but `EVIDENCE`: that one sees entries before the books do.
pub(super) fn checkers(header: &Header, expect: Expect) -> Vec<Box<dyn Checker>> {
    let covers = header.tells.as_ref().map_or_else(Coverage::everything, Coverage::of);
    let expect = told(expect, &covers, header);
    vec![
        Box::new(event_stable::EventStable),
        Box::new(event_gapless::EventGapless),
        Box::new(ship_once::ShipOnce),
        Box::new(paid_before_release::PaidBeforeRelease::default()),
        Box::new(capture_within_auth::CaptureWithinAuth),
        Box::new(capture_within_shipped::CaptureWithinShipped),
        Box::new(refund_within_captured::RefundWithinCaptured),
        Box::new(auth_once::AuthOnce),
        Box::new(refund_exact::RefundExact),
        Box::new(capture_complete::CaptureComplete),
        Box::new(accept_once::AcceptOnce),
        Box::new(no_phantom::NoPhantom::default()),
        Box::new(reply_idempotent::ReplyIdempotent::default()),
        Box::new(precedence::Precedence::default()),
        Box::new(reject_inert::RejectInert::default()),
        Box::new(no_oversell::NoOversell::default()),
        Box::new(no_undersell::NoUndersell::default()),
        Box::new(alloc_within_order::AllocWithinOrder::default()),
        Box::new(release_within_alloc::ReleaseWithinAlloc::default()),
        Box::new(routing::Routing::default()),
        Box::new(backorder_fair::BackorderFair::default()),
        Box::new(quiet_after_end::QuietAfterEnd::default()),
        Box::new(cancel_honest::CancelHonest::default()),
        Box::new(exception_class::ExceptionClass::default()),
        Box::new(restock_exact::RestockExact::default()),
        Box::new(released_on_end::ReleasedOnEnd::default()),
        Box::new(progress::Progress::default()),
        Box::new(no_lost::NoLost),
        Box::new(partner_agreement::PartnerAgreement),
        Box::new(feed_tracked::FeedTracked),
        Box::new(stock_conserved::StockConserved),
        Box::new(state_agreement::StateAgreement),
        Box::new(traceable::Traceable::default()),
        Box::new(replay_equal::ReplayEqual::new(header)),
        Box::new(Expectation::new(expect, header)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::*;

    #[test]
    fn every_invariant_has_a_result_in_the_same_order() {
        let judgement = Story::new().judge();
        let names: Vec<&str> = judgement.results.iter().map(|r| r.name.as_str()).collect();
        let expected: Vec<&str> = INVARIANTS.iter().map(|i| i.name).chain([expectation::ABOUT.name]).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn every_invariant_says_what_it_claims_needs_and_avoids() {
        for i in INVARIANTS {
            assert_eq!(invariant(i.name).map(|found| found.summary), Some(i.summary));
            assert!([i.name, i.summary, i.definition, i.needs].iter().all(|text| !text.is_empty()), "{}", i.name);
        }
    }

    /// `docs/invariants.md` below its mark is written from the definitions. `ORDERSTORM_BLESS=1 cargo test --lib` writes it.
    #[test]
    fn the_page_of_invariants_says_what_the_definitions_say() {
        const MARK: &str = "<!-- written from src/check: ORDERSTORM_BLESS=1 cargo test --lib -->\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/invariants.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (intro, rest) = page.split_once(MARK).expect("the page has its mark");
        let mut wanted = String::new();
        for i in INVARIANTS.iter().copied().chain([&expectation::ABOUT]) {
            let facts = if i.facts_only { " *Facts alone.*" } else { "" };
            wanted += &format!("\n## {}\n*{}.*{facts} {}\n\n*Needs:* {}.\n", i.name, i.summary, i.definition, i.needs.trim_end_matches('.'));
            if !i.traps.is_empty() {
                wanted += &format!("\n*Traps:* {}.\n", i.traps.trim_end_matches('.'));
            }
        }
        if std::env::var_os("ORDERSTORM_BLESS").is_some() {
            std::fs::write(path, format!("{intro}{MARK}{wanted}")).unwrap();
        } else {
            assert_eq!(rest, wanted, "docs/invariants.md is out of date");
        }
    }
}
