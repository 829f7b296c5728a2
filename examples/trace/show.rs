//! A tracer followed from its start to the end, and whatever shows it: lines, or a live screen.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use truyvet::time::{Clock, Moment, Timestamp};
use truyvet::{Event, Tracer};

use crate::support::{Error, is_closed};

/// What is followed.
pub(crate) struct Watched<'a> {
    pub(crate) tracer: &'a Tracer,
    pub(crate) clock: &'a dyn Clock,
    /// What it hears with, in words.
    #[allow(
        dead_code,
        reason = "the lines have said it before; the screen shows it"
    )]
    pub(crate) radio: &'static str,
    /// How long by the clock, if that is known.
    pub(crate) length: Option<Duration>,
    /// How often, in life, it is seen how much time has passed.
    pub(crate) step: Duration,
}

/// What shows it.
pub(crate) trait Show {
    fn begin(&mut self, watched: &Watched<'_>) -> Result<(), Error>;

    fn event(&mut self, now: Timestamp, event: &Event);

    /// What a story is about to do.
    fn next(&mut self, _what: String) {}

    /// So much time has passed since the beginning.
    fn passed(&mut self, elapsed: Duration, now: Moment, watched: &Watched<'_>);

    /// Is ready once who looks on has had enough. It is dropped and called again whenever anything happens.
    async fn left(&mut self);

    /// Puts everything as it was. Lines that follow are printed as ever.
    fn end(&mut self) -> Result<(), Error>;
}

/// Shows what happens until the time is up, the radio is done, or somebody ends it; gives the time that has passed.
/// `turn` moves a story on, and tells what comes next in it when that has changed.
pub(crate) async fn follow(
    watched: &Watched<'_>,
    show: &mut impl Show,
    mut asked_to_end: Pin<&mut impl Future<Output = ()>>,
    mut turn: impl FnMut(Duration) -> Option<String>,
) -> Result<Duration, Error> {
    let mut events = watched.tracer.events();
    let began = watched.clock.now().monotonic;
    show.begin(watched)?;
    let mut tick = tokio::time::interval(watched.step);
    let mut elapsed = Duration::ZERO;
    while watched.length.is_none_or(|length| elapsed < length) && !is_closed() {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::RadioFinished) | None => break,
                Some(event) => show.event(watched.clock.now().wall, &event),
            },
            _ = tick.tick() => {
                let now = watched.clock.now();
                elapsed = now.monotonic.saturating_sub(began);
                if let Some(what) = turn(elapsed) {
                    show.next(what);
                }
                show.passed(elapsed, now, watched);
            }
            () = show.left() => break,
            () = &mut asked_to_end => break,
        }
    }
    show.end()?;
    Ok(elapsed)
}
