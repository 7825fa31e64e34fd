//! Answers of a pipeline elsewhere: its tables in Postgres, and what it tells through Redis.

mod across;
mod channel;
mod filter;
mod log;
mod operations;
mod pool;
mod tables;

use std::cmp::Ordering;
use std::sync::Arc;

use anyhow::bail;
use telemetra::core::{EventTime, Shard};
use telemetra::http::{Feed, Known, Position};
use tokio::time::{Duration, Instant, sleep};

pub(crate) use channel::Channel;
pub(crate) use tables::Tables;

use super::across::{AcrossQuery, LinesQuery, Point};
use super::{
    Answer, Component, MetricsQuery, MomentQuery, NotResumed, Order, Overview, Since, Snapshot, Store,
    StreamQuery,
};
use crate::server::model::{Metrics, MomentInfo, StreamInfo, Time};
use crate::server::operations::{Letter, LettersQuery, Operations};

/// The time by which the tables may be behind the messages in Redis.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) struct Servers {
    pub(crate) tables: Arc<Tables>,
    /// The channel of changes; `None`: they are read from the log of changes among the tables.
    pub(crate) channel: Option<Channel>,
}

/// The progress of each shard of the tables. A shard that has not begun has no time.
#[derive(Clone, Debug, Default)]
struct Shards {
    times: Vec<Option<EventTime>>,
    /// The same, without those of shards that have no row of their own yet.
    own: Vec<Option<EventTime>>,
    /// The log of changes, if one is kept: the run of its positions, and the time after which it has all withdrawals.
    log: Option<(Arc<str>, EventTime)>,
}

impl Shards {
    /// The time that all have reached.
    fn as_of(&self) -> Option<EventTime> {
        self.times.iter().min().copied().flatten()
    }

    fn of(&self, stream: Option<&str>) -> Option<EventTime> {
        match stream {
            _ if self.times.is_empty() => None,
            Some(stream) => self.times[Shard::index_of(stream, self.times.len())],
            // Where one has nothing to do, its time may stand still.
            None => self.times.iter().max().copied().flatten(),
        }
    }

    /// The position in the log that the tables are at; `None` if there is no log.
    fn position(&self) -> Option<Position> {
        self.log.as_ref().map(|(run, _)| Position::of_shards(Arc::clone(run), &self.own))
    }
}

impl Servers {
    /// The position of followers who know everything up to where the tables are, or up to this time.
    fn at(&self, shards: &Shards, time: Option<EventTime>) -> Option<Position> {
        match &self.channel {
            Some(channel) => time.map(|time| Position::new(Arc::clone(&channel.run), time)),
            None => shards.position(),
        }
    }

    /// Waits until the tables have what Redis published before: the two are written apart.
    async fn reach(&self, stream: Option<&str>, latest: Option<EventTime>) -> anyhow::Result<()> {
        // What is in the log is in the tables; after a start over their times are earlier than those before.
        if self.channel.is_none() {
            return Ok(());
        }
        let began = Instant::now();
        while self.tables.shards().await?.of(stream) < latest {
            if began.elapsed() > PATIENCE {
                bail!("the tables are behind what redis published as of {}", latest.unwrap_or_default());
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
            let Some(channel) = &self.channel else {
                let shards = self.tables.shards().await;
                let logs = log::is_kept(shards.as_ref().ok());
                return Ok(vec![
                    Component::new("postgres", shards.map(drop)),
                    Component::new("change log", logs),
                ]);
            };
            let (postgres, redis) = tokio::join!(self.tables.shards(), channel.check());
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

    fn snapshot<'a>(&'a self, id: &'a str, history: u64, latest: Option<EventTime>) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            self.reach(Some(id), latest).await?;
            let (shards, stream, metrics, moments) = self.tables.snapshot(id, history).await?;
            let at = self.at(&shards, shards.of(Some(id)));
            Ok(Snapshot { as_of: shards.as_of(), at, stream, metrics, moments })
        })
    }

    fn overview(&self, latest: Option<EventTime>) -> Answer<'_, Overview> {
        Box::pin(async move {
            self.reach(None, latest).await?;
            let (shards, streams, moments) = self.tables.overview().await?;
            let of = |stream: &StreamInfo| {
                Some((stream.stream_id.as_str().into(), shards.of(Some(&stream.stream_id))?))
            };
            let at = self.at(&shards, shards.as_of());
            let known = match self.channel {
                Some(_) => Known { all: None, by_key: streams.iter().filter_map(of).collect() },
                None => Known { all: at.clone(), ..Known::default() },
            };
            Ok(Overview { as_of: shards.as_of(), at, known, streams, moments })
        })
    }

    /// Messages through Redis are kept nowhere.
    fn changes_since<'a>(&'a self, id: Option<&'a str>, from: &'a Position) -> Answer<'a, Since> {
        Box::pin(async move {
            match self.channel {
                Some(_) => Ok(Since::Refused(NotResumed::NotKept)),
                None => log::since(&self.tables, id, from).await,
            }
        })
    }

    fn run(&self) -> Answer<'_, Option<Arc<str>>> {
        Box::pin(async {
            match &self.channel {
                Some(channel) => Ok(Some(Arc::clone(&channel.run))),
                None => Ok(self.tables.shards().await?.log.map(|(run, _)| run)),
            }
        })
    }

    fn operations(&self) -> Answer<'_, Operations> {
        Box::pin(self.tables.operations())
    }

    fn letters<'a>(&'a self, query: &'a LettersQuery) -> Answer<'a, (Vec<Letter>, bool)> {
        Box::pin(self.tables.letters(query))
    }

    fn feed(&self) -> Box<dyn Feed> {
        match &self.channel {
            Some(channel) => channel.feed(),
            None => Box::new(log::LogFeed::new(Arc::clone(&self.tables))),
        }
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
