//! What is refused with a status other than 200: by form, or to staff.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};

use crate::database::DatabaseError;

/// Why a request is refused. None depends on what a sealed message holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not the content type of an envelope.
    #[error("expected the content type application/octet-stream")]
    ContentType,
    /// Not the form of an envelope, or damaged.
    #[error("not an envelope")]
    EnvelopeMalformed,
    /// Sealed to a key that this authority does not have.
    #[error("sealed to a key that is not this authority's")]
    KeyUnknown,
    /// Nobody whom staff's token names.
    #[error("not the staff's token")]
    TokenUnknown,
    /// Not the JSON that is expected.
    #[error("not the JSON that is expected")]
    Malformed,
    /// A positive test has a date.
    #[error("the date of the test is missing")]
    TestDateMissing,
    /// A date that has not come.
    #[error("the date of the test is in the future")]
    TestDateInFuture,
    /// A date that is too long ago to matter.
    #[error("the date of the test is too long ago")]
    TestDateTooOld,
    /// A date that has not come.
    #[error("the onset of symptoms is in the future")]
    OnsetInFuture,
    /// A date that is too long ago to matter.
    #[error("the onset of symptoms is too long ago")]
    OnsetTooOld,
    /// As many codes or requests are open as may be.
    #[error("too many are open")]
    TooManyOpen,
    /// No code of this handle.
    #[error("no code of this handle")]
    HandleUnknown,
    /// No request of these bytes.
    #[error("no such request")]
    RequestUnknown,
    /// No declaration of this number.
    #[error("no declaration of this number")]
    DeclarationUnknown,
    /// The clock runs ahead in demonstrations alone.
    #[error("the clock runs ahead in demonstrations alone")]
    NoDemonstration,
    /// The database, the keys or the folder fail.
    #[error("the service cannot do this now")]
    Unavailable,
}

impl Refusal {
    /// Its name in JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ContentType => "content_type",
            Self::EnvelopeMalformed => "envelope_malformed",
            Self::KeyUnknown => "key_unknown",
            Self::TokenUnknown => "token_unknown",
            Self::Malformed => "malformed",
            Self::TestDateMissing => "test_date_missing",
            Self::TestDateInFuture => "test_date_in_future",
            Self::TestDateTooOld => "test_date_too_old",
            Self::OnsetInFuture => "onset_in_future",
            Self::OnsetTooOld => "onset_too_old",
            Self::TooManyOpen => "too_many_open",
            Self::HandleUnknown => "handle_unknown",
            Self::RequestUnknown => "request_unknown",
            Self::DeclarationUnknown => "declaration_unknown",
            Self::NoDemonstration => "no_demonstration",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::EnvelopeMalformed => StatusCode::BAD_REQUEST,
            // What the device does about it: ask for the authority's keys again.
            Self::KeyUnknown => StatusCode::MISDIRECTED_REQUEST,
            Self::TokenUnknown => StatusCode::UNAUTHORIZED,
            Self::Malformed
            | Self::TestDateMissing
            | Self::TestDateInFuture
            | Self::TestDateTooOld
            | Self::OnsetInFuture
            | Self::OnsetTooOld => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyOpen => StatusCode::TOO_MANY_REQUESTS,
            Self::HandleUnknown | Self::RequestUnknown | Self::DeclarationUnknown => {
                StatusCode::NOT_FOUND
            }
            Self::NoDemonstration => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        // Of the database, never of what was to be stored.
        eprintln!("authority: {error}");
        Self::Unavailable
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.name() }));
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        match self {
            Self::TokenUnknown => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Unavailable | Self::TooManyOpen => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        response
    }
}
