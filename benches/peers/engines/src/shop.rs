//! The order model, without an engine: what happens at an event, and which events it causes.
//!
//! Every Rust engine runs this very code with the same keyed draws, so their results must agree to the nanosecond, and what
//! differs in time is the engine's.

use orderstorm::sim::{Law, Purpose, Sampler, Seed, Span};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::LazyLock;

const WAREHOUSES: u64 = 8;
const PICKERS: u32 = 200;
const CHOICE: Purpose = Purpose(100);
/// How long until each stage comes, in milliseconds in the mean; the first is the gap to the next order. Twenty orders a second, of 60 s of picking
/// each: 1,200 of 1,600 pickers are busy.
const MEANS: [u64; 9] = [50, 2_000, 500, 200, 5_000, 60_000, 120_000, 1_800_000, 3_000_000];
static LAWS: LazyLock<[Sampler; 9]> = LazyLock::new(|| MEANS.map(|mean| Sampler::new(Law::Exp { mean: Span::from_millis(mean) })));

/// What has just happened to an order. That picking begins is a tenth logical event, at the instant when a picker is free.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Stage {
    Created,
    Paid,
    Reserved,
    Routed,
    Acknowledged,
    Picked,
    Packed,
    Shipped,
    Delivered,
}

impl Stage {
    fn next(self) -> Option<Stage> {
        Some(match self {
            Stage::Created => Stage::Paid,
            Stage::Paid => Stage::Reserved,
            Stage::Reserved => Stage::Routed,
            Stage::Routed => Stage::Acknowledged,
            Stage::Acknowledged => Stage::Picked,
            Stage::Picked => Stage::Packed,
            Stage::Packed => Stage::Shipped,
            Stage::Shipped => Stage::Delivered,
            Stage::Delivered => return None,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Event {
    pub order: u32,
    pub stage: Stage,
}

pub const FIRST: Event = Event { order: 0, stage: Stage::Created };

#[derive(Serialize, Deserialize)]
struct Warehouse {
    free: u32,
    waiting: VecDeque<u32>,
}

#[derive(Clone, Copy, Default, Debug, Serialize, Deserialize)]
pub struct Tally {
    pub delivered: u32,
    pub events: u64,
    lead_ns: u128,
}

impl Tally {
    pub fn mean_lead(&self) -> u64 {
        (self.lead_ns / u128::from(self.delivered.max(1))) as u64
    }
}

#[derive(Serialize, Deserialize)]
pub struct Shop {
    seed: u64,
    orders: u32,
    created: Vec<u64>,
    warehouses: Vec<Warehouse>,
    pub tally: Tally,
}

impl Shop {
    pub fn new(seed: u64, orders: u32) -> Shop {
        let warehouses = (0..WAREHOUSES).map(|_| Warehouse { free: PICKERS, waiting: VecDeque::new() }).collect();
        Shop { seed, orders, created: Vec::new(), warehouses, tally: Tally::default() }
    }

    pub fn orders(&self) -> u32 {
        self.orders
    }

    /// Takes an event at its time, and hands what it causes to `schedule`: the delay in nanoseconds, never zero, and the event.
    #[inline]
    pub fn happen(&mut self, now: u64, event: Event, mut schedule: impl FnMut(u64, Event)) {
        let Event { order, stage } = event;
        self.tally.events += 1;
        match stage {
            Stage::Created => {
                self.created.push(now);
                if order + 1 < self.orders {
                    schedule(self.lasts(order, stage), Event { order: order + 1, stage });
                }
            }
            Stage::Acknowledged => {
                let warehouse = self.warehouse(order);
                if warehouse.free == 0 {
                    warehouse.waiting.push_back(order);
                    return;
                }
                warehouse.free -= 1;
                self.tally.events += 1;
            }
            Stage::Picked => {
                let warehouse = self.warehouse(order);
                if let Some(next) = warehouse.waiting.pop_front() {
                    self.tally.events += 1;
                    self.go_on(next, Stage::Acknowledged, &mut schedule);
                } else {
                    warehouse.free += 1;
                }
            }
            Stage::Delivered => {
                self.tally.delivered += 1;
                self.tally.lead_ns += u128::from(now - self.created[order as usize]);
            }
            _ => {}
        }
        self.go_on(order, stage, &mut schedule);
    }

    #[inline]
    fn go_on(&self, order: u32, stage: Stage, schedule: &mut impl FnMut(u64, Event)) {
        if let Some(next) = stage.next() {
            schedule(self.lasts(order, next), Event { order, stage: next });
        }
    }

    fn warehouse(&mut self, order: u32) -> &mut Warehouse {
        let choice = Seed(self.seed).word(CHOICE, u64::from(order), 0) % WAREHOUSES;
        &mut self.warehouses[choice as usize]
    }

    fn lasts(&self, order: u32, stage: Stage) -> u64 {
        LAWS[stage as usize].sample(Seed(self.seed), Purpose(stage as u16), u64::from(order), 0).0.max(1)
    }
}
