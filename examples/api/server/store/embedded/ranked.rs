//! The streams in the order of a list.

use std::sync::Arc;

use telemetra::livestream;

use super::{Embedded, View, last_event};
use crate::server::presence::Presence;
use crate::server::store::{Order, StreamQuery};

impl Embedded {
    /// The streams that the query asks for, in its order.
    pub(super) fn ranked(&self, query: &StreamQuery) -> Vec<(Arc<str>, Arc<View>)> {
        let wanted = |view: &View| {
            let live = || {
                let is_live = view.row::<livestream::StreamRow>().and_then(|row| row.is_live);
                let presence = Presence::of(is_live, self.current(view).is_some());
                presence.counts_as_live(Some(last_event(view).into()), self.reached())
            };
            !query.live || live()
        };
        let rank = |view: &View| {
            if !wanted(view) {
                return None;
            }
            let current = if query.order == Order::Name { None } else { self.current(view) };
            Some(match (query.order, current) {
                (Order::Rate, Some(current)) => current.row.value.chat_count,
                // The bits of floats that are not negative order as they do.
                (Order::Viewers, Some(current)) => current.row.value.avg_viewers().unwrap_or(0.0).to_bits(),
                _ => 0,
            })
        };
        let mut found = self.reader.subjects_by(rank);
        if let Some(search) = &query.search {
            found.retain(|(id, view)| {
                let row = view.row::<livestream::StreamRow>();
                let texts = [
                    Some(&**id),
                    row.map(|row| &*row.name),
                    row.and_then(|row| row.title.as_deref()),
                    row.and_then(|row| row.category.as_deref()),
                ];
                texts.into_iter().flatten().any(|text| text.to_lowercase().contains(search))
            });
        }
        found
    }
}
