use crate::livestream::{SENTIMENT_SCALE, Sentiment};

/// Checks that scorers keep the contract of [`Sentiment`]: pass one scorer of your type with each of a few
/// settings, and messages that they score differently.
///
/// # Panics
///
/// If the contract is broken, or two scorers of different identities score no message differently; the panic
/// message says where.
///
/// ```
/// use telemetra::livestream::{testkit::sentiment_compliance, Lexicon, Vader};
/// let mine = Lexicon::from_pairs([("gg", 0.5)])?;
/// sentiment_compliance(&[&mine, &Lexicon::english(), &Vader::new()], &["gg", "love it", "not good", ""]);
/// # Ok::<(), telemetra::core::ConfigError>(())
/// ```
pub fn sentiment_compliance(scorers: &[&dyn Sentiment], messages: &[&str]) {
    let range = -(SENTIMENT_SCALE as i32)..=SENTIMENT_SCALE as i32;
    let scores = |scorer: &dyn Sentiment| -> Vec<i32> {
        messages.iter().map(|message| scorer.score(message, &["unknownEmote"])).collect()
    };
    for (number, scorer) in scorers.iter().enumerate() {
        let (identity, own) = (scorer.identity(), scores(*scorer));
        assert!(!identity.is_empty(), "scorer {number} has no identity");
        assert_eq!(scorer.identity(), identity, "the identity of scorer {number} changes");
        assert_eq!(scores(*scorer), own, "`{identity}` gives a message another score the second time");
        for (message, score) in messages.iter().zip(&own) {
            assert!(range.contains(score), "`{identity}` gives `{message}` the score {score}");
        }
        for other in &scorers[..number] {
            let differ = scores(*other) != own;
            let known = other.identity() != identity;
            assert!(!differ || known, "two that score differently have the identity `{identity}`");
            assert!(differ || !known, "no message tells `{}` from `{identity}`", other.identity());
        }
    }
}
