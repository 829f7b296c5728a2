//! Identifiers read from peers, beside everything else that a tracer does.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::radio_call::in_time;
use crate::radio::{DynGattReader, GattRequest, Peer, RadioError};

/// One at a time is asked for.
const WAITING_MAX: usize = 1;

/// How that went.
pub(super) struct Answer {
    pub(super) peer: Peer,
    pub(super) result: Result<Vec<u8>, String>,
}

/// A task with a reader.
pub(super) struct Reads {
    asks: mpsc::Sender<(GattRequest, Duration)>,
    answers: mpsc::Receiver<Answer>,
    task: JoinHandle<()>,
}

impl Reads {
    pub(super) fn with(reader: Box<dyn DynGattReader>) -> Self {
        let (asks, asked) = mpsc::channel(WAITING_MAX);
        let (answer, answers) = mpsc::channel(WAITING_MAX);
        Self {
            asks,
            answers,
            task: tokio::spawn(serve(reader, asked, answer)),
        }
    }

    pub(super) fn ask(&self, request: GattRequest, within: Duration) {
        // If it is busy with one that was given up, the engine gives this one up in its time, too.
        let _ = self.asks.try_send((request, within));
    }

    /// An answer that waits.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    /// Ends what is under way, and has disconnected on return.
    pub(super) async fn stop(self) {
        drop((self.asks, self.answers));
        let ended = async { self.task.await.map_err(|_| RadioError::NoAnswer) };
        // Whatever comes of it, nobody asks any more.
        let _ = in_time(ended).await;
    }
}

/// The next answer, `None` if the reader has died; never any if there is none.
pub(super) async fn answered(reads: &mut Option<Reads>) -> Option<Answer> {
    match reads {
        Some(reads) => reads.answers.recv().await,
        None => std::future::pending().await,
    }
}

async fn serve(
    mut reader: Box<dyn DynGattReader>,
    mut asked: mpsc::Receiver<(GattRequest, Duration)>,
    answer: mpsc::Sender<Answer>,
) {
    while let Some((request, within)) = asked.recv().await {
        let read = reader.read(request);
        let result = tokio::select! {
            result = tokio::time::timeout(within, read) => match result {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(_) => Err("the peer took too long".to_owned()),
            },
            // The tracer stops.
            () = answer.closed() => Err("given up".to_owned()),
        };
        // A connection that does not end is the reader's to end with the next.
        let _ = in_time(reader.disconnect()).await;
        let answered = Answer {
            peer: request.peer,
            result,
        };
        if answer.send(answered).await.is_err() {
            return;
        }
    }
}
