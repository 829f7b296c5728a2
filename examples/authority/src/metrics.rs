//! What Prometheus reads: how much, how long, and of whom nothing.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the buckets of time. Chosen: about the answer grid of 250 ms.
const SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

type ByOutcome = Family<[(&'static str, &'static str); 1], Counter>;

/// The service's counts.
pub struct Metrics {
    registry: Registry,
    messages: ByOutcome,
    codes: ByOutcome,
    work: Histogram,
    publishing: Histogram,
    published_keys: Counter,
    reports_waiting: Gauge<u64, AtomicU64>,
    tasks_waiting: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("authority");
        let messages = ByOutcome::default();
        let codes = ByOutcome::default();
        let work = Histogram::new(SECONDS);
        let publishing = Histogram::new(SECONDS);
        let published_keys = Counter::default();
        let reports_waiting = Gauge::default();
        let tasks_waiting = Gauge::default();
        registry.register(
            "messages",
            "Messages by what became of them",
            messages.clone(),
        );
        registry.register("codes", "Requests for a code by outcome", codes.clone());
        registry.register(
            "work_seconds",
            "From a message's last byte until its answer is on the disk",
            work.clone(),
        );
        registry.register(
            "publishing_seconds",
            "Runs of publishing",
            publishing.clone(),
        );
        registry.register(
            "published_keys",
            "Keys handed to the publisher",
            published_keys.clone(),
        );
        registry.register(
            "reports_waiting",
            "Reports not yet published",
            reports_waiting.clone(),
        );
        registry.register(
            "tasks_waiting",
            "Transactions that wait",
            tasks_waiting.clone(),
        );
        Self {
            registry,
            messages,
            codes,
            work,
            publishing,
            published_keys,
            reports_waiting,
            tasks_waiting,
        }
    }
}

impl Metrics {
    /// A message came to this end, by name, after `work`.
    pub fn message(&self, outcome: &'static str, work: Duration) {
        self.messages.get_or_create(&[("outcome", outcome)]).inc();
        self.work.observe(work.as_secs_f64());
    }

    /// A request for a code came to this end.
    pub fn code(&self, outcome: &'static str) {
        self.codes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A run of publishing handed over `keys`.
    pub fn published(&self, keys: u64, took: Duration) {
        self.published_keys.inc_by(keys);
        self.publishing.observe(took.as_secs_f64());
    }

    /// The text, with the lengths of both queues.
    pub fn text(&self, reports_waiting: u64, tasks_waiting: u64) -> String {
        self.reports_waiting.set(reports_waiting);
        self.tasks_waiting.set(tasks_waiting);
        let mut text = String::new();
        // Writing to a string does not fail.
        encode(&mut text, &self.registry).ok();
        text
    }
}
