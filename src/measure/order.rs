//! What has to be kept of one order while it is open, and what it amounts to in the end.

use crate::model::{Fid, Id, Message, Money};
use crate::sim::Timestamp;
use smallvec::SmallVec;

/// Assumed weights of the ticket model (domain section 6): the chance that a shopper asks. Only what a history shows is
/// counted; lateness against a promise, wrong and damaged goods are not to be seen.
pub(super) mod weight {
    pub const BASE: f64 = 0.03;
    pub const SPLIT_WITHOUT_NOTICE: f64 = 0.08;
    pub const MERCHANT_CANCEL: f64 = 0.40;
    pub const LATE_REFUND: f64 = 0.30;
    pub const DOUBLE_CHARGE: f64 = 0.95;
    pub const NO_CONFIRMATION: f64 = 0.20;
    pub const REPEATED_NOTICE: f64 = 0.05;
}

/// The first time of each step; what the record has not shown yet is none.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenOrder {
    pub due: Timestamp,
    /// attempts that are not answered yet, with the time of their sending
    pub attempts: SmallVec<[(Id, Timestamp); 1]>,
    pub total: Money,
    /// lines as first ordered; those of an exchange come after
    pub lines: u16,
    pub captured: Money,
    pub acked: bool,
    /// an attempt is under way
    pub trying: bool,
    pub accepted: bool,
    pub allocated: bool,
    pub released: bool,
    pub shipped: bool,
    pub exception: bool,
    pub merchant_cancel: bool,
    pub ended: bool,
    /// fulfillments a node took on and has not sent off yet
    pub at_node: SmallVec<[(Fid, Timestamp); 2]>,
    /// outbound parcels of the order itself
    pub parcels: SmallVec<[Fid; 2]>,
    pub confirmations: u16,
    pub shipping_notes: u16,
}

impl OpenOrder {
    /// A parcel for an exchange does not make the order a split one.
    pub fn is_own_parcel(&self, msg: &Message) -> bool {
        msg.ret.is_none() && (msg.lines.is_empty() || self.lines == 0 || msg.lines.iter().any(|line| line.line.0 <= self.lines))
    }

    /// Expected tickets: one less the chance that nothing makes the shopper ask. Twice, because notices count only
    /// where the target sends any at all, and that is known at the end.
    pub fn tickets(&self) -> (f64, f64) {
        let quiet = |yes: bool, weight: f64| if yes { 1.0 - weight } else { 1.0 };
        let silent =
            (1.0 - weight::BASE) * quiet(self.merchant_cancel, weight::MERCHANT_CANCEL) * quiet(self.captured > self.total, weight::DOUBLE_CHARGE);
        let split = self.parcels.len() > 1 && usize::from(self.shipping_notes) < self.parcels.len();
        let noted = silent
            * quiet(split, weight::SPLIT_WITHOUT_NOTICE)
            * quiet(self.accepted && self.confirmations == 0, weight::NO_CONFIRMATION)
            * quiet(self.confirmations > 1, weight::REPEATED_NOTICE);
        (1.0 - silent, 1.0 - noted)
    }
}
