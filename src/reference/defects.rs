//! Bugs seen in real order systems, on switches. Each names the invariants that should catch it.

use std::fmt;

macro_rules! defects {
    ($($name:ident = $text:literal: $about:literal, caught by [$($by:literal),+], seen in $seen:literal;)*) => {
        /// One bug on a switch.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Defect { $($name),* }

        /// Every defect, with what it does, who must catch it, and where the like was seen.
        pub const DEFECTS: &[DefectEntry] = &[$(DefectEntry { defect: Defect::$name, name: $text, about: $about, caught_by: &[$($by),+], seen: $seen }),*];
    };
}

/// One line of the list of defects.
pub struct DefectEntry {
    pub defect: Defect,
    pub name: &'static str,
    pub about: &'static str,
    /// invariants of which one must be the first to report it
    pub caught_by: &'static [&'static str],
    pub seen: &'static str,
}

defects! {
    DedupByMessageId = "dedup-by-message-id": "a repeated PlaceOrder under a new message id becomes a second order", caught by ["ACCEPT_ONCE", "SHIP_ONCE", "NO_LOST"], seen in "razorpay-magento #208, mollie/PrestaShop #493";
    DedupEvicted = "dedup-evicted": "the memory of placed orders holds eight, for an hour: a late duplicate becomes a second order", caught by ["ACCEPT_ONCE", "SHIP_ONCE", "NO_LOST", "REPLAY_EQUAL"], seen in "zalando restful-api-guidelines PR 479 (24 h key TTL)";
    CheckThenReserve = "check-then-reserve": "stock is checked when the order comes in and reserved a moment later without a second look", caught by ["NO_OVERSELL"], seen in "opencart #4811, nopCommerce #4184, woocommerce #44273";
    CancelKeepsReservation = "cancel-keeps-reservation": "a cancelled order keeps the units it had reserved", caught by ["RELEASED_ON_END"], seen in "magento/inventory #1887, grandnode #560";
    RefundRoundsEachUnit = "refund-rounds-each-unit": "refunds are worked out per unit and rounded one by one", caught by ["REFUND_EXACT"], seen in "woocommerce #64668, medusa PR 14496";
    CaptureUnderNewKey = "capture-under-new-key": "a capture that is tried again goes out under a new idempotency key", caught by ["CAPTURE_WITHIN_AUTH", "PARTNER_AGREEMENT"], seen in "Umbraco.Commerce #395";
    StaleSnapshotWins = "stale-snapshot-wins": "an inventory snapshot overwrites newer movements", caught by ["NO_OVERSELL", "FEED_TRACKED", "STOCK_CONSERVED", "REPLAY_EQUAL"], seen in "snapshot against delta: the classic feed bug";
    EarlyShippedDropped = "early-shipped-dropped": "a shipped notice that comes before the release was confirmed is dropped", caught by ["NO_LOST", "PARTNER_AGREEMENT"], seen in "ecommerce_integrations PR 425";
    SilentDropWhenFull = "silent-drop-when-full": "at a full queue a message is answered with ok and thrown away", caught by ["NO_LOST"], seen in "unbounded retries against bounded queues";
    CapturedEventLost = "captured-event-lost": "there is no outbox: the event of a committed capture is lost", caught by ["PARTNER_AGREEMENT"], seen in "gofastr #25, OpenRisk #344";
    DeliveredEventLost = "delivered-event-lost": "the event of a delivery is numbered and then lost on its way to the outbox", caught by ["EVENT_GAPLESS"], seen in "openedx-events PR 292, Truxify #11215";
    SplitCapturesFull = "split-captures-full": "every parcel of a split order captures the full amount", caught by ["CAPTURE_WITHIN_AUTH"], seen in "buckaroo Magento2 PR 1741";
    ShippingPerParcel = "shipping-per-parcel": "the shipping charge is captured with every parcel", caught by ["CAPTURE_WITHIN_AUTH"], seen in "magento2-split-order #9";
    FeedDuplicateApplied = "feed-duplicate-applied": "an inventory delta that comes twice counts twice", caught by ["NO_OVERSELL", "FEED_TRACKED", "STOCK_CONSERVED", "REPLAY_EQUAL"], seen in "at-least-once feeds without a sequence";
    ShortPickStuck = "short-pick-stuck": "units that a node could not find are never sourced again", caught by ["NO_LOST"], seen in "medusa PR 12447, PR 13076";
    GivesUpAfterThree = "gives-up-after-three": "a partner call is given up after three tries, silently", caught by ["NO_LOST"], seen in "fixed retry counts against long outages";
    ReleaseUnderNewId = "release-under-new-id": "a release that is tried again goes out under a new fulfillment id", caught by ["SHIP_ONCE", "PARTNER_AGREEMENT"], seen in "medusa-integrations #430, open-mercato #3294";
    BackordersLifo = "backorders-lifo": "who waits shortest for a backordered SKU is served first", caught by ["BACKORDER_FAIR"], seen in "stacks in place of queues";
    CancelAlthoughShipped = "cancel-although-shipped": "an order is called cancelled although its node said that the parcel has left", caught by ["RELEASED_ON_END", "MONEY_CONSERVED", "PARTNER_AGREEMENT"], seen in "cancel against ship races";
    NegativeDeltaIgnored = "negative-delta-ignored": "an inventory delta below zero is ignored", caught by ["NO_OVERSELL", "FEED_TRACKED", "STOCK_CONSERVED"], seen in "unsigned quantities in feeds";
    RestockAtWrongNode = "restock-at-wrong-node": "returned goods are booked at the first node, wherever they came in", caught by ["STOCK_CONSERVED"], seen in "returns in store booked at the warehouse";
    FeedGapIgnored = "feed-gap-ignored": "a number that is missing in a feed is passed over, and taken for old when it comes late", caught by ["NO_OVERSELL", "FEED_TRACKED", "STOCK_CONSERVED"], seen in "feeds in which the last number wins";
    SupplyCountedAsStock = "supply-counted-as-stock": "goods that are only announced are promised as if they were on the shelf", caught by ["NO_OVERSELL", "FEED_TRACKED"], seen in "OCA/stock-logistics-workflow #419";
    SafetyStockIgnored = "safety-stock-ignored": "units that a node keeps back are promised to orders", caught by ["NO_OVERSELL"], seen in "woocommerce #29411";
    ZeroQuantityIgnored = "zero-quantity-ignored": "a level of 0 in a snapshot is taken for an empty field, and the old level stays", caught by ["FEED_TRACKED", "NO_OVERSELL", "STOCK_CONSERVED"], seen in "PrestaShop PR 3882, woocommerce #19574";
    FeedAtFirstNode = "feed-at-first-node": "an inventory delta is booked at the first node, whichever it names", caught by ["FEED_TRACKED", "NO_OVERSELL", "STOCK_CONSERVED"], seen in "milady-ai/milady PR 1841";
    CallbackMemoryExpires = "callback-memory-expires": "which callbacks were dealt with is forgotten after two weeks: an inspection told again refunds again", caught by ["REPLAY_EQUAL"], seen in "saleor/apps #2446, ps_checkout PR 331";
}

impl Defect {
    pub fn name(self) -> &'static str {
        DEFECTS.iter().find(|entry| entry.defect == self).map_or("", |entry| entry.name)
    }
    pub fn parse(text: &str) -> Option<Defect> {
        DEFECTS.iter().find(|entry| entry.name == text).map(|entry| entry.defect)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
