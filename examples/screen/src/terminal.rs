//! The terminal as a screen, and left as it was found: at the end, on an error, and in a panic.

use std::io::{self, Stdout, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

/// Whether the terminal is a screen now: a panic on any thread may have ended that.
static IS_SCREEN: AtomicBool = AtomicBool::new(false);

/// A terminal that is a screen until this is dropped.
pub(crate) struct FullScreen(Terminal<CrosstermBackend<Stdout>>);

impl FullScreen {
    pub(crate) fn enter() -> io::Result<Self> {
        leave_before_a_panic_is_told();
        Ok(Self(enter()?))
    }

    /// Enters again, whatever has become of the terminal while the program was stopped.
    #[cfg(unix)]
    pub(crate) fn again(&mut self) -> io::Result<()> {
        leave();
        self.0 = enter()?;
        Ok(())
    }

    /// The terminal as it was found, for a while.
    #[cfg(unix)]
    pub(crate) fn put_away(&mut self) {
        leave();
    }

    /// Draws, unless a panic has put the screen away; tells whether it did.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<bool> {
        if IS_SCREEN.load(Ordering::SeqCst) {
            self.0.draw(draw)?;
            return Ok(true);
        }
        Ok(false)
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    // First, so that what fails half-way is undone.
    IS_SCREEN.store(true, Ordering::SeqCst);
    let entered = enable_raw_mode().and_then(|()| {
        execute!(stdout(), EnterAlternateScreen, Hide, Clear(ClearType::All))?;
        Terminal::new(CrosstermBackend::new(stdout()))
    });
    entered.inspect_err(|_| leave())
}

fn leave() {
    if IS_SCREEN.swap(false, Ordering::SeqCst) {
        // If the terminal is gone, there is nothing to put back.
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Or the message would be on the screen, and gone with it.
fn leave_before_a_panic_is_told() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            leave();
            told(panic);
        }));
    });
}

#[cfg(all(test, unix))]
#[path = "../tests/tmux/mod.rs"]
mod tmux;

#[cfg(all(test, unix))]
mod tests {
    use super::tmux::Pane;
    use super::*;

    /// The test below runs this in a terminal: it can only fail.
    #[test]
    #[ignore = "panics, for another test to look at"]
    fn panics_on_its_screen() {
        let mut screen = FullScreen::enter().unwrap();
        let drawn = screen.draw(|frame| frame.render_widget("on the screen", frame.area()));
        assert!(drawn.unwrap());
        // On another thread, as a task of the tracer would: this one only learns that the screen is gone.
        let other = std::thread::spawn(|| panic!("this is told on the normal screen"));
        assert!(other.join().is_err());
        assert!(!screen.draw(|_| ()).unwrap());
        panic!("and so is this");
    }

    #[test]
    fn a_panic_is_told_on_the_terminal_as_it_was() {
        let Some(pane) = Pane::open("panic", 100, 40) else {
            return;
        };
        let this = std::env::current_exe().unwrap();
        pane.runs(&format!(
            "{} --ignored --exact --nocapture terminal::tests::panics_on_its_screen",
            this.display()
        ));
        let left = pane.is_as_it_was();
        assert!(left.contains("this is told on the normal screen"), "{left}");
        assert!(left.contains("and so is this"), "{left}");
        assert!(!left.contains("on the screen"), "{left}");
    }
}
