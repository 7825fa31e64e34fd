use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetra::http::openapi::{BadParameter, NoToken, Unavailable};
use telemetra::http::{Params, Problem};
use utoipa::{IntoParams, ToSchema};

use super::failed;
use crate::server::app::App;
use crate::server::model::{StreamInfo, Time};
use crate::server::presence::Presence;
use crate::server::store::across::{LinesQuery, Point};
use crate::server::store::{Order, StreamQuery};

/// The step of a line, in milliseconds: a point for each whole minute.
const STEP: u64 = 60_000;

/// All streams at a glance.
#[derive(Serialize, ToSchema)]
#[schema(as = OverviewPage)]
pub(crate) struct Overview {
    /// The event time that all answers have reached.
    as_of: Option<Time>,
    totals: Totals,
    /// The end of the first window of each line.
    from: Option<Time>,
    /// The end of the last.
    to: Option<Time>,
    /// The interval between the windows of a line.
    step_seconds: u64,
    /// The streams, those with most chat first.
    streams: Vec<StreamLine>,
}

/// All streams together, now.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Totals {
    /// The number of known streams.
    streams: u64,
    /// The number of live streams.
    live: u64,
    /// The number of streams that started and did not end, but have no events.
    silent: u64,
    /// The sum of their mean viewers in the last window.
    #[schema(minimum = 0)]
    viewers: f64,
    /// Messages a second.
    #[schema(minimum = 0)]
    chat_rate: f64,
    /// The number of open moments.
    open_moments: u64,
}

/// A stream and its last minutes.
#[derive(Serialize, ToSchema)]
pub(crate) struct StreamLine {
    stream: StreamInfo,
    /// Messages a second, by minute.
    chat_rate: Vec<Option<f64>>,
    /// Mean viewers, by minute.
    avg_viewers: Vec<Option<f64>>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct OverviewQuery {
    /// The length of the lines, in minutes.
    #[param(required = false, minimum = 10, maximum = 120, default = 60)]
    minutes: u64,
    /// The greatest number of streams in the answer.
    #[param(required = false, minimum = 1, maximum = 500, default = 100)]
    limit: usize,
}

impl Totals {
    fn of(streams: &[StreamInfo]) -> Self {
        let mut totals = Self { streams: streams.len() as u64, ..Self::default() };
        for stream in streams {
            totals.live += u64::from(stream.presence == Presence::Live);
            totals.silent += u64::from(stream.presence == Presence::Silent);
            totals.open_moments += stream.open_moments;
            if let Some(current) = &stream.current {
                totals.viewers += current.avg_viewers.unwrap_or(0.0);
                totals.chat_rate += current.chat_rate;
            }
        }
        totals
    }
}

/// All streams at a glance
///
/// All streams together, and of those with most chat the last minutes as lines: a value for each whole minute, null where there was no event.
#[utoipa::path(
    get, path = "/overview", operation_id = "overview", tag = "answers",
    params(OverviewQuery),
    responses(
        (status = 200, description = "The streams.", body = Overview),
        BadParameter, NoToken, Unavailable,
    )
)]
pub(crate) async fn overview(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let minutes = params.number("minutes", 10..=120, 60)?;
    let OverviewQuery { minutes, limit } =
        OverviewQuery { minutes, limit: params.number("limit", 1..=500, 100)? as usize };
    params.done()?;
    let as_of = app.store.as_of().await.map_err(failed)?;
    let all = StreamQuery { order: Order::Rate, live: false, search: None, offset: 0, limit: u64::MAX };
    let (mut streams, _) = app.store.streams(&all).await.map_err(failed)?;
    let totals = Totals::of(&streams);
    streams.truncate(limit);
    let step_seconds = STEP / 1000;
    // Answers are as of a window's last instant.
    let Some(to) = as_of.map(|as_of| as_of.plus(1)).map(|end| end.minus(end.0 % STEP)) else {
        return Ok(Json(Overview {
            as_of: None,
            totals,
            from: None,
            to: None,
            step_seconds,
            streams: Vec::new(),
        })
        .into_response());
    };
    let from = to.minus((minutes - 1) * STEP);
    let ids = streams.iter().map(|stream| stream.stream_id.clone()).collect();
    let points = app.store.lines(&LinesQuery { ids, from, to, step: STEP }).await.map_err(failed)?;
    let mut by_stream: HashMap<String, Vec<Point>> = HashMap::new();
    for point in points {
        by_stream.entry(point.stream_id.clone()).or_default().push(point);
    }
    let place = |point: &Point| ((point.window_end.0 - from) / STEP) as usize;
    let streams = streams.into_iter().map(|stream| {
        let mut line = StreamLine {
            chat_rate: vec![None; minutes as usize],
            avg_viewers: vec![None; minutes as usize],
            stream,
        };
        for point in by_stream.get(&line.stream.stream_id).into_iter().flatten() {
            if let Some(rate) = line.chat_rate.get_mut(place(point)) {
                *rate = Some(point.chat_rate);
            }
            if let Some(viewers) = line.avg_viewers.get_mut(place(point)) {
                *viewers = point.avg_viewers;
            }
        }
        line
    });
    let streams = streams.collect();
    let (as_of, from, to) = (as_of.map(Time), Some(from.into()), Some(to.into()));
    Ok(Json(Overview { as_of, totals, from, to, step_seconds, streams }).into_response())
}
