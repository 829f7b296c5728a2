//! What a schedule asks of the radio, and so of the battery.

use std::time::Duration;

use super::{DutyCycle, Schedule};

const HOUR: Duration = Duration::from_secs(3_600);

/// An advertisement goes out on three channels (Bluetooth Core Specification 5.4, Vol. 6, Part B, 4.4.2.1).
const CHANNELS: u32 = 3;

/// Preamble, access address, header, advertiser's address and checksum around the data, at 8 microseconds a
/// byte (the same, 2.1 and 2.3, at 1 Mbit/s).
const OVERHEAD_BYTES: u32 = 1 + 4 + 2 + 6 + 3;
const MICROS_PER_BYTE: u64 = 8;

/// The mean of the random delay of 0 to 10 ms before each advertisement (the same, 4.4.2.2.1).
const MEAN_DELAY: Duration = Duration::from_millis(5);

/// What the radio does in an hour of a schedule, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RadioUse {
    /// Receiving, if the controller listens all through a scan.
    pub scanning: Duration,
    /// Advertisements sent, each on three channels.
    pub advertisements: f64,
    /// Sending.
    pub sending: Duration,
    /// Times that the host has to act to turn a half of the radio on or off. Rotations, some four to six,
    /// and the frames heard come on top.
    pub turns: f64,
}

impl RadioUse {
    /// What the reference radio takes to receive: an nRF52832, a tag's one chip, at 3 V with its DC/DC converter (Nordic
    /// Semiconductor, nRF52832 Product Specification v1.1, "Current consumption: Radio").
    pub const RECEIVE_MA: f64 = 6.5;
    /// The same to send at 0 dBm.
    pub const SEND_MA: f64 = 7.1;

    /// Charge in a day, in milliampere hours, for a radio that takes `receive_ma` and `send_ma` while it
    /// does so. The host's own is not in it.
    pub fn mah_per_day(&self, receive_ma: f64, send_ma: f64) -> f64 {
        let hours = |duration: Duration| duration.as_secs_f64() / HOUR.as_secs_f64();
        24.0 * (hours(self.scanning) * receive_ma + hours(self.sending) * send_ma)
    }
}

impl Schedule {
    /// What the radio does in an hour, if it sends `frame_bytes` (0..=31) every `interval` while it
    /// advertises.
    pub fn radio_use(&self, frame_bytes: u8, interval: Duration) -> RadioUse {
        let advertising = HOUR.mul_f64(self.advertise.share_on());
        let between = interval.saturating_add(MEAN_DELAY);
        let advertisements = advertising.as_secs_f64() / between.as_secs_f64();
        let bytes = u64::from(OVERHEAD_BYTES) + u64::from(frame_bytes);
        let on_air = Duration::from_micros(bytes * MICROS_PER_BYTE) * CHANNELS;
        RadioUse {
            scanning: HOUR.mul_f64(self.scan.share_on()),
            advertisements,
            sending: on_air.mul_f64(advertisements),
            turns: turns(self.scan) + turns(self.advertise),
        }
    }
}

/// On and off, an hour.
fn turns(cycle: DutyCycle) -> f64 {
    match cycle.is_continuous() {
        true => 0.0,
        false => 2.0 * HOUR.as_secs_f64() / cycle.period_s(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, schedule: Schedule, frame_bytes: u8, interval_ms: u64) -> String {
        let used = schedule.radio_use(frame_bytes, Duration::from_millis(interval_ms));
        format!(
            "| {name} | {:.0} s | {:.0} | {:.1} s | {:.0} | {:.1} |",
            used.scanning.as_secs_f64(),
            used.advertisements,
            used.sending.as_secs_f64(),
            used.turns,
            used.mah_per_day(RadioUse::RECEIVE_MA, RadioUse::SEND_MA),
        )
    }

    #[test]
    fn thirty_one_bytes_take_376_microseconds_a_channel() {
        let used = Schedule::continuous().radio_use(31, Duration::from_millis(245));
        assert_eq!(used.advertisements, 14_400.0);
        assert_eq!(used.sending, Duration::from_micros(376 * 3 * 14_400));
        assert_eq!((used.scanning, used.turns), (HOUR, 0.0));
    }

    #[test]
    fn the_table_in_the_docs_is_what_is_computed() {
        let rows = [
            row(
                "continuous, GAEN's frame every 270 ms",
                Schedule::continuous(),
                31,
                270,
            ),
            row(
                "continuous, GAEN's frame every 1.28 s",
                Schedule::continuous(),
                31,
                1_280,
            ),
            row("gaen, every 270 ms", Schedule::gaen(), 31, 270),
            row(
                "bluezone_foreground, every 100 ms",
                Schedule::bluezone_foreground(),
                23,
                100,
            ),
            row(
                "bluezone_background, every 100 ms",
                Schedule::bluezone_background(),
                23,
                100,
            ),
        ];
        let page = include_str!("../../docs/power.md");
        for row in rows {
            assert!(
                page.contains(&row),
                "docs/power.md should have the row\n{row}"
            );
        }
    }
}
