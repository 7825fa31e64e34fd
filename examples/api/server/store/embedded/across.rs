//! Lines of all streams, from memory.

use super::Embedded;
use crate::server::store::across::{LinesQuery, Point};

impl Embedded {
    /// The windows that lines are drawn through, by stream, oldest first.
    pub(super) fn lines_of(&self, query: &LinesQuery) -> Vec<Point> {
        let mut points = Vec::new();
        for id in &query.ids {
            let Some(view) = self.reader.subject(id) else { continue };
            let ends = query.from..=query.to;
            let windows = view.published_windows().map(|known| known.row).filter(|summary| {
                let end = summary.window.end;
                ends.contains(&end) && end.0.is_multiple_of(query.step)
            });
            points.extend(windows.map(|summary| Point {
                stream_id: id.clone(),
                window_end: summary.window.end.into(),
                chat_rate: summary.value.chat_rate(summary.window),
                avg_viewers: summary.value.avg_viewers(),
            }));
        }
        points
    }
}
