//! Who may issue codes: whoever shows the token that was made at first start.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use ring::hmac;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;
use crate::service::Shared;

/// What staff asks for in a body; an empty one asks for nothing in particular.
pub(crate) fn asked<T: Default + DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    match body.is_empty() {
        true => Ok(T::default()),
        false => serde_json::from_slice(body).map_err(|_| Refusal::Malformed),
    }
}

/// A request that showed the token.
pub(crate) struct Staff;

impl FromRequestParts<Shared> for Staff {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Shared) -> Result<Self, Refusal> {
        let header = parts.headers.get(AUTHORIZATION);
        let shown = header.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let expected = service.keys.staff_token.as_bytes();
        // Compared as hashes under a key: how long it takes says nothing of the token.
        let key = hmac::Key::new(hmac::HMAC_SHA256, service.keys.codes.secret().expose());
        let tag = hmac::sign(&key, expected);
        match shown {
            Some(shown) if hmac::verify(&key, shown, tag.as_ref()).is_ok() => Ok(Self),
            _ => Err(Refusal::TokenUnknown),
        }
    }
}
