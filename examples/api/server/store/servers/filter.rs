//! Conditions of a question to Postgres.

use tokio_postgres::types::ToSql;

use super::tables::millis;
use crate::server::store::MomentFilter;

/// Conditions, and the values in them.
pub(super) struct Filter {
    conditions: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Filter {
    /// Of all rows.
    pub(super) fn all() -> Self {
        Self { conditions: vec!["TRUE".to_owned()], values: Vec::new() }
    }

    /// Of the rows of a stream, whose id is the first value.
    pub(super) fn of(id: &str) -> Self {
        let mut filter = Self { conditions: Vec::new(), values: Vec::new() };
        filter.and("stream_id = $", Some(id.to_owned()));
        filter
    }

    /// The `$` stands for the value.
    pub(super) fn and(&mut self, condition: &str, value: Option<impl ToSql + Sync + Send + 'static>) {
        if let Some(value) = value {
            self.conditions.push(String::new());
            self.go_on(condition, value);
        }
    }

    /// Goes on with the last condition.
    pub(super) fn go_on(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        self.values.push(Box::new(value));
        let condition = condition.replace('$', &format!("${}", self.values.len()));
        if let Some(last) = self.conditions.last_mut() {
            last.push_str(&condition);
        }
    }

    pub(super) fn moments(&mut self, asked: &MomentFilter) {
        self.and("started_at >= to_timestamp($::bigint::float8 / 1000)", asked.from.map(millis));
        self.and("started_at < to_timestamp($::bigint::float8 / 1000)", asked.to.map(millis));
        self.and("moment_type = $", asked.moment_type.clone());
        self.and("(ended_at IS NULL) = $", asked.open.then_some(true));
        self.and("chance <= $", asked.max_chance);
    }

    pub(super) fn conditions(&self) -> String {
        self.conditions.join(" AND ")
    }

    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }

    /// One row more than asked for, so that it can be said whether there are more.
    pub(super) fn select(&self, table: &str, order: &str, limit: usize) -> String {
        let conditions = self.conditions();
        format!(
            "SELECT to_jsonb(t)::text FROM {table} t WHERE {conditions} ORDER BY {order} LIMIT {}",
            limit + 1
        )
    }
}
