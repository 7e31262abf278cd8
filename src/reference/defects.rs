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
    DedupByMessageId = "dedup-by-message-id": "a repeated PlaceOrder under a new message id becomes a second order", caught by ["ACCEPT_ONCE", "SHIP_ONCE", "AUTH_ONCE"], seen in "razorpay-magento #208, mollie/PrestaShop #493";
    DedupEvicted = "dedup-evicted": "the memory of placed orders holds eight, for an hour: a late duplicate becomes a second order", caught by ["ACCEPT_ONCE", "SHIP_ONCE", "AUTH_ONCE", "REPLAY_EQUAL"], seen in "zalando restful-api-guidelines PR 479 (24 h key TTL)";
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
    ReleaseUnderNewId = "release-under-new-id": "a release that is tried again goes out under a new fulfillment id", caught by ["SHIP_ONCE", "RELEASE_WITHIN_ALLOC", "PARTNER_AGREEMENT"], seen in "medusa-integrations #430, open-mercato #3294";
    BackordersLifo = "backorders-lifo": "who waits shortest for a backordered SKU is served first", caught by ["BACKORDER_FAIR"], seen in "stacks in place of queues";
    CancelAlthoughShipped = "cancel-although-shipped": "an order is called cancelled although its node said that the parcel has left", caught by ["QUIET_AFTER_END", "CANCEL_HONEST", "RELEASED_ON_END"], seen in "cancel against ship races";
    NegativeDeltaIgnored = "negative-delta-ignored": "an inventory delta below zero is ignored", caught by ["NO_OVERSELL", "FEED_TRACKED", "STOCK_CONSERVED"], seen in "unsigned quantities in feeds";
    RestockAtWrongNode = "restock-at-wrong-node": "returned goods are booked at the first node, wherever they came in", caught by ["RESTOCK_EXACT", "STOCK_CONSERVED"], seen in "returns in store booked at the warehouse";
    EventBeforeCommit = "event-before-commit": "events leave before what caused them is stored: killed in between, it has told what never was", caught by ["ACCEPT_ONCE", "EVENT_STABLE", "PARTNER_AGREEMENT", "STATE_AGREEMENT"], seen in "openedx-events PR 292 (immediate send)";
    EventLostOnCrash = "event-lost-on-crash": "there is no durable outbox: events wait in memory for a moment, and a crash takes them", caught by ["EVENT_GAPLESS", "PARTNER_AGREEMENT"], seen in "gofastr #25, Truxify #11215";
    ReplayNotIdempotent = "replay-not-idempotent": "recovery takes the last step of every open order again: it reserves twice", caught by ["ALLOC_WITHIN_ORDER", "RELEASED_ON_END", "NO_OVERSELL"], seen in "recovery that replays effects with its log";
    KeyConflictOverwrites = "key-conflict-overwrites": "another order under a known key is taken as an update of the first", caught by ["REPLY_IDEMPOTENT", "SHIP_ONCE", "AUTH_ONCE"], seen in "ietf httpapi idempotency #2, #3";
    UnknownFieldPoisons = "unknown-field-poisons": "a message of an order with an unknown field is answered with ok and then lost in the parser", caught by ["NO_LOST"], seen in "strict readers against newer writers";
    WebhookDroppedAfter500 = "webhook-dropped-after-500": "an event that its subscriber refused once is never sent again", caught by ["EVENT_GAPLESS", "NO_LOST"], seen in "webhooks without retries";
    BodyRegeneratedOnRedelivery = "body-regenerated-on-redelivery": "an event that is sent again carries the amount of now under its old id", caught by ["EVIDENCE", "EVENT_STABLE", "PARTNER_AGREEMENT"], seen in "redelivery that renders its payload anew";
    AcknowledgedBeforeStored = "acknowledged-before-stored": "a message is answered before it is stored: a crash takes it, and nobody sends it again", caught by ["NO_LOST", "PARTNER_AGREEMENT"], seen in "write-behind in front of a queue";
    CancelForgetsBackorder = "cancel-forgets-backorder": "a cancelled order keeps its place in the queue for goods that are short, and is served", caught by ["QUIET_AFTER_END"], seen in "open-mercato #4521 (a cancelled order can be given stock again)";
    NoPerOrderLock = "no-per-order-lock": "cancelling and allocating do not lock the order: a fulfillment that was cancelled in between is released all the same", caught by ["QUIET_AFTER_END", "PAID_BEFORE_RELEASE"], seen in "cancel against allocate races; EasyAbp/EShop #221 (cancelled while the inventory was being reduced)";
    DuplicateReturnRefundsTwice = "duplicate-return-refunds-twice": "an inspection that is reported twice refunds and restocks twice", caught by ["REFUND_EXACT", "RESTOCK_EXACT", "CAPTURE_COMPLETE"], seen in "metasfresh-webui-api-legacy #572 (a return counts double), openfoodfoundation/openfoodnetwork #10770 (restocked twice)";
    SplitOverAllocates = "split-over-allocates": "each node gives min(line, available) in place of what is still missing: five units are allocated as three and five", caught by ["ALLOC_WITHIN_ORDER"], seen in "Vendure 3.7.3, multi-location allocator";
    ScrappedIsRestocked = "scrapped-is-restocked": "a returned unit that inspection scraps is put back on the shelf", caught by ["RESTOCK_EXACT"], seen in "woocommerce #28854 (back in stock with the box left unchecked)";
    IgnoresCapacity = "ignores-capacity": "a node is given more orders than it can take in a day", caught by ["ROUTING"], seen in "order limits of stores that count too late";
    IgnoresHours = "ignores-hours": "the time in which a store must accept runs on while it is closed: an order is taken away from it overnight", caught by ["ROUTING"], seen in "acceptance times counted on the clock instead of in opening hours";
    IgnoresDisabledNode = "ignores-disabled-node": "a node that was taken out of routing is still promised from", caught by ["ROUTING"], seen in "bagisto #3068 (inactive inventory sources go on working)";
    StaleRuleVersion = "stale-rule-version": "routing rules are cached for an hour: a change is acknowledged and not yet followed", caught by ["ROUTING"], seen in "rule caches without invalidation";
    AvoidableSplit = "avoidable-split": "each line takes the nearest node that has some: an order that one node could ship leaves in two parcels", caught by ["ROUTING"], seen in "OCA/wms #891 (more splits than necessary)";
    ExceptionMisfiled = "exception-misfiled": "an order that nobody has the goods for is filed with the payment exceptions", caught by ["EXCEPTION_CLASS"], seen in "one queue for everything that goes wrong";
    LateCancelAnsweredDone = "late-cancel-answered-done": "a cancellation that is too late, or not decided yet, is answered `ok`", caught by ["CANCEL_HONEST"], seen in "cancel against ship races";
    RejectedOrderStillReserves = "rejected-order-still-reserves": "an order that is rejected because one line is short keeps the units of its other lines", caught by ["REJECT_INERT"], seen in "razorpay-magento #42, woocommerce #55396 (a failed order keeps its stock)";
    StatusDowngrade = "status-downgrade": "a callback that comes late moves a parcel that has left back to the stage it speaks of", caught by ["PRECEDENCE", "NO_LOST", "CAPTURE_WITHIN_SHIPPED"], seen in "nearmerch #214";
    SplitReleasesWholeLine = "split-releases-whole-line": "every parcel of a split line is released with the whole line's quantity", caught by ["PAID_BEFORE_RELEASE", "RELEASE_WITHIN_ALLOC", "SHIP_ONCE"], seen in "metasfresh #4028";
    PickupFromDefaultNode = "pickup-from-default-node": "a pickup is prepared at the default node, not in the store that the shopper chose", caught by ["ROUTING", "RELEASE_WITHIN_ALLOC"], seen in "magento/inventory #2222";
    RefusedCancelHappens = "refused-cancel-happens": "a cancellation is answered with an error and carried out all the same", caught by ["REJECT_INERT"], seen in "saleor #2897";
    RefundOnCancel = "refund-on-cancel": "a cancelled order is refunded what was only authorized, in place of a void", caught by ["REFUND_WITHIN_CAPTURED"], seen in "mollie/Shopware6 PR 1445";
    ShortPickCapturedInFull = "short-pick-captured-in-full": "a parcel that left with fewer units than were asked for is charged in full", caught by ["CAPTURE_WITHIN_SHIPPED"], seen in "invoices made from what was released";
    CapturedBeforeShipped = "captured-before-shipped": "the event of a capture is published, as of now, before that of the parcel it pays for", caught by ["PRECEDENCE"], seen in "shopify-app-js #603";
    CaptureAtRelease = "capture-at-release": "money is taken when a node is told to start, not when goods leave", caught by ["CAPTURE_WITHIN_SHIPPED"], seen in "capture on fulfillment where the policy is capture on shipment";
    DeclineIgnored = "decline-ignored": "an order whose authorization was declined goes on as if it were paid", caught by ["PAID_BEFORE_RELEASE"], seen in "any answer with status 200 taken for a yes";
    AuthorizeUnderNewKey = "authorize-under-new-key": "an authorization that is tried again goes out under a new idempotency key", caught by ["AUTH_ONCE"], seen in "x402-foundation/x402 #3438";
    ExpiryIgnored = "expiry-ignored": "nobody listens when an authorization expires: goods that waited long leave unpaid", caught by ["PAID_BEFORE_RELEASE"], seen in "Automattic/woocommerce-payments #739";
    ExchangeRefundsAndNets = "exchange-refunds-and-nets": "what comes back in an exchange is refunded, and pays for the new goods, too", caught by ["REFUND_EXACT", "REFUND_WITHIN_CAPTURED"], seen in "exchanges built from a return and a discount";
    CaptureKeyTruncated = "capture-key-truncated": "the idempotency key of a capture keeps the last digits of the order alone, so that two orders share one", caught by ["CAPTURE_COMPLETE", "AUTH_ONCE", "PARTNER_AGREEMENT"], seen in "keys cut to the length of a column";
    LaterParcelsUncaptured = "later-parcels-uncaptured": "the first capture completes the payment: what leaves in later parcels is never charged", caught by ["CAPTURE_COMPLETE"], seen in "spree #6339, 202-ecommerce/stripe_official #94";
    RemainderNeverVoided = "remainder-never-voided": "what is left of an authorization after a partial capture is never set free", caught by ["AUTH_ONCE"], seen in "juspay/hyperswitch #2036";
    RefundFromFirstPayment = "refund-from-first-payment": "a refund goes to the first payment of an order, however much was captured on it", caught by ["REFUND_WITHIN_CAPTURED"], seen in "Adyen/adyen-magento #651";
    RefundForgetsDiscount = "refund-forgets-discount": "a return is refunded at list price, whatever was taken off", caught by ["REFUND_EXACT"], seen in "OCA/rma #289";
    RefundForgetsTax = "refund-forgets-tax": "a return is refunded without its tax", caught by ["REFUND_EXACT"], seen in "Automattic/wp-calypso #16645";
    FeedGapIgnored = "feed-gap-ignored": "a number that is missing in a feed is passed over, and taken for old when it comes late", caught by ["NO_OVERSELL", "FEED_TRACKED", "STOCK_CONSERVED"], seen in "feeds in which the last number wins";
    SupplyCountedAsStock = "supply-counted-as-stock": "goods that are only announced are promised as if they were on the shelf", caught by ["NO_OVERSELL", "FEED_TRACKED"], seen in "OCA/stock-logistics-workflow #419";
    SafetyStockIgnored = "safety-stock-ignored": "units that a node keeps back are promised to orders", caught by ["NO_OVERSELL"], seen in "woocommerce #29411";
    ReservedCountedTwice = "reserved-counted-twice": "what is reserved is taken off what is left twice over: orders are turned down for goods that are there", caught by ["NO_UNDERSELL"], seen in "magento/inventory #2046 (reservations hold back more than they hold)";
    ZeroQuantityIgnored = "zero-quantity-ignored": "a level of 0 in a snapshot is taken for an empty field, and the old level stays", caught by ["FEED_TRACKED", "NO_OVERSELL", "STOCK_CONSERVED"], seen in "PrestaShop PR 3882, woocommerce #19574";
    FeedAtFirstNode = "feed-at-first-node": "an inventory delta is booked at the first node, whichever it names", caught by ["FEED_TRACKED", "NO_OVERSELL", "STOCK_CONSERVED"], seen in "milady-ai/milady PR 1841";
    CallbackMemoryExpires = "callback-memory-expires": "which callbacks were dealt with is forgotten after two weeks: an inspection told again refunds again", caught by ["REPLAY_EQUAL"], seen in "saleor/apps #2446, ps_checkout PR 331";
    CorrelationLostOnRetry = "correlation-lost-on-retry": "a partner call that is tried again goes out without its correlation id", caught by ["TRACEABLE"], seen in "resilience4j #1900";
    CauseOfAnotherOrder = "cause-of-another-order": "the context of a worker survives its order: every third order's captures name the message that placed another one", caught by ["TRACEABLE"], seen in "soluvas-web #36";
    PhantomEvent = "phantom-event": "tracking news of every third order is published under a fulfillment of the order before it", caught by ["NO_PHANTOM"], seen in "shipperhq/module-shipping-tracker PR 9";
    StateQueryStale = "state-query-stale": "what is answered to GetOrder misses refunds, though their events went out", caught by ["STATE_AGREEMENT"], seen in "saleor #17098";
    SlowReleaseAfterHold = "slow-release-after-hold": "nothing wakes up at the end of a remorse hold: the order goes on when the next message of any order comes", caught by ["PROGRESS"], seen in "woocommerce #22206, #30682";
    ReplyNotIdempotent = "reply-not-idempotent": "a request that was carried out is answered with a conflict when it comes again under its key", caught by ["REPLY_IDEMPOTENT"], seen in "medusa #1887";
    CaptureAnnouncedTwice = "capture-announced-twice": "one capture is published as two events", caught by ["PARTNER_AGREEMENT"], seen in "pinelab-vendure-plugins #620";
    LateNewsDowngrades = "late-news-downgrades": "news of a node that is overtaken by later news is published all the same", caught by ["PRECEDENCE"], seen in "nearmerch #214";
    RefundAnnouncedInFull = "refund-announced-in-full": "the event of a partial refund states everything that was captured", caught by ["PARTNER_AGREEMENT"], seen in "SmartStoreNET #377";
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
