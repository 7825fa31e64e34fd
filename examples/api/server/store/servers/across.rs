//! Moments and lines of all streams, from Postgres.

use anyhow::Result;
use tokio_postgres::Client;

use super::filter::Filter;
use super::tables::{Tables, millis, rows};
use crate::server::model::MomentInfo;
use crate::server::store::across::{AcrossQuery, LinesQuery, Place, Point, Ranking};
use crate::server::store::{Cursor, page};

const LINES: &str = "SELECT jsonb_build_object('stream_id', stream_id, 'window_end', window_end,
        'chat_rate', chat_rate, 'avg_viewers', avg_viewers)::text
    FROM chat_summary_minute WHERE stream_id = ANY($1)
        AND window_start >= to_timestamp($2::float8 / 1000) - interval '1 hour'
        AND window_end >= to_timestamp($2::float8 / 1000) AND window_end <= to_timestamp($3::float8 / 1000)
        AND (extract(epoch FROM window_end) * 1000)::bigint % $4 = 0
    ORDER BY stream_id, window_end";

impl Tables {
    pub(super) async fn all_moments(&self, query: &AcrossQuery) -> Result<(Vec<MomentInfo>, bool)> {
        let mut filter = Filter::all();
        filter.and("stream_id = $", query.stream_id.clone());
        filter.moments(&query.filter);
        match &query.cursor {
            None => {}
            Some(Place::Newest(Cursor { started_at, moment_id })) => {
                let before = "(started_at, moment_id) < (to_timestamp($::bigint::float8 / 1000), ";
                filter.and(before, Some(millis(*started_at)));
                filter.go_on("$)", moment_id.clone());
            }
            Some(Place::Strongest { strength, moment_id }) => {
                filter.and("(abs(score), moment_id) < ($, ", Some(*strength));
                filter.go_on("$)", moment_id.clone());
            }
        }
        let order = match query.ranking {
            Ranking::Newest => "started_at DESC, moment_id DESC",
            Ranking::Strongest => "abs(score) DESC, moment_id DESC",
        };
        let select = filter.select("moments", order, query.limit);
        let found =
            self.pool().ask(async |client: &Client| rows(client, &select, &filter.parameters()).await);
        Ok(page(found.await?, query.limit))
    }

    /// The windows that lines are drawn through, by stream, oldest first.
    pub(super) async fn lines(&self, query: &LinesQuery) -> Result<Vec<Point>> {
        let (from, to) = (millis(query.from) as f64, millis(query.to) as f64);
        let step = i64::try_from(query.step)?;
        let ask = async |client: &Client| rows(client, LINES, &[&query.ids, &from, &to, &step]).await;
        self.pool().ask(ask).await
    }
}
