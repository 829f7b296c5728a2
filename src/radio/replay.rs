//! Replay: a radio that plays a recorded file of advertisements.
//!
//! A recording is a text file with one JSON object a line, in the order of their times:
//!
//! ```text
//! {"time_ms":1596844800000,"rssi_dbm":-63,"frame":"020106030356 4e…"}
//! ```
//!
//! `time_ms` is Unix time in milliseconds, `rssi_dbm` may be left out where nothing was measured,
//! `frame` is the advertising data in hexadecimal. Empty lines are passed over.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::{Filter, Radio, RadioError, RadioSink, Scanner};
use crate::advertisement::Advertisement;
use crate::sighting::Rssi;
use crate::time::{Moment, Timestamp, sleep_until};

/// Frames in a recording at most. Chosen: a day at ten frames a second, about 50 MB in memory.
const FRAMES_MAX: usize = 864_000;

/// A recording, read and checked.
#[derive(Clone, Debug)]
pub struct Recording {
    frames: Arc<[Recorded]>,
}

#[derive(Clone, Copy, Debug)]
struct Recorded {
    time: Timestamp,
    frame: Advertisement,
    rssi: Option<Rssi>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    time_ms: u64,
    rssi_dbm: Option<i8>,
    frame: String,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// [`RadioError::Recording`], naming the line: one that is no such object, a frame that is not
    /// advertising data, a time before the one above it, or more lines than 864,000.
    pub fn parse(text: &str) -> Result<Self, RadioError> {
        let mut frames: Vec<Recorded> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let bad = |what: String| RadioError::Recording(format!("line {}: {what}", index + 1));
            if frames.len() == FRAMES_MAX {
                return Err(bad(format!("more than {FRAMES_MAX} frames")));
            }
            let recorded = parse_line(line).map_err(bad)?;
            if frames.last().is_some_and(|last| last.time > recorded.time) {
                return Err(bad("its time is before the line above".to_owned()));
            }
            frames.push(recorded);
        }
        match frames.is_empty() {
            true => Err(RadioError::Recording("it has no frames".to_owned())),
            false => Ok(Self {
                frames: frames.into(),
            }),
        }
    }

    /// When the first frame was heard: where the clock of a tracer that plays it should start.
    pub fn start(&self) -> Timestamp {
        self.frames
            .first()
            .map_or(Timestamp::from_unix_seconds(0), |first| first.time)
    }

    /// From the first frame to the last.
    pub fn duration(&self) -> Duration {
        self.frames
            .last()
            .map_or(Duration::ZERO, |last| last.time.since(self.start()))
    }

    /// A radio that plays it, at the pace of the tracer's clock. It cannot advertise.
    pub fn radio(&self) -> Radio {
        Radio::scan_only(Player {
            recording: self.clone(),
            playing: None,
        })
    }
}

fn parse_line(line: &str) -> Result<Recorded, String> {
    let line: Line = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let bytes = HEX
        .decode(line.frame.as_bytes())
        .map_err(|e| format!("the frame is not hexadecimal: {e}"))?;
    Ok(Recorded {
        time: Timestamp::from_unix_millis(line.time_ms),
        frame: Advertisement::parse(&bytes).map_err(|e| e.to_string())?,
        rssi: line.rssi_dbm.and_then(Rssi::from_dbm),
    })
}

struct Player {
    recording: Recording,
    playing: Option<JoinHandle<()>>,
}

impl Scanner for Player {
    async fn start(&mut self, filter: Filter, sink: RadioSink) -> Result<(), RadioError> {
        self.stop().await?;
        let recording = self.recording.clone();
        self.playing = Some(tokio::spawn(play(recording, filter, sink)));
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        if let Some(playing) = self.playing.take() {
            playing.abort();
            // The end that was asked for; nothing else can come of it.
            let _ = playing.await;
        }
        Ok(())
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        if let Some(playing) = &self.playing {
            playing.abort();
        }
    }
}

/// Plays what lies ahead of the clock; what a pause of the schedule skipped stays unheard.
async fn play(recording: Recording, filter: Filter, sink: RadioSink) {
    let clock = Arc::clone(sink.clock());
    let began = clock.now();
    for recorded in recording.frames.iter() {
        if recorded.time < began.wall {
            continue;
        }
        let wait = recorded.time.since(began.wall);
        let monotonic = began.monotonic.saturating_add(wait);
        sleep_until(clock.as_ref(), monotonic).await;
        if filter.passes(&recorded.frame) {
            let at = Moment {
                wall: recorded.time,
                monotonic,
            };
            sink.heard_at(at, recorded.frame, recorded.rssi);
        }
    }
    sink.finished();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"time_ms":1000,"rssi_dbm":-63,"frame":"020106"}

{"time_ms":2500,"frame":"0201060302564e"}"#;

    #[test]
    fn a_recording_is_read() {
        let recording = Recording::parse(GOOD).unwrap();
        assert_eq!(recording.frames.len(), 2);
        assert_eq!(recording.start(), Timestamp::from_unix_millis(1_000));
        assert_eq!(recording.duration(), Duration::from_millis(1_500));
        assert_eq!(recording.frames[1].rssi, None);
    }

    #[test]
    fn the_line_at_fault_is_named() {
        let odd = GOOD.replace("0302564e", "0302564");
        let cut = GOOD.replace("0302564e", "0902564e");
        let back = GOOD.replace("2500", "999");
        let extra = GOOD.replace("{\"time_ms\":2500", "{\"x\":1,\"time_ms\":2500");
        for text in [odd, cut, back, extra, format!("{GOOD}\n[]")] {
            let error = Recording::parse(&text).unwrap_err().to_string();
            assert!(
                error.contains("line 3") || error.contains("line 4"),
                "{error}"
            );
        }
        assert!(Recording::parse("\n\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in ".*") {
            let _ = Recording::parse(&text);
        }
    }
}
