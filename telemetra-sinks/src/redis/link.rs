//! An open connection to a Redis server or cluster, which sends commands before the answers of earlier ones are read.

use redis::cluster::{ClusterConnection, cluster_pipe};
use redis::{Cmd, Connection, RedisResult, Value};

/// The number of commands that are sent before their answers are read.
const AT_ONCE: usize = 1000;

/// An open connection to a server or a cluster.
pub(super) struct Link {
    to: To,
    /// The commands of a cluster that are not sent yet.
    waiting: Vec<Cmd>,
    /// The number of commands to a single server whose answers are not read yet.
    unanswered: usize,
    answers: Vec<RedisResult<Value>>,
    /// True if a cluster has rejected a command since the answers were last read.
    rejected: bool,
}

/// The connection itself.
enum To {
    Single(Connection),
    Cluster(Box<ClusterConnection>),
}

impl Link {
    pub(super) fn single(connection: Connection) -> Self {
        Self::new(To::Single(connection))
    }

    pub(super) fn cluster(connection: ClusterConnection) -> Self {
        Self::new(To::Cluster(Box::new(connection)))
    }

    fn new(to: To) -> Self {
        Self { to, waiting: Vec::new(), unanswered: 0, answers: Vec::new(), rejected: false }
    }

    /// Sends commands without waiting for their answers, so that a single server works on them while the next ones
    /// are built. A cluster's commands are sent when there are enough of them; after it has rejected one, the others are
    /// dropped. Commands on one key run in order.
    ///
    /// After an error the connection is of no use, as answers may be under way.
    pub(super) fn send(&mut self, commands: impl IntoIterator<Item = Cmd>) -> RedisResult<()> {
        match &mut self.to {
            To::Single(connection) => {
                let mut packed = Vec::new();
                for command in commands {
                    command.write_packed_command(&mut packed);
                    self.unanswered += 1;
                }
                if !packed.is_empty() {
                    connection.send_packed_command(&packed)?;
                }
            }
            To::Cluster(_) if self.rejected => {}
            To::Cluster(_) => self.waiting.extend(commands),
        }
        if self.unanswered.max(self.waiting.len()) >= AT_ONCE { self.receive() } else { Ok(()) }
    }

    /// Returns the answers of all commands since the last call, in their order. The outer error is one of the
    /// connection, which is of no use after it.
    pub(super) fn answers(&mut self) -> RedisResult<Vec<RedisResult<Value>>> {
        self.receive()?;
        self.rejected = false;
        Ok(std::mem::take(&mut self.answers))
    }

    /// Reads the answers that are missing.
    fn receive(&mut self) -> RedisResult<()> {
        match &mut self.to {
            To::Single(connection) => {
                while self.unanswered > 0 {
                    let answer = connection.recv_response()?;
                    // A server that speaks RESP3 may say other things in between.
                    if !matches!(answer, Value::Push { .. }) {
                        self.answers.push(answer.extract_error());
                        self.unanswered -= 1;
                    }
                }
            }
            To::Cluster(connection) if !self.waiting.is_empty() => {
                let mut pipe = cluster_pipe();
                for command in self.waiting.drain(..) {
                    pipe.add_command(command);
                }
                let before = self.answers.len();
                match pipe.query::<Vec<Value>>(connection) {
                    Ok(part) => self.answers.extend(part.into_iter().map(Ok)),
                    Err(error) => {
                        let refused = error.clone().into_server_errors().ok_or(error)?;
                        // The other answers are lost, but one rejected command is enough to stop.
                        self.rejected = true;
                        for (at, error) in refused.iter() {
                            self.answers.resize_with(before + at, || Ok(Value::Nil));
                            self.answers.push(Err(error.clone().into()));
                        }
                    }
                }
            }
            To::Cluster(_) => {}
        }
        Ok(())
    }

    /// Loads a script into every server.
    pub(super) fn load(&mut self, script: &redis::Script) -> RedisResult<()> {
        match &mut self.to {
            To::Single(connection) => script.load(connection).map(drop),
            To::Cluster(connection) => script.load(&mut **connection).map(drop),
        }
    }

    /// Returns the type of a key, as the server names it.
    pub(super) fn type_of(&mut self, key: &str) -> RedisResult<String> {
        let mut command = redis::cmd("TYPE");
        command.arg(key);
        match &mut self.to {
            To::Single(connection) => command.query(connection),
            To::Cluster(connection) => command.query(&mut **connection),
        }
    }
}
