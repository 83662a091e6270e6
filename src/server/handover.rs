//! The line between a gateway and its successor: listeners one way, words the other.
//!
//! It is the successor's standard input. What a gateway gives is one line of JSON with its
//! listeners beside it; what a successor says is a line for each word. The end of the line says
//! that the other one has ended.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::listen::Spare;

/// The end of the line that a successor holds.
#[derive(Debug)]
pub struct Heir {
    line: UnixStream,
    given: Vec<Spare>,
}

/// The end that a gateway holds. Dropped, it tells the successor that nobody is before it.
#[derive(Debug)]
pub(super) struct Line(BufReader<tokio::io::Take<tokio::net::UnixStream>>);

/// What a successor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// It serves, and can do so beside its predecessor.
    Serves,
    /// It can serve only when its predecessor has ended: why.
    Waits(String),
    /// It cannot serve, and ends: why.
    Fails(String),
}

/// A listener, as it is written beside it.
#[derive(Debug, Serialize, Deserialize)]
struct Given {
    name: String,
    asked: SocketAddr,
}

impl Heir {
    /// Takes what a gateway has given on the standard input.
    ///
    /// # Errors
    /// No gateway is there.
    pub fn of_standard_input() -> io::Result<Self> {
        Self::of(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
    }

    fn of(line: UnixStream) -> io::Result<Self> {
        let mut text = [0; GIVEN_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut text)];
        let received = recvmsg(&line, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        let mut sockets: Vec<OwnedFd> = Vec::new();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(these) = message {
                sockets.extend(these);
            }
        }
        let given: Vec<Given> = serde_json::from_slice(text.get(..received.bytes).unwrap_or(&[]))?;
        let each = given.into_iter().zip(sockets);
        let spare = |(Given { name, asked }, socket)| Spare {
            name: name.into(),
            asked,
            listener: TcpListener::from(socket),
        };
        Ok(Self { line, given: each.map(spare).collect() })
    }

    /// The listener that was asked for under this name at this address, if there is one.
    pub(super) fn takes(&mut self, name: &str, asked: SocketAddr) -> Option<TcpListener> {
        let found =
            self.given.iter().position(|spare| &*spare.name == name && spare.asked == asked)?;
        Some(self.given.swap_remove(found).listener)
    }

    /// Lets go of what nobody has taken: its predecessor may close it.
    pub(super) fn leaves_the_rest(&mut self) {
        self.given.clear();
    }

    /// Says it to the predecessor, who may have ended meanwhile: then it need not know.
    pub fn fails(&mut self, why: String) {
        self.says(&Word::Fails(why));
    }

    pub(super) fn says(&mut self, word: &Word) {
        let Ok(mut line) = serde_json::to_vec(word) else { return };
        line.push(b'\n');
        let _ = self.line.write_all(&line);
    }

    /// Says why it waits, and waits until its predecessor has ended.
    pub(super) fn waits(&mut self, why: &str) -> io::Result<()> {
        self.says(&Word::Waits(why.to_owned()));
        match self.line.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(io::Error::other("a predecessor has nothing more to say")),
        }
    }
}

impl Line {
    /// A line on which these listeners are given, and the end of it that is to be a successor's
    /// standard input. Needs a tokio runtime around it.
    pub(super) fn giving(listeners: &[Spare]) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        let given: Vec<Given> = listeners
            .iter()
            .map(|spare| Given { name: spare.name.to_string(), asked: spare.asked })
            .collect();
        let text = serde_json::to_vec(&given)?;
        let sockets: Vec<_> = listeners.iter().map(|spare| spare.listener.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LISTENERS_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !beside.push(SendAncillaryMessage::ScmRights(&sockets)) {
            return Err(io::Error::other("more listeners than a successor takes"));
        }
        sendmsg(&ours, &[IoSlice::new(&text)], &mut beside, SendFlags::empty())?;
        ours.set_nonblocking(true)?;
        let ours = tokio::net::UnixStream::from_std(ours)?;
        Ok((Self(BufReader::new(ours.take(WORDS_BYTES_MAX))), theirs.into()))
    }

    /// The successor's next word; nothing when it has ended.
    pub(super) async fn next(&mut self) -> Option<Word> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(1..) => serde_json::from_str(&line).ok(),
            Ok(_) | Err(_) => None,
        }
    }

    /// Waits for the end of the successor, which has said all that it has to say.
    pub(super) async fn ends(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// Clients', operators', one for proxies that ask, and one without TLS.
const LISTENERS_MAX: usize = 4;
const GIVEN_BYTES_MAX: usize = 4 * 1024;
/// A configuration's mistakes are told with it.
const WORDS_BYTES_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn spare(name: &str) -> Spare {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Spare { name: name.into(), asked: "127.0.0.1:0".parse().unwrap(), listener }
    }

    #[tokio::test]
    async fn listeners_and_words_arrive() {
        let (public, admin) = (spare("gateway"), spare("admin"));
        let (at, asked) = (admin.listener.local_addr().unwrap(), admin.asked);
        let (mut line, theirs) = Line::giving(&[public, admin]).unwrap();
        let mut heir = Heir::of(UnixStream::from(theirs)).unwrap();
        assert!(heir.takes("admin", "127.0.0.1:1".parse().unwrap()).is_none());
        assert_eq!(heir.takes("admin", asked).unwrap().local_addr().unwrap(), at);
        assert!(heir.takes("admin", asked).is_none(), "it is taken once");
        heir.says(&Word::Serves);
        heir.fails("two\nlines".into());
        assert_eq!(line.next().await, Some(Word::Serves));
        assert_eq!(line.next().await, Some(Word::Fails("two\nlines".into())));
        drop(heir);
        assert_eq!(line.next().await, None);
    }

    #[tokio::test]
    async fn who_waits_waits_for_the_end_of_the_other() {
        let (mut line, theirs) = Line::giving(&[]).unwrap();
        let mut heir = Heir::of(UnixStream::from(theirs)).unwrap();
        let waits = tokio::task::spawn_blocking(move || heir.waits("one writer"));
        assert_eq!(line.next().await, Some(Word::Waits("one writer".into())));
        assert!(!waits.is_finished());
        drop(line);
        waits.await.unwrap().unwrap();
    }

    #[test]
    fn what_is_no_line_gives_nothing() {
        let (one, other) = UnixStream::pair().unwrap();
        drop(other);
        assert!(Heir::of(one).is_err(), "nobody is there");
    }
}
