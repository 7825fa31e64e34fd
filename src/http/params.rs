//! Strict query parameters: misspelt and out-of-range ones are refused.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use telemetra_core::{EventTime, parse_timestamp};

use super::problem::Problem;

const BEFORE_EPOCH: &str = "is before 1970";

/// An extractor for axum of the query parameters of a request. Each method takes one parameter by its name;
/// [`done`](Self::done) then refuses a request with other parameters, so that a misspelt parameter is an error and is
/// not ignored.
///
/// ```
/// use telemetra::http::{Params, Problem};
///
/// async fn list(mut params: Params) -> Result<String, Problem> {
///     let limit = params.number("limit", 1..=500, 50)?;
///     params.done()?;
///     Ok(format!("{limit} of them"))
/// }
/// let router: axum::Router = axum::Router::new().route("/list", axum::routing::get(list));
/// ```
///
/// # Errors
///
/// All methods return a [`Problem`] with status 400 that names the parameter and its valid values.
#[derive(Debug)]
pub struct Params(Vec<(String, String)>);

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
    /// Takes a parameter as it is; `None` if it is not given.
    ///
    /// # Errors
    ///
    /// If it is given twice.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(known, _)| known == name) {
            return Err(Problem::parameter(name, "it is given twice"));
        }
        Ok(Some(value))
    }

    /// Takes a whole number in a range, or the default.
    ///
    /// # Errors
    ///
    /// If it is not a whole number in `range`, or given twice.
    pub fn number(
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

    /// Takes a number from 0 to 1.
    ///
    /// # Errors
    ///
    /// If it is no such number, or given twice.
    pub fn share(&mut self, name: &str) -> Result<Option<f64>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        let problem = || Problem::parameter(name, "it has to be a number from 0 to 1, like 0.1");
        share.map(Some).ok_or_else(problem)
    }

    /// Takes a number that is not negative.
    ///
    /// # Errors
    ///
    /// If it is no such number, or given twice.
    pub fn positive(&mut self, name: &str) -> Result<Option<f64>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        let problem = || Problem::parameter(name, "it has to be a number from 0 on, like 3.5");
        number.map(Some).ok_or_else(problem)
    }

    /// Takes `true` or `false`, by default `false`.
    ///
    /// # Errors
    ///
    /// If it is neither, or given twice.
    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        self.choice(name, &[("false", false), ("true", true)])
    }

    /// Takes one of these names; the first if it is not given.
    ///
    /// # Errors
    ///
    /// If it is none of them, or given twice.
    ///
    /// # Panics
    ///
    /// If there are no choices.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
        let Some(text) = self.text(name)? else { return Ok(choices[0].1) };
        choices.iter().find(|(known, _)| *known == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let known: Vec<_> = choices.iter().map(|(known, _)| format!("`{known}`")).collect();
            Problem::parameter(name, format!("it has to be one of {}", known.join(", ")))
        })
    }

    /// Takes a time, in RFC 3339. One before the epoch, when there were no events, is the epoch.
    ///
    /// # Errors
    ///
    /// If it is no time, or given twice.
    pub fn time(&mut self, name: &str) -> Result<Option<EventTime>, Problem> {
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

    /// Ends the reading: to be called after all parameters of the route were taken.
    ///
    /// # Errors
    ///
    /// If the request has a parameter that was not taken.
    pub fn done(self) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(32).collect();
                Err(Problem::parameter(&name, "there is no such parameter here"))
            }
        }
    }
}
