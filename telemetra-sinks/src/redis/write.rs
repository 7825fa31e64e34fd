//! Builds the Redis commands that write a stream's cached state to its keys.

use std::fmt;

use redis::{Cmd, Script};
use telemetra_core::{EventTime, StreamId};

use super::RedisKeys;
use super::cache::{Cache, Dirty, Stream};
use super::message::{Columns, text};
use crate::Layout;

/// The scripts, as the server knows them.
pub(super) struct Scripts {
    pub(super) stream: Script,
    pub(super) board: Script,
    pub(super) progress: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            stream: Script::new(include_str!("stream.lua")),
            board: Script::new(include_str!("board.lua")),
            progress: Script::new(include_str!("progress.lua")),
        }
    }

    pub(super) fn all(&self) -> [&Script; 3] {
        [&self.stream, &self.board, &self.progress]
    }
}

/// A leaderboard: its name, and the place of its column among those of the summaries.
pub(super) struct Board {
    pub(super) name: String,
    pub(super) column: usize,
}

/// How rows become keys.
pub(super) struct Form<S> {
    pub(super) scripts: Scripts,
    pub(super) keys: RedisKeys,
    pub(super) layout: Layout<S>,
    pub(super) summaries: Columns,
    pub(super) moments: Columns,
    pub(super) boards: Vec<Board>,
    pub(super) most_moments: usize,
    pub(super) ttl_ms: u64,
    pub(super) as_of_ttl_ms: u64,
}

/// What has changed of a stream since its keys were last written.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) dirty: Dirty,
    pub(super) messages: Vec<String>,
}

/// As of when something is written, and the greatest time that it may overwrite.
#[derive(Copy, Clone, Debug)]
pub(super) struct Stamp {
    pub(super) time: EventTime,
    pub(super) limit: EventTime,
}

/// What leaves and joins a leaderboard.
#[derive(Default)]
pub(super) struct Ranks {
    scores: Vec<(String, StreamId)>,
    leave: Vec<StreamId>,
}

/// Appends `EVALSHA`, the keys, and what every script but that of the progress begins with.
fn call(script: &Script, keys: &[String], stamp: Stamp) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(script.get_hash()).arg(keys.len()).arg(keys);
    command.arg(stamp.time.0).arg(stamp.limit.0);
    command
}

impl<S: Clone> Form<S> {
    /// The keys of a stream that have to be written, and its places on the leaderboards.
    pub(super) fn stream(
        &self,
        cache: &Cache<S>,
        id: &StreamId,
        pending: &Pending,
        stamp: Stamp,
        ranks: &mut [Ranks],
    ) -> Result<Cmd, fmt::Error> {
        let stream = cache.get(id);
        let keys = self.stream_keys(id);
        let mut command = call(&self.scripts.stream, &keys, stamp);
        command.arg(self.ttl_ms).arg(self.as_of_ttl_ms);
        if pending.dirty.latest {
            self.latest(cache, id, stream, stamp, &mut command, ranks)?;
        } else {
            command.arg(-1);
        }
        if pending.dirty.moments {
            let mut rows = Vec::new();
            for change in stream.into_iter().flat_map(Stream::moments).take(self.most_moments) {
                let mut row = String::with_capacity(384);
                self.moments.object(&mut row, change, &self.layout)?;
                rows.push(row);
            }
            command.arg(rows.len()).arg(rows);
        } else {
            command.arg(-1);
        }
        command.arg(self.keys.live(id)).arg(&pending.messages);
        Ok(command)
    }

    /// Those of the stream's script: of a string, a hash and a list.
    pub(super) fn stream_keys(&self, id: &str) -> [String; 3] {
        [self.keys.as_of(id), self.keys.latest(id), self.keys.moments(id)]
    }

    fn latest(
        &self,
        cache: &Cache<S>,
        id: &StreamId,
        stream: Option<&Stream<S>>,
        stamp: Stamp,
        command: &mut Cmd,
        ranks: &mut [Ranks],
    ) -> fmt::Result {
        let latest = stream.and_then(|stream| Some((stream, stream.latest()?.1)));
        let mut scores = vec![None; self.boards.len()];
        let mut fields = Vec::new();
        if let Some((stream, change)) = latest {
            let (ranked, mut place) = (cache.is_ranked(stream), 0);
            self.summaries.each(change, &self.layout, |name, value| {
                if let Some(text) = text(value)? {
                    for (board, score) in self.boards.iter().zip(&mut scores) {
                        if ranked && board.column == place {
                            *score = Some(text.clone());
                        }
                    }
                    fields.push((name, text));
                }
                place += 1;
                Ok(())
            })?;
            fields.push(("time", stamp.time.0.to_string()));
        }
        command.arg(2 * fields.len());
        for (name, text) in fields {
            command.arg(name).arg(text);
        }
        for (ranks, score) in ranks.iter_mut().zip(scores) {
            match score {
                Some(score) => ranks.scores.push((score, id.clone())),
                None => ranks.leave.push(id.clone()),
            }
        }
        Ok(())
    }

    /// Those of a leaderboard's script: of a sorted set and a string.
    pub(super) fn board_keys(&self, board: &Board) -> [String; 2] {
        [self.keys.leaderboard(&board.name), self.keys.leaderboard_as_of(&board.name)]
    }

    pub(super) fn board(&self, board: &Board, ranks: &Ranks, anew: bool, stamp: Stamp) -> Cmd {
        let mut command = call(&self.scripts.board, &self.board_keys(board), stamp);
        command.arg(self.ttl_ms).arg(self.as_of_ttl_ms).arg(u8::from(anew)).arg(2 * ranks.scores.len());
        for (score, id) in &ranks.scores {
            command.arg(score).arg(id.as_str());
        }
        for id in ranks.leave.iter().filter(|_| !anew) {
            command.arg(id.as_str());
        }
        command
    }

    pub(super) fn progress(&self, stamp: Stamp) -> Cmd {
        call(&self.scripts.progress, &[self.keys.progress()], stamp)
    }
}
