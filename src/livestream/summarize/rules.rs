use super::explain;
use super::totals::NEUTRAL;
use crate::core::{ConfigError, MeanOf, MomentRule, Side, VarianceFloor, ZScore};
use crate::livestream::{SENTIMENT_SCALE, StreamSummary};

/// Fixed-point units per viewer, as an average of few counts has decimals.
const VIEWER_SCALE: i64 = 1_000;
/// The least standard deviation of the average viewers as a share of their mean, however small the variance
/// was.
const STEADY_SHARE: f64 = 0.01;
/// The least number of viewers, before and after: smaller audiences have no surges or drops.
const LEAST_VIEWERS: f64 = 10.0;
/// The least number of transactions in a window for a surge.
const LEAST_TRANSACTIONS: f64 = 3.0;
/// The least number of messages in a window for a mean sentiment.
const LEAST_MESSAGES: u64 = 10;

/// The milliseconds without an event after which a stream was off the air, so that its next broadcast is
/// another one.
pub(crate) const OFF_AIR: u64 = 300_000;

/// Returns the five default rules for the moments of a live-stream pipeline. `threshold` is the z-score above which a
/// window departs from its baseline, in standard deviations; the examples use 3. Each uses a [`ZScore`] over 8 to 30 disjoint earlier windows as its
/// detector.
///
/// | moment | metric | side | limits |
/// |---|---|---|---|
/// | `chat_spike` | messages | upper | a least variance of Poisson counts; at least 10 messages |
/// | `viewer_surge` | average viewers | upper | a least deviation of 1 viewer and 1 % of the mean; at least 10 viewers |
/// | `viewer_drop` | average viewers | lower | the same |
/// | `donation_surge` | transactions | upper | a least variance of Poisson counts; at least 3 transactions |
/// | `sentiment_shift` | mean sentiment | both | a least deviation of 0.05; windows with fewer than 10 messages are not judged |
///
/// Averages are judged by the number of events that they cover: an average of ten messages must depart
/// further than one of a hundred. Moments of chat, donations and sentiment are [left
/// out](MomentRule::include_moments) of baselines. Moments of viewers are not: audiences change their level,
/// and a new level is usual at once. A stream without an event for five minutes begins
/// [anew](MomentRule::absent_after).
///
/// Each moment says what [carried](crate::core::Moment::carried) it: the windows of its peak are compared with
/// up to ten [usual ones](crate::core::detect::Usual).
///
/// | moment | `what` | `name` | `now` and `usual` |
/// |---|---|---|---|
/// | `chat_spike` | `chatters` | | different users who wrote |
/// | | `messages_each` | | messages of each user; of these two the one that grew more is first, and one that hardly has a part in the growth is left out |
/// | | `by_one` | | share of the messages of the user who wrote most, if it is a fifth or more, and more than usual |
/// | | `emote` | the emote | uses per message, of up to five emotes above their usual share, greatest difference first |
/// | | `word` | the word | share of the messages, of up to three words with at least twice their usual share, greatest difference first, if [words](super::ChatAggregate::words) are counted |
/// | `viewer_surge`, `viewer_drop` | `viewers` | `jump` | average viewers, and those of the last usual window |
/// | | `viewers` | `average` | average viewers |
/// | `donation_surge` | `transactions` | | transactions per window |
/// | | `amount` | the currency | amount per window, of each currency, greatest multiple of the usual amount first |
/// | | `largest` | the currency | the largest transaction, and the mean of the largest ones of usual windows; after the amount |
/// | `sentiment_shift` | `messages` | `positive`, `negative` | share of the messages |
/// | | `emote`, `word` | | as above |
///
/// A donation surge counts transactions and not money: amounts in four currencies, one of them coins, have no
/// sum without exchange rates, and a single large gift among many small ones would either always or never be
/// a surge. A rule on the amount in one currency is a [`MomentRule::gauge`] of [`StreamSummary::amount`].
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
        MomentRule::count("chat_spike", counts, |s: &StreamSummary| s.chat_count).explain(explain::chat),
        MomentRule::mean("viewer_surge", viewers.clone().side(Side::Upper), VIEWER_SCALE, average_viewers)
            .include_moments()
            .explain(explain::viewers),
        MomentRule::mean("viewer_drop", viewers.side(Side::Lower), VIEWER_SCALE, average_viewers)
            .include_moments()
            .explain(explain::viewers),
        MomentRule::count("donation_surge", few_transactions, |s: &StreamSummary| s.transaction_count)
            .explain(explain::transactions),
        MomentRule::mean("sentiment_shift", mood, SENTIMENT_SCALE, mean_sentiment).explain(explain::mood),
    ];
    Ok(rules.map(|rule| rule.absent_after(OFF_AIR)).into())
}

/// The mean number of viewers, in units of `1 /` [`VIEWER_SCALE`].
fn average_viewers(summary: &StreamSummary) -> Option<MeanOf> {
    let scaled = summary.viewer_sum.saturating_mul(VIEWER_SCALE.unsigned_abs().into());
    Some(MeanOf { sum: i128::try_from(scaled).unwrap_or(i128::MAX), events: summary.viewer_events })
}

/// The mean sentiment, in units of `1 /` [`SENTIMENT_SCALE`].
fn mean_sentiment(summary: &StreamSummary) -> Option<MeanOf> {
    let mean = MeanOf { sum: summary.sentiment_sum.into(), events: summary.chat_count };
    (mean.events >= LEAST_MESSAGES).then_some(mean)
}
