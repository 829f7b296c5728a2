//! Health declarations, as staff reads them.

use std::time::Duration;

use authority::database::inbox;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use truyvet::report::answer::Answer;
use truyvet::report::health::message::{ATTACHMENT_BYTES_MAX, seal_declaration};
use truyvet::report::health::{CheckedDeclaration, DailyState, Form, HealthDeclaration};
use truyvet::report::sealed::{MessageKind, seal};
use truyvet::time::Timestamp;

use crate::refusals::{Asked, refused};

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn coughing(made_at: Timestamp) -> CheckedDeclaration {
    let mut declaration = HealthDeclaration::new(Form::Daily, made_at);
    declaration.states.insert(DailyState::Cough);
    declaration.note = "since yesterday".to_owned();
    declaration.check(made_at).unwrap()
}

impl Asked {
    async fn declare(&self, declaration: &CheckedDeclaration, attachment: &[u8]) {
        let envelope = seal_declaration(&self.to().await, declaration, attachment).unwrap();
        assert_eq!(self.send(envelope).await, Answer::Accepted);
    }

    async fn list(&self, after: i64) -> Value {
        let path = format!("/v1/declarations?after={after}");
        let (status, list) = self.staff("GET", &path, json!({})).await;
        assert_eq!(status, 200, "{list}");
        list
    }

    async fn get_attachment(&self, number: &str) -> (StatusCode, Vec<u8>) {
        let bearer = format!("Bearer {}", self.service.staff_token());
        let request = Request::get(format!("/v1/declarations/{number}/attachment"));
        let request = request.header("authorization", bearer);
        self.ask(request.body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn a_declaration_is_read_as_it_was_made() {
    let asked = Asked::new();
    let made = coughing(asked.now());
    asked.declare(&made, b"photograph").await;
    let list = asked.list(0).await;
    assert_eq!(
        (&list["next_after"], &list["more"]),
        (&json!(1), &json!(false))
    );
    let read = &list["declarations"][0];
    let as_made: Value = serde_json::from_str(&made.declaration().to_json()).unwrap();
    assert_eq!(read["declaration"], as_made);
    assert_eq!(read["declaration"]["truyvet"]["note"], "since yesterday");
    let states = &read["declaration"]["InforEntryPersonReport"]["LtinforEntryPersonReportDetail"];
    assert_eq!(states.as_array().unwrap().len(), 5);
    assert_eq!(
        (&read["number"], &read["breaks"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(read["id"], made.id().to_string());
    assert_eq!(read["attachment_bytes"], 10);
    let (status, attachment) = asked.get_attachment("1").await;
    assert_eq!(
        (status, attachment.as_slice()),
        (StatusCode::OK, b"photograph".as_slice())
    );
}

#[tokio::test]
async fn a_rule_that_is_broken_is_told_with_its_field() {
    let asked = Asked::new();
    let of_tomorrow = coughing(asked.now().saturating_add(2 * DAY));
    asked.declare(&of_tomorrow, &[]).await;
    // What the rules say is of when it came: later on it is no better.
    asked.service.clock.advance(3 * DAY);
    let list = asked.list(0).await;
    let read = &list["declarations"][0];
    assert_eq!(
        (&read["breaks"]["field"], &read["id"]),
        (&json!("made_at"), &Value::Null)
    );
    assert!(
        read["breaks"]["rule"]
            .as_str()
            .unwrap()
            .starts_with("made_at: expected")
    );
}

#[tokio::test]
async fn a_malformed_declaration_is_refused() {
    let asked = Asked::new();
    let to = asked.to().await;
    for payload in [
        &b""[..],
        b"\x01",
        b"\x02\x00\x00",
        b"\x01\xff\xff",
        b"\x01\x00\x00",
        b"sealed",
    ] {
        let envelope = seal(&to, MessageKind::HealthDeclaration, payload).unwrap();
        assert_eq!(asked.send(envelope).await, refused("declaration_malformed"));
    }
    let mut too_much = vec![1, 0, 0];
    too_much.resize(3 + ATTACHMENT_BYTES_MAX + 1, 0);
    let envelope = seal(&to, MessageKind::HealthDeclaration, &too_much).unwrap();
    assert_eq!(asked.send(envelope).await, refused("declaration_malformed"));
    assert_eq!(asked.list(0).await["declarations"], json!([]));
}

#[tokio::test]
async fn what_came_is_kept_once_and_read_by_pages() {
    let asked = Asked::new();
    let to = asked.to().await;
    for _ in 0..33 {
        let envelope = seal_declaration(&to, &coughing(asked.now()), &[]).unwrap();
        for _ in 0..2 {
            assert_eq!(asked.send(envelope.clone()).await, Answer::Accepted);
        }
    }
    let numbers = |list: &Value| -> Vec<i64> {
        let read = list["declarations"].as_array().unwrap();
        read.iter()
            .map(|it| it["number"].as_i64().unwrap())
            .collect()
    };
    let first = asked.list(0).await;
    assert_eq!(numbers(&first), Vec::from_iter(1..=32));
    assert_eq!(
        (&first["next_after"], &first["more"]),
        (&json!(32), &json!(true))
    );
    let second = asked.list(32).await;
    assert_eq!(
        (numbers(&second), &second["more"]),
        (vec![33], &json!(false))
    );
    let end = asked.list(33).await;
    assert_eq!((numbers(&end), &end["next_after"]), (vec![], &json!(33)));
}

#[tokio::test]
async fn a_declaration_is_forgotten_after_fourteen_days() {
    let asked = Asked::new();
    asked.declare(&coughing(asked.now()), b"photograph").await;
    for (days, left) in [(13, 1), (1, 0)] {
        asked.service.clock.advance(days * DAY);
        let now = asked.now().unix_seconds();
        let swept = asked
            .service
            .database
            .run(move |connection| inbox::sweep(connection, now));
        swept.await.unwrap();
        let list = asked.list(0).await;
        assert_eq!(list["declarations"].as_array().unwrap().len(), left);
    }
    assert_eq!(asked.get_attachment("1").await.0, StatusCode::NOT_FOUND);
    // No number is given twice: whoever reads on misses none.
    asked.declare(&coughing(asked.now()), &[]).await;
    assert_eq!(asked.list(1).await["declarations"][0]["number"], 2);
}

#[tokio::test]
async fn reading_is_refused_by_name() {
    let asked = Asked::new();
    for number in ["1", "-1", "x", "99999999999999999999"] {
        let (status, body) = asked.get_attachment(number).await;
        assert_eq!(
            (status, body.as_slice()),
            (
                StatusCode::NOT_FOUND,
                &br#"{"error":"declaration_unknown"}"#[..]
            )
        );
    }
    for query in [
        "after=",
        "after=x",
        "after=1&after=2",
        "before=1",
        "after=99999999999999999999",
    ] {
        let path = format!("/v1/declarations?{query}");
        let (status, answer) = asked.staff("GET", &path, json!({})).await;
        assert_eq!(
            (status, answer["error"].as_str()),
            (422, Some("malformed")),
            "{query}"
        );
    }
    for path in [
        "/v1/declarations",
        "/v1/declarations/1/attachment",
        "/v1/requests/00",
    ] {
        let (status, body) = asked
            .ask(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(body, br#"{"error":"token_unknown"}"#);
    }
}
