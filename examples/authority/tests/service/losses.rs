//! What must not be lost once it was accepted, and what may not crowd it out.

use std::time::Duration;

use authority::database::inbox;
use authority::settings::FOR_STAFF_BYTES_MAX;
use serde_json::{Value, json};
use truyvet::report::answer::Answer;
use truyvet::report::health::message::seal_declaration;

use crate::declarations::coughing;
use crate::refusals::{Asked, refused};

const HOUR: Duration = Duration::from_secs(3600);

impl Asked {
    async fn report_keys(&self, seed: u64) -> Answer {
        let report = self.certified(self.keys(seed)).await;
        self.send(report.seal(&self.to().await).unwrap()).await
    }

    /// Publishes after so many hours: how many keys, and how many wait.
    async fn published_after(&self, hours: u32) -> (Value, Value) {
        let asked = json!({ "advance_hours": hours });
        let (status, published) = self.staff("POST", "/v1/publish", asked).await;
        assert_eq!(status, 200, "{published}");
        (published["keys"].clone(), published["waiting"].clone())
    }

    async fn change(&self, statement: &'static str) {
        let changed = self
            .service
            .database
            .run(move |connection| Ok(connection.execute(statement, ())?));
        assert_eq!(changed.await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_report_that_comes_after_the_clock_was_set_back_is_published() {
    let asked = Asked::new().restarted(2 * HOUR);
    asked.published_after(0).await;
    let asked = asked.restarted(Duration::ZERO);
    assert_eq!(asked.report_keys(1).await, Answer::Accepted);
    assert_eq!(asked.published_after(0).await, (json!(0), json!(5)));
    assert_eq!(asked.published_after(4).await, (json!(5), json!(0)));
}

#[tokio::test]
async fn a_report_that_no_longer_opens_stops_the_run_and_waits() {
    let asked = Asked::new();
    assert_eq!(asked.report_keys(1).await, Answer::Accepted);
    asked
        .change("UPDATE inbox SET envelope = CAST(envelope || x'00' AS BLOB) WHERE work = 1")
        .await;
    let body = json!({ "advance_hours": 4 });
    let (status, _) = asked.staff("POST", "/v1/publish", body).await;
    assert_eq!(status, 503);
    let waiting = asked.service.database.run(inbox::waiting_count);
    assert_eq!(waiting.await.unwrap(), 1);
    // The key is brought back.
    asked
        .change(
            "UPDATE inbox SET envelope = substr(envelope, 1, length(envelope) - 1) WHERE work = 1",
        )
        .await;
    assert_eq!(asked.published_after(0).await, (json!(5), json!(0)));
}

#[tokio::test]
async fn declarations_that_fill_their_quarter_are_refused_and_reports_go_on() {
    let asked = Asked::new();
    let to = asked.to().await;
    let declare = || seal_declaration(&to, &coughing(asked.now()), &[]).unwrap();
    assert_eq!(asked.send(declare()).await, Answer::Accepted);
    let bytes = asked.service.database.run(inbox::for_staff_bytes);
    assert!(bytes.await.unwrap() > 1024);
    let filled = asked.service.database.run(|connection| {
        let bytes = [FOR_STAFF_BYTES_MAX];
        Ok(connection.execute("UPDATE for_staff SET bytes = bytes + ?1", bytes)?)
    });
    assert_eq!(filled.await.unwrap(), 1);
    assert_eq!(asked.send(declare()).await, refused("inbox_full"));
    assert_eq!(asked.report_keys(1).await, Answer::Accepted);
}
