//! Those who listen to a tracer's events.

use tokio::sync::mpsc;

use crate::engine::{Event, Health};

#[derive(Default)]
pub(super) struct Subscribers(Vec<Subscriber>);

struct Subscriber {
    sender: mpsc::Sender<Event>,
    missed: u64,
}

impl Subscribers {
    /// Adds one, who is told the health of the moment.
    pub(super) fn add(&mut self, sender: mpsc::Sender<Event>, health: Health) {
        let mut subscriber = Subscriber { sender, missed: 0 };
        subscriber.tell(&Event::Health(Box::new(health)));
        self.0.retain(|other| !other.sender.is_closed());
        self.0.push(subscriber);
    }

    /// `health` is asked for where something was missed: a failure may have been among it that is not
    /// told twice.
    pub(super) fn tell(&mut self, event: &Event, health: impl Fn() -> Health) {
        self.0.retain_mut(|subscriber| {
            let missed = subscriber.missed > 0;
            let listens = subscriber.tell(event);
            if missed && subscriber.missed == 0 {
                subscriber.tell(&Event::Health(Box::new(health())));
            }
            listens
        });
    }
}

impl Subscriber {
    /// Passes `event` on, or counts it as missed; tells whether anybody listens still.
    fn tell(&mut self, event: &Event) -> bool {
        if self.missed > 0 && self.sender.try_send(Event::Missed(self.missed)).is_ok() {
            self.missed = 0;
        }
        match self.sender.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.missed += 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}
