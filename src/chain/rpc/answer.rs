//! JSON-RPC on the wire: one bounded request, and its answer taken apart.

use alloy_primitives::hex;
use reqwest::{Client, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Ask, RpcUrl};
use crate::chain::fault;
use crate::fault::{Fault, printable};

/// The answer to one question.
pub(in crate::chain) type Reply = Result<Value, RpcError>;

/// A node's own error.
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[error("{code}: {}", printable(message))]
pub(in crate::chain) struct RpcError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Value,
}

impl RpcError {
    /// The node gave up, and may have what it was given all the same. Geth answers -32002 while it
    /// goes on; -32603 is JSON-RPC's own word for anything that broke inside.
    pub(in crate::chain) fn is_doubt(&self) -> bool {
        self.code == INTERNAL || self.says(&["timed out", "timeout", "internal error"])
    }

    /// What a call returned that was undone, as far as it is told; nothing where it was not made.
    pub(in crate::chain) fn reverted(&self) -> Option<Vec<u8>> {
        let told = self.data.as_str().and_then(|text| hex::decode(text).ok());
        let undone = self.says(&["revert", "gas required exceeds", "out of gas"]);
        told.filter(|data| !data.is_empty()).or_else(|| undone.then(Vec::new))
    }

    /// JSON-RPC's number for it, or the node's own.
    pub(in crate::chain) fn code(&self) -> i64 {
        self.code
    }

    /// Whether one of these is in it, which are in lower case.
    pub(in crate::chain) fn says(&self, words: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    }
}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: usize,
    method: &'static str,
    params: &'a Value,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    result: Value,
    error: Option<RpcError>,
}

/// Why a request has no answers.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The node has refused it as a whole; a smaller one may be taken.
    Refused(Fault),
    /// No answer, or none that can be read.
    Silent(Fault),
}

impl From<Fault> for Unanswered {
    fn from(fault: Fault) -> Self {
        Self::Silent(fault)
    }
}

impl From<Unanswered> for Fault {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Refused(fault) | Unanswered::Silent(fault) => fault,
        }
    }
}

/// Sends one request, a batch when there are several questions, and reads the answers in order.
pub(super) async fn exchange<'asks>(
    client: &Client,
    url: &RpcUrl,
    asks: &'asks [Ask],
) -> Result<Vec<Reply>, Unanswered> {
    let request = |(id, ask): (usize, &'asks Ask)| {
        let Ask { method, params } = ask;
        Request { jsonrpc: "2.0", id, method, params: params.as_ref() }
    };
    let requests: Vec<Request<'asks>> = asks.iter().enumerate().map(request).collect();
    let body = match requests.as_slice() {
        [one] => serde_json::to_vec(one),
        several => serde_json::to_vec(several),
    };
    let body = body.map_err(|error| fault("a question is not JSON").caused_by(error))?;
    let body = post(client, url, body).await?;
    in_order(&body, asks.len())
}

/// What a node answers to a body.
async fn post(client: &Client, url: &RpcUrl, body: Vec<u8>) -> Result<Vec<u8>, Unanswered> {
    #[cfg(test)]
    if let Some(node) = &url.node {
        return Ok(std::sync::Arc::clone(node).post(body).await?);
    }
    let sent = client
        .post(url.url().clone())
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .send()
        .await;
    let response = sent.map_err(|error| fault("no connection").caused_by(error.without_url()))?;
    let status = response.status();
    let body = read(response).await?;
    if !status.is_success() {
        let fault = fault("an HTTP error").caused_by(status.as_str());
        let busy = status == StatusCode::TOO_MANY_REQUESTS || !status.is_client_error();
        return Err(if busy { Unanswered::Silent(fault) } else { Unanswered::Refused(fault) });
    }
    Ok(body)
}

/// A node in this process, for simulations.
#[cfg(test)]
pub(in crate::chain) trait Node: Send + Sync {
    /// What comes back for a body, if something does.
    fn post(self: std::sync::Arc<Self>, body: Vec<u8>) -> Posted;
}

/// What is on its way back from a [`Node`].
#[cfg(test)]
pub(in crate::chain) type Posted =
    std::pin::Pin<Box<dyn Future<Output = Result<Vec<u8>, Fault>> + Send>>;

/// The answers by their ids. Each question has exactly one.
fn in_order(body: &[u8], count: usize) -> Result<Vec<Reply>, Unanswered> {
    let not_json = |error| fault("the answer is not JSON-RPC").caused_by(error);
    let answers: Vec<Answer> = match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => serde_json::from_slice(body).map_err(not_json)?,
        // One answer; to a batch it is an error of the whole.
        _ => vec![serde_json::from_slice(body).map_err(not_json)?],
    };
    let mut replies: Vec<Option<Reply>> = vec![None; count];
    for answer in answers {
        let id = answer.id.as_u64().and_then(|id| usize::try_from(id).ok());
        let reply = answer.error.map_or(Ok(answer.result), Err);
        match id.and_then(|id| replies.get_mut(id)) {
            Some(place @ None) => *place = Some(reply),
            Some(Some(_)) | None => {
                let stray = || fault("an answer belongs to no question").into();
                let refused = |error| Unanswered::Refused(fault("refused").caused_by(error));
                return Err(reply.err().map_or_else(stray, refused));
            }
        }
    }
    let all: Option<Vec<Reply>> = replies.into_iter().collect();
    all.ok_or_else(|| fault("a question was not answered").into())
}

async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let cut = |error: reqwest::Error| fault("cut off").caused_by(error.without_url());
        let Some(chunk) = chunk.map_err(cut)? else { return Ok(body) };
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(fault("the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
}

const INTERNAL: i64 = -32_603;
/// Receipts of a full batch are a fifth of it.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(body: &str, count: usize) -> Option<Vec<Result<Value, i64>>> {
        let replies = in_order(body.as_bytes(), count).ok()?;
        Some(replies.into_iter().map(|reply| reply.map_err(|error| error.code)).collect())
    }

    #[test]
    fn answers_are_put_in_the_order_of_the_questions() {
        let body = r#" [{"id":1,"result":"b"},{"id":0,"error":{"code":-32000,"message":"no"}}]"#;
        assert_eq!(replies(body, 2), Some(vec![Err(-32000), Ok("b".into())]));
        assert_eq!(replies(r#"{"id":0,"result":null}"#, 1), Some(vec![Ok(Value::Null)]));
    }

    #[test]
    fn a_missing_double_or_foreign_answer_is_none() {
        for body in [
            "",
            "[]",
            "nonsense",
            r#"[{"id":0,"result":1}]"#,
            r#"[{"id":0,"result":1},{"id":0,"result":2}]"#,
            r#"[{"id":0,"result":1},{"id":2,"result":2}]"#,
            r#"{"id":null,"error":{"code":-32600,"message":"batch too large"}}"#,
        ] {
            assert_eq!(replies(body, 2), None, "{body}");
        }
    }
}
