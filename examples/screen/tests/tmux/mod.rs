//! A terminal that can be read: a pane of tmux, on a server of its own.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "tests, each of which uses a part"
)]

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// From one look to the next.
const LOOKS: Duration = Duration::from_millis(50);

/// What the shell asks with.
const PROMPT: &str = "ready> ";

pub(crate) struct Pane {
    socket: String,
    home: tempfile::TempDir,
}

impl Pane {
    /// A shell in a window of this size, with something on it that must still be there at the end. `None`, and said so,
    /// where there is no tmux.
    pub(crate) fn open(name: &str, width: u16, height: u16) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("SKIPPED: no tmux here, so that nobody sees the screen");
            return None;
        }
        let pane = Self {
            socket: format!("truyvet-{name}-{}", std::process::id()),
            home: tempfile::tempdir().unwrap(),
        };
        let (width, height) = (width.to_string(), height.to_string());
        let shell = format!(
            "env -u NO_COLOR TERM=screen-256color RUST_BACKTRACE=0 LC_ALL=C.UTF-8 PS1='{PROMPT}' sh"
        );
        pane.tmux(&["new-session", "-d", "-x", &width, "-y", &height, &shell]);
        pane.wait_for("a prompt", |it| it.contains(PROMPT.trim()));
        pane.types("echo there was this before");
        pane.wait_for("what is there before", |it| {
            it.lines().any(|line| line == "there was this before")
        });
        Some(pane)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        // No settings of the user's.
        command.args(["-u", "-L", &self.socket, "-f", "/dev/null"]);
        let output = command.args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a line.
    pub(crate) fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.presses("Enter");
    }

    /// Presses a key, by tmux' name for it.
    pub(crate) fn presses(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Runs `command` in the shell, and waits until it has begun.
    pub(crate) fn runs(&self, command: &str) {
        let pid = self.pid_file();
        // Of what ran before, if anything did.
        let _ = std::fs::remove_file(&pid);
        self.types(&format!(
            "sh -c 'echo $$ > {}; exec {command}'",
            pid.display()
        ));
        self.wait_for("a process", |_| {
            std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'))
        });
    }

    /// Sends what runs a signal, by its name.
    pub(crate) fn signals(&self, name: &str) {
        let pid = std::fs::read_to_string(self.pid_file()).unwrap();
        let killed = Command::new("kill").args(["-s", name, pid.trim()]).status();
        assert!(killed.unwrap().success());
    }

    fn pid_file(&self) -> PathBuf {
        self.home.path().join("pid")
    }

    pub(crate) fn resizes(&self, width: u16, height: u16) {
        let (width, height) = (width.to_string(), height.to_string());
        self.tmux(&["resize-window", "-x", &width, "-y", &height]);
    }

    pub(crate) fn shows(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// With its colours, as they were written.
    pub(crate) fn shows_coloured(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// The first text that `is_it`.
    pub(crate) fn wait_for(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.shows();
            if is_it(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "expected {what}, got\n{shown}");
            sleep(LOOKS);
        }
    }

    fn tells(&self, format: &str) -> String {
        self.tmux(&["display-message", "-p", format])
            .trim()
            .to_owned()
    }

    /// Waits for the shell, and holds the terminal to what it was before.
    pub(crate) fn is_as_it_was(&self) -> String {
        // A prompt that nothing has been typed at yet.
        let shown = self.wait_for("the shell", |it| {
            it.contains("there was this before")
                && it.lines().rfind(|line| !line.is_empty()) == Some(PROMPT.trim())
        });
        assert_eq!(self.tells("#{alternate_on} #{cursor_flag}"), "0 1");
        self.types("clear; stty -a");
        let modes = self.wait_for("the terminal's modes", |it| it.contains("icanon"));
        for mode in ["icanon", "echo", "isig", "opost"] {
            let is_on = modes.split_whitespace().any(|word| word == mode);
            assert!(is_on, "{mode} in\n{modes}");
        }
        shown
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        // Nothing can be done if it has gone already.
        let _ = command.args(["-L", &self.socket, "kill-server"]).output();
    }
}
