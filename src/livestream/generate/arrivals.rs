//! The arrivals of generated events: all random decisions about them, before any JSON is written.
//!
//! Each second of event time is generated at once, and each event is put on a calendar under the second of
//! its arrival. When all events that can arrive in a second have been generated, that second is sorted and
//! returned. So memory is bounded by the greatest delay, however long the duration is.

use std::collections::VecDeque;
use std::sync::Arc;

use super::plan::{Plan, TICK};
use super::planted::{Effect, Plant};
use super::random::{Random, mix};
use super::viewers::{Audience, Viewers};

/// An event that is decided but not written yet. Times are milliseconds since the start.
#[derive(Copy, Clone, Debug)]
pub(super) struct Arrival {
    pub(super) at: u64,
    /// The event's number, unique in the generator; it also seeds the random choice of words and amounts.
    pub(super) id: u64,
    pub(super) time: u64,
    pub(super) stream: u32,
    pub(super) body: Body,
    pub(super) flaw: Flaw,
}

#[derive(Copy, Clone, Debug)]
pub(super) enum Body {
    Chat {
        sour: bool,
    },
    Viewer(Audience),
    Transaction {
        surge: bool,
    },
    Start,
    Change,
    /// The end of a stream, with the minutes that it ran.
    End {
        minutes: u32,
    },
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
    endless: bool,
    tick: u64,
    /// The tick at which this act began. An act is one duration, of which an endless generator has many.
    act_start: u64,
    /// The moments planted in this act.
    plants: Vec<Plant>,
    /// For each stream of the partition, the tick at which it started; `None` while it is not live.
    started: Vec<Option<u64>>,
    /// The number of events generated.
    generated: u64,
    /// The arrivals of this second and of those after it.
    calendar: VecDeque<Vec<Arrival>>,
    viewers: Viewers,
    /// For each stream of the partition, whether its sentiment is negative in this second.
    sour: Vec<bool>,
}

impl Arrivals {
    pub(super) fn new(plan: Arc<Plan>, partition: usize, endless: bool) -> Self {
        let share = &plan.shares[partition];
        let streams = share.streams.len();
        Self {
            partition,
            endless,
            tick: 0,
            act_start: 0,
            plants: share.plants.clone(),
            started: vec![None; streams],
            generated: 0,
            calendar: VecDeque::new(),
            viewers: Viewers::new(&plan, partition),
            sour: vec![false; streams],
            plan,
        }
    }

    /// Replaces `arrivals` by the arrivals of the next second, unsorted. Returns `false` if there are no
    /// more.
    pub(super) fn next_second(&mut self, arrivals: &mut Vec<Arrival>) -> bool {
        let plan = Arc::clone(&self.plan);
        arrivals.clear();
        let ended = !self.endless && self.tick >= plan.ticks;
        if ended && self.calendar.is_empty() {
            return false;
        }
        if !ended {
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
        if self.tick - self.act_start == plan.ticks {
            self.act_start = self.tick;
            self.plants = share.of(&plan.replant(self.tick / plan.ticks));
        }
        let tick = self.tick - self.act_start;
        for plant in self.plants.iter().filter(|plant| plant.effect == Effect::SentimentShift) {
            if let Ok(index) = share.streams.binary_search(&plant.stream) {
                self.sour[index] = plant.is_active(tick);
            }
        }
        if tick == 0 && plan.config.metadata {
            for (index, &stream) in share.streams.iter().enumerate() {
                if self.started[index].is_none() {
                    self.started[index] = Some(self.tick);
                    let (id, random) = self.draw(plan);
                    self.put(plan, id, random, stream, Body::Start);
                }
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
        let (mut viewers, plants) = (std::mem::take(&mut self.viewers), std::mem::take(&mut self.plants));
        viewers.report(plan, &plants, self.tick, tick, |stream, audience| {
            let (id, random) = self.draw(plan);
            self.put(plan, id, random, stream, Body::Viewer(audience));
        });
        (self.viewers, self.plants) = (viewers, plants);
        for _ in 0..plan.due(share.changes, tick) {
            let (id, mut random) = self.draw(plan);
            let stream = share.streams[random.below(share.streams.len() as u64) as usize];
            self.put(plan, id, random, stream, Body::Change);
        }
        if tick + 1 == plan.ticks && plan.config.metadata {
            for (index, &stream) in share.streams.iter().enumerate() {
                let (id, mut random) = self.draw(plan);
                if random.happens(plan.ending) {
                    let lived = self.started[index].take().map_or(0, |started| self.tick + 1 - started);
                    let minutes = u32::try_from(lived * TICK / 60_000).unwrap_or(u32::MAX);
                    self.put(plan, id, random, stream, Body::End { minutes });
                }
            }
        }
    }

    /// The additional events of planted moments.
    fn extras(&mut self, plan: &Plan) {
        let chats = plan.config.events_per_second * plan.ticks as f64;
        let tick = self.tick - self.act_start;
        let plants = std::mem::take(&mut self.plants);
        for plant in plants.iter().filter(|plant| plant.is_active(tick)) {
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
        self.plants = plants;
    }

    /// The id of the next event, and its own random numbers.
    fn draw(&mut self, plan: &Plan) -> (u64, Random) {
        let number = (self.partition as u64) << 48 | self.generated;
        self.generated += 1;
        // The function is a bijection, so no two events share an id.
        let id = mix(mix(plan.config.seed).wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        (id, Random::new(id))
    }

    /// Decides when in this second the event happens, when it arrives, and which flaw it has.
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
            let end = if self.endless { u64::MAX } else { plan.ticks * TICK };
            let left = end.saturating_sub(time);
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
