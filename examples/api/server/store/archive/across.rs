//! Moments of all streams, from SQLite.

use anyhow::Result;
use rusqlite::types::Value;

use super::{Archive, Filter, millis, moment, rows};
use crate::server::model::MomentInfo;
use crate::server::store::across::{AcrossQuery, Place, Ranking};
use crate::server::store::{Cursor, page};

impl Archive {
    pub(crate) async fn all_moments(&self, query: &AcrossQuery) -> Result<(Vec<MomentInfo>, bool)> {
        let mut filter = Filter { conditions: vec!["TRUE"], values: Vec::new() };
        filter.and("stream_id = ?", query.stream_id.clone());
        filter.moments(&query.filter);
        let (condition, value, id) = match &query.cursor {
            None => ("", None, None),
            Some(Place::Newest(Cursor { started_at, moment_id })) => {
                let at = Value::from(millis(*started_at));
                ("(started_at, moment_id) < (?, ?)", Some(at), Some(moment_id))
            }
            Some(Place::Strongest { strength, moment_id }) => {
                ("(abs(score), moment_id) < (?, ?)", Some(Value::from(*strength)), Some(moment_id))
            }
        };
        filter.and(condition, value);
        filter.values.extend(id.map(|id| Value::Text(id.clone())));
        let order = match query.ranking {
            Ranking::Newest => "started_at DESC, moment_id DESC",
            Ranking::Strongest => "abs(score) DESC, moment_id DESC",
        };
        let (sql, limit) = (filter.select("moments", order, query.limit), query.limit);
        Ok(page(self.ask(move |connection| rows(connection, &sql, &filter, moment)).await?, limit))
    }
}
