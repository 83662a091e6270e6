//! The file in which a simulated chain outlives the process: one line of JSON for each transfer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::book::{Transfer, USED_NONCES_MAX};

/// Why a file of transfers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process, or another simulated chain of this one, writes to it.
    #[error("{}: in use by another simulated facilitator", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A line before the last is not a transfer.
    #[error("{}:{line}: not a transfer", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// More transfers than a simulated chain remembers.
    #[error("{}: more than {USED_NONCES_MAX} transfers; begin a new file", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Reads every whole transfer of a journal, oldest first, and changes nothing.
///
/// A last line that was being written when the process died is left out: nobody was told of it.
///
/// # Errors
/// `Io`, `Line` or `TooLong`; never `InUse`.
pub fn read(path: &Path) -> Result<Vec<Transfer>, JournalError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    scan(path, &file).map(|(transfers, _)| transfers)
}

/// Resolves when what was appended is on disk; fails when it cannot be.
pub(super) type Ack = oneshot::Receiver<()>;

/// The queue to the one thread that writes. Dropped, it waits until all that is queued is written.
pub(super) struct Journal {
    queue: Option<SyncSender<Entry>>,
    writer: Option<JoinHandle<()>>,
}

/// Nothing can be appended: a write has failed before, or the queue is full.
#[derive(Debug, thiserror::Error)]
#[error("the journal takes no more lines")]
pub(super) struct Lost;

struct Entry {
    /// One line with its end; empty to wait for the lines before it.
    line: Vec<u8>,
    ack: oneshot::Sender<()>,
}

impl Journal {
    /// Opens or creates a journal and reads it; cuts off a torn last line.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Transfer>), JournalError> {
        let at = |source| io_error(path, source);
        let file =
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(at)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse { path: path.to_owned() },
            TryLockError::Error(source) => at(source),
        })?;
        let (transfers, whole) = scan(path, &file)?;
        file.set_len(whole).and_then(|()| file.sync_all()).map_err(at)?;
        sync_folder(path).map_err(at)?;

        let (queue, entries) = sync_channel(QUEUE_MAX);
        let writer = std::thread::Builder::new()
            .name("simulated-journal".to_owned())
            .spawn(move || write(file, &entries))
            .map_err(at)?;
        Ok((Self { queue: Some(queue), writer: Some(writer) }, transfers))
    }

    /// Queues a transfer behind those before it. Never waits.
    pub(super) fn append(&self, transfer: &Transfer) -> Result<Ack, Lost> {
        let mut line = serde_json::to_vec(transfer).map_err(|_| Lost)?;
        line.push(b'\n');
        self.enqueue(line)
    }

    /// An acknowledgement of everything that was appended before.
    pub(super) fn barrier(&self) -> Result<Ack, Lost> {
        self.enqueue(Vec::new())
    }

    fn enqueue(&self, line: Vec<u8>) -> Result<Ack, Lost> {
        let (ack, acked) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(Lost)?;
        queue.try_send(Entry { line, ack }).map_err(|_| Lost)?;
        Ok(acked)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to write.
            let _ = writer.join();
        }
    }
}

/// Writes what is queued, as many lines at once as have gathered, with one sync for all.
fn write(mut file: File, entries: &Receiver<Entry>) {
    while let Ok(Entry { line: mut lines, ack }) = entries.recv() {
        let mut acks = vec![ack];
        for entry in entries.try_iter().take(BATCH_MAX) {
            lines.extend_from_slice(&entry.line);
            acks.push(entry.ack);
        }
        if let Err(error) = file.write_all(&lines).and_then(|()| file.sync_data()) {
            // What reached the disk is not known, so nothing may follow it. The waiting see their
            // acknowledgement dropped; the next append finds the queue closed.
            tracing::error!(%error, "the simulated chain's journal cannot be written");
            return;
        }
        for ack in acks {
            // Whoever waited may have left; the line stays.
            let _ = ack.send(());
        }
    }
}

/// The transfers of a journal, and how many bytes of it are whole.
fn scan(path: &Path, file: &File) -> Result<(Vec<Transfer>, u64), JournalError> {
    let mut reader = BufReader::new(file);
    let mut transfers = Vec::new();
    let mut whole: u64 = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(LINE_BYTES_MAX);
        let read = bounded.read_until(b'\n', &mut line).map_err(|source| io_error(path, source))?;
        if read == 0 {
            return Ok((transfers, whole));
        }
        let parsed = line.strip_suffix(b"\n").and_then(|text| serde_json::from_slice(text).ok());
        let Some(transfer) = parsed else {
            return if torn(&line) {
                Ok((transfers, whole))
            } else {
                Err(JournalError::Line { path: path.to_owned(), line: transfers.len() + 1 })
            };
        };
        if transfers.len() == USED_NONCES_MAX {
            return Err(JournalError::TooLong { path: path.to_owned() });
        }
        transfers.push(transfer);
        whole = whole.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
}

/// Whether this is how a line of ours begins, and no more of it: what a dying process leaves last.
///
/// Anything else without an end is somebody else's file, and not ours to cut.
fn torn(line: &[u8]) -> bool {
    let begun = line.iter().zip(LINE_START).all(|(byte, ours)| byte == ours);
    begun && !line.ends_with(b"\n")
}

/// Makes a file that was just created outlive a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn io_error(path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), source }
}

/// Transfers that wait for the disk.
const QUEUE_MAX: usize = 65_536;

/// Lines that share one sync, beyond the first.
const BATCH_MAX: usize = 4_095;

/// How every line begins.
const LINE_START: &[u8] = br#"{"transaction":""#;

/// Longest line that is read; a transfer has about 400 bytes.
const LINE_BYTES_MAX: u64 = 4_096;
