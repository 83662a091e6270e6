//! Everything the worker says instead of an image, in one table.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::container::Kind;
use super::request::BadQuery;

/// Why a request got no image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The query asks for what there is not.
    Query(BadQuery),
    /// The body starts like no image that is taken.
    NotAnImage,
    /// The body starts like another kind of image than the one its type names.
    TypeDisagrees { named: Kind, found: Kind },
    /// The body ends before the image does.
    Truncated,
    /// The body did not arrive whole, or not in time.
    BodyUnread,
    /// A side is longer than [`super::decode::SIDE_MAX`].
    Dimensions,
    /// The decoder found a mistake in the image.
    Undecodable,
    /// There is nothing at this path.
    NoSuchPath,
    /// The path takes another method.
    Method,
    /// The body is longer than [`super::request::BODY_BYTES_MAX`].
    BodyTooLarge,
    /// The type is none that is taken, or the body is compressed as a whole.
    Type,
    /// Segmenting or encoding failed; the image may be fine.
    Failed,
    /// The model is being loaded.
    Starting,
    /// As many requests wait as may.
    Busy,
    /// The image was not done by its deadline.
    Late,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    message: String,
    /// Which parameter of the query is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    retryable: bool,
}

impl Problem {
    /// Status and code, side by side.
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Query(_) => (StatusCode::BAD_REQUEST, "bad_query"),
            Self::NotAnImage => (StatusCode::BAD_REQUEST, "not_an_image"),
            Self::TypeDisagrees { .. } => (StatusCode::BAD_REQUEST, "type_disagrees"),
            Self::Truncated => (StatusCode::BAD_REQUEST, "truncated"),
            Self::BodyUnread => (StatusCode::BAD_REQUEST, "body_unread"),
            Self::Dimensions => (StatusCode::BAD_REQUEST, "dimensions_too_large"),
            Self::Undecodable => (StatusCode::BAD_REQUEST, "undecodable"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "not_found"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::Type => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "processing_failed"),
            Self::Starting | Self::Busy | Self::Late => {
                (StatusCode::SERVICE_UNAVAILABLE, "processor_unavailable")
            }
        }
    }

    /// The code for those who count, who want to know why a processor is unavailable.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Busy => "busy",
            Self::Late => "late",
            other => other.row().1,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Query(wrong) => wrong.to_string(),
            Self::NotAnImage => "the body is no PNG, JPEG or WebP image".into(),
            Self::TypeDisagrees { named, found } => {
                format!(
                    "Content-Type says {}, the body is {}",
                    named.media_type(),
                    found.media_type()
                )
            }
            Self::Truncated => "the image ends too early".into(),
            Self::BodyUnread => "the body did not arrive whole or in time".into(),
            Self::Dimensions => "a side has more than 10,000 pixels".into(),
            Self::Undecodable => "the image is damaged or of a kind that is not read".into(),
            Self::NoSuchPath => "there is only POST /v1/remove-background".into(),
            Self::Method => "this path takes another method".into(),
            Self::BodyTooLarge => "the body is larger than 25 MB".into(),
            Self::Type => "Content-Type must be image/png, image/jpeg or image/webp".into(),
            Self::Failed => "the image could not be processed; try again".into(),
            Self::Starting => "the model is being loaded; try again".into(),
            Self::Busy => "too many images are waiting; try again".into(),
            Self::Late => "the image was not done in time; try again".into(),
        }
    }

    /// Whether the same request may succeed later.
    fn retryable(&self) -> bool {
        self.row().0.is_server_error()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, error) = self.row();
        let parameter = match &self {
            Self::Query(wrong) => Some(wrong.parameter()),
            _ => None,
        };
        let body = Body { error, message: self.message(), parameter, retryable: self.retryable() };
        // Plain fields: serialising them cannot fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, json, body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// Seconds: about what one image takes.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");
