//! The log of changes that a pipeline elsewhere keeps in Postgres: what changed after a position, and a feed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use telemetra::core::EventTime;
use telemetra::http::{Feed, FeedItem, Pending, Position};
use tokio::time::sleep;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::Shards;
use super::tables::{Named, Tables, millis, shards};
use crate::server::model::{Message, Metrics, MomentInfo, MomentKind, WindowKind};
use crate::server::store::{NotResumed, Since, Update};

/// The interval of reading the log.
const EVERY: Duration = Duration::from_millis(100);
/// The most rows that are sent one by one: of more, a snapshot is shorter.
const MOST_ROWS: i64 = 20_000;

/// The rows of a table that changed after a time, and are there.
const CHANGED: &str = "SELECT 'TABLE', stream_id, revision, to_jsonb(t)::text, false,
    (extract(epoch FROM updated_at) * 1000)::bigint FROM TABLE t
    WHERE updated_at > to_timestamp($1::float8 / 1000) AND ($2::text IS NULL OR stream_id = $2) LIMIT $3";
/// The records after a time: the rows that were withdrawn, and those of streams, each once, as it was last.
const RECORDED: &str = "SELECT DISTINCT ON (\"table\", key) \"table\", subject, revision, \"row\"::text,
    action = 'withdraw', (extract(epoch FROM time) * 1000)::bigint FROM telemetra_changes
    WHERE pipeline = $4 AND time > to_timestamp($1::float8 / 1000) AND ($2::text IS NULL OR subject = $2)
        AND \"table\" IN ('chat_summary_minute', 'moments', 'streams')
    ORDER BY \"table\", key, time DESC LIMIT $3";

/// The news of a log after a position.
pub(super) enum Read {
    /// Shard by shard, in the order of time and stream; and the position that they reach.
    Changes(Vec<Update>, Position),
    Refused(NotResumed),
}

impl Tables {
    /// The changes of a stream or of all after a position.
    pub(super) async fn changes(&self, id: Option<&str>, from: &Position) -> Result<(Shards, Read)> {
        self.pool().ask(async |client| self.read(client, id, from).await).await
    }

    async fn read(&self, client: &Client, id: Option<&str>, from: &Position) -> Result<(Shards, Read)> {
        let shards = shards(client, self.pipeline()).await?;
        let read = match fits(&shards, from) {
            Err(why) => Read::Refused(why),
            Ok((since, now)) => match self.rows(client, id, since).await? {
                None => Read::Refused(NotResumed::TooMuch),
                Some(rows) => Read::Changes(updates(rows, &of_stream(id, from, &now), &now)?, now),
            },
        };
        Ok((shards, read))
    }

    /// `None` if there are too many.
    async fn rows(&self, client: &Client, id: Option<&str>, since: EventTime) -> Result<Option<Vec<Row>>> {
        let since = millis(since) as f64;
        let mut found = Vec::new();
        for table in ["chat_summary_minute", "moments", ""] {
            let parameters: [&(dyn ToSql + Sync); 4] = [&since, &id, &(MOST_ROWS + 1), &self.pipeline()];
            found.extend(match table {
                "" => client.query(RECORDED, &parameters).await?,
                table => client.query(&CHANGED.replace("TABLE", table), &parameters[..3]).await?,
            });
            if i64::try_from(found.len())? > MOST_ROWS {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }
}

/// Whether a follower can go on from a position: the time from which to read, and the position that the tables are at.
fn fits(shards: &Shards, from: &Position) -> Result<(EventTime, Position), NotResumed> {
    let (Some(now), Some((_, kept))) = (shards.position(), &shards.log) else {
        return Err(NotResumed::NotKept);
    };
    // Nobody is ahead of the tables, unless they were restored from a copy.
    if !from.is_behind(&now) {
        return Err(NotResumed::OtherLife);
    }
    let since = from.complete_in(&now).filter(|since| since >= kept).ok_or(NotResumed::TooOld)?;
    Ok((since, now))
}

/// The position of who follows one stream: of other shards there is nothing to tell, and their times must not stay behind.
fn of_stream(id: Option<&str>, from: &Position, now: &Position) -> Position {
    let Some(own) = id.map(|id| now.shard(id)) else { return from.clone() };
    (0..now.shards())
        .filter(|shard| *shard != own)
        .fold(from.clone(), |from, shard| from.reaching(shard, now))
}

/// Rows as changes: shard by shard, as a position has one last key.
fn updates(rows: Vec<Row>, from: &Position, now: &Position) -> Result<Vec<Update>> {
    // First the one of which a time is known in part: so there is never more than one.
    let mut shard = from.last_shard();
    let mut by_place: BTreeMap<(bool, usize, EventTime, Arc<str>), Vec<Message>> = BTreeMap::new();
    for row in rows {
        let (stream, time): (&str, EventTime) =
            (row.try_get(1)?, EventTime(row.try_get::<_, i64>(5)?.unsigned_abs()));
        // What a shard has not reached is of a run before, which had come further.
        if !from.has(stream, time) && now.has(stream, time) {
            let (message, of) = (message(&row, stream, time)?, now.shard(stream));
            by_place.entry((Some(of) != shard, of, time, stream.into())).or_default().push(message);
        }
    }
    let (mut at, mut updates) = (from.clone(), Vec::new());
    for ((_, of, time, stream), messages) in by_place {
        // All of the one before is complete.
        if let Some(before) = shard.replace(of).filter(|before| *before != of) {
            at = at.reaching(before, now);
        }
        at = at.after(Arc::clone(&stream), time);
        updates.push(Update { stream_id: stream.to_string(), time, messages, at: at.clone() });
    }
    Ok(updates)
}

fn message(row: &Row, stream: &str, time: EventTime) -> Result<Message> {
    let (table, json, withdrawn): (&str, &str, bool) = (row.try_get(0)?, row.try_get(3)?, row.try_get(4)?);
    let (stream_id, at) = (stream.to_owned(), time.into());
    let revision = u32::try_from(row.try_get::<_, i64>(2)?)?;
    Ok(match table {
        "streams" => {
            let stream = serde_json::from_str::<Named>(json)?.into();
            Message::Stream { stream_id, time: at, stream, cursor: None }
        }
        "chat_summary_minute" => {
            let metrics = Metrics { revision, updated_at: at, ..serde_json::from_str(json)? };
            let kind = WindowKind::of(withdrawn, revision);
            Message::Metrics { stream_id, time: at, revision, kind, metrics, cursor: None }
        }
        "moments" => {
            let moment: MomentInfo = serde_json::from_str(json)?;
            let moment = MomentInfo { revision, updated_at: at, ..moment };
            let kind = MomentKind::of(withdrawn, moment.ended_at.is_none(), revision);
            Message::Moment { stream_id, time: at, revision, kind, moment, cursor: None }
        }
        other => bail!("no follower gets rows of {other}"),
    })
}

/// Whether a pipeline that has begun keeps a log. Of one that has not, nothing is known.
pub(super) fn is_kept(shards: Option<&Shards>) -> Result<()> {
    match shards {
        Some(shards) if shards.log.is_none() && !shards.times.is_empty() => bail!(
            "the pipeline keeps no log of changes; start it with one, or give REDIS_URL to hear of changes there"
        ),
        _ => Ok(()),
    }
}

/// The position that the tables are at; `None` before there is anything.
async fn position(tables: &Tables) -> Result<Option<Position>> {
    let shards = tables.shards().await?;
    is_kept(Some(&shards))?;
    Ok(shards.position())
}

/// Answers a follower who comes back.
pub(super) async fn since(tables: &Tables, id: Option<&str>, from: &Position) -> Result<Since> {
    let (shards, read) = tables.changes(id, from).await?;
    Ok(match read {
        Read::Changes(updates, known) => Since::Known { as_of: shards.as_of(), updates, known },
        Read::Refused(why) => Since::Refused(why),
    })
}

/// The changes from now on, by polling.
pub(super) struct LogFeed {
    tables: Arc<Tables>,
    known: Option<Position>,
    waiting: std::vec::IntoIter<Update>,
    failing: bool,
}

impl LogFeed {
    pub(super) fn new(tables: Arc<Tables>) -> Self {
        Self { tables, known: None, waiting: Vec::new().into_iter(), failing: false }
    }

    /// Asks once. Where it cannot go on, whoever follows begins again, also who came before the first answer.
    async fn ask(&mut self) -> Result<Option<FeedItem>> {
        let Some(known) = &self.known else {
            self.known = position(&self.tables).await?;
            return Ok(self.known.is_some().then_some(FeedItem::Gap));
        };
        // Most of the time nothing has changed, which costs one row.
        if position(&self.tables).await?.as_ref() == Some(known) {
            return Ok(None);
        }
        match self.tables.changes(None, known).await?.1 {
            Read::Changes(updates, now) => {
                self.known = Some(now);
                self.waiting = updates.into_iter();
                Ok(None)
            }
            Read::Refused(_) => {
                self.known = None;
                Ok(None)
            }
        }
    }
}

impl Feed for LogFeed {
    fn next(&mut self) -> Pending<'_, Option<FeedItem>> {
        Box::pin(async {
            loop {
                if let Some(update) = self.waiting.next() {
                    return Some(FeedItem::Changes(update.into_changes()));
                }
                match self.ask().await.context("could not read the log of changes") {
                    Ok(Some(news)) => return Some(news),
                    Ok(None) => self.failing = false,
                    Err(error) if !self.failing => {
                        tracing::warn!("nothing is sent to followers meanwhile: {error:#}");
                        self.failing = true;
                    }
                    Err(_) => {}
                }
                if self.waiting.len() == 0 {
                    sleep(EVERY).await;
                }
            }
        })
    }
}
