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
    ///
    /// The first start plays all of it: what the clock has passed by then (a log takes a while to
    /// open) comes at once. A later one, after a pause, plays what lies ahead of the clock.
    pub fn radio(&self) -> Radio {
        let player = Player {
            recording: self.clone(),
            playing: None,
            paused_before: false,
        };
        Radio::scan_only(player, "a recording only plays")
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
    /// What a pause skips stays unheard.
    paused_before: bool,
}

impl Scanner for Player {
    async fn start(&mut self, filter: Filter, sink: RadioSink) -> Result<(), RadioError> {
        self.stop().await?;
        let recording = self.recording.clone();
        let skip = std::mem::replace(&mut self.paused_before, true);
        self.playing = Some(tokio::spawn(play(recording, skip, filter, sink)));
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

/// Plays a recording, or what of it the clock has not passed, if it is to `skip` the rest.
async fn play(recording: Recording, skip: bool, filter: Filter, sink: RadioSink) {
    let clock = Arc::clone(sink.clock());
    let began = clock.now();
    for recorded in recording.frames.iter() {
        if skip && recorded.time < began.wall {
            continue;
        }
        let (ahead, late) = (
            recorded.time.since(began.wall),
            began.wall.since(recorded.time),
        );
        // Both clocks by the same span, or it would look as if the wall clock had jumped.
        let monotonic = began.monotonic.saturating_add(ahead).saturating_sub(late);
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
    use crate::protocol::Protocol;
    use crate::radio::{RadioEvent, RadioEvents};
    use crate::time::SimulatedClock;

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

    /// A recording of the identifiers 0.., heard at `times_ms`.
    fn of_identifiers(times_ms: impl Iterator<Item = u64>) -> Recording {
        let line = |(n, time_ms): (usize, u64)| {
            let frame = format!("0fffb522{n:024x}");
            format!("{{\"time_ms\":{time_ms},\"frame\":\"{frame}\"}}\n")
        };
        let text: String = times_ms.enumerate().map(line).collect();
        Recording::parse(&text).unwrap()
    }

    /// Frames heard until the recording ends.
    async fn frames(events: &mut RadioEvents) -> usize {
        let mut frames = 0;
        loop {
            match events.next().await.unwrap() {
                RadioEvent::Heard { .. } => frames += 1,
                RadioEvent::Finished => return frames,
                other => panic!("{other:?}"),
            }
        }
    }

    async fn seconds_pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_start_that_is_late_misses_nothing() {
        let recording = of_identifiers((0..201).map(|n| 1_000_000 + u64::from(n == 200)));
        let clock = Arc::new(SimulatedClock::new(recording.start(), 1));
        let (sink, mut events) = RadioSink::new(clock, 1_000);
        let mut radio = recording.radio();
        seconds_pass(5).await;
        let filter = Filter::of(&[Protocol::bluezone()]);
        radio.scanner.start(filter, sink).await.unwrap();
        assert_eq!(frames(&mut events).await, 201);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_skips_what_it_lasts() {
        let recording = of_identifiers((0..10).map(|n| 1_000_000 + 1_000 * n));
        let clock = Arc::new(SimulatedClock::new(recording.start(), 1));
        let (sink, mut events) = RadioSink::new(clock, 1_000);
        let mut radio = recording.radio();
        let filter = Filter::of(&[Protocol::bluezone()]);
        let started = radio.scanner.start(filter.clone(), sink.clone());
        started.await.unwrap();
        assert!(matches!(
            events.next().await,
            Some(RadioEvent::Heard { .. })
        ));
        radio.scanner.stop().await.unwrap();
        seconds_pass(5).await;
        radio.scanner.start(filter, sink).await.unwrap();
        assert_eq!(frames(&mut events).await, 5);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in ".*") {
            let _ = Recording::parse(&text);
        }
    }
}
