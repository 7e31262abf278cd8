//! simrs: one component that schedules events of its own. The shop stands in a cell of the component, which costs less than
//! the engine's store of values by key.

use crate::shop::{Event, FIRST, Shop, Tally};
use simrs::{Component, ComponentId, Executor, Scheduler, Simulation, State};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

struct Desk(Rc<RefCell<Shop>>);

impl Component for Desk {
    type Event = Event;

    fn process_event(&self, self_id: ComponentId<Event>, event: &Event, scheduler: &mut Scheduler, _: &mut State) {
        let now = scheduler.time().as_nanos() as u64;
        self.0.borrow_mut().happen(now, *event, |delay, event| scheduler.schedule(Duration::from_nanos(delay), self_id, event));
    }
}

pub fn run(shop: Shop) -> Tally {
    let shop = Rc::new(RefCell::new(shop));
    let mut simulation = Simulation::default();
    let desk = simulation.add_component(Desk(shop.clone()));
    simulation.schedule(Duration::ZERO, desk, FIRST);
    simulation.execute(Executor::unbound());
    shop.borrow().tally
}
