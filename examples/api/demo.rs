//! A source of one's own: made-up streams, first their past as fast as it goes, then their present in real time.

use std::time::Duration;

use anyhow::Result;
use telemetra::core::{Clock, EventTime, ExternalError, Partition, PartitionId, Polled, RecordBatch, Source};
use telemetra::livestream::generate::{Feed, Generator, GeneratorConfig, Planting};

use crate::settings::Settings;

/// The longest pause before the clock is looked at again.
const PAUSE: u64 = 50;
const ACT: u64 = 30 * 60_000;

const STREAMS: [&str; 24] = [
    "midnight_arcade",
    "ada_codes",
    "chess_with_vera",
    "speedrun_sam",
    "lofi_kitchen",
    "raid_night",
    "pixel_potter",
    "trailcam_live",
    "retro_rita",
    "synth_garden",
    "quiz_o_clock",
    "board_game_barn",
    "cosmic_cartographer",
    "the_daily_boss",
    "knit_and_chat",
    "drone_over_fjords",
    "vinyl_vault",
    "rustacean_station",
    "tiny_farm",
    "karaoke_kai",
    "sketchbook_sue",
    "puzzle_parlour",
    "orbital_mechanic",
    "bread_at_dawn",
];

pub(crate) struct Demo {
    generator: Generator,
    clock: Clock,
}

impl Demo {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Result<Self> {
        let streams = settings.streams;
        // Few streams have too little traffic for many moments.
        let few = (streams / 3).min(8);
        let start = EventTime(clock.now().0 / 1000 * 1000).minus(settings.history);
        let generator = Generator::new(GeneratorConfig {
            seed: settings.seed,
            streams,
            stream_ids: STREAMS.iter().take(streams as usize).map(|&id| id.to_owned()).collect(),
            zipf_exponent: 0.6,
            start,
            duration_ms: ACT,
            endless: true,
            events_per_second: settings.rate,
            partitions: 2,
            viewer_interval_ms: 5_000,
            raids_per_hour: 1.0,
            drops_per_hour: 0.5,
            transaction_ratio: 0.02,
            // A correction now and then, rather than of every window.
            late_ratio: 0.000_5,
            changes_per_hour: 2.0,
            stream_end_ratio: 0.1,
            planted: Planting {
                chat_spikes: few,
                spike_factor: 2.5,
                viewer_surges: few / 2,
                surge_factor: 1.8,
                viewer_drops: few / 2,
                donation_surges: 0,
                sentiment_shifts: few / 2,
                ..Planting::default()
            },
            ..GeneratorConfig::default()
        })?;
        Ok(Self { generator, clock })
    }
}

impl Source for Demo {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        self.generator.partitions()
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        let ids = self.partitions()?;
        let index = ids.iter().position(|known| known == id).and_then(|index| u32::try_from(index).ok());
        let feed = index.and_then(|index| self.generator.feed(index)).ok_or_else(|| {
            ExternalError::permanent(format!("cannot open the partition `{id}`: the demo has {}", ids.len()))
        })?;
        let mut paced = Paced { feed, clock: self.clock.clone(), bytes: Vec::new(), due: None, next: 0 };
        paced.look();
        while paced.next < from.unwrap_or(0) && paced.due.is_some() {
            paced.next += 1;
            paced.look();
        }
        Ok(Box::new(paced))
    }
}

/// A partition whose records are given when they arrive.
struct Paced {
    feed: Feed,
    clock: Clock,
    /// The next record, and when it arrives.
    bytes: Vec<u8>,
    due: Option<EventTime>,
    next: u64,
}

impl Paced {
    fn look(&mut self) {
        self.bytes.clear();
        self.due = self.feed.next(&mut self.bytes).map(|record| record.arrives_at);
    }
}

impl Partition for Paced {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        let (now, before) = (self.clock.now(), self.next);
        while !batch.is_full() {
            match self.due {
                Some(due) if due <= now => {
                    batch.push(&self.bytes, self.next);
                    self.next += 1;
                    self.look();
                }
                // What was taken goes on its way first.
                _ if self.next > before => break,
                Some(due) => return Ok(Polled::Idle(Duration::from_millis((due - now).min(PAUSE)))),
                None => return Ok(Polled::Done),
            }
        }
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.next
    }
}
