//! Query parameters, read strictly: what is misspelt or out of range is said, not passed over.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use telemetra::core::{EventTime, parse_timestamp};

use super::problem::Problem;

const BEFORE_EPOCH: &str = "is before 1970";

/// The parameters of a request. Each may be taken once; [`done`](Self::done) refuses those that nobody took.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => {
                Err(Problem::parameter("query", "it is not a list of `name=value`, percent-encoded UTF-8"))
            }
        }
    }
}

impl Params {
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(known, _)| known == name) {
            return Err(Problem::parameter(name, "it is given twice"));
        }
        Ok(Some(value))
    }

    pub(crate) fn number(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Problem> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && range.contains(&number) => Ok(number),
            _ => Err(Problem::parameter(
                name,
                format!("it has to be a whole number from {} to {}", range.start(), range.end()),
            )),
        }
    }

    /// A number from 0 to 1.
    pub(crate) fn share(&mut self, name: &str) -> Result<Option<f64>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        let problem = || Problem::parameter(name, "it has to be a number from 0 to 1, like 0.1");
        share.map(Some).ok_or_else(problem)
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        self.choice(name, &[("false", false), ("true", true)])
    }

    /// One of these; the first if it is not given.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
        let Some(text) = self.text(name)? else { return Ok(choices[0].1) };
        choices.iter().find(|(known, _)| *known == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let known: Vec<_> = choices.iter().map(|(known, _)| format!("`{known}`")).collect();
            Problem::parameter(name, format!("it has to be one of {}", known.join(", ")))
        })
    }

    /// A time; one before the epoch, when there were no events, is the epoch.
    pub(crate) fn time(&mut self, name: &str) -> Result<Option<EventTime>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let is_spaced = text.as_bytes().get(10).is_some_and(|byte| !byte.eq_ignore_ascii_case(&b'T'));
        match parse_timestamp(text.as_bytes()) {
            Ok(time) if !is_spaced => Ok(Some(time)),
            Err(error) if error.0 == BEFORE_EPOCH && !is_spaced => Ok(Some(EventTime::MIN)),
            _ => {
                let form = "2026-01-31T12:00:00Z or 2026-01-31T13:00:00%2B01:00";
                Err(Problem::parameter(name, format!("it has to be a time that exists, written like {form}")))
            }
        }
    }

    pub(crate) fn done(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(32).collect();
                Err(Problem::parameter(&name, "there is no such parameter here; see /docs"))
            }
        }
    }
}
