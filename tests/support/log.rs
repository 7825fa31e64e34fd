//! The log of the pipeline, kept for tests.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

/// Lines as an operator reads them.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The log of this test program: there is one, as the pipeline's threads write to it.
    pub fn of_this_program() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let make = || {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time().with_target(false);
            subscriber.with_writer(move || writer.clone()).init();
            log
        };
        LOG.get_or_init(make).clone()
    }

    /// The lines in which all of these words occur.
    pub fn lines(&self, words: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let has = |line: &&str| words.iter().all(|word| line.contains(word));
        text.lines().filter(has).map(ToOwned::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
