//! What a process prints, line by line, kept and waited for.

use std::io::{BufRead, BufReader, Read};
use std::thread;

use tokio::sync::watch;

use super::in_time;

/// The lines of one pipe. A thread reads them, so that the process never waits for us.
#[derive(Clone)]
pub struct Lines(watch::Receiver<Vec<String>>);

impl Lines {
    /// Reads `pipe` to its end.
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let (lines, receiver) = watch::channel(Vec::new());
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                lines.send_modify(|lines| lines.push(line));
            }
        });
        Self(receiver)
    }

    /// The first line that `wanted` makes something of; nothing when the pipe ends without one.
    pub async fn find<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut receiver = self.0.clone();
        let first = |lines: &Vec<String>| lines.iter().find_map(|line| wanted(line));
        let found = in_time(what, receiver.wait_for(|lines| first(lines).is_some())).await;
        found.ok().and_then(|lines| first(&lines))
    }

    /// Waits for the end of the pipe.
    pub async fn ended(&self) {
        let mut receiver = self.0.clone();
        let ended = async { while receiver.changed().await.is_ok() {} };
        in_time("the end of the output", ended).await;
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        self.0.borrow().join("\n")
    }
}
