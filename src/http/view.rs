//! A live view with its types of key and summary erased.

use std::sync::Arc;

use telemetra_core::{AnyRow, Data, EventTime, Key, Moment, Shape, Table};
use telemetra_sinks::{LiveReader, Published, Subscription, Update};

/// A row as it was last published.
pub(super) type Held = Published<Arc<dyn AnyRow>>;

/// A moment, and what is asked about it.
pub(super) struct Found {
    pub(super) held: Held,
    pub(super) moment_type: Arc<str>,
    pub(super) started_at: EventTime,
    pub(super) is_open: bool,
    /// The distance from the baseline, on either side.
    pub(super) score: f64,
    pub(super) chance: Option<f64>,
}

/// The reads of a live view that the routes need.
pub(super) trait View: Send + Sync {
    fn tables(&self) -> Vec<Arc<Table>>;
    fn as_of(&self) -> Option<EventTime>;
    fn known_since(&self) -> Option<EventTime>;
    /// The keys and the times of their last changes, sorted.
    fn keys(&self) -> Vec<(Arc<str>, EventTime)>;
    /// The rows of a key for which `wanted` says so; `None` if the key is not known.
    fn rows(&self, key: &str, wanted: &dyn Fn(&dyn AnyRow) -> bool) -> Option<Vec<Held>>;
    /// Whether there is a row of a key for which `wanted` says so.
    fn has(&self, key: &str, wanted: &dyn Fn(&dyn AnyRow) -> bool) -> bool;
    /// The moments of a key, or of all.
    fn moments(&self, key: Option<&str>) -> Vec<Found>;
    fn changes_since(&self, key: &str, since: EventTime) -> Option<Vec<Update>>;
    /// Whether the view keeps rows of this kind: others it only passes on.
    fn keeps(&self, row: &dyn AnyRow) -> bool;
    fn subscribe(&self, capacity: usize) -> Subscription;
}

impl<S: Data, K: Key> View for LiveReader<S, K> {
    fn tables(&self) -> Vec<Arc<Table>> {
        self.tables()
    }

    fn as_of(&self) -> Option<EventTime> {
        self.as_of()
    }

    fn known_since(&self) -> Option<EventTime> {
        self.known_since()
    }

    fn keys(&self) -> Vec<(Arc<str>, EventTime)> {
        self.subjects()
    }

    fn rows(&self, key: &str, wanted: &dyn Fn(&dyn AnyRow) -> bool) -> Option<Vec<Held>> {
        let view = self.subject(key)?;
        Some(view.all().filter(|held| wanted(&*held.row)).cloned().collect())
    }

    fn has(&self, key: &str, wanted: &dyn Fn(&dyn AnyRow) -> bool) -> bool {
        self.subject(key).is_some_and(|view| view.all().any(|held| wanted(&*held.row)))
    }

    fn moments(&self, key: Option<&str>) -> Vec<Found> {
        let keys = match key {
            Some(key) => vec![Arc::from(key)],
            None => self.subjects().into_iter().map(|(key, _)| key).collect(),
        };
        let views = keys.iter().filter_map(|key| self.subject(key));
        views.flat_map(|view| view.all().filter_map(found::<K>).collect::<Vec<_>>()).collect()
    }

    fn changes_since(&self, key: &str, since: EventTime) -> Option<Vec<Update>> {
        self.changes_since(key, since)
    }

    fn keeps(&self, row: &dyn AnyRow) -> bool {
        self.keeps(row)
    }

    fn subscribe(&self, capacity: usize) -> Subscription {
        self.subscribe(capacity)
    }
}

fn found<K: Key>(held: &Held) -> Option<Found> {
    if held.row.table().row_shape() != Shape::Moments {
        return None;
    }
    let moment: &Moment<K> = held.row.typed().downcast_ref()?;
    Some(Found {
        held: held.clone(),
        moment_type: Arc::clone(&moment.moment_type),
        started_at: moment.started_at,
        is_open: moment.open,
        score: moment.score.to_f64().abs(),
        chance: moment.chance.map(|chance| chance.to_f64()),
    })
}
