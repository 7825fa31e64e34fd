use std::sync::Arc;

use super::arrivals::{Arrival, Arrivals};
use super::plan::Plan;

/// The arrivals of one partition in order.
pub(super) struct Cursor {
    pub(super) plan: Arc<Plan>,
    arrivals: Arrivals,
    /// The arrivals of one second, and the index of the next one.
    second: Vec<Arrival>,
    at: usize,
}

impl Cursor {
    pub(super) fn new(plan: &Arc<Plan>, partition: usize) -> Self {
        Self::with(plan, partition, plan.config.endless)
    }

    /// A cursor over the first act alone, as if it were the only one.
    pub(super) fn of_one_act(plan: &Arc<Plan>, partition: usize) -> Self {
        Self::with(plan, partition, false)
    }

    fn with(plan: &Arc<Plan>, partition: usize, endless: bool) -> Self {
        let arrivals = Arrivals::new(Arc::clone(plan), partition, endless);
        Self { plan: Arc::clone(plan), arrivals, second: Vec::new(), at: 0 }
    }

    pub(super) fn next(&mut self) -> Option<&Arrival> {
        self.peek()?;
        self.at += 1;
        self.second.get(self.at - 1)
    }

    pub(super) fn peek(&mut self) -> Option<&Arrival> {
        while self.at == self.second.len() {
            self.at = 0;
            if !self.arrivals.next_second(&mut self.second) {
                return None;
            }
            Arrivals::sort(&mut self.second);
        }
        self.second.get(self.at)
    }

    /// Skips up to `count` arrivals, and returns how many there were. Only valid at the beginning.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        let mut skipped = 0;
        while skipped < count && self.arrivals.next_second(&mut self.second) {
            let step = (count - skipped).min(self.second.len() as u64);
            skipped += step;
            self.at = step as usize;
        }
        Arrivals::sort(&mut self.second);
        skipped
    }
}
