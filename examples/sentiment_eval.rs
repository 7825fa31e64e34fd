//! Measures how well scores agree with people: `sentiment_eval FILE [vader|plain|chat|lexicon|crate]
//! [--scores]`.
//!
//! Each line of the file is an id, the mean rating by people from −4 to 4, and the text, separated by tabs.
//! The program prints Pearson's correlation of scores and ratings, and the number of texts with the class
//! (positive, negative, neutral) that people gave them; a score within 0.05 of 0 is neutral, and so is a
//! rating of 0. With `--scores` it prints each id and score instead, for a comparison with another program.

use std::fs;

use anyhow::{Context, Result, bail};
use telemetra::livestream::{Lexicon, SENTIMENT_SCALE, Sentiment, Vader};
use vader_sentiment::SentimentIntensityAnalyzer;

/// The scores of the `vader_sentiment` crate.
struct Crate(SentimentIntensityAnalyzer<'static>);

impl Sentiment for Crate {
    fn score(&self, message: &str, _: &[&str]) -> i32 {
        let compound = self.0.polarity_scores(message).get("compound").copied().unwrap_or(0.0);
        (compound * SENTIMENT_SCALE as f64).round() as i32
    }
    fn identity(&self) -> String {
        "the vader_sentiment crate".to_owned()
    }
}

fn scorer(name: &str) -> Result<Box<dyn Sentiment>> {
    Ok(match name {
        "vader" => Box::new(Vader::new()),
        "plain" => Box::new(Vader::without_emotes()),
        "chat" => Box::new(Vader::chat()),
        "lexicon" => Box::new(Lexicon::english()),
        "crate" => Box::new(Crate(SentimentIntensityAnalyzer::new())),
        _ => bail!("`{name}` is not one of vader, plain, chat, lexicon, crate"),
    })
}

struct Rated {
    id: String,
    rating: f64,
    score: i32,
}

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let scores = words.iter().any(|word| word == "--scores");
    words.retain(|word| word != "--scores");
    let (file, name) = match &words[..] {
        [file] => (file, "vader"),
        [file, name] => (file, name.as_str()),
        _ => bail!("usage: sentiment_eval FILE [vader|plain|chat|lexicon|crate] [--scores]"),
    };
    let rated = rate(file, &*scorer(name)?)?;
    if scores {
        rated.iter().for_each(|line| println!("{}\t{:.4}", line.id, scaled(line.score)));
        return Ok(());
    }
    let accuracy = rated.iter().filter(|line| class(line.score) == sign(line.rating)).count() as f64
        / rated.len() as f64;
    println!("{name}: {} texts, r = {:.4}, accuracy = {accuracy:.4}", rated.len(), correlation(&rated));
    Ok(())
}

fn rate(file: &str, scorer: &dyn Sentiment) -> Result<Vec<Rated>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let lines = (1..).zip(text.split('\n')).filter(|(_, line)| !line.is_empty());
    let rated = lines.map(|(number, line)| {
        let mut fields = line.splitn(3, '\t');
        let (Some(id), Some(rating), Some(text)) = (fields.next(), fields.next(), fields.next()) else {
            bail!("{file}, line {number}: not an id, a rating and a text with tabs between");
        };
        let rating = rating.parse().with_context(|| format!("{file}, line {number}: `{rating}`"))?;
        Ok(Rated { id: id.to_owned(), rating, score: scorer.score(text, &[]) })
    });
    let rated: Vec<_> = rated.collect::<Result<_>>()?;
    if rated.is_empty() {
        bail!("{file} has no line");
    }
    Ok(rated)
}

fn scaled(score: i32) -> f64 {
    f64::from(score) / SENTIMENT_SCALE as f64
}

fn class(score: i32) -> i8 {
    i8::from(score >= 500) - i8::from(score <= -500)
}

fn sign(rating: f64) -> i8 {
    i8::from(rating > 0.0) - i8::from(rating < 0.0)
}

fn correlation(rated: &[Rated]) -> f64 {
    let mean = |of: fn(&Rated) -> f64| rated.iter().map(of).sum::<f64>() / rated.len() as f64;
    let (x, y) = (mean(|line| scaled(line.score)), mean(|line| line.rating));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for line in rated {
        let (dx, dy) = (scaled(line.score) - x, line.rating - y);
        (xx, yy, xy) = (xx + dx * dx, yy + dy * dy, xy + dx * dy);
    }
    xy / (xx * yy).sqrt()
}
