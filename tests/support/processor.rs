//! Envoy's side of `ext_proc`: each exchange is told of in a stream of gRPC, as the filter does it.

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use prost::{Message, Oneof};
use tokio::net::TcpStream;

use super::client::Answer;
use super::gateway::Gateway;
use super::in_time;
use super::wallet::Payment;

/// A connection over which exchanges are told of.
pub struct Envoy(SendRequest<Bytes>);

/// One exchange that is told of.
pub struct Telling {
    to: SendStream<Bytes>,
    coming: Option<ResponseFuture>,
    from: Option<RecvStream>,
    heard: BytesMut,
}

/// What the gateway says.
#[derive(Debug)]
pub enum Said {
    /// Go on, with these changes.
    On(Changes),
    /// Answer your client with this.
    Answer(Answer),
    /// The stream is over, with this status and message.
    Over(String, String),
}

/// Changes of a head.
#[derive(Debug, Default)]
pub struct Changes {
    pub set: HeaderMap,
    pub removed: Vec<String>,
}

impl Envoy {
    /// Connects to where the gateway is asked.
    pub async fn connect(gateway: &Gateway) -> Self {
        let socket = TcpStream::connect(gateway.check.expect("it is asked")).await.unwrap();
        let (send, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        Self(send)
    }

    /// A stream in which nothing has been told of.
    pub async fn stream(&self) -> Telling {
        self.call(PROCESS, "application/grpc").await
    }

    /// A stream of any kind.
    pub async fn call(&self, path: &str, kind: &str) -> Telling {
        let request = Request::post(format!("http://tollgate{path}"));
        let request = request.header("content-type", kind).header("te", "trailers").body(());
        let mut send = self.0.clone().ready().await.unwrap();
        let (coming, to) = send.send_request(request.unwrap(), false).unwrap();
        Telling { to, coming: Some(coming), from: None, heard: BytesMut::new() }
    }

    /// Tells of a request, and hears what becomes of it.
    pub async fn tells(
        &self,
        (method, target): (&str, &str),
        more: &[(&str, &str)],
    ) -> (Telling, Said) {
        let mut telling = self.stream().await;
        let line = [(":method", method), (":path", target), (":authority", "api.example.com")];
        let said = telling.request(&[&line, more].concat()).await;
        (telling, said)
    }

    /// The same, with a payment.
    pub async fn pays(&self, request: (&str, &str), payment: &Payment) -> (Telling, Said) {
        self.tells(request, &[("payment-signature", &payment.v2())]).await
    }
}

impl Telling {
    /// Tells of the head of a request.
    pub async fn request(&mut self, headers: &[(&str, &str)]) -> Said {
        self.says(Of::Request(head(headers))).await
    }

    /// Tells of the head of an answer.
    pub async fn answered(&mut self, status: u16, more: &[(&str, &str)]) -> Said {
        let status = status.to_string();
        self.says(Of::Response(head(&[&[(":status", &*status)], more].concat()))).await
    }

    /// Tells of anything.
    pub async fn says(&mut self, of: Of) -> Said {
        self.send(&ProcessingRequest { of: Some(of), observing: false }.encode_to_vec());
        self.hears().await
    }

    /// Tells of a request, and says that it goes on in any case.
    pub async fn observes(&mut self) -> Said {
        let of = Some(Of::Request(head(&[])));
        self.send(&ProcessingRequest { of, observing: true }.encode_to_vec());
        self.hears().await
    }

    /// Sends a message.
    pub fn send(&mut self, message: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(message.len().try_into().unwrap());
        frame.put_slice(message);
        self.send_raw(&frame);
    }

    /// Sends bytes.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.to.send_data(Bytes::copy_from_slice(bytes), false).unwrap();
    }

    /// Has nothing more to tell.
    pub fn ends(&mut self) {
        self.to.send_data(Bytes::new(), true).unwrap();
    }

    /// Its client is gone.
    pub fn resets(mut self) {
        self.to.send_reset(Reason::CANCEL);
    }

    /// The status of HTTP, where it is no stream of gRPC.
    pub async fn status(&mut self) -> u16 {
        let answer = in_time("a head", self.coming.take().unwrap()).await.unwrap();
        answer.status().as_u16()
    }

    /// What the gateway says next.
    pub async fn hears(&mut self) -> Said {
        if let Some(coming) = self.coming.take() {
            let answer = in_time("the head of a stream", coming).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-type"], "application/grpc");
            self.from = Some(answer.into_body());
        }
        let from = self.from.as_mut().unwrap();
        loop {
            if let Some([0, length @ ..]) = self.heard.first_chunk::<5>() {
                let end = 5 + usize::try_from(u32::from_be_bytes(*length)).unwrap();
                if self.heard.len() >= end {
                    let message = self.heard.split_to(end).split_off(5);
                    return Said::of(ProcessingResponse::decode(message).unwrap());
                }
            }
            match in_time("a message", from.data()).await {
                Some(piece) => {
                    let piece = piece.unwrap();
                    from.flow_control().release_capacity(piece.len()).unwrap();
                    self.heard.extend_from_slice(&piece);
                }
                None => {
                    assert!(self.heard.is_empty(), "half a message");
                    let trailers = from.trailers().await.unwrap().expect("a status of gRPC");
                    let text = |name: &str| trailers[name].to_str().unwrap().to_owned();
                    return Said::Over(text("grpc-status"), text("grpc-message"));
                }
            }
        }
    }
}

impl Said {
    fn of(message: ProcessingResponse) -> Self {
        match message.to.expect("it says something") {
            To::Request(on) | To::Response(on) => {
                Self::On(Changes::of(on.response.unwrap().changes))
            }
            To::Answer(answer) => {
                let Changes { set, removed } = Changes::of(answer.headers);
                assert_eq!((removed.len(), set.get("content-length")), (0, None));
                let status = answer.status.unwrap().code.try_into().unwrap();
                Self::Answer(Answer { status, headers: set, body: answer.body })
            }
        }
    }

    /// The answer that is given in place of the API's.
    #[track_caller]
    pub fn answer(self) -> Answer {
        let Self::Answer(answer) = self else { panic!("no answer: {self:?}") };
        answer
    }

    /// The changes with which it goes on.
    #[track_caller]
    pub fn on(self) -> Changes {
        let Self::On(changes) = self else { panic!("it does not go on: {self:?}") };
        changes
    }

    /// The status and the message of the end.
    #[track_caller]
    pub fn over(self) -> (String, String) {
        let Self::Over(status, message) = self else { panic!("it is not over: {self:?}") };
        (status, message)
    }
}

impl Changes {
    /// In the order in which Envoy carries them out.
    fn of(told: Option<HeaderMutation>) -> Self {
        let told = told.unwrap_or_default();
        let mut set = HeaderMap::new();
        for HeaderValueOption { header, action } in told.set {
            let Header { name, raw, .. } = header.unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = HeaderValue::from_bytes(&raw).unwrap();
            match action {
                0 => drop(set.append(name, value)),
                2 => drop(set.insert(name, value)),
                other => panic!("{other} is not said here"),
            }
        }
        Self { set, removed: told.remove }
    }

    /// They as an answer with this status, for whoever looks at its headers.
    pub fn into_answer(self, status: u16) -> Answer {
        Answer { status, headers: self.set, body: Vec::new() }
    }
}

fn head(headers: &[(&str, &str)]) -> Head {
    let header = |(name, value): &(&str, &str)| Header {
        name: (*name).to_owned(),
        text: String::new(),
        raw: value.as_bytes().to_vec(),
    };
    Head { headers: Some(Headers { all: headers.iter().map(header).collect() }), last: true }
}

#[derive(Clone, PartialEq, Message)]
struct ProcessingRequest {
    #[prost(oneof = "Of", tags = "2, 3, 4, 5, 6, 7")]
    of: Option<Of>,
    #[prost(bool, tag = "10")]
    observing: bool,
}

/// What is told of.
#[derive(Clone, PartialEq, Oneof)]
pub enum Of {
    #[prost(message, tag = "2")]
    Request(Head),
    #[prost(message, tag = "3")]
    Response(Head),
    #[prost(message, tag = "4")]
    RequestBody(Body),
    #[prost(message, tag = "5")]
    ResponseBody(Body),
    #[prost(message, tag = "6")]
    RequestTrailers(Trailers),
    #[prost(message, tag = "7")]
    ResponseTrailers(Trailers),
}

#[derive(Clone, PartialEq, Message)]
pub struct Head {
    #[prost(message, optional, tag = "1")]
    headers: Option<Headers>,
    #[prost(bool, tag = "3")]
    last: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Body {
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Trailers {
    #[prost(message, optional, tag = "1")]
    trailers: Option<Headers>,
}

#[derive(Clone, PartialEq, Message)]
struct Headers {
    #[prost(message, repeated, tag = "1")]
    all: Vec<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    text: String,
    #[prost(bytes = "vec", tag = "3")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ProcessingResponse {
    #[prost(oneof = "To", tags = "1, 2, 7")]
    to: Option<To>,
}

#[derive(Clone, PartialEq, Oneof)]
enum To {
    #[prost(message, tag = "1")]
    Request(On),
    #[prost(message, tag = "2")]
    Response(On),
    #[prost(message, tag = "7")]
    Answer(Immediate),
}

#[derive(Clone, PartialEq, Message)]
struct On {
    #[prost(message, optional, tag = "1")]
    response: Option<Common>,
}

#[derive(Clone, PartialEq, Message)]
struct Common {
    #[prost(message, optional, tag = "2")]
    changes: Option<HeaderMutation>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderMutation {
    #[prost(message, repeated, tag = "1")]
    set: Vec<HeaderValueOption>,
    #[prost(string, repeated, tag = "2")]
    remove: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(int32, tag = "3")]
    action: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Immediate {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    headers: Option<HeaderMutation>,
    #[prost(bytes = "vec", tag = "3")]
    body: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

/// The only method of the service.
pub const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
