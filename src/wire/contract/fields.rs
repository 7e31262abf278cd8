//! Which fields an operation has: one line each. tests/it/contract.rs holds the table to what is really sent.

use crate::model::{Class, Op};

/// Lists are words with blanks between.
pub struct Row {
    pub op: Op,
    /// fields without which the message means nothing
    pub needs: &'static str,
    /// fields that it may have besides
    pub may: &'static str,
    /// usual words of `code`; every other word of the vocabulary is read, too
    pub codes: &'static str,
    pub about: &'static str,
}

impl Row {
    pub fn required(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.needs.split_ascii_whitespace()
    }
    pub fn fields(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.required().chain(self.may.split_ascii_whitespace())
    }
    pub fn codes(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.codes.split_ascii_whitespace()
    }
}

const fn row(op: Op, needs: &'static str, may: &'static str, codes: &'static str, about: &'static str) -> Row {
    Row { op, needs, may, codes, about }
}

/// Does it go over the wire with a payload? Queries are reads of a path; stock and marks are the harness's own.
pub fn has_payload(op: Op) -> bool {
    matches!(op.class(), Class::Command | Class::Feed | Class::Callback | Class::Call | Class::Event)
}

/// Every operation with a payload, in the order of the vocabulary.
#[rustfmt::skip]
pub const MESSAGES: &[Row] = &[
    // harness to target: commands
    row(Op::PlaceOrder, "order_id order", "", "", "A shopper places an order. What was answered with 200 or 202 is the target's from then on."),
    row(Op::CancelOrder, "order_id", "code lines", "customer merchant", "Cancels an order, or the units in `lines`. `code` says who asks."),
    row(Op::RequestReturn, "order_id return_id lines", "code node_id", "mail store keep", "A shopper wants to return units. `code` says how: by `mail`, to a `store`, or `keep` them and have the money back. `node_id` says where they go."),
    row(Op::RequestExchange, "order_id return_id lines order", "code node_id", "on_receipt advance", "A shopper returns `lines` and wants those of `order` for them. `code` says when the new goods go: `on_receipt` of the old ones, or in `advance`."),
    row(Op::CancelReturn, "order_id return_id", "", "", "The shopper keeps the goods after all."),
    row(Op::UpsertNode, "node_id code rule_version", "", "node_enabled node_disabled", "Switches a node on or off for routing, as version `rule_version` of the rules."),
    // harness to target: feeds
    row(Op::InventorySnapshot, "node_id lines", "", "", "What a node's book holds: units on hand of each SKU. `movement` is the last movement that is counted in; what is later stands."),
    row(Op::InventoryDelta, "node_id sku quantity", "", "", "By how many units a node's stock of a SKU changed. `sequence` of the envelope is the number of the movement."),
    row(Op::InventorySupply, "node_id sku quantity", "", "", "Units of a SKU that are announced for a node, and are not there yet."),
    // harness to target: callbacks
    row(Op::CbPaymentDecided, "order_id code", "payment_id amount", "approved declined", "The decision on an authorization that was answered with 202."),
    row(Op::CbPaymentExpired, "order_id payment_id", "amount", "", "An authorization has run out. What was not captured is gone."),
    row(Op::CbFraudDecided, "order_id code", "", "accept reject", "The decision on an order that went to review."),
    row(Op::CbNodeAccepted, "order_id fulfillment_id", "node_id lines return_id", "", "The node has taken the fulfillment on."),
    row(Op::CbNodeRejected, "order_id fulfillment_id node_id lines code", "return_id", "not_in_stock mismatch damaged no_variance closed", "The node does not do it. `lines` are the units that it cannot bring, `code` says what that means for its stock."),
    row(Op::CbNodeShortPicked, "order_id fulfillment_id node_id lines code", "return_id", "not_in_stock mismatch damaged no_variance", "Units in `lines` were not found; the node goes on with the rest."),
    row(Op::CbNodePicked, "order_id fulfillment_id", "node_id lines return_id", "", "The goods are picked."),
    row(Op::CbNodePacked, "order_id fulfillment_id", "node_id lines return_id", "", "The parcel is packed."),
    row(Op::CbNodeReady, "order_id fulfillment_id", "node_id lines return_id", "", "The goods wait in the store for their shopper."),
    row(Op::CbNodeCollected, "order_id fulfillment_id node_id lines", "return_id", "", "The shopper has taken the goods along. `movement` numbers what left the shelf."),
    row(Op::CbNodeShipped, "order_id fulfillment_id node_id lines", "return_id", "", "The parcel has left. `movement` numbers what left the shelf."),
    row(Op::CbNodeReceived, "order_id return_id node_id lines", "", "", "Returned goods have come in."),
    row(Op::CbNodeInspected, "order_id return_id node_id lines code", "", "restock scrap", "Returned goods were looked at: back on the shelf (with `movement`), or thrown away."),
    row(Op::CbCarrierInTransit, "order_id fulfillment_id", "node_id lines return_id", "", "The carrier has the parcel."),
    row(Op::CbCarrierDelivered, "order_id fulfillment_id", "node_id lines return_id", "", "The parcel has arrived."),
    // target to partner: calls
    row(Op::PaymentAuthorize, "order_id amount", "return_id", "", "Sets money aside. Answered with 202, the decision comes as `payment.decided`."),
    row(Op::PaymentCapture, "order_id payment_id amount", "fulfillment_id return_id", "", "Takes money that was set aside."),
    row(Op::PaymentVoid, "order_id payment_id", "return_id", "", "Gives back what was set aside and not captured."),
    row(Op::PaymentRefund, "order_id payment_id amount", "return_id", "", "Gives back what was captured."),
    row(Op::FraudScreen, "order_id", "", "", "Asks whether an order is to be trusted. After `review` the decision comes as `fraud.decided`."),
    row(Op::AddressValidate, "order_id", "", "", "Asks whether the address can be delivered to."),
    row(Op::NodeRelease, "order_id fulfillment_id node_id lines", "return_id", "", "Gives a fulfillment to a node. `return_id` where it is for an exchange."),
    row(Op::NodeCancel, "order_id fulfillment_id", "node_id code", "customer merchant accept_timeout no_show", "Takes a fulfillment back from a node, if it is not too late."),
    row(Op::CarrierLabel, "order_id fulfillment_id", "node_id lines return_id", "", "Asks for a label for a parcel."),
    row(Op::NotificationSend, "order_id code", "return_id", "order_confirmed rejected backordered shipped ready_for_pickup delivered cancelled refunded", "Tells the shopper. `code` is the template."),
    // target to harness: events
    row(Op::OrderAccepted, "order_id", "amount", "", "The order is taken on. `amount` is what the shopper owes for it."),
    row(Op::OrderRejected, "order_id", "code", "out_of_stock unknown_sku declined invalid", "The order is not taken on, and nothing comes of it."),
    row(Op::OrderHeld, "order_id", "code", "hold_fraud hold_address hold_payment hold_awaiting_return hold_remorse", "The order waits, and why."),
    row(Op::OrderHoldReleased, "order_id", "code", "hold_fraud hold_address hold_payment hold_awaiting_return hold_remorse", "It waits no longer for this."),
    row(Op::OrderCancelRequested, "order_id", "code lines", "customer merchant", "Cancelling is being tried."),
    row(Op::OrderCancelRejected, "order_id", "code lines", "too_late", "It could not be cancelled."),
    row(Op::OrderCancelled, "order_id", "code", "customer merchant declined fraud_rejected undeliverable out_of_stock no_show max_wait never_paid", "The whole order has ended without goods, and why."),
    row(Op::OrderCompleted, "order_id", "", "", "Every unit was delivered, collected or cancelled, and the money is settled."),
    row(Op::PaymentAuthorized, "order_id amount", "payment_id return_id", "", "Money was set aside."),
    row(Op::PaymentReauthorized, "order_id amount", "payment_id return_id", "", "Money was set aside anew, after an authorization had run out."),
    row(Op::PaymentDeclined, "order_id", "code return_id", "declined", "The payment partner said no."),
    row(Op::PaymentCaptured, "order_id amount", "payment_id fulfillment_id return_id", "", "Money was taken."),
    row(Op::PaymentVoided, "order_id amount", "payment_id return_id", "", "What was set aside is free again: `amount` of it."),
    row(Op::PaymentRefunded, "order_id amount", "payment_id return_id", "", "Money was given back."),
    row(Op::RiskAssessed, "order_id", "code", "accept review reject", "What screening said."),
    row(Op::AddressValidated, "order_id", "code", "valid", "The address is good."),
    row(Op::AddressCorrected, "order_id", "code", "corrected", "The address is good after a correction."),
    row(Op::AddressFailed, "order_id", "code", "undeliverable", "Nothing can be delivered there."),
    row(Op::InventoryReserved, "order_id node_id lines", "rule_version return_id", "", "Units at a node are kept for the order, by this version of the rules."),
    row(Op::InventoryReleased, "order_id node_id lines", "return_id", "", "Units that were kept are free again."),
    row(Op::InventoryAdjusted, "node_id", "sku quantity lines", "", "A feed was taken in: `lines` of a snapshot, or `sku` and `quantity` of a change."),
    row(Op::LineBackordered, "order_id lines", "line_id sku return_id", "", "Units wait for supply."),
    row(Op::LineCancelled, "order_id lines", "line_id sku code return_id", "customer merchant out_of_stock max_wait no_show", "Units will not come, and why."),
    row(Op::PromiseChanged, "order_id", "line_id sku lines", "", "The date that the shopper was told is another one."),
    row(Op::FulfillmentAllocated, "order_id fulfillment_id", "node_id lines return_id rule_version", "", "A node is to bring these units."),
    row(Op::FulfillmentReleased, "order_id fulfillment_id", "node_id lines return_id", "", "The node has the fulfillment: its `node.release` was answered with 200."),
    row(Op::FulfillmentAccepted, "order_id fulfillment_id", "node_id lines return_id", "", "The node has taken it on."),
    row(Op::FulfillmentRejected, "order_id fulfillment_id", "node_id lines return_id code", "not_in_stock mismatch damaged no_variance closed", "The node does not do it."),
    row(Op::FulfillmentShortPicked, "order_id fulfillment_id", "node_id lines return_id code", "not_in_stock mismatch damaged no_variance", "Units were not found."),
    row(Op::FulfillmentPicked, "order_id fulfillment_id", "node_id lines return_id", "", "The goods are picked."),
    row(Op::FulfillmentPacked, "order_id fulfillment_id", "node_id lines return_id", "", "The parcel is packed."),
    row(Op::FulfillmentReady, "order_id fulfillment_id", "node_id lines return_id", "", "The goods wait in the store."),
    row(Op::FulfillmentPickedUp, "order_id fulfillment_id lines", "node_id return_id", "", "The shopper has them."),
    row(Op::FulfillmentExpired, "order_id fulfillment_id", "node_id lines return_id", "", "Nobody came for them."),
    row(Op::FulfillmentCancelled, "order_id fulfillment_id", "node_id lines return_id code", "customer merchant accept_timeout no_show", "The node does not bring it any more."),
    row(Op::FulfillmentRerouted, "order_id fulfillment_id", "node_id lines return_id code", "", "Another node is asked."),
    row(Op::ShipmentShipped, "order_id fulfillment_id lines", "node_id return_id", "", "The parcel has left."),
    row(Op::ShipmentInTransit, "order_id fulfillment_id", "node_id lines return_id", "", "The carrier has it."),
    row(Op::ShipmentDelivered, "order_id fulfillment_id", "node_id lines return_id", "", "It has arrived."),
    row(Op::ReturnAuthorized, "order_id return_id", "lines", "", "The shopper may return these units."),
    row(Op::ReturnRejected, "order_id return_id", "lines code", "not_returnable too_late", "The shopper may not."),
    row(Op::ReturnReceived, "order_id return_id", "node_id lines", "", "Returned goods have come in."),
    row(Op::ReturnInspected, "order_id return_id", "node_id lines code", "restock scrap", "They were looked at."),
    row(Op::ReturnRestocked, "order_id return_id", "node_id lines", "", "They are on the shelf again."),
    row(Op::ReturnScrapped, "order_id return_id", "node_id lines", "", "They were thrown away."),
    row(Op::ReturnCancelled, "order_id return_id", "lines", "", "The shopper keeps the goods."),
    row(Op::ReturnCompleted, "order_id return_id", "lines", "", "The return is done, and its money given back."),
    row(Op::ExchangeCreated, "order_id return_id", "lines amount", "", "The exchange is taken on. `amount` is what the new goods cost more than the old ones; negative where they cost less."),
    row(Op::ExchangeCompleted, "order_id return_id", "lines", "", "Old goods are back, new ones delivered, the difference settled."),
    row(Op::ExceptionRaised, "order_id code", "fulfillment_id return_id", "exc_payment exc_fraud exc_address exc_inventory exc_carrier exc_partner exc_return", "The target does not know how to go on, and puts the order into a queue for people."),
    row(Op::ExceptionResolved, "order_id", "code fulfillment_id return_id", "exc_payment exc_fraud exc_address exc_inventory exc_carrier exc_partner exc_return", "It goes on."),
    row(Op::DeadLettered, "", "order_id quantity", "", "A call was given up after `quantity` attempts."),
    row(Op::NotificationRequested, "", "order_id code return_id", "order_confirmed rejected backordered shipped ready_for_pickup delivered cancelled refunded", "The shopper is to be told."),
    row(Op::RulesActivated, "rule_version", "node_id code", "node_enabled node_disabled", "This version of the rules is in force."),
];

/// What a partner says in a good answer (200 or 202) to a call.
#[rustfmt::skip]
pub const ANSWERS: &[Row] = &[
    row(Op::PaymentAuthorize, "order_id", "payment_id amount code return_id", "approved", "200: `payment_id` names the authorization. 202: not decided yet."),
    row(Op::PaymentCapture, "order_id payment_id amount", "fulfillment_id return_id", "", "What was captured."),
    row(Op::PaymentVoid, "order_id payment_id", "amount return_id", "", "What was given back."),
    row(Op::PaymentRefund, "order_id payment_id amount", "return_id", "", "What was refunded."),
    row(Op::FraudScreen, "order_id code", "", "accept review reject", "The verdict."),
    row(Op::AddressValidate, "order_id code", "", "valid corrected undeliverable", "The verdict."),
    row(Op::NodeRelease, "order_id fulfillment_id", "return_id", "", "The node has it."),
    row(Op::NodeCancel, "order_id fulfillment_id", "return_id", "", "The node stops."),
    row(Op::CarrierLabel, "order_id fulfillment_id", "return_id", "", "There is a label."),
    row(Op::NotificationSend, "order_id", "return_id", "", "It was sent."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Code;

    #[test]
    fn every_operation_with_a_payload_has_its_line() {
        let wanted: Vec<Op> = Op::ALL.iter().copied().filter(|op| has_payload(*op)).collect();
        let calls: Vec<Op> = wanted.iter().copied().filter(|op| op.class() == Class::Call).collect();
        let ops = |rows: &[Row]| rows.iter().map(|row| row.op).collect::<Vec<_>>();
        assert_eq!((ops(MESSAGES), ops(ANSWERS)), (wanted, calls));
    }

    #[test]
    fn lines_name_codes_of_the_vocabulary_and_no_field_twice() {
        for row in MESSAGES.iter().chain(ANSWERS) {
            let fields: Vec<&str> = row.fields().collect();
            let once: std::collections::BTreeSet<&str> = fields.iter().copied().collect();
            assert_eq!(once.len(), fields.len(), "{}", row.op);
            assert!(row.codes().all(|code| Code::parse(code).is_some()), "{}", row.op);
            assert_eq!(row.codes.is_empty(), !once.contains("code") || row.op == Op::FulfillmentRerouted, "{}: codes where there is a code", row.op);
        }
    }
}
