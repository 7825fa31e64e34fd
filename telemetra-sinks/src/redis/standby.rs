//! Standing by: the cache follows what another process writes to the keys, and nothing is written.

use telemetra_core::{EventTime, ExternalError};

use super::error::failed;
use super::state::{State, time};
use super::{RedisKeys, RedisServer};

/// The most batches that are held until the process that writes the keys has written them.
const MOST_HELD: usize = 4096;

/// Reads the time up to which a server has everything, by a connection of its own.
pub(super) fn reached(server: &RedisServer, keys: &RedisKeys) -> Result<Option<EventTime>, ExternalError> {
    server.check()?;
    let read = server.connect().and_then(|mut link| {
        let mut get = redis::cmd("GET");
        get.arg(keys.progress());
        link.send([get])?;
        link.answers()?.pop().map_or(Ok(None), |answer| answer.and_then(time))
    });
    read.map_err(|error| failed(&server.to_string(), &"read", error))
}

impl State {
    /// Says whether another process writes the keys, so that this one writes nothing.
    pub(super) fn hold(&mut self, holds: bool) {
        self.holds = holds;
    }

    /// Applies to the cache what the other process has written, without publishing it again.
    pub(super) fn follow(&mut self) -> Result<(), ExternalError> {
        let found = self.progress()?;
        self.quiet_until = self.quiet_until.max(found);
        // If the other process has stopped, changes of the oldest are not published.
        while let Some(batch) = self.held.front()
            && (Some(batch.time) <= found || self.held.len() > MOST_HELD)
        {
            self.quiet_until = self.quiet_until.max(Some(batch.time));
            if let Some(batch) = self.held.pop_front() {
                self.take(&batch)?;
            }
        }
        // The other process has written these; all that is there is written anew when it is taken over.
        self.pending.clear();
        Ok(())
    }
}
