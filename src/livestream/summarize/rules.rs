use super::totals::NEUTRAL;
use crate::core::{ConfigError, MeanOf, MomentRule, Side, VarianceFloor, ZScore};
use crate::livestream::{SENTIMENT_SCALE, StreamSummary};

/// Fixed-point units per viewer: an average of few counts has decimals.
const VIEWER_SCALE: i64 = 1_000;
/// An audience whose average moves by less than this share of it is steady, whatever the statistics of a calm hour say.
const STEADY_SHARE: f64 = 0.01;
/// Fewer viewers than this, before and after, are no audience to surge or drop.
const LEAST_VIEWERS: f64 = 10.0;
/// Fewer transactions in a window than this are no surge.
const LEAST_TRANSACTIONS: f64 = 3.0;
/// Fewer messages in a window than this do not make a mood.
const LEAST_MESSAGES: u64 = 10;

/// A stream without any event for so many milliseconds was off the air, and its next broadcast is another one.
pub(crate) const OFF_AIR: u64 = 300_000;

/// The five rules of a pipeline by default, each with a [`ZScore`] over 8 to 30 disjoint earlier windows as its detector.
///
/// | moment | metric | side | what keeps it quiet |
/// |---|---|---|---|
/// | `chat_spike` | messages | upper | Poisson variance; fewer than 10 messages |
/// | `viewer_surge` | average viewers | upper | a deviation of at least 1 viewer and 1 % of the mean; fewer than 10 viewers |
/// | `viewer_drop` | average viewers | lower | the same |
/// | `donation_surge` | transactions | upper | Poisson variance; fewer than 3 transactions |
/// | `sentiment_shift` | mean sentiment | both | a deviation of at least 0.05; windows with fewer than 10 messages have no mood |
///
/// Averages are compared by how many events they cover: one of ten messages must depart further than one of a
/// hundred. Moments of chat, donations and sentiment are [left out](MomentRule::include_moments) of baselines. Those of
/// viewers are not: an audience goes from level to level, and each is the usual as soon as it is there. A stream that
/// had no event for five minutes begins [anew](MomentRule::absent_after).
///
/// A surge of donations counts transactions rather than money: amounts in four currencies, one of them coins, have
/// no sum without rates of exchange, and a single large gift among many small ones would either always or never
/// be one. A rule on one currency's amount is a [`MomentRule::gauge`] of [`StreamSummary::amount`].
///
/// # Errors
///
/// If the threshold cannot work, as [`ZScore::new`] finds.
///
/// ```
/// let rules = telemetra::livestream::default_rules(3.0)?;
/// let names: Vec<&str> = rules.iter().map(|rule| &*rule.moment_type).collect();
/// assert_eq!(names, ["chat_spike", "viewer_surge", "viewer_drop", "donation_surge", "sentiment_shift"]);
/// # Ok::<(), telemetra::core::ConfigError>(())
/// ```
pub fn default_rules(threshold: f64) -> Result<Vec<MomentRule<StreamSummary>>, ConfigError> {
    let zscore = ZScore::new(threshold)?;
    let counts = zscore.clone().side(Side::Upper).floor(VarianceFloor::Poisson)?;
    let viewers = zscore
        .clone()
        .floor(VarianceFloor::Relative { share: STEADY_SHARE, least: 1.0 })?
        .min_value(LEAST_VIEWERS)?;
    let mood = zscore.floor(VarianceFloor::Resolution(f64::from(NEUTRAL) / SENTIMENT_SCALE as f64))?;
    let few_transactions = counts.clone().min_value(LEAST_TRANSACTIONS)?;
    let rules = [
        MomentRule::count("chat_spike", counts, |s: &StreamSummary| s.chat_count),
        MomentRule::mean("viewer_surge", viewers.clone().side(Side::Upper), VIEWER_SCALE, average_viewers)
            .include_moments(),
        MomentRule::mean("viewer_drop", viewers.side(Side::Lower), VIEWER_SCALE, average_viewers)
            .include_moments(),
        MomentRule::count("donation_surge", few_transactions, |s: &StreamSummary| s.transaction_count),
        MomentRule::mean("sentiment_shift", mood, SENTIMENT_SCALE, mean_sentiment),
    ];
    Ok(rules.map(|rule| rule.absent_after(OFF_AIR)).into())
}

/// In units of `1 /` [`VIEWER_SCALE`].
fn average_viewers(summary: &StreamSummary) -> Option<MeanOf> {
    let scaled = summary.viewer_sum.saturating_mul(VIEWER_SCALE.unsigned_abs().into());
    Some(MeanOf { sum: i128::try_from(scaled).unwrap_or(i128::MAX), events: summary.viewer_events })
}

/// In units of `1 /` [`SENTIMENT_SCALE`].
fn mean_sentiment(summary: &StreamSummary) -> Option<MeanOf> {
    let mean = MeanOf { sum: summary.sentiment_sum.into(), events: summary.chat_count };
    (mean.events >= LEAST_MESSAGES).then_some(mean)
}
