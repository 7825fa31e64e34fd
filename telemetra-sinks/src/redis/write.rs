//! Builds the Redis commands that write a subject's cached state to its keys.

use std::fmt;
use std::sync::Arc;

use redis::{Cmd, Script};
use telemetra_core::{AnyRow, Change, EventTime, json};

use super::RedisKeys;
use super::cache::Cache;
use super::form::{Board, Form};
use super::message::text;
use super::subject::{Dirty, Subject};
use super::table::Kept;

/// The most row keys that one script writes. A server runs nothing else meanwhile, and the number of
/// arguments is limited.
const ROWS_AT_ONCE: usize = 500;

/// The Lua scripts that write a subject, a leaderboard and the progress.
pub(super) struct Scripts {
    subject: Script,
    board: Script,
    progress: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            subject: Script::new(include_str!("subject.lua")),
            board: Script::new(include_str!("board.lua")),
            progress: Script::new(include_str!("progress.lua")),
        }
    }

    pub(super) fn all(&self) -> [&Script; 3] {
        [&self.subject, &self.board, &self.progress]
    }
}

/// Builds commands from cached rows, by the sink's settings.
pub(super) struct Writer {
    pub(super) scripts: Scripts,
    pub(super) keys: RedisKeys,
    pub(super) forms: Vec<Form>,
    pub(super) boards: Vec<Board>,
    pub(super) most_moments: usize,
    pub(super) ttl_ms: u64,
    pub(super) as_of_ttl_ms: u64,
}

/// The changes of a subject since its keys were last written.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) dirty: Dirty,
    pub(super) messages: Vec<String>,
}

/// The event time of a write, and the greatest time that it may overwrite.
#[derive(Copy, Clone, Debug)]
pub(super) struct Stamp {
    pub(super) time: EventTime,
    pub(super) limit: EventTime,
}

/// The subjects that leave and join a leaderboard.
#[derive(Default)]
pub(super) struct Ranks {
    scores: Vec<(String, Arc<str>)>,
    leave: Vec<Arc<str>>,
}

/// A key that a subject's script writes.
struct Target {
    key: Arc<str>,
    table: usize,
    /// The event time of its last change. How batches were grouped into writes does not show in it.
    time: EventTime,
}

/// Starts an `EVALSHA` command with the keys and the arguments that every script has, and room for `bytes` of
/// others.
fn call<'k>(
    script: &Script,
    keys: impl ExactSizeIterator<Item = &'k str>,
    stamp: Stamp,
    bytes: usize,
) -> Cmd {
    // A hash of some thirty fields, each with its name.
    let mut command = Cmd::with_capacity(96, 512 + bytes);
    command.arg("EVALSHA");
    command.arg(script.get_hash()).arg(keys.len());
    for key in keys {
        command.arg(key);
    }
    command.arg(stamp.time.0).arg(stamp.limit.0);
    command
}

/// A row that cannot be formatted.
pub(super) type Unwritable = Arc<dyn AnyRow>;

impl Writer {
    /// Returns the number of scripts that write the keys of a subject.
    pub(super) fn parts(dirty: &Dirty) -> usize {
        dirty.rows.len().div_ceil(ROWS_AT_ONCE).max(1)
    }

    /// Returns all keys of the subject's windows and moments, and of its known rows.
    pub(super) fn all(&self, subject: &Subject) -> Dirty {
        let of_subjects = |table: &usize| self.forms[*table].kept != Kept::Rows;
        let tables = (0..self.forms.len()).filter(of_subjects).map(|table| (table, EventTime::MIN));
        Dirty {
            tables: tables.collect(),
            rows: subject.row_keys().map(|row| (row, EventTime::MIN)).collect(),
        }
    }

    /// Returns the keys that one script of a subject writes. The keys of tables are in the first script.
    fn targets(&self, subject: &str, dirty: &Dirty, part: usize) -> Vec<Target> {
        let of_subject = dirty.tables.iter().filter(|_| part == 0).map(|(table, time)| {
            let key = self.keys.fill(&self.forms[*table].pattern, subject, None);
            Target { key: key.into(), table: *table, time: *time }
        });
        let rows = dirty.rows.iter().skip(part * ROWS_AT_ONCE).take(ROWS_AT_ONCE);
        of_subject
            .chain(rows.map(|((table, key), time)| Target {
                key: Arc::clone(key),
                table: *table,
                time: *time,
            }))
            .collect()
    }

    /// Returns the keys that one script of a subject writes, each with its type.
    pub(super) fn subject_keys(
        &self,
        subject: &str,
        dirty: &Dirty,
        part: usize,
    ) -> Vec<(String, &'static str)> {
        let mut keys = vec![(self.keys.as_of(subject), "string")];
        keys.extend(self.targets(subject, dirty, part).into_iter().map(|target| {
            let kind = if self.forms[target.table].kept == Kept::Moments { "list" } else { "hash" };
            (target.key.to_string(), kind)
        }));
        keys
    }

    /// Builds the scripts that write a subject's changed keys, and its entries in the leaderboards.
    pub(super) fn subject(
        &self,
        cache: &Cache,
        id: &Arc<str>,
        pending: &Pending,
        stamp: Stamp,
        ranks: &mut [Ranks],
        commands: &mut Vec<Cmd>,
    ) -> Result<(), Unwritable> {
        let subject = cache.get(id);
        let (as_of, parts) = (self.keys.as_of(id), Self::parts(&pending.dirty));
        let as_of_ttl = if subject.is_some_and(Subject::is_lasting) { 0 } else { self.as_of_ttl_ms };
        for part in 0..parts {
            let targets = self.targets(id, &pending.dirty, part);
            let keys: Vec<&str> =
                std::iter::once(&*as_of).chain(targets.iter().map(|target| &*target.key)).collect();
            let messages = if part + 1 == parts { &pending.messages[..] } else { &[] };
            let bytes = 1024 * targets.len() + messages.iter().map(String::len).sum::<usize>();
            let mut command = call(&self.scripts.subject, keys.into_iter(), stamp, bytes);
            command.arg(as_of_ttl);
            for Target { key, table, time } in &targets {
                // A key that is written anew without a change of its own is as of now.
                let time = if *time > EventTime::MIN { *time } else { stamp.time };
                match self.forms[*table].kept {
                    Kept::Latest => self.latest(cache, id, *table, time, ranks, &mut command)?,
                    Kept::Moments => self.moments(subject, *table, &mut command)?,
                    Kept::Rows => self.row(subject, *table, key, time, &mut command)?,
                }
            }
            command.arg(self.keys.live(id));
            // Messages follow once all keys are written.
            command.arg(messages);
            commands.push(command);
        }
        Ok(())
    }

    /// Appends the hash of a subject's newest window.
    fn latest(
        &self,
        cache: &Cache,
        id: &Arc<str>,
        table: usize,
        time: EventTime,
        ranks: &mut [Ranks],
        command: &mut Cmd,
    ) -> Result<(), Unwritable> {
        let latest = cache.get(id).and_then(|subject| subject.latest(table));
        let is_ranked = latest.is_some_and(|(end, _)| cache.is_ranked(end));
        let mut scores = vec![None; self.boards.len()];
        self.hash(latest.map(|(_, change)| change), table, self.ttl_ms, time, command, |place, text| {
            for (board, score) in self.boards.iter().zip(&mut scores) {
                if is_ranked && (board.table, board.column) == (table, place) {
                    *score = Some(text.to_owned());
                }
            }
        })?;
        for ((board, ranks), score) in self.boards.iter().zip(ranks).zip(scores) {
            match score {
                _ if board.table != table => {}
                Some(score) => ranks.scores.push((score, Arc::clone(id))),
                None => ranks.leave.push(Arc::clone(id)),
            }
        }
        Ok(())
    }

    /// Appends the list of a subject's moments.
    fn moments(&self, subject: Option<&Subject>, table: usize, command: &mut Cmd) -> Result<(), Unwritable> {
        let mut rows = Vec::new();
        let moments = subject.into_iter().flat_map(|subject| subject.moments(table));
        for change in moments.take(self.most_moments) {
            let mut row = String::with_capacity(512);
            self.forms[table].columns.object(&mut row, change).map_err(|_| Arc::clone(&change.row))?;
            rows.push(row);
        }
        command.arg("RPUSH").arg(self.ttl_ms).arg(rows.len()).arg(rows);
        Ok(())
    }

    /// Appends the hash of a row.
    fn row(
        &self,
        subject: Option<&Subject>,
        table: usize,
        key: &str,
        time: EventTime,
        command: &mut Cmd,
    ) -> Result<(), Unwritable> {
        let row = subject.and_then(|subject| subject.row(table, key));
        let ttl = if row.is_some_and(|(is_lasting, _)| is_lasting) { 0 } else { self.ttl_ms };
        self.hash(row.map(|(_, change)| change), table, ttl, time, command, |_, _| {})
    }

    /// Appends a hash with the columns of a row and the time; `see` receives the index and text of each
    /// column.
    fn hash(
        &self,
        change: Option<&Change>,
        table: usize,
        ttl_ms: u64,
        time: EventTime,
        command: &mut Cmd,
        mut see: impl FnMut(usize, &str),
    ) -> Result<(), Unwritable> {
        let columns = &self.forms[table].columns;
        // The texts of the fields, one after another, and where each ends.
        let (mut texts, mut fields) = (String::with_capacity(512), Vec::with_capacity(32));
        if let Some(change) = change {
            let written = columns.each(change, |place, name, value| {
                let start = texts.len();
                if text(&mut texts, value)? {
                    see(place, &texts[start..]);
                    fields.push((name, texts.len()));
                }
                fmt::Result::Ok(())
            });
            written.map_err(|_| Arc::clone(&change.row))?;
            if !columns.has("time") {
                let _ = json::integer(&mut texts, time.0);
                fields.push(("time", texts.len()));
            }
        }
        command.arg("HSET").arg(ttl_ms).arg(2 * fields.len());
        let mut start = 0;
        for (name, end) in fields {
            command.arg(name).arg(&texts[start..end]);
            start = end;
        }
        Ok(())
    }

    /// Returns the keys of a leaderboard's script: the sorted set, and the string with its time.
    pub(super) fn board_keys(&self, board: &Board) -> [String; 2] {
        [self.keys.rank(&board.key), self.keys.rank_as_of(&board.key)]
    }

    /// Builds the command that updates a leaderboard.
    pub(super) fn board(&self, board: &Board, ranks: &Ranks, anew: bool, stamp: Stamp) -> Cmd {
        let keys = self.board_keys(board);
        let mut command =
            call(&self.scripts.board, keys.iter().map(String::as_str), stamp, 64 * ranks.scores.len());
        command.arg(self.ttl_ms).arg(self.as_of_ttl_ms).arg(u8::from(anew)).arg(2 * ranks.scores.len());
        for (score, id) in &ranks.scores {
            command.arg(score).arg(&**id);
        }
        for id in ranks.leave.iter().filter(|_| !anew) {
            command.arg(&**id);
        }
        command
    }

    /// Builds the command that writes the progress.
    pub(super) fn progress(&self, stamp: Stamp) -> Cmd {
        call(&self.scripts.progress, [&*self.keys.progress()].into_iter(), stamp, 0)
    }
}
