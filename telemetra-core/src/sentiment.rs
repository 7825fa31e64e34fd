//! The mood of a message.

mod dictionary;
mod english;
mod letters;
mod lexicon;
mod token;
mod vader;
mod word;
#[cfg(test)]
mod work;

pub use lexicon::Lexicon;
pub use vader::Vader;

/// Scores the mood of a chat message.
///
/// # Contract
///
/// * **Range.** The score is in units of `1 /` [`SENTIMENT_SCALE`](crate::SENTIMENT_SCALE), from −1 to 1; 0 is neutral.
/// * **Pure and total.** The same message has the same score; none panics; time is linear in its length.
pub trait Sentiment: Send + Sync {
    /// The score of `message`, given the emotes in it.
    fn score(&self, message: &str, emotes: &[&str]) -> i32;
}
