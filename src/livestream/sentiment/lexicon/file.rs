//! Lexicons read from files.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::{Lexicon, Refused};
use crate::core::ConfigError;

/// The form that a line must have.
const FORM: &str = "write a word and a weight from -1 to 1, or a word and `not`, on each line";

impl Lexicon {
    /// Reads a word and its weight, separated by white space, from each line of a UTF-8 text. The weight
    /// `not` makes the word a negation. Empty lines, lines that begin with `#` followed by white space, and a
    /// byte order mark are skipped.
    ///
    /// # Errors
    ///
    /// If the text cannot be read, or a line has another form (the error has the line's number); otherwise as
    /// for [`from_pairs`](Self::from_pairs).
    ///
    /// ```
    /// use telemetra::livestream::{Lexicon, Sentiment};
    /// let lexicon = Lexicon::from_reader("# Chinese\n好 0.7\n糟糕 -0.6\n不 not\n".as_bytes())?;
    /// assert_eq!(lexicon.score("这个游戏很好！", &[]), 7_000);
    /// assert!(lexicon.score("不好", &[]) < 0);
    /// let error = Lexicon::from_reader("lit\n".as_bytes()).unwrap_err();
    /// assert!(error.to_string().contains("line 1"));
    /// # Ok::<(), telemetra::core::ConfigError>(())
    /// ```
    pub fn from_reader(reader: impl BufRead) -> Result<Self, ConfigError> {
        Self::read(reader, "")
    }

    /// Reads a file, as [`from_reader`](Self::from_reader) does.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened; otherwise as for [`from_reader`](Self::from_reader). The error has the
    /// file's path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| {
            let detail = format!("{} cannot be opened: {error}", path.display());
            ConfigError::new("lexicon", detail, "give a file with a word and a weight on each line")
        })?;
        Self::read(BufReader::new(file), &format!("{}, ", path.display()))
    }

    /// Reads a lexicon. `place` precedes the line's number in errors.
    fn read(reader: impl BufRead, place: &str) -> Result<Self, ConfigError> {
        let mut lexicon = Self::empty();
        for (number, line) in (1..).zip(reader.lines()) {
            let located = |Refused { detail, hint }: Refused| {
                ConfigError::new("lexicon", format!("{place}line {number}: {detail}"), hint)
            };
            let line = line.map_err(|error| located(bad(error.to_string())))?;
            lexicon.line(line.trim_start_matches('\u{feff}')).map_err(located)?;
        }
        Ok(lexicon)
    }

    fn line(&mut self, line: &str) -> Result<(), Refused> {
        let mut fields = line.split_whitespace();
        match (fields.next(), fields.next(), fields.next()) {
            (None | Some("#"), ..) => Ok(()),
            (Some(word), Some("not"), None) => self.negate(word),
            (Some(word), Some(weight), None) => {
                let weight =
                    weight.parse().map_err(|_| bad(format!("`{weight}`, of `{word}`, is not a number")))?;
                self.add(word, weight)
            }
            _ => Err(bad(format!("`{line}` is not a word and its weight"))),
        }
    }
}

fn bad(detail: String) -> Refused {
    Refused { detail, hint: FORM }
}
