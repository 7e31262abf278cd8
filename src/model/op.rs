//! Every operation that can stand in a history, with its one canonical name (domain vocabulary 2.2 to 2.5).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What sort of thing an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// world to target: a business request
    Command,
    /// world to target: a read
    Query,
    /// world to target: inventory news
    Feed,
    /// world to target: a partner tells what happened
    Callback,
    /// target to partner
    Call,
    /// target to world: a claim
    Event,
    /// a movement of physical stock; only ever a fact
    Stock,
    /// a phase marker of the harness itself
    Mark,
}

macro_rules! ops {
    ($($class:ident { $($name:ident = $text:literal),* $(,)? })*) => {
        /// One operation. The text form is the canonical name.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Op { $($($name),*),* }

        impl Op {
            pub const ALL: &'static [Op] = &[$($(Op::$name),*),*];
            pub fn name(self) -> &'static str {
                match self { $($(Op::$name => $text),*),* }
            }
            pub fn class(self) -> Class {
                match self { $($(Op::$name => Class::$class),*),* }
            }
            pub fn parse(text: &str) -> Option<Op> {
                match text { $($($text => Some(Op::$name),)*)* _ => None }
            }
        }
    };
}

ops! {
    Command {
        PlaceOrder = "PlaceOrder",
        CancelOrder = "CancelOrder",
        RequestReturn = "RequestReturn",
        RequestExchange = "RequestExchange",
        CancelReturn = "CancelReturn",
        UpsertNode = "UpsertNode",
    }
    Query {
        GetOrder = "GetOrder",
        GetInventory = "GetInventory",
    }
    Feed {
        InventorySnapshot = "inventory.snapshot",
        InventoryDelta = "inventory.delta",
        InventorySupply = "inventory.supply",
    }
    Callback {
        CbPaymentDecided = "payment.decided",
        CbPaymentExpired = "payment.auth_expired",
        CbFraudDecided = "fraud.decided",
        CbNodeAccepted = "node.accepted",
        CbNodeRejected = "node.rejected",
        CbNodeShortPicked = "node.short_picked",
        CbNodePicked = "node.picked",
        CbNodePacked = "node.packed",
        CbNodeReady = "node.ready",
        CbNodeCollected = "node.collected",
        CbNodeShipped = "node.shipped",
        CbNodeReceived = "node.received",
        CbNodeInspected = "node.inspected",
        CbCarrierInTransit = "carrier.in_transit",
        CbCarrierDelivered = "carrier.delivered",
    }
    Call {
        PaymentAuthorize = "payment.authorize",
        PaymentCapture = "payment.capture",
        PaymentVoid = "payment.void",
        PaymentRefund = "payment.refund",
        FraudScreen = "fraud.screen",
        AddressValidate = "address.validate",
        NodeRelease = "node.release",
        NodeCancel = "node.cancel",
        CarrierLabel = "carrier.label",
        NotificationSend = "notification.send",
    }
    Event {
        OrderAccepted = "order.accepted",
        OrderRejected = "order.rejected",
        OrderHeld = "order.held",
        OrderHoldReleased = "order.hold_released",
        OrderCancelRequested = "order.cancel_requested",
        OrderCancelRejected = "order.cancel_rejected",
        OrderCancelled = "order.cancelled",
        OrderCompleted = "order.completed",
        PaymentAuthorized = "payment.authorized",
        PaymentReauthorized = "payment.reauthorized",
        PaymentDeclined = "payment.declined",
        PaymentCaptured = "payment.captured",
        PaymentVoided = "payment.voided",
        PaymentRefunded = "payment.refunded",
        RiskAssessed = "risk.assessed",
        AddressValidated = "address.validated",
        AddressCorrected = "address.corrected",
        AddressFailed = "address.failed",
        InventoryReserved = "inventory.reserved",
        InventoryReleased = "inventory.released",
        InventoryAdjusted = "inventory.adjusted",
        LineBackordered = "line.backordered",
        LineCancelled = "line.cancelled",
        PromiseChanged = "line.promise_changed",
        FulfillmentAllocated = "fulfillment.allocated",
        FulfillmentReleased = "fulfillment.released",
        FulfillmentAccepted = "fulfillment.accepted",
        FulfillmentRejected = "fulfillment.rejected",
        FulfillmentShortPicked = "fulfillment.short_picked",
        FulfillmentPicked = "fulfillment.picked",
        FulfillmentPacked = "fulfillment.packed",
        FulfillmentReady = "fulfillment.ready_for_pickup",
        FulfillmentPickedUp = "fulfillment.picked_up",
        FulfillmentExpired = "fulfillment.expired",
        FulfillmentCancelled = "fulfillment.cancelled",
        FulfillmentRerouted = "fulfillment.rerouted",
        ShipmentShipped = "shipment.shipped",
        ShipmentInTransit = "shipment.in_transit",
        ShipmentDelivered = "shipment.delivered",
        ReturnAuthorized = "return.authorized",
        ReturnRejected = "return.rejected",
        ReturnReceived = "return.received",
        ReturnInspected = "return.inspected",
        ReturnRestocked = "return.restocked",
        ReturnScrapped = "return.scrapped",
        ReturnCancelled = "return.cancelled",
        ReturnCompleted = "return.completed",
        ExchangeCreated = "exchange.created",
        ExchangeCompleted = "exchange.completed",
        ExceptionRaised = "exception.raised",
        ExceptionResolved = "exception.resolved",
        DeadLettered = "dlq.enqueued",
        NotificationRequested = "notification.requested",
        RulesActivated = "rules.activated",
    }
    Stock {
        StockOpening = "stock.opening",
        StockReceipt = "stock.receipt",
        StockSale = "stock.pos_sale",
        StockShipped = "stock.shipped",
        StockCollected = "stock.collected",
        StockRestocked = "stock.restocked",
        StockScrapped = "stock.scrapped",
        StockRecount = "stock.recount",
    }
    Mark {
        MarkCalm = "mark.calm",
        MarkRest = "mark.rest",
        MarkReplay = "mark.replay",
        MarkStopped = "mark.stopped",
        TargetCrashed = "target.crashed",
        TargetRestarted = "target.restarted",
        TargetPaused = "target.paused",
        TargetResumed = "target.resumed",
    }
}

/// How an attempt ended, as far as whoever asked can know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// nothing to say (not an answer)
    #[default]
    None,
    /// done, or accepted
    Ok,
    /// the same key was answered before; nothing new happened
    Replayed,
    /// not decided yet; a callback follows
    Pending,
    /// a definite business no
    Rejected,
    /// a definite no for now: 429 or 503 with Retry-After; nothing happened
    Backpressure,
    /// a technical error answered by the other side; nothing is promised
    Error,
    /// no answer: the connection was refused; nothing happened
    Refused,
    /// no answer in time: it may or may not have happened
    TimedOut,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::None => "none",
            Outcome::Ok => "ok",
            Outcome::Replayed => "replayed",
            Outcome::Pending => "pending",
            Outcome::Rejected => "rejected",
            Outcome::Backpressure => "backpressure",
            Outcome::Error => "error",
            Outcome::Refused => "refused",
            Outcome::TimedOut => "timed_out",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// A reason, an initiator, a verdict of a partner or a template: the closed list of the vocabulary.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[repr(u8)]
        pub enum Code { #[default] None, $($(#[$doc])* $name),* }
        impl Code {
            pub const ALL: &'static [Code] = &[Code::None, $(Code::$name),*];
            pub fn name(self) -> &'static str {
                match self { Code::None => "", $(Code::$name => $text),* }
            }
            pub fn parse(text: &str) -> Option<Code> {
                match text { "" => Some(Code::None), $($text => Some(Code::$name),)* _ => None }
            }
        }
    };
}

codes! {
    // why an order, line, return or call was refused
    OutOfStock = "out_of_stock",
    TooLate = "too_late",
    Declined = "declined",
    KeyReuse = "key_reuse",
    UnknownOrder = "unknown_order",
    UnknownSku = "unknown_sku",
    NotReturnable = "not_returnable",
    QueueFull = "queue_full",
    Throttled = "throttled",
    Unavailable = "unavailable",
    ExceedsAmount = "exceeds_amount",
    Expired = "expired",
    Invalid = "invalid",
    // stock reasons of a node (HotWax names)
    NotInStock = "not_in_stock",
    Mismatch = "mismatch",
    DamagedGoods = "damaged",
    NoVariance = "no_variance",
    AcceptTimeout = "accept_timeout",
    Closed = "closed",
    // who or what ended something
    Customer = "customer",
    Merchant = "merchant",
    FraudRejected = "fraud_rejected",
    Undeliverable = "undeliverable",
    NoShow = "no_show",
    MaxWait = "max_wait",
    NeverPaid = "never_paid",
    // partner verdicts
    Approved = "approved",
    Accept = "accept",
    Review = "review",
    Reject = "reject",
    Valid = "valid",
    Corrected = "corrected",
    // what a node may do from now on
    NodeEnabled = "node_enabled",
    NodeDisabled = "node_disabled",
    // holds
    HoldFraud = "hold_fraud",
    HoldAddress = "hold_address",
    HoldPayment = "hold_payment",
    HoldReturn = "hold_awaiting_return",
    HoldRemorse = "hold_remorse",
    // return reasons and dispositions
    Size = "size",
    NotAsExpected = "not_as_expected",
    Restock = "restock",
    Scrap = "scrap",
    Keep = "keep",
    Mail = "mail",
    Store = "store",
    OnReceipt = "on_receipt",
    Advance = "advance",
    // notification templates
    NoteConfirmed = "order_confirmed",
    NoteBackordered = "backordered",
    NoteShipped = "shipped",
    NoteReady = "ready_for_pickup",
    NoteCancelled = "cancelled",
    NoteDelivered = "delivered",
    NoteRefunded = "refunded",
    NoteRejected = "rejected",
    // states answered by GetOrder
    StateOpen = "open",
    StateCompleted = "completed",
    StateCancelled = "state_cancelled",
    StateRejected = "state_rejected",
    StateException = "exception",
    // exception queues
    ExcPayment = "exc_payment",
    ExcFraud = "exc_fraud",
    ExcAddress = "exc_address",
    ExcInventory = "exc_inventory",
    ExcCarrier = "exc_carrier",
    ExcPartner = "exc_partner",
    ExcReturn = "exc_return",
}

macro_rules! text_serde {
    ($name:ident, $what:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.name())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(d)?;
                $name::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a known {}", $what)))
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
text_serde!(Op, "operation");
text_serde!(Code, "reason code");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_code_reads_back_its_own_name() {
        for op in Op::ALL {
            assert_eq!(Op::parse(op.name()), Some(*op));
        }
        for code in Code::ALL {
            assert_eq!(Code::parse(code.name()), Some(*code));
        }
    }
}
