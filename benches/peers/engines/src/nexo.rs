//! nexosim on one thread, its fastest setting here: one model that schedules events on itself, so that no message has to pass
//! between models.

use crate::shop::{Event, FIRST, Shop, Tally};
use nexosim::model::{Context, Model, schedulable};
use nexosim::simulation::{Mailbox, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Desk {
    shop: Shop,
    orders: u32,
    /// the result, once the last order is delivered
    #[serde(skip)]
    result: Arc<Mutex<Tally>>,
}

#[Model]
impl Desk {
    #[nexosim(init)]
    async fn begin(&mut self, context: &Context<Self>) {
        let _ = context.schedule_event(Duration::from_nanos(1), schedulable!(Self::happen), FIRST);
    }

    #[nexosim(schedulable)]
    fn happen(&mut self, event: Event, context: &Context<Self>) {
        let now = context.time().duration_since(MonotonicTime::EPOCH).as_nanos() as u64;
        self.shop.happen(now, event, |delay, event| {
            let _ = context.schedule_event(Duration::from_nanos(delay), schedulable!(Self::happen), event);
        });
        if self.shop.tally.delivered == self.orders
            && let Ok(mut result) = self.result.lock()
        {
            *result = self.shop.tally;
        }
    }
}

pub fn run(shop: Shop) -> Tally {
    let result: Arc<Mutex<Tally>> = Arc::default();
    let desk = Desk { orders: shop.orders(), shop, result: result.clone() };
    let simulation = SimInit::with_num_threads(1).add_model(desk, Mailbox::new(), "desk").init(MonotonicTime::EPOCH);
    if let Ok(mut simulation) = simulation {
        let _ = simulation.run();
    }
    result.lock().map(|tally| *tally).unwrap_or_default()
}
