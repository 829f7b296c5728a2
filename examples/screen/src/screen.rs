//! The live screen: keys and events in one loop, drawn ten times a second at most.

use std::io;
use std::time::{Duration, Instant};

use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures_util::StreamExt;
use truyvet::Event;
use truyvet::time::{Moment, Timestamp};

use crate::draw::{Palette, draw};
use crate::show::{Show, Watched};
use crate::state::{Key, State};
use crate::support::Error;
use crate::terminal::FullScreen;

/// From one drawing to the next, at least; and from one look at the health to the next.
const DRAWN_EVERY: Duration = Duration::from_millis(100);

/// `trace`'s other face.
#[derive(Default)]
pub(crate) struct Screen {
    state: State,
    palette: Palette,
    open: Option<Open>,
    /// The second of the tracer's time that was last shown.
    second: Option<u64>,
    is_stale: bool,
    looked: Option<Instant>,
    failure: Option<io::Error>,
}

/// While it is shown.
struct Open {
    screen: FullScreen,
    keys: EventStream,
    signals: Signals,
    drawn: Option<Instant>,
}

/// What there is to do.
enum Wake {
    Draw,
    Input(Input),
    /// The program was stopped, and goes on.
    #[cfg(unix)]
    Continued,
    End,
    Failed(io::Error),
}

impl Show for Screen {
    fn begin(&mut self, watched: &Watched<'_>) -> Result<(), Error> {
        self.state = State::default();
        self.state.radio = watched.radio;
        self.state.length = watched.length;
        self.state.now = Some(watched.clock.now().wall);
        self.is_stale = true;
        self.open = Some(Open {
            signals: Signals::new()?,
            screen: FullScreen::enter()?,
            keys: EventStream::new(),
            drawn: None,
        });
        Ok(())
    }

    fn event(&mut self, now: Timestamp, event: &Event) {
        self.state.event(now, event, Instant::now());
        self.is_stale = true;
    }

    fn next(&mut self, what: String) {
        self.state.next = Some(what);
        self.is_stale = true;
    }

    fn passed(&mut self, elapsed: Duration, now: Moment, watched: &Watched<'_>) {
        let at = Instant::now();
        let looked_at = |looked| at.saturating_duration_since(looked) < DRAWN_EVERY;
        if self.looked.is_some_and(looked_at) {
            return;
        }
        self.looked = Some(at);
        self.state.passed(at, elapsed, now, watched.tracer.health());
        // What changes by itself is shown by the second.
        if self.second.replace(elapsed.as_secs()) != Some(elapsed.as_secs()) {
            self.is_stale = true;
        }
    }

    async fn left(&mut self) {
        while let Some(open) = &mut self.open {
            let wake = open.wake(self.is_stale).await;
            match self.take(wake) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.failure = Some(error);
                    return;
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        self.open = None;
        match self.failure.take() {
            Some(error) => Err(format!("the terminal: {error}").into()),
            None => Ok(()),
        }
    }
}

impl Screen {
    /// Does it; tells whether to go on.
    fn take(&mut self, wake: Wake) -> io::Result<bool> {
        let Some(open) = &mut self.open else {
            return Ok(false);
        };
        match wake {
            Wake::Draw => {
                self.is_stale = false;
                open.drawn = Some(Instant::now());
                let drawn = open
                    .screen
                    .draw(|frame| draw(frame, &mut self.state, self.palette))?;
                if !drawn {
                    return Err(io::Error::other("a panic has put the screen away"));
                }
            }
            Wake::Input(input) => {
                match meaning(&input) {
                    Meaning::Key(key) => self.state.key(key),
                    Meaning::Redraw => {}
                    Meaning::End => return Ok(false),
                    Meaning::Suspend => open.suspend()?,
                    Meaning::Nothing => return Ok(true),
                }
                self.is_stale = true;
            }
            #[cfg(unix)]
            Wake::Continued => {
                open.reopen()?;
                self.is_stale = true;
            }
            Wake::End => return Ok(false),
            Wake::Failed(error) => return Err(error),
        }
        Ok(true)
    }
}

impl Open {
    async fn wake(&mut self, is_stale: bool) -> Wake {
        let due = self.drawn.map_or_else(Instant::now, |at| at + DRAWN_EVERY);
        tokio::select! {
            input = self.keys.next() => match input {
                Some(Ok(input)) => Wake::Input(input),
                Some(Err(error)) => Wake::Failed(error),
                None => Wake::End,
            },
            wake = self.signals.next() => wake,
            () = tokio::time::sleep_until(due.into()), if is_stale => Wake::Draw,
        }
    }

    /// Becomes a screen again, all of it to be drawn.
    #[cfg(unix)]
    fn reopen(&mut self) -> io::Result<()> {
        self.screen.again()?;
        self.drawn = None;
        Ok(())
    }

    /// Stops the program as Ctrl-Z does where a terminal is not raw, and goes on when it is told to.
    #[cfg(unix)]
    fn suspend(&mut self) -> io::Result<()> {
        use rustix::process::{Signal, kill_current_process_group};
        self.screen.put_away();
        kill_current_process_group(Signal::TSTP)?;
        self.reopen()
    }

    #[cfg(not(unix))]
    fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Meaning {
    Key(Key),
    Redraw,
    Suspend,
    End,
    Nothing,
}

fn meaning(input: &Input) -> Meaning {
    let key = match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => key,
        Input::Resize(..) => return Meaning::Redraw,
        _ => return Meaning::Nothing,
    };
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'C') => Meaning::End,
            KeyCode::Char('z' | 'Z') => Meaning::Suspend,
            _ => Meaning::Nothing,
        };
    }
    Meaning::Key(match key.code {
        KeyCode::Char('q' | 'Q') => return Meaning::End,
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::First,
        KeyCode::End | KeyCode::Char('G') => Key::Last,
        KeyCode::Char('h' | 'H') => Key::Health,
        KeyCode::Char('?') => Key::Help,
        KeyCode::Char('p' | 'P') => Key::Pause,
        KeyCode::Esc => Key::Back,
        _ => return Meaning::Nothing,
    })
}

/// Signals of the terminal; those that end any program are `ending`'s.
#[cfg(unix)]
struct Signals {
    hung_up: tokio::signal::unix::Signal,
    continued: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let continued = SignalKind::from_raw(rustix::process::Signal::CONT.as_raw());
        Ok(Self {
            hung_up: signal(SignalKind::hangup())?,
            continued: signal(continued)?,
        })
    }

    async fn next(&mut self) -> Wake {
        tokio::select! {
            _ = self.hung_up.recv() => Wake::End,
            _ = self.continued.recv() => Wake::Continued,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Wake {
        std::future::pending().await
    }
}
