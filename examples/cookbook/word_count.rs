//! Word count. After Bytewax's "Word count" and Flink's `WordCount`.

use telemetra::core::{Arena, DecodeError};
use telemetra::prelude::*;

struct Word<'a> {
    word: &'a str,
    time: EventTime,
}

impl Event for Word<'_> {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        self.word
    }
}

struct Words;

impl Events for Words {
    type Key = String;
    type Of<'a> = Word<'a>;
}

/// Makes an event of each word of a line `MILLISECONDS TEXT`.
impl Decoder<Self> for Words {
    fn decode<'a>(
        &self,
        line: Record<'a>,
        _: &'a Arena,
        words: &mut Vec<Word<'a>>,
    ) -> Result<(), DecodeError> {
        let line = std::str::from_utf8(line.value).map_err(|_| DecodeError::new("is not UTF-8"))?;
        let (time, text) = line.split_once(' ').ok_or_else(|| DecodeError::new("has no text"))?;
        let time = EventTime(time.parse().map_err(|_| DecodeError::field("time", "is no number"))?);
        words.extend(text.split_whitespace().map(|word| Word { word, time }));
        Ok(())
    }
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let lines = ["1000 to be or not to be", "61000 that is the question", "noon what is this"];
    Pipeline::<Words>::new()
        .source(crate::records(lines), Words)
        .sink(tables.clone())
        .group("words", tumbling(minutes(1)), |a| a.count("count"))
        .key_columns(["word"])
        .start()?
        .wait()?;
    Ok(())
}

#[test]
fn words_are_counted_by_minute() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    let mut words = crate::summaries::<String, u64>(&tables, "words");
    words.sort();
    let counts: Vec<(&str, u64, u64)> = words.iter().map(|(word, at, n)| (&**word, *at, *n)).collect();
    let first = [("be", 0, 2), ("is", 60_000, 1), ("not", 0, 1), ("or", 0, 1), ("question", 60_000, 1)];
    assert_eq!(counts[..5], first);
    assert_eq!(tables.dead_letters().len(), 1);
    Ok(())
}
