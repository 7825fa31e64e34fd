//! Answers of a pipeline elsewhere: its tables in Postgres, and what it tells through Redis.

mod across;
mod channel;
mod filter;
mod operations;
mod pool;
mod tables;

use std::cmp::Ordering;

use anyhow::bail;
use telemetra::core::{EventTime, Shard};
use telemetra::http::Feed;
use tokio::time::{Duration, Instant, sleep};

pub(crate) use channel::Channel;
pub(crate) use tables::Tables;

use super::across::{AcrossQuery, LinesQuery, Point};
use super::{
    Answer, Component, MetricsQuery, MomentQuery, Order, Overview, Snapshot, Store, StreamQuery, Update,
};
use crate::server::model::{Metrics, MomentInfo, StreamInfo, Time};
use crate::server::operations::{Letter, LettersQuery, Operations};

/// How long the tables may be behind what Redis told.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) struct Servers {
    pub(crate) tables: Tables,
    pub(crate) channel: Channel,
}

/// How far each shard of the tables is. A shard that has not begun has no time.
#[derive(Clone, Debug, Default)]
struct Shards(Vec<Option<EventTime>>);

impl Shards {
    /// The time that all have reached.
    fn as_of(&self) -> Option<EventTime> {
        self.0.iter().min().copied().flatten()
    }

    fn of(&self, stream: Option<&str>) -> Option<EventTime> {
        match stream {
            _ if self.0.is_empty() => None,
            Some(stream) => self.0[Shard::index_of(stream, self.0.len())],
            // Where one has nothing to do, its time may stand still.
            None => self.0.iter().max().copied().flatten(),
        }
    }
}

impl Servers {
    /// Waits until the tables have what Redis told before: the two are written apart.
    async fn reach(&self, stream: Option<&str>, told: Option<EventTime>) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.tables.shards().await?.of(stream) < told {
            if began.elapsed() > PATIENCE {
                bail!("the tables are behind what redis told as of {}", told.unwrap_or_default());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Store for Servers {
    fn as_of(&self) -> Answer<'_, Option<EventTime>> {
        Box::pin(async { Ok(self.tables.shards().await?.as_of()) })
    }

    fn components(&self) -> Answer<'_, Vec<Component>> {
        Box::pin(async {
            // At once: both may take their time to be found down.
            let (postgres, redis) = tokio::join!(self.tables.shards(), self.channel.check());
            Ok(vec![Component::new("postgres", postgres.map(drop)), Component::new("redis", redis)])
        })
    }

    fn streams<'a>(&'a self, query: &'a StreamQuery) -> Answer<'a, (Vec<StreamInfo>, u64)> {
        Box::pin(async {
            let (shards, mut streams) = self.tables.streams(None).await?;
            streams.retain(|stream| is_wanted(stream, query, shards.as_of()));
            streams.sort_by(|a, b| rank(a, b, query.order));
            let total = streams.len() as u64;
            let page =
                streams.into_iter().skip(usize::try_from(query.offset)?).take(usize::try_from(query.limit)?);
            Ok((page.collect(), total))
        })
    }

    fn stream<'a>(&'a self, id: &'a str) -> Answer<'a, Option<StreamInfo>> {
        Box::pin(async { Ok(self.tables.streams(Some(id)).await?.1.pop()) })
    }

    fn metrics<'a>(
        &'a self,
        id: &'a str,
        query: &'a MetricsQuery,
    ) -> Answer<'a, Option<(Vec<Metrics>, bool)>> {
        Box::pin(self.tables.metrics(id, query))
    }

    fn moments<'a>(
        &'a self,
        id: &'a str,
        query: &'a MomentQuery,
    ) -> Answer<'a, Option<(Vec<MomentInfo>, bool)>> {
        Box::pin(self.tables.moments(id, query))
    }

    fn all_moments<'a>(&'a self, query: &'a AcrossQuery) -> Answer<'a, (Vec<MomentInfo>, bool)> {
        Box::pin(self.tables.all_moments(query))
    }

    fn lines<'a>(&'a self, query: &'a LinesQuery) -> Answer<'a, Vec<Point>> {
        Box::pin(self.tables.lines(query))
    }

    fn snapshot<'a>(&'a self, id: &'a str, history: u64, told: Option<EventTime>) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            self.reach(Some(id), told).await?;
            let (shards, stream, metrics, moments) = self.tables.snapshot(id, history).await?;
            Ok(Snapshot { as_of: shards.as_of(), updated: shards.of(Some(id)), stream, metrics, moments })
        })
    }

    fn overview(&self, told: Option<EventTime>) -> Answer<'_, Overview> {
        Box::pin(async move {
            self.reach(None, told).await?;
            let (shards, streams) = self.tables.streams(None).await?;
            let moments = self.tables.open_moments().await?;
            let known =
                |stream: &StreamInfo| Some((stream.stream_id.clone(), shards.of(Some(&stream.stream_id))?));
            Ok(Overview {
                as_of: shards.as_of(),
                known: streams.iter().filter_map(known).collect(),
                streams,
                moments,
            })
        })
    }

    /// The tables do not say what was withdrawn.
    fn changes_since<'a>(
        &'a self,
        _id: Option<&'a str>,
        _since: EventTime,
    ) -> Answer<'a, Option<Vec<Update>>> {
        Box::pin(async { Ok(None) })
    }

    fn operations(&self) -> Answer<'_, Operations> {
        Box::pin(self.tables.operations())
    }

    fn letters<'a>(&'a self, query: &'a LettersQuery) -> Answer<'a, (Vec<Letter>, bool)> {
        Box::pin(self.tables.letters(query))
    }

    fn feed(&self) -> Box<dyn Feed> {
        self.channel.feed()
    }
}

fn is_wanted(stream: &StreamInfo, query: &StreamQuery, as_of: Option<EventTime>) -> bool {
    let live = !query.live || stream.counts_as_live(as_of);
    let texts =
        [Some(&stream.stream_id), Some(&stream.name), stream.title.as_ref(), stream.category.as_ref()];
    let has = |search: &String| texts.into_iter().flatten().any(|text| text.to_lowercase().contains(search));
    live && query.search.as_ref().is_none_or(has)
}

fn rank(a: &StreamInfo, b: &StreamInfo, order: Order) -> Ordering {
    let level = |stream: &StreamInfo| match (order, &stream.current) {
        (Order::Rate, Some(current)) => current.chat_rate,
        (Order::Viewers, Some(current)) => current.avg_viewers.unwrap_or(0.0),
        _ => 0.0,
    };
    level(b).total_cmp(&level(a)).then_with(|| a.stream_id.cmp(&b.stream_id))
}

/// The newest window, if it ended less than a window before `as_of`: else the stream is silent.
fn current(newest: Option<Metrics>, as_of: Option<EventTime>) -> Option<Metrics> {
    newest.filter(|metrics| {
        let (Time(start), Time(end)) = (metrics.window_start, metrics.window_end);
        as_of.is_some_and(|as_of| as_of - end < end - start)
    })
}
