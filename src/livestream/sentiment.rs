//! Sentiment: scorers that rate a chat message as positive or negative.

mod blocks;
mod dictionary;
mod english;
mod letters;
mod lexicon;
#[cfg(test)]
mod same;
mod token;
mod vader;
mod word;
#[cfg(test)]
mod work;

pub use lexicon::Lexicon;
pub use vader::Vader;

/// A scorer of the sentiment of chat messages. [`Vader`] and [`Lexicon`] implement it; a
/// [`Scored`](crate::livestream::Scored) decoder calls it for each message, on the worker that decodes.
///
/// # Contract
///
/// * **Range.** The score is in units of `1 /` [`SENTIMENT_SCALE`](crate::livestream::SENTIMENT_SCALE), from −1 to 1; 0 is neutral.
/// * **Pure and total.** The same message always has the same score; no message causes a panic; the time is
///   linear in its length.
/// * **Identified.** Two scorers with the same [`identity`](Self::identity) give every message the same
///   score, in any process and any version of the program.
///
/// Checked by [`sentiment_compliance`](crate::livestream::testkit::sentiment_compliance).
///
/// ```
/// use telemetra::core::key_hash;
/// use telemetra::livestream::Sentiment;
///
/// /// Positive if one of its words is in the list.
/// struct Cheers(String);
///
/// impl Sentiment for Cheers {
///     fn score(&self, message: &str, _emotes: &[&str]) -> i32 {
///         let knows = |word: &str| self.0.split(' ').any(|known| known == word);
///         if message.split(' ').any(knows) { 5_000 } else { 0 }
///     }
///     fn identity(&self) -> String {
///         // The number goes up with any change of `score`.
///         format!("cheers 1, {:016x}", key_hash(&self.0))
///     }
/// }
///
/// let one = Cheers("hooray yay".to_owned());
/// telemetra::livestream::testkit::sentiment_compliance(&[&one, &Cheers("hooray".to_owned())], &["hooray", "yay", "boo"]);
/// ```
pub trait Sentiment: Send + Sync {
    /// Returns the score of `message`, given the names of the emotes in it.
    fn score(&self, message: &str, emotes: &[&str]) -> i32;

    /// Returns the identity of the scorer, which contains everything that scores depend on: its name, a version that
    /// increases with every change of its rules, and a digest of the words it was given. Checkpoints store
    /// the identity, and a restart with another one is refused: a window would otherwise be the mean of
    /// scores that cannot be compared.
    ///
    /// There is no default, as only the author knows what the scores depend on. Do not use the hashers of the
    /// standard library for the digest, as they may change; [`key_hash`](crate::core::key_hash) does not.
    fn identity(&self) -> String;
}
