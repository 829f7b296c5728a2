//! The page on which a health worker issues codes and sees them used.
//!
//! It asks nothing about a person, and keeps nothing: the token is typed in, and gone when the page is closed.

use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};

use crate::codes::{FINDING_DAYS_MAX, latest_day};
use crate::service::Shared;

mod texts;

const TEMPLATE: &str = include_str!("page/index.html");

/// Vietnam's clocks are so much ahead of UTC.
const VIETNAM: Duration = Duration::from_secs(7 * 3600);

/// The page, in Vietnamese unless it is asked for in English.
pub(crate) async fn index(State(service): State<Shared>, uri: Uri) -> Html<String> {
    let mut asked = uri.query().unwrap_or_default().split('&');
    let english = asked.any(|pair| pair == "lang=en");
    let now = service.clock.now();
    let days = [
        ("date_min", now.utc_day().saturating_sub(FINDING_DAYS_MAX)),
        ("date_max", latest_day(now)),
        ("date_today", now.saturating_add(VIETNAM).utc_day()),
    ];
    let mut page = TEMPLATE.to_owned();
    for (name, day) in days {
        page = page.replace(&format!("{{{{{name}}}}}"), &day.to_string());
    }
    Html(texts::fill(page, english))
}

/// Its colours and measures.
pub(crate) async fn style() -> Response {
    let css = include_str!("page/page.css");
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], css).into_response()
}

/// What it does.
pub(crate) async fn script() -> Response {
    let js = include_str!("page/page.js");
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], js).into_response()
}
