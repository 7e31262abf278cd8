//! Where each defect shows itself, and where it must be silent.

/// What sets a defect off.
pub struct Stimulus {
    pub defect: &'static str,
    /// scenario and variant that it is put into
    pub ground: &'static str,
    /// fault sets that expose it there
    pub exposed_by: &'static [&'static str],
    /// per cent of the seeds that must fail there
    pub floor: u32,
    /// scenario with variant, and fault set, that lack what sets it off
    pub quiet: (&'static str, &'static str),
}

macro_rules! stimuli {
    ($($defect:literal in $ground:literal under [$($fault:literal),+] >= $floor:literal, silent in $calm:literal under $quiet:literal;)*) => {
        /// One for every defect.
        pub const STIMULI: &[Stimulus] = &[
            $(Stimulus { defect: $defect, ground: $ground, exposed_by: &[$($fault),+], floor: $floor, quiet: ($calm, $quiet) }),*
        ];
    };
}

stimuli! {
    "dedup-by-message-id" in "S01.base" under ["duplicate"] >= 100, silent in "S01.base" under "none";
    "dedup-evicted" in "S01.base" under ["duplicate-late", "replay"] >= 100, silent in "S01.base" under "none";
    "check-then-reserve" in "S01.last-units" under ["none"] >= 100, silent in "S01.declined" under "none";
    "cancel-keeps-reservation" in "S06.base" under ["none"] >= 97, silent in "S01.base" under "none";
    "refund-rounds-each-unit" in "S07.discounted" under ["none"] >= 87, silent in "S07.base" under "none";
    "capture-under-new-key" in "S01.base" under ["reply-lost", "effect-late", "crash-capturing"] >= 97, silent in "S01.base" under "none";
    "stale-snapshot-wins" in "M02.base" under ["feed-stale"] >= 90, silent in "S05.receipt-elsewhere" under "none";
    "early-shipped-dropped" in "S01.base" under ["release-unconfirmed"] >= 100, silent in "S01.base" under "none";
    "silent-drop-when-full" in "S01.burst" under ["none"] >= 100, silent in "S01.base" under "none";
    "captured-event-lost" in "S01.base" under ["none"] >= 100, silent in "S01.declined" under "none";
    "delivered-event-lost" in "S01.base" under ["none"] >= 100, silent in "S01.declined" under "none";
    "split-captures-full" in "S02.base" under ["none"] >= 100, silent in "S01.base" under "none";
    "shipping-per-parcel" in "S02.base" under ["none"] >= 100, silent in "S01.base" under "none";
    "feed-duplicate-applied" in "S05.base" under ["feed-duplicate"] >= 77, silent in "S05.base" under "none";
    "short-pick-stuck" in "S03.short-pick" under ["none"] >= 97, silent in "S03.base" under "none";
    "gives-up-after-three" in "S01.base" under ["outage-503", "outage-refused", "outage-blackhole"] >= 100, silent in "S01.base" under "none";
    "release-under-new-id" in "S01.base" under ["reply-lost", "release-unconfirmed", "crash-releasing"] >= 97, silent in "S01.base" under "none";
    "backorders-lifo" in "S05.fifo" under ["none"] >= 92, silent in "S05.base" under "none";
    "cancel-although-shipped" in "S06.packed" under ["none"] >= 65, silent in "S06.base" under "none";
    "negative-delta-ignored" in "S03.base" under ["none"] >= 95, silent in "S01.base" under "none";
    "restock-at-wrong-node" in "S07.in-store" under ["none"] >= 97, silent in "S07.base" under "none";
    "event-before-commit" in "S01.base" under ["crash-announced"] >= 95, silent in "S01.base" under "none";
    "event-lost-on-crash" in "S01.base" under ["crash-announced", "crash-placed", "crash-capturing"] >= 100, silent in "S01.base" under "none";
    "replay-not-idempotent" in "S01.base" under ["crash-authorizing", "crash-placed"] >= 100, silent in "S01.base" under "none";
    "key-conflict-overwrites" in "S01.base" under ["key-conflict"] >= 100, silent in "S01.base" under "duplicate";
    "unknown-field-poisons" in "S01.base" under ["extra-field"] >= 100, silent in "S01.base" under "none";
    "webhook-dropped-after-500" in "S01.base" under ["sink-errors", "sink-503"] >= 97, silent in "S01.base" under "none";
    "body-regenerated-on-redelivery" in "S01.base" under ["sink-errors", "sink-503"] >= 97, silent in "S01.base" under "none";
    "acknowledged-before-stored" in "S01.base" under ["crash-placed"] >= 97, silent in "S01.base" under "none";
    "cancel-forgets-backorder" in "S05.cancel-while-backordered" under ["none"] >= 67, silent in "S05.base" under "none";
    "no-per-order-lock" in "S06.reserved" under ["none"] >= 62, silent in "S01.base" under "none";
    "duplicate-return-refunds-twice" in "S07.base" under ["duplicate-callback"] >= 82, silent in "S07.base" under "none";
    "split-over-allocates" in "S02.split-line-3-5" under ["none"] >= 97, silent in "S01.base" under "none";
    "scrapped-is-restocked" in "S07.scrap" under ["none"] >= 97, silent in "S07.base" under "none";
    "ignores-capacity" in "S03.capacity-full" under ["none"] >= 97, silent in "S03.base" under "none";
    "ignores-hours" in "S03.no-acceptance-overnight" under ["none"] >= 97, silent in "S03.no-acceptance" under "none";
    "ignores-disabled-node" in "S03.node-disabled" under ["none"] >= 97, silent in "S03.base" under "none";
    "stale-rule-version" in "S03.node-disabled" under ["none"] >= 97, silent in "S03.base" under "none";
    "avoidable-split" in "S02.one-node" under ["none"] >= 97, silent in "S02.base" under "none";
    "exception-misfiled" in "S04.store-cannot-find" under ["none"] >= 97, silent in "S04.base" under "none";
    "late-cancel-answered-done" in "S06.packed" under ["none"] >= 97, silent in "S05.cancel-while-backordered" under "none";
    "rejected-order-still-reserves" in "S05.one-line-short" under ["none"] >= 97, silent in "S05.not-backorderable" under "none";
    "status-downgrade" in "S01.base" under ["duplicate-callback-late"] >= 97, silent in "S01.base" under "none";
    "split-releases-whole-line" in "S02.split-line-3-2" under ["none"] >= 97, silent in "S02.base" under "none";
    "pickup-from-default-node" in "S04.base" under ["none"] >= 97, silent in "S03.base" under "none";
    "refused-cancel-happens" in "S06.base" under ["none"] >= 97, silent in "S01.base" under "none";
    "refund-on-cancel" in "S06.base" under ["none"] >= 95, silent in "S01.base" under "none";
    "short-pick-captured-in-full" in "S03.short-pick" under ["none"] >= 97, silent in "S03.base" under "none";
    "captured-before-shipped" in "S01.base" under ["none"] >= 100, silent in "S01.declined" under "none";
    "capture-at-release" in "S01.base" under ["none"] >= 100, silent in "S01.declined" under "none";
    "decline-ignored" in "S01.declined" under ["none"] >= 97, silent in "S01.base" under "none";
    "authorize-under-new-key" in "S01.base" under ["reply-lost", "effect-late", "crash-authorizing"] >= 97, silent in "S01.base" under "none";
    "expiry-ignored" in "S05.long-wait" under ["none"] >= 97, silent in "S05.base" under "none";
    "exchange-refunds-and-nets" in "S08.base" under ["none"] >= 97, silent in "S07.base" under "none";
    "capture-key-truncated" in "S01.burst" under ["none"] >= 97, silent in "S02.base" under "none";
    "later-parcels-uncaptured" in "S02.base" under ["none"] >= 97, silent in "S01.base" under "none";
    "remainder-never-voided" in "M02.base" under ["none"] >= 80, silent in "S01.base" under "none";
    "refund-from-first-payment" in "S05.two-payments" under ["none"] >= 97, silent in "S07.base" under "none";
    "refund-forgets-discount" in "S07.discounted" under ["none"] >= 97, silent in "S07.base" under "none";
    "refund-forgets-tax" in "S07.tax" under ["none"] >= 97, silent in "S07.base" under "none";
    "feed-gap-ignored" in "S03.base" under ["drop", "reorder"] >= 90, silent in "S03.base" under "none";
    "supply-counted-as-stock" in "S05.base" under ["none"] >= 97, silent in "S03.base" under "none";
    "safety-stock-ignored" in "S03.safety-stock" under ["none"] >= 97, silent in "S01.base" under "none";
    "reserved-counted-twice" in "S01.last-units" under ["none"] >= 97, silent in "S01.declined" under "none";
    "zero-quantity-ignored" in "S05.sold-out-unheard" under ["feed-gap"] >= 90, silent in "S05.sold-out-unheard" under "none";
    "feed-at-first-node" in "S03.base" under ["none"] >= 97, silent in "S01.base" under "none";
    "callback-memory-expires" in "S07.base" under ["replay"] >= 97, silent in "S07.base" under "none";
    "correlation-lost-on-retry" in "S01.base" under ["reply-lost", "outage-503"] >= 97, silent in "S01.base" under "none";
    "cause-of-another-order" in "S01.last-units" under ["none"] >= 97, silent in "S01.declined" under "none";
    "phantom-event" in "S01.burst" under ["none"] >= 97, silent in "S01.declined" under "none";
    "state-query-stale" in "S07.base" under ["none"] >= 97, silent in "S01.base" under "none";
    "slow-release-after-hold" in "S03.no-acceptance-overnight" under ["none"] >= 97, silent in "S01.base" under "none";
    "reply-not-idempotent" in "S01.base" under ["duplicate"] >= 97, silent in "S01.base" under "none";
    "capture-announced-twice" in "S01.base" under ["none"] >= 100, silent in "S01.declined" under "none";
    "late-news-downgrades" in "S04.mixed-basket" under ["duplicate-callback-late"] >= 90, silent in "S01.base" under "none";
    "refund-announced-in-full" in "S07.base" under ["none"] >= 97, silent in "S01.base" under "none";
}

/// Invariants that only some fault sets can exercise, and those fault sets: the others have nothing for them to judge.
pub const ONLY_UNDER: &[(&str, &[&str])] = &[
    ("EVENT_STABLE", &["duplicate-event", "sink-reply-lost"]),
    ("REPLY_IDEMPOTENT", &["duplicate", "duplicate-late", "key-conflict"]),
    ("REPLAY_EQUAL", &["replay"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::DEFECTS;

    #[test]
    fn every_defect_has_a_stimulus_in_the_same_order() {
        let of: Vec<&str> = STIMULI.iter().map(|s| s.defect).collect();
        assert_eq!(of, DEFECTS.iter().map(|d| d.name).collect::<Vec<_>>());
    }
}
