//! The access log: one line for each exchange, written by a thread of its own.

mod human;

use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Observed;

/// Where finished exchanges are written.
#[derive(Clone, Debug)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To a writer behind a bounded queue.
    Lines(Lines),
}

/// For whom lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Programs: an object of JSON.
    Json,
    /// People.
    Human,
}

/// The queue of a writer, and how far it has come.
#[derive(Clone, Debug)]
pub struct Lines {
    form: Form,
    queue: SyncSender<Vec<u8>>,
    /// Lines that went into it.
    queued: Arc<AtomicU64>,
    written: Arc<Progress>,
}

/// How far the writer has come, for who waits for it.
#[derive(Debug, Default)]
struct Progress {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Now {
    /// Lines that have left us.
    flushed: u64,
    /// No more will.
    over: bool,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is on its way, or the log is off.
    Queued,
    /// The writer is too slow, or can write no more; the line is lost and must be counted.
    Dropped,
}

/// Lines that wait for the writer.
pub const QUEUE_LINES_MAX: usize = 16_384;

impl AccessLog {
    /// A log that writes to `sink` from a thread of its own until the last clone is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn to(sink: impl Write + Send + 'static, form: Form) -> std::io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE_LINES_MAX);
        let written = Arc::<Progress>::default();
        let progress = Arc::clone(&written);
        std::thread::Builder::new().name("access-log".into()).spawn(move || {
            write(&lines, sink, &progress);
            // Who is told of the end can queue nothing more.
            drop(lines);
            progress.becomes(|now| now.over = true);
        })?;
        Ok(Self::Lines(Lines { form, queue, queued: Arc::default(), written }))
    }

    /// Writes one line. Never waits.
    pub fn write(&self, observed: &Observed<'_>) -> Written {
        let Self::Lines(Lines { form, queue, queued, .. }) = self else { return Written::Queued };
        let line = match form {
            Form::Json => serde_json::to_vec(observed),
            Form::Human => Ok(human::line(observed).into_bytes()),
        };
        let Ok(mut line) = line else { return Written::Dropped };
        line.push(b'\n');
        match queue.try_send(line) {
            Ok(()) => {
                queued.fetch_add(1, Ordering::Relaxed);
                Written::Queued
            }
            Err(_) => Written::Dropped,
        }
    }

    /// Waits until what was queued is written, at most for `patience`. How many lines are not.
    pub fn finish(&self, patience: Duration) -> u64 {
        let Self::Lines(Lines { queued, written, .. }) = self else { return 0 };
        let queued = queued.load(Ordering::Relaxed);
        let now = written.now.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |now: &mut Now| now.flushed < queued && !now.over;
        let waited = written.changed.wait_timeout_while(now, patience, behind);
        let (now, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queued.saturating_sub(now.flushed)
    }
}

impl Progress {
    fn becomes(&self, change: impl FnOnce(&mut Now)) {
        // Two numbers: nothing is half done.
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// Writes lines as they come and flushes when there is a pause. A sink that fails ends the log.
fn write(queue: &Receiver<Vec<u8>>, sink: impl Write, progress: &Progress) {
    let mut sink = BufWriter::new(sink);
    let mut written: u64 = 0;
    while let Ok(line) = queue.recv() {
        let mut next = Ok(line);
        while let Ok(line) = next {
            if sink.write_all(&line).is_err() {
                return;
            }
            written = written.saturating_add(1);
            next = queue.recv_timeout(FLUSH_AFTER);
        }
        if sink.flush().is_err() || next == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        progress.becomes(|now| now.flushed = written);
    }
}

/// A pause this long flushes what is buffered.
const FLUSH_AFTER: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::mpsc::Sender;

    use super::*;
    use crate::clock::UnixMillis;
    use crate::ledger::ExchangeId;
    use crate::observe::Stages;

    /// Takes nothing until its reader comes, or fails when there is none.
    struct Pipe(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A log in which so many lines wait, its reader, and what that reads.
    fn log(lines: u64) -> (AccessLog, Sender<()>, Receiver<Vec<u8>>) {
        let ((reader, reads), (sent, read)) =
            (std::sync::mpsc::channel(), std::sync::mpsc::channel());
        let log = AccessLog::to(Pipe(reads, sent), Form::Json).unwrap();
        for _ in 0..lines {
            assert_eq!(write_one(&log), Written::Queued);
        }
        (log, reader, read)
    }

    fn write_one(log: &AccessLog) -> Written {
        log.write(&observed())
    }

    /// A free request of nobody.
    pub(super) fn observed() -> Observed<'static> {
        Observed {
            began: UnixMillis::new(0),
            exchange: ExchangeId::new(1),
            trace: None,
            method: "GET",
            path: "/",
            route: None,
            pattern: None,
            http: "1.1",
            upstream: None,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            status: 200,
            outcome: "free",
            bypass: None,
            signed_in: None,
            refusal: None,
            reason: None,
            payment: None,
            total: Duration::ZERO,
            stages: Stages::default(),
            bytes_in: 0,
            bytes_out: 0,
            fault: None,
        }
    }

    #[test]
    fn what_is_queued_is_written_before_the_end() {
        let (log, reader, read) = log(3);
        assert_eq!(log.finish(Duration::ZERO), 3);
        // It may come in as many pieces.
        (0..3).for_each(|_| reader.send(()).unwrap());
        assert_eq!(log.finish(Duration::from_secs(40)), 0);
        let text: Vec<u8> = read.try_iter().flatten().collect();
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 3);
        assert_eq!(AccessLog::Off.finish(Duration::from_secs(40)), 0);
    }

    #[test]
    fn a_reader_that_never_comes_is_not_waited_for_without_end() {
        let (log, reader, _read) = log(2);
        assert_eq!(log.finish(Duration::from_millis(50)), 2);
        // One that has gone is not waited for at all.
        drop(reader);
        assert_eq!(log.finish(Duration::from_secs(3600)), 2);
        assert_eq!(write_one(&log), Written::Dropped);
    }
}
