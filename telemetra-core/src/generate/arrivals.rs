//! Which events arrive when: everything that decides, without a byte of JSON.
//!
//! Each second of event time is generated in one go, and each event put on a calendar under the second of its
//! arrival. When all that can arrive in a second has been generated, that second is sorted and given. So memory holds the
//! events of the greatest delay, however long the duration.

use std::collections::VecDeque;
use std::sync::Arc;

use super::plan::{Plan, TICK};
use super::planted::Effect;
use super::random::{Random, mix};
use super::viewers::{Audience, Viewers};

/// An event that is decided and not yet written. Times are milliseconds since the start.
#[derive(Copy, Clone, Debug)]
pub(super) struct Arrival {
    pub(super) at: u64,
    /// Unique in the generator; also where the chance comes from that decides on words and amounts.
    pub(super) id: u64,
    pub(super) time: u64,
    pub(super) stream: u32,
    pub(super) body: Body,
    pub(super) flaw: Flaw,
}

#[derive(Copy, Clone, Debug)]
pub(super) enum Body {
    Chat { sour: bool },
    Viewer(Audience),
    Transaction { surge: bool },
    Start,
    Change,
    End,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    Malformed,
    Future,
    /// The second copy of an event.
    Repeat,
}

/// The arrivals of one partition, second by second.
pub(super) struct Arrivals {
    plan: Arc<Plan>,
    partition: usize,
    tick: u64,
    /// How many events were generated.
    generated: u64,
    /// The arrivals of this second and those after it.
    calendar: VecDeque<Vec<Arrival>>,
    viewers: Viewers,
    /// Of each stream of the partition, whether its mood is bad in this second.
    sour: Vec<bool>,
}

impl Arrivals {
    pub(super) fn new(plan: Arc<Plan>, partition: usize) -> Self {
        let sour = vec![false; plan.shares[partition].streams.len()];
        let viewers = Viewers::new(&plan, partition);
        Self { plan, partition, tick: 0, generated: 0, calendar: VecDeque::new(), viewers, sour }
    }

    /// Replaces `arrivals` by those of the next second, unsorted; `false` if there are no more.
    pub(super) fn next_second(&mut self, arrivals: &mut Vec<Arrival>) -> bool {
        let plan = Arc::clone(&self.plan);
        arrivals.clear();
        if self.calendar.is_empty() && self.tick >= plan.ticks {
            return false;
        }
        if self.tick < plan.ticks {
            self.generate(&plan);
        }
        if let Some(mut second) = self.calendar.pop_front() {
            std::mem::swap(arrivals, &mut second);
        }
        self.tick += 1;
        true
    }

    /// The order of arrival in one second.
    pub(super) fn sort(arrivals: &mut [Arrival]) {
        arrivals.sort_unstable_by_key(|arrival| (arrival.at, arrival.id));
    }

    fn generate(&mut self, plan: &Plan) {
        let share = &plan.shares[self.partition];
        let Some(weighted) = &share.weighted else { return };
        let tick = self.tick;
        for plant in share.plants.iter().filter(|plant| plant.effect == Effect::SentimentShift) {
            if let Ok(index) = share.streams.binary_search(&plant.stream) {
                self.sour[index] = plant.is_active(tick);
            }
        }
        if tick == 0 && plan.config.metadata {
            for &stream in &share.streams {
                let (id, random) = self.draw(plan);
                self.put(plan, id, random, stream, Body::Start);
            }
        }
        for _ in 0..plan.due(share.chats, tick) {
            let (id, mut random) = self.draw(plan);
            let index = weighted.of(random.next()) as usize;
            let body = Body::Chat { sour: self.sour[index] };
            self.put(plan, id, random, share.streams[index], body);
        }
        for _ in 0..plan.due(share.transactions, tick) {
            let (id, mut random) = self.draw(plan);
            let index = weighted.of(random.next()) as usize;
            self.put(plan, id, random, share.streams[index], Body::Transaction { surge: false });
        }
        self.extras(plan);
        let mut viewers = std::mem::take(&mut self.viewers);
        viewers.report(plan, &share.plants, tick, |stream, audience| {
            let (id, random) = self.draw(plan);
            self.put(plan, id, random, stream, Body::Viewer(audience));
        });
        self.viewers = viewers;
        for _ in 0..plan.due(share.changes, tick) {
            let (id, mut random) = self.draw(plan);
            let stream = share.streams[random.below(share.streams.len() as u64) as usize];
            self.put(plan, id, random, stream, Body::Change);
        }
        if tick + 1 == plan.ticks && plan.config.metadata {
            for &stream in &share.streams {
                let (id, mut random) = self.draw(plan);
                if random.happens(plan.ending) {
                    self.put(plan, id, random, stream, Body::End);
                }
            }
        }
    }

    /// What planted moments add.
    fn extras(&mut self, plan: &Plan) {
        let chats = plan.config.events_per_second * plan.ticks as f64;
        let tick = self.tick;
        for plant in plan.shares[self.partition].plants.iter().filter(|plant| plant.is_active(tick)) {
            let (total, body) = match plant.effect {
                Effect::ChatSpike => (chats, Body::Chat { sour: false }),
                Effect::DonationSurge => {
                    (chats * plan.config.transaction_ratio, Body::Transaction { surge: true })
                }
                _ => continue,
            };
            for _ in 0..plan.extra(total, plant, tick) {
                let (id, random) = self.draw(plan);
                self.put(plan, id, random, plant.stream, body);
            }
        }
    }

    /// The id of the next event, and chance of its own.
    fn draw(&mut self, plan: &Plan) -> (u64, Random) {
        let number = (self.partition as u64) << 48 | self.generated;
        self.generated += 1;
        // A bijection of the number, so no two events share an id.
        let id = mix(mix(plan.config.seed).wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        (id, Random::new(id))
    }

    /// Decides when in this second the event happens, when it arrives, and what is wrong with it.
    fn put(&mut self, plan: &Plan, id: u64, mut random: Random, stream: u32, body: Body) {
        let (bits, flaws) = (random.next(), &plan.flaws);
        let time = self.tick * TICK + (((bits >> 32) * TICK) >> 32);
        let draw = u64::from(bits as u32);
        let mut arrival =
            Arrival { at: time + plan.delays.of(random.next()), id, time, stream, body, flaw: Flaw::None };
        if draw < flaws.malformed {
            arrival.flaw = Flaw::Malformed;
        } else if draw < flaws.future {
            arrival.flaw = Flaw::Future;
        } else if draw < flaws.too_late {
            let late = draw < flaws.late;
            let (from, to) = if late { plan.config.late_delay_ms } else { plan.config.too_late_delay_ms };
            let left = (plan.ticks * TICK).saturating_sub(time);
            if from <= left {
                arrival.at = time + random.between(from, to.min(left));
            }
        } else if draw < flaws.duplicate {
            self.enter(Arrival { at: arrival.at + random.between(1, 3000), flaw: Flaw::Repeat, ..arrival });
        }
        self.enter(arrival);
    }

    fn enter(&mut self, arrival: Arrival) {
        let ahead = (arrival.at / TICK - self.tick) as usize;
        if self.calendar.len() <= ahead {
            self.calendar.resize_with(ahead + 1, Vec::new);
        }
        self.calendar[ahead].push(arrival);
    }
}
