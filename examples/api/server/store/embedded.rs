//! Answers of a pipeline in this process: the newest from memory, older ones from SQLite.

mod across;
mod feed;
mod operations;
mod ranked;

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use telemetra::core::{EventTime, Summary};
use telemetra::http::{self, Feed, Known, Position, Routes};
use telemetra::livestream::{self, StreamId, StreamSummary};
use telemetra::ops::{Drain, PipelineStatus, Report, Running};
use telemetra::sinks::{LiveReader, Published, SubjectView};

use feed::{LiveFeed, update};

use super::across::{AcrossQuery, LinesQuery, Point};
use super::archive::Archive;
use super::{
    Answer, Component, Cursor, MetricsQuery, MomentQuery, NotResumed, Order, Overview, Since, Snapshot,
    Store, StreamQuery, oldest_first, page,
};
use crate::server::model::{Metrics, MomentInfo, StreamInfo, StreamRow};
use crate::server::operations::{Letter, LettersQuery, Operations};
use crate::server::presence::Presence;

/// The number of updates that may wait: a whole window of very many streams.
const WAITING: usize = 1 << 16;

type View = SubjectView<StreamSummary, StreamId>;
type Reader = LiveReader<StreamSummary, StreamId>;

pub(crate) struct Embedded {
    reader: Reader,
    archive: Archive,
    running: Mutex<Option<Running>>,
    /// The time that was durable when it was last looked at, in milliseconds.
    durable: AtomicU64,
    run: Arc<str>,
}

impl Embedded {
    pub(crate) fn new(reader: Reader, archive: Archive, running: Running) -> Self {
        let (running, durable) = (Mutex::new(Some(running)), AtomicU64::new(0));
        Self { reader, archive, running, durable, run: http::new_run_id() }
    }

    /// The position at which all streams are known up to a time.
    fn at(&self, time: EventTime) -> Position {
        Position::new(Arc::clone(&self.run), time)
    }

    /// The status of the pipeline; `None` once it was stopped.
    pub(crate) fn status(&self) -> Option<PipelineStatus> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Running::status)
    }

    /// Finishes what was read. Blocks until it is durable.
    pub(crate) fn stop(&self) -> anyhow::Result<Option<Report>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(running.map(|running| running.drain(Drain::CloseWindows)).transpose()?)
    }

    /// The time that answers have reached. Where nothing changes, the view gets nothing; then the frontier knows more.
    fn reached(&self) -> Option<EventTime> {
        let durable = EventTime(self.durable.load(Ordering::Relaxed));
        let before = (durable > EventTime::MIN).then(|| durable.minus(1));
        self.reader.as_of().max(before)
    }

    /// The newest window, if it ended less than a window ago: else the stream is silent.
    fn current<'v>(&self, view: &'v View) -> Option<Published<&'v Summary<StreamSummary>>> {
        let newest = view.published_windows().next_back()?;
        let window = newest.row.window;
        let silence = self.reached()? - window.end;
        (silence < window.end - window.start).then_some(newest)
    }

    fn info(&self, id: &str, view: &View) -> StreamInfo {
        let row = view.row::<livestream::StreamRow>().map(StreamRow::from);
        let is_live = row.as_ref().and_then(|row| row.is_live);
        let current = self.current(view).map(Metrics::from);
        StreamInfo {
            stream_id: id.to_string(),
            name: row.as_ref().map_or_else(|| id.to_string(), |row| row.name.clone()),
            title: row.as_ref().and_then(|row| row.title.clone()),
            category: row.as_ref().and_then(|row| row.category.clone()),
            is_live,
            presence: Presence::of(is_live, current.is_some()),
            silent_since: if current.is_some() { None } else { Some(last_event(view).into()) },
            started_at: row.as_ref().and_then(|row| row.started_at),
            ended_at: row.as_ref().and_then(|row| row.ended_at),
            updated_at: view.updated().into(),
            open_moments: view.moments().filter(|moment| moment.open).count() as u64,
            current,
        }
    }

    /// Whether windows that ended, or moments that began, from then on are all in memory.
    fn is_recent(&self, from: Option<EventTime>) -> bool {
        from.is_some_and(|from| self.reader.known_since().is_some_and(|since| from >= since))
    }
}

/// When a stream last had an event, to within a window; where its windows are no longer in memory, when it last changed.
fn last_event(view: &View) -> EventTime {
    view.published_windows()
        .next_back()
        .map_or_else(|| view.updated(), |newest| newest.row.window.start.or_epoch())
}

impl Store for Embedded {
    fn as_of(&self) -> Answer<'_, Option<EventTime>> {
        Box::pin(async {
            if let Some(status) = self.status().filter(|status| status.durable < EventTime::MAX) {
                self.durable.store(status.durable.0, Ordering::Relaxed);
            }
            Ok(self.reached())
        })
    }

    fn components(&self) -> Answer<'_, Vec<Component>> {
        Box::pin(async {
            let pipeline = match self.status() {
                None => Err(anyhow!("it was stopped")),
                Some(PipelineStatus { failure: Some(failure), .. }) => Err(anyhow!(failure)),
                Some(_) => Ok(()),
            };
            let sqlite = self.archive.check().await;
            Ok(vec![Component::new("pipeline", pipeline), Component::new("sqlite", sqlite)])
        })
    }

    fn streams<'a>(&'a self, query: &'a StreamQuery) -> Answer<'a, (Vec<StreamInfo>, u64)> {
        Box::pin(async {
            let found = self.ranked(query);
            let page = found.iter().skip(usize::try_from(query.offset)?).take(usize::try_from(query.limit)?);
            Ok((page.map(|(id, view)| self.info(id, view)).collect(), found.len() as u64))
        })
    }

    fn stream<'a>(&'a self, id: &'a str) -> Answer<'a, Option<StreamInfo>> {
        Box::pin(async move { Ok(self.reader.subject(id).map(|view| self.info(id, &view))) })
    }

    fn metrics<'a>(
        &'a self,
        id: &'a str,
        query: &'a MetricsQuery,
    ) -> Answer<'a, Option<(Vec<Metrics>, bool)>> {
        Box::pin(async move {
            let Some(view) = self.reader.subject(id) else { return self.archive.metrics(id, query).await };
            let wanted = view.published_windows().rev().filter(|known| {
                let end = known.row.window.end;
                query.from.is_none_or(|from| end >= from)
                    && query.to.is_none_or(|to| end < to)
                    && end.0.is_multiple_of(query.resolution)
            });
            let windows: Vec<_> = wanted.take(query.limit + 1).map(Metrics::from).collect();
            if !self.is_recent(query.from.max(windows.get(query.limit).map(|window| window.window_end.0))) {
                return self.archive.metrics(id, query).await;
            }
            Ok(Some(oldest_first(page(windows, query.limit))))
        })
    }

    fn moments<'a>(
        &'a self,
        id: &'a str,
        query: &'a MomentQuery,
    ) -> Answer<'a, Option<(Vec<MomentInfo>, bool)>> {
        Box::pin(async move {
            let Some(view) = self.reader.subject(id) else { return self.archive.moments(id, query).await };
            let asked = &query.filter;
            let wanted = view.published_moments().filter(|known| {
                let moment = known.row;
                asked.from.is_none_or(|from| moment.started_at >= from)
                    && asked.to.is_none_or(|to| moment.started_at < to)
                    && (moment.open || !asked.open)
                    && asked
                        .max_chance
                        .is_none_or(|most| moment.chance.is_some_and(|chance| chance.to_f64() <= most))
                    && asked.moment_type.as_deref().is_none_or(|wanted| *moment.moment_type == *wanted)
            });
            let mut moments: Vec<_> = wanted.map(MomentInfo::from).collect();
            if let Some(Cursor { started_at, moment_id }) = &query.cursor {
                moments.retain(|known| (known.started_at.0, &known.moment_id) < (*started_at, moment_id));
            }
            moments.sort_by(|a, b| (b.started_at, &b.moment_id).cmp(&(a.started_at, &a.moment_id)));
            let first = query.filter.from.max(moments.get(query.limit).map(|moment| moment.started_at.0));
            // All open ones are in memory, however long ago they began.
            if !query.filter.open && !self.is_recent(first) {
                return self.archive.moments(id, query).await;
            }
            Ok(Some(page(moments, query.limit)))
        })
    }

    /// All from the tables, as they have an order across streams.
    fn all_moments<'a>(&'a self, query: &'a AcrossQuery) -> Answer<'a, (Vec<MomentInfo>, bool)> {
        Box::pin(self.archive.all_moments(query))
    }

    fn lines<'a>(&'a self, query: &'a LinesQuery) -> Answer<'a, Vec<Point>> {
        Box::pin(async { Ok(self.lines_of(query)) })
    }

    fn snapshot<'a>(&'a self, id: &'a str, history: u64, _latest: Option<EventTime>) -> Answer<'a, Snapshot> {
        Box::pin(async move {
            let as_of = self.reached();
            let Some(view) = self.reader.subject(id) else {
                return Ok(Snapshot { as_of, ..Snapshot::default() });
            };
            let since = view.updated().max(as_of.unwrap_or_default()).minus(history);
            let windows = view.published_windows().filter(|known| known.row.window.end >= since);
            let moments = view.published_moments();
            let mut moments: Vec<_> = moments
                .filter(|known| known.row.ended_at().is_none_or(|end| end >= since))
                .map(MomentInfo::from)
                .collect();
            moments.sort_by_key(|moment| Reverse(moment.started_at));
            Ok(Snapshot {
                as_of,
                at: Some(self.at(view.updated())),
                stream: Some(self.info(id, &view)),
                metrics: windows.map(Metrics::from).collect(),
                moments,
            })
        })
    }

    fn overview(&self, _latest: Option<EventTime>) -> Answer<'_, Overview> {
        Box::pin(async {
            let as_of = self.reached();
            let all =
                StreamQuery { order: Order::Rate, live: false, search: None, offset: 0, limit: u64::MAX };
            let found = self.ranked(&all);
            let open =
                found.iter().flat_map(|(_, view)| view.published_moments().filter(|known| known.row.open));
            let mut moments: Vec<_> = open.map(MomentInfo::from).collect();
            moments.sort_by_key(|moment| Reverse(moment.started_at));
            let by_key = found.iter().map(|(id, view)| ((&**id).into(), view.updated())).collect();
            let known = Known { all: None, by_key };
            let streams = found.iter().map(|(id, view)| self.info(id, view)).collect();
            Ok(Overview { as_of, at: as_of.map(|time| self.at(time)), known, streams, moments })
        })
    }

    fn changes_since<'a>(&'a self, id: Option<&'a str>, from: &'a Position) -> Answer<'a, Since> {
        Box::pin(async move {
            if from.run() != &*self.run || from.shards() != 1 {
                return Ok(Since::Refused(NotResumed::OtherLife));
            }
            // First: what is newer comes by the feed.
            let (Some(since), Some(as_of)) = (from.complete(), self.as_of().await?) else {
                return Ok(Since::Refused(NotResumed::TooOld));
            };
            let ids = match id {
                Some(id) => vec![Arc::from(id)],
                None => self.reader.subjects().into_iter().map(|(id, _)| id).collect(),
            };
            let mut updates = Vec::new();
            for id in ids {
                let Some(changes) = self.reader.changes_since(&id, since) else {
                    return Ok(Since::Refused(NotResumed::TooOld));
                };
                updates.extend(changes.iter().map(|changed| update(&self.run, changed)));
            }
            updates.retain(|update| update.time <= as_of && !from.has(&update.stream_id, update.time));
            updates.sort_by(|a, b| (a.time, &a.stream_id).cmp(&(b.time, &b.stream_id)));
            Ok(Since::Known { as_of: Some(as_of), updates, known: self.at(as_of) })
        })
    }

    fn run(&self) -> Answer<'_, Option<Arc<str>>> {
        Box::pin(async { Ok(Some(Arc::clone(&self.run))) })
    }

    fn operations(&self) -> Answer<'_, Operations> {
        Box::pin(self.operate())
    }

    fn letters<'a>(&'a self, query: &'a LettersQuery) -> Answer<'a, (Vec<Letter>, bool)> {
        Box::pin(self.archive.letters(query))
    }

    fn feed(&self) -> Box<dyn Feed> {
        Box::new(LiveFeed { changes: self.reader.subscribe(WAITING), run: Arc::clone(&self.run) })
    }

    fn view(&self) -> Option<Routes> {
        Some(http::router(self.reader.clone()))
    }
}
