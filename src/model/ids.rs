//! Interned ids: what is hot is an integer, what is written is a name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);
        impl $name {
            pub const NONE: $name = $name(0);
            pub fn is_none(self) -> bool {
                self.0 == 0
            }
            pub fn is_some(self) -> bool {
                self.0 != 0
            }
        }
    };
}

id!(/** An order of the case, numbered from 1 in the order of placing; written `O17`. Zero is none. */ OrderNo(u32));
id!(/** A line of an order, numbered from 1. Exchange lines continue the numbers of their order. Zero is none. */ LineNo(u16));
id!(/** A SKU: 1-based index into the fixture's products. Zero is none. */ SkuId(u32));
id!(/** A node: 1-based index into the fixture's nodes. Zero is none. */ NodeId(u16));
id!(/** A fulfillment as the target names it; its parcel (shipment) carries the same id. Zero is none. */ Fid(u64));
id!(/** Any other id: message, idempotency key, return, authorization, capture, refund. Zero is none. */ Id(u64));

impl OrderNo {
    /// Orders from here on are probes of the harness: placed before the case begins, to measure the target with. They are no orders of the
    /// case, so they stand in no measure and no expectation, and no fault rule acts on them; every invariant holds for them all the same.
    pub const FIRST_PROBE: OrderNo = OrderNo(0xffff_ff00);

    pub fn is_probe(self) -> bool {
        self >= OrderNo::FIRST_PROBE
    }
}

impl fmt::Display for OrderNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "O{}", self.0)
    }
}
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
impl fmt::Display for Fid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "F{:x}", self.0)
    }
}

/// An amount in minor units (cents) of the run's one currency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    pub const ZERO: Money = Money(0);
}
impl std::ops::Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0 + other.0)
    }
}
impl std::ops::Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0 - other.0)
    }
}
impl std::ops::AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        self.0 += other.0;
    }
}
impl std::ops::SubAssign for Money {
    fn sub_assign(&mut self, other: Money) {
        self.0 -= other.0;
    }
}
impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Money>>(items: I) -> Money {
        items.fold(Money::ZERO, |sum, item| sum + item)
    }
}
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100)
    }
}
