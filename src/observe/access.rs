//! The access log: one JSON line for each exchange, written by a thread of its own.

use std::io::{BufWriter, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::Observed;

/// Where finished exchanges are written.
#[derive(Clone, Debug)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To a writer behind a bounded queue.
    Lines(SyncSender<Vec<u8>>),
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is on its way, or the log is off.
    Queued,
    /// The writer is too slow; the line is lost and must be counted.
    Dropped,
}

/// Lines that wait for the writer.
pub const QUEUE_LINES_MAX: usize = 16_384;

impl AccessLog {
    /// A log that writes to `sink` from a thread of its own until the last clone is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn to(sink: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, queue) = sync_channel(QUEUE_LINES_MAX);
        std::thread::Builder::new().name("access-log".into()).spawn(move || write(&queue, sink))?;
        Ok(Self::Lines(lines))
    }

    /// Writes one line. Never waits.
    pub fn write(&self, observed: &Observed<'_>) -> Written {
        let Self::Lines(lines) = self else { return Written::Queued };
        let Ok(mut line) = serde_json::to_vec(observed) else { return Written::Dropped };
        line.push(b'\n');
        match lines.try_send(line) {
            Ok(()) => Written::Queued,
            Err(_) => Written::Dropped,
        }
    }
}

/// Writes lines as they come and flushes when there is a pause. A sink that fails ends the log.
fn write(queue: &Receiver<Vec<u8>>, sink: impl Write) {
    let mut sink = BufWriter::new(sink);
    while let Ok(line) = queue.recv() {
        let mut next = Ok(line);
        while let Ok(line) = next {
            if sink.write_all(&line).is_err() {
                return;
            }
            next = queue.recv_timeout(FLUSH_AFTER);
        }
        if sink.flush().is_err() || next == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// A pause this long flushes what is buffered.
const FLUSH_AFTER: Duration = Duration::from_millis(20);
