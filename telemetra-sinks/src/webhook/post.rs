//! Posts the changes of one batch, several at a time.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use ring::digest::{Context, SHA256};
use telemetra_core::{Batch, Change, EventTime, ExternalError, RowKey, json};

use super::sign::{ID, SIGNATURE, TIMESTAMP};
use super::state::State;
use super::{Settings, WebhookSecret};
use crate::http::{Answer, Client};
use crate::json_lines::line::ChangeLines;

/// The client and settings to post changes.
pub(super) struct Post<'a> {
    pub(super) settings: &'a Settings,
    pub(super) pipeline: &'a str,
    pub(super) client: &'a Client,
    pub(super) lines: &'a ChangeLines,
    pub(super) state: &'a State,
}

/// The changes of a batch that were delivered, if the batch as a whole was not.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    time: Option<EventTime>,
    indexes: BTreeSet<usize>,
}

impl Post<'_> {
    /// Posts the changes of chosen tables that are not in `delivered`, and notes there which were, so that a
    /// repeated call goes on where this one failed.
    pub(super) fn batch(&self, batch: &Batch, delivered: &mut Delivered) -> Result<(), ExternalError> {
        if delivered.time != Some(batch.time) {
            *delivered = Delivered { time: Some(batch.time), indexes: BTreeSet::new() };
        }
        let is_left = |n: &usize| !delivered.indexes.contains(n);
        let chosen = (0..batch.changes.len()).filter(|n| self.settings.has(batch.changes[*n].table()));
        let left: Vec<usize> = chosen.filter(is_left).collect();
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (done, first) = (Mutex::new(Vec::new()), Mutex::new(None));
        let shown = batch.time.to_string();
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let Some(&n) = left.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                match self.change(&batch.changes[n], batch.time, &shown) {
                    Ok(()) => done.lock().unwrap_or_else(PoisonError::into_inner).push(n),
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            }
        };
        match self.settings.parallel.min(left.len()) {
            0 => {}
            1 => work(),
            threads => std::thread::scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(work);
                }
                work();
            }),
        }
        delivered.indexes.extend(done.into_inner().unwrap_or_else(PoisonError::into_inner));
        first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Posts one change.
    fn change(&self, change: &Change, time: EventTime, shown: &str) -> Result<(), ExternalError> {
        let mut body = String::new();
        self.lines.write(&mut body, change, time, shown)?;
        let body = body.trim_end();
        let row = RowKey::of(&*change.row);
        let id = self.id(change, &row);
        let what = || {
            format!("could not post the row {row}, revision {}, to {}", change.revision, self.settings.shown)
        };
        if body.len() > self.settings.max_body {
            let why = format!("it has {} bytes, and {} are allowed", body.len(), self.settings.max_body);
            return self.refused(&id, body, &why, || ExternalError::permanent(format!("{}: {why}", what())));
        }
        let answer = self.send(&id, body, &what())?;
        match answer.status {
            _ if answer.is_good() => Ok(()),
            // What is said of this body, not of the address or of the sender.
            400 | 413 | 415 | 422 => self.refused(&id, body, &answer.shown(), || answer.error(&what())),
            _ => Err(answer.error(&what())),
        }
    }

    fn send(&self, id: &str, body: &str, what: &str) -> Result<Answer, ExternalError> {
        let Settings { url, secrets, headers, .. } = self.settings;
        let now = self.client.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let sign = |secret: &WebhookSecret| secret.sign(id, &now, body.as_bytes());
        let signatures = secrets.iter().map(sign).collect::<Vec<_>>().join(" ");
        let mut all = vec![("content-type", "application/json"), (ID, id), (TIMESTAMP, &now)];
        if !signatures.is_empty() {
            all.push((SIGNATURE, &signatures));
        }
        all.extend(headers.iter().map(|(name, value)| (&**name, &**value)));
        self.client.post(url, &all, body.as_bytes(), 0, what)
    }

    /// Keeps a refused change if that is wished, or returns the error.
    fn refused(
        &self,
        id: &str,
        body: &str,
        why: &str,
        error: impl FnOnce() -> ExternalError,
    ) -> Result<(), ExternalError> {
        if !self.settings.keep_refused {
            return Err(error());
        }
        tracing::warn!(id, why, "the receiver of the webhook refused a row, which is kept in refused.jsonl");
        let mut line = format!("{{\"id\":\"{id}\",\"reason\":");
        // Writing to a string does not fail.
        let _ = json::string(&mut line, why);
        let _ = writeln!(line, ",\"body\":{body}}}");
        self.state.keep_refused(&line)
    }

    /// The idempotency key of a change: the table, a hash of pipeline and row, how often the pipeline started
    /// over, and the revision.
    fn id(&self, change: &Change, row: &RowKey) -> String {
        let mut hash = Context::new(&SHA256);
        let mut part = |text: &str| {
            // The length keeps the parts apart.
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        part(self.pipeline);
        part(row.table());
        row.parts().iter().for_each(|column| part(&column.to_string()));
        let mut id = format!("{}_", row.table());
        for byte in &hash.finish().as_ref()[..16] {
            let _ = write!(id, "{byte:02x}");
        }
        let _ = write!(id, "_{}_{}", self.state.number(), change.revision);
        id
    }
}
