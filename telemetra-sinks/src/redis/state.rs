//! The state of an open Redis sink: it applies batches to the cache and writes the keys that changed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use redis::{Cmd, FromRedisValue, RedisError, RedisResult, Value};
use telemetra_core::{Batch, EventTime, ExternalError};

use super::RedisServer;
use super::cache::Cache;
use super::error::failed;
use super::form::unwritable;
use super::link::Link;
use super::message::message;
use super::write::{Pending, Ranks, Stamp, Writer};

/// The number of times that all keys are written again if the server loses its memory meanwhile.
const TRIES: usize = 3;

/// The number of subjects' scripts that are sent at once: a server writes them while the next ones are built.
const PORTION: usize = 64;

/// A script that writes keys of a subject: the subject, and which one of its scripts.
type Written = (Arc<str>, usize);

/// An open sink: the cache, the connection, and what is still to be written.
pub(super) struct State {
    server: RedisServer,
    writer: Writer,
    link: Option<Link>,
    cache: Cache,
    /// The changes since the keys were last written.
    pub(super) pending: BTreeMap<Arc<str>, Pending>,
    /// Changes up to this time are not published, as an earlier run has published them.
    pub(super) quiet_until: Option<EventTime>,
    /// Keys with times up to this one may be overwritten although they are newer.
    over: EventTime,
    /// The progress that was last written, perhaps without an answer.
    wrote: Option<EventTime>,
    tried: Option<EventTime>,
    /// True if all keys must be written.
    anew: bool,
    behind: bool,
    /// True if another process writes the keys.
    pub(super) holds: bool,
    /// The batches that the other process has not written.
    pub(super) held: VecDeque<Batch>,
}

impl State {
    /// Connects, and reads the event time of the keys.
    pub(super) fn open(
        server: RedisServer,
        writer: Writer,
        cache: Cache,
        resume: Option<EventTime>,
        start_over: bool,
    ) -> Result<Self, ExternalError> {
        server.check()?;
        let mut state = Self {
            server,
            writer,
            link: None,
            cache,
            pending: BTreeMap::new(),
            quiet_until: resume,
            over: EventTime::MIN,
            wrote: None,
            tried: None,
            anew: true,
            behind: false,
            holds: false,
            held: VecDeque::new(),
        };
        state.link = Some(state.connected()?);
        let found = state.progress()?;
        if start_over && resume.is_none() {
            state.over = found.unwrap_or(EventTime::MIN);
        }
        Ok(state)
    }

    /// Applies the batches that are new, and writes the keys that changed.
    pub(super) fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let last = self.held.back().map(|batch| batch.time).max(self.cache.as_of());
        let known = batches.partition_point(|batch| Some(batch.time) <= last);
        if self.holds {
            self.held.extend(batches[known..].iter().cloned());
            return self.follow();
        }
        while let Some(batch) = self.held.pop_front() {
            self.take(&batch)?;
        }
        for batch in &batches[known..] {
            self.take(batch)?;
        }
        // Keys that could not be written the last time are retried also if no batch is new.
        self.flush()
    }

    /// Applies one batch to the cache.
    pub(super) fn take(&mut self, batch: &Batch) -> Result<(), ExternalError> {
        let publish = Some(batch.time) > self.quiet_until;
        for change in &batch.changes {
            let name = change.table();
            let Some(table) = self.writer.forms.iter().position(|form| form.table.name() == name) else {
                continue;
            };
            let form = &self.writer.forms[table];
            let subject = change.row.subject();
            let place = form.place(change, &subject, &self.writer.keys)?;
            let touched = self.cache.change(table, &subject, place, change, batch.time);
            let Some((dirty, kind)) = touched.filter(|(dirty, _)| publish || !dirty.is_empty()) else {
                continue;
            };
            let pending = match self.pending.get_mut(&*subject) {
                Some(pending) => pending,
                None => self.pending.entry(subject.as_ref().into()).or_default(),
            };
            pending.dirty.and(dirty);
            if publish {
                let message = message(kind, change, &subject, batch.time, form);
                pending.messages.push(message.map_err(|_| unwritable(&*change.row))?);
            }
        }
        for (subject, dirty) in self.cache.advance(batch.time) {
            self.pending.entry(subject).or_default().dirty.and(dirty);
        }
        Ok(())
    }

    /// Writes all changed keys, and the progress after them.
    fn flush(&mut self) -> Result<(), ExternalError> {
        let Some(time) = self.cache.as_of() else { return Ok(()) };
        if self.wrote == Some(time) && self.pending.is_empty() {
            return Ok(());
        }
        let stamp = Stamp { time, limit: time.max(self.over) };
        for _ in 0..TRIES {
            let found = self.progress()?;
            if found > Some(stamp.limit) {
                self.fall_behind(found);
                return Ok(());
            }
            self.compare(found);
            let Some(written) = self.write(stamp)? else { continue };
            self.tried = Some(time);
            let progress = self.writer.progress(stamp);
            let before = self.run(vec![progress], |state, _| state.writer.keys.progress())?;
            let Some(before) = before.first() else { continue };
            if *before == found {
                for (subject, _) in written {
                    if let Some(known) = self.cache.get_mut(&subject) {
                        known.written = true;
                    }
                }
                self.pending.clear();
                (self.wrote, self.anew, self.behind) = (Some(time), false, false);
                return Ok(());
            }
            self.anew = true;
        }
        self.link = None;
        Err(ExternalError::transient(format!(
            "could not write the keys as of {time} at Redis {}: others write the same keys, or it loses its \
             memory all the time",
            self.server
        )))
    }

    /// Handles keys that are newer than this sink: another process has taken over, or an earlier run went
    /// further.
    fn fall_behind(&mut self, found: Option<EventTime>) {
        if !std::mem::replace(&mut self.behind, true) {
            let (server, found) = (&self.server, found.unwrap_or_default());
            tracing::info!(
                %server, as_of = %found, "redis holds what is newer; nothing is written until then"
            );
        }
        // The process that wrote the keys has published the changes. All keys are written later, and keys
        // that no longer exist must be known then.
        self.pending.values_mut().for_each(|pending| pending.messages.clear());
        (self.anew, self.wrote) = (true, None);
    }

    /// Checks that the progress in Redis is the one that this sink wrote.
    fn compare(&mut self, found: Option<EventTime>) {
        if self.wrote.is_none() || found == self.wrote || (found.is_some() && found == self.tried) {
            return;
        }
        self.anew = true;
        let (server, wrote) = (&self.server, self.wrote.unwrap_or_default());
        match found.filter(|found| *found > wrote) {
            Some(found) => {
                tracing::warn!(
                    %server, as_of = %found,
                    "another process writes the same keys to redis; writing all anew"
                );
            }
            None => tracing::warn!(%server, as_of = %wrote, "redis lost its memory; writing all keys anew"),
        }
    }

    /// Writes the changed keys; `None` if it turns out that all keys must be written.
    fn write(&mut self, stamp: Stamp) -> Result<Option<Vec<Written>>, ExternalError> {
        if self.anew {
            for (id, subject) in self.cache.subjects() {
                self.pending.entry(Arc::clone(id)).or_default().dirty.and(self.writer.all(subject));
            }
        }
        let written = self.send(stamp)?;
        let answers = self.answers(|state, at| state.name(at, &written))?;
        // With a single server, the progress shows whether data was lost; in a cluster every node must be
        // asked.
        let lost = |((id, _), answer): (&Written, &Option<EventTime>)| {
            answer.is_none() && self.cache.get(id).is_some_and(|subject| subject.written)
        };
        if self.server.is_cluster() && !self.anew && written.iter().zip(&answers).any(lost) {
            tracing::warn!(
                server = %self.server, "a node of the redis cluster lost its memory; writing all keys anew"
            );
            self.anew = true;
            return Ok(None);
        }
        Ok(Some(written))
    }

    /// Sends the scripts that write the changed keys, and those of the leaderboards after them.
    fn send(&mut self, stamp: Stamp) -> Result<Vec<Written>, ExternalError> {
        let mut ranks: Vec<_> = self.writer.boards.iter().map(|_| Ranks::default()).collect();
        let (mut commands, mut written) = (Vec::new(), Vec::<Written>::new());
        let mut link = self.connected()?;
        for (id, pending) in &self.pending {
            let made = self.writer.subject(&self.cache, id, pending, stamp, &mut ranks, &mut commands);
            made.map_err(|row| unwritable(&*row))?;
            written.extend((0..Writer::parts(&pending.dirty)).map(|part| (Arc::clone(id), part)));
            if commands.len() >= PORTION {
                link.send(commands.drain(..)).map_err(|error| self.lost(error))?;
            }
        }
        for (board, ranks) in self.writer.boards.iter().zip(&ranks) {
            commands.push(self.writer.board(board, ranks, self.anew, stamp));
        }
        link.send(commands).map_err(|error| self.lost(error))?;
        self.link = Some(link);
        Ok(written)
    }

    /// Names the keys of the command at an index, for an error; if a key has a wrong type, only that key.
    fn name(&mut self, at: usize, written: &[Written]) -> String {
        let keys = match written.get(at) {
            Some((id, part)) => {
                let dirty = self.pending.get(id).map(|pending| &pending.dirty);
                dirty.map_or_else(Vec::new, |dirty| self.writer.subject_keys(id, dirty, *part))
            }
            None => match self.writer.boards.get(at - written.len()) {
                Some(board) => self.writer.board_keys(board).into_iter().zip(["zset", "string"]).collect(),
                None => return self.writer.keys.progress(),
            },
        };
        let foreign = self.link.as_mut().and_then(|link| {
            keys.iter().find_map(|(key, wanted)| {
                let found = link.type_of(key).ok()?;
                (found != "none" && found != *wanted).then(|| key.clone())
            })
        });
        let some = || keys.iter().take(5).map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
        foreign.unwrap_or_else(some)
    }

    /// Takes the connection, to be put back if it is still good: after an error, answers may be under way that nobody
    /// reads. Opens one and loads the scripts, if there is none.
    fn connected(&mut self) -> Result<Link, ExternalError> {
        if let Some(link) = self.link.take() {
            return Ok(link);
        }
        let connected = self.server.connect().and_then(|mut link| {
            for script in self.writer.scripts.all() {
                link.load(script)?;
            }
            Ok(link)
        });
        connected.map_err(|error| failed(&self.server.to_string(), &"connect", error))
    }

    /// Reads the time up to which the server has everything.
    pub(super) fn progress(&mut self) -> Result<Option<EventTime>, ExternalError> {
        let mut get = redis::cmd("GET");
        get.arg(self.writer.keys.progress());
        let answers = self.run(vec![get], |state, _| state.writer.keys.progress())?;
        Ok(answers.first().copied().flatten())
    }

    /// Runs commands that each answer with a time or nothing. `name` names what the command at an index
    /// writes.
    fn run(
        &mut self,
        commands: Vec<Cmd>,
        name: impl Fn(&mut Self, usize) -> String,
    ) -> Result<Vec<Option<EventTime>>, ExternalError> {
        let mut link = self.connected()?;
        link.send(commands).map_err(|error| self.lost(error))?;
        self.link = Some(link);
        self.answers(name)
    }

    /// Reads the answers of the commands that were sent.
    fn answers(
        &mut self,
        name: impl Fn(&mut Self, usize) -> String,
    ) -> Result<Vec<Option<EventTime>>, ExternalError> {
        let mut link = self.connected()?;
        let answers = link.answers().map_err(|error| self.lost(error))?;
        self.link = Some(link);
        let mut times = Vec::with_capacity(answers.len());
        for (at, answer) in answers.into_iter().enumerate() {
            match answer.and_then(time) {
                Ok(time) => times.push(time),
                Err(error) => {
                    let what = format!("write {}", name(self, at));
                    // After a failover, another server is the right one; and a server that forgot the scripts
                    // is sent them again.
                    self.link = None;
                    return Err(failed(&self.server.to_string(), &what, error));
                }
            }
        }
        Ok(times)
    }

    fn lost(&self, error: RedisError) -> ExternalError {
        failed(&self.server.to_string(), &"write", error)
    }
}

pub(super) fn time(value: Value) -> RedisResult<Option<EventTime>> {
    Option::<u64>::from_redis_value(value).map(|time| time.map(EventTime)).map_err(RedisError::from)
}
