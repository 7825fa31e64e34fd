//! A program on a terminal of the test's own.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A program that runs on a terminal, and what it has written there so far.
pub struct Session {
    master: File,
    child: Child,
    written: Vec<u8>,
}

/// What a program has written to its terminal, and its exit code.
#[derive(Debug)]
pub struct Written {
    pub text: String,
    pub code: Option<i32>,
}

impl Session {
    /// Starts a command, as a shell does: the terminal is its standard input, output and error, and its Ctrl-C
    /// reaches it.
    pub fn start(command: &Command, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcsetwinsize(&slave, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        // From util-linux: it makes the terminal the controlling one, and becomes the program.
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        session.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        let child = session.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        Self { master: File::from(master), child, written: Vec::new() }
    }

    /// Reads some more; false at the end.
    fn read(&mut self) -> bool {
        let mut part = [0; 4096];
        // A terminal that nobody has open any more answers with an error.
        let length = self.master.read(&mut part).unwrap_or(0);
        self.written.extend_from_slice(&part[..length]);
        length > 0
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    /// Waits until the program has written this.
    pub fn until(&mut self, text: &str) {
        while !self.text().contains(text) {
            assert!(self.read(), "it ended without `{text}`: {}", self.text());
        }
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) {
        self.master.write_all(b"\x03").unwrap();
    }

    /// Waits for the end.
    pub fn end(mut self) -> Written {
        while self.read() {}
        let code = self.child.wait().unwrap().code();
        Written { text: self.text(), code }
    }
}

impl Written {
    /// All that was in a line of the screen, also what was overwritten; without styles.
    pub fn lines(&self) -> Vec<String> {
        let plain = self.text.replace("\x1b[1m", "").replace("\x1b[0m", "");
        plain.split(['\n', '\r']).map(|line| line.trim_end().to_owned()).collect()
    }

    /// What remains on the screen, as words with one blank between them.
    pub fn words(&self) -> String {
        self.lines().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Fails if a line is longer than the terminal is wide.
    pub fn fits(&self, columns: u16) {
        for line in self.lines() {
            assert!(line.chars().count() <= usize::from(columns), "wider than {columns}: {line}");
        }
    }
}
