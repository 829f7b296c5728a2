//! The records of an export; [`LogReader::export_json`](super::LogReader::export_json) has their keys.

use data_encoding::HEXLOWER;
use serde::Serialize;
use zeroize::Zeroizing;

use super::super::{EntryKind, LogEntry};
use super::LogError;
use crate::protocol::OwnKey;
use crate::protocol::own_key::DailySecret;
use crate::sighting::{GapCause, RssiSummary, ScanGap, Sighting, Source};
use crate::time::{ClockRecord, Timestamp};

#[derive(Serialize)]
pub(super) struct SightingJson {
    protocol: String,
    id: String,
    metadata: Option<String>,
    first: String,
    last: String,
    frames: u16,
    rssi: Option<RssiJson>,
    source: &'static str,
}

impl SightingJson {
    pub(super) fn of(sighting: &Sighting) -> Self {
        Self {
            protocol: sighting.protocol.to_string(),
            id: HEXLOWER.encode(sighting.id.as_bytes()),
            metadata: sighting.metadata.map(|bytes| HEXLOWER.encode(&bytes)),
            first: rfc3339(sighting.first),
            last: rfc3339(sighting.last),
            frames: sighting.frames,
            rssi: sighting.rssi.map(RssiJson::of),
            source: match sighting.source {
                Source::ServiceData => "service_data",
                Source::ManufacturerData => "manufacturer_data",
                Source::ServiceUuid => "service_uuid",
                Source::GattRead => "gatt_read",
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct RssiJson {
    min_dbm: i8,
    mean_dbm: i8,
    max_dbm: i8,
}

impl RssiJson {
    pub(super) fn of(rssi: RssiSummary) -> Self {
        Self {
            min_dbm: rssi.min.dbm(),
            mean_dbm: rssi.mean.dbm(),
            max_dbm: rssi.max.dbm(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct GapJson {
    from: String,
    to: String,
    cause: &'static str,
}

impl GapJson {
    pub(super) fn of(gap: &ScanGap) -> Self {
        Self {
            from: rfc3339(gap.from),
            to: rfc3339(gap.to),
            cause: match gap.cause {
                GapCause::Radio => "radio",
                GapCause::Adapter => "adapter",
                GapCause::ClockJump => "clock_jump",
            },
        }
    }
}

#[derive(Serialize)]
pub(super) struct ClockJson {
    wall: String,
    boot_id: Option<String>,
    since_boot_ms: Option<u64>,
    jumped_from: Option<String>,
}

impl ClockJson {
    pub(super) fn of(record: &ClockRecord) -> Self {
        let uptime = record.reading.uptime;
        Self {
            wall: rfc3339(record.reading.wall),
            boot_id: uptime.map(|it| HEXLOWER.encode(&it.boot_id)),
            since_boot_ms: uptime.map(|it| it.since_boot_ms),
            jumped_from: record.jumped_from.map(rfc3339),
        }
    }
}

#[derive(Serialize)]
pub(super) struct EntryJson {
    at: String,
    kind: KindJson,
    bytes: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum KindJson {
    Named(&'static str),
    Number(u16),
}

impl EntryJson {
    pub(super) fn of(entry: &LogEntry) -> Self {
        Self {
            at: rfc3339(entry.at),
            kind: match entry.kind {
                EntryKind::HealthDeclaration => KindJson::Named("health_declaration"),
                EntryKind::CheckIn => KindJson::Named("check_in"),
                EntryKind::Other(number) => KindJson::Number(number),
            },
            bytes: HEXLOWER.encode(&entry.bytes),
        }
    }
}

#[derive(Serialize)]
pub(super) struct OwnKeyJson<'a> {
    protocol: String,
    day: String,
    valid_from: String,
    valid_until: String,
    released: bool,
    secret: &'a str,
}

impl<'a> OwnKeyJson<'a> {
    pub(super) fn of(key: &OwnKey, secret: &'a str) -> Self {
        Self {
            protocol: key.protocol().to_string(),
            day: key.day().to_string(),
            valid_from: rfc3339(key.valid_from()),
            valid_until: rfc3339(key.valid_until()),
            released: key.is_released(),
            secret,
        }
    }
}

/// The key itself, in hexadecimal.
pub(super) fn secret_of(key: &OwnKey) -> Zeroizing<String> {
    // Room for all of it: a string that grows leaves copies behind.
    let mut digits = Zeroizing::new(String::with_capacity(64));
    match key.secret() {
        DailySecret::Bluezone(key) => HEXLOWER.encode_append(key.secret().expose(), &mut digits),
        DailySecret::Gaen(tek) => HEXLOWER.encode_append(tek.secret().expose(), &mut digits),
    }
    digits
}

#[derive(Serialize)]
pub(super) struct DamageJson<'a> {
    file: Option<&'a str>,
    offset: Option<u64>,
    what: String,
}

impl<'a> DamageJson<'a> {
    pub(super) fn of(error: &'a LogError) -> Self {
        match error {
            LogError::Corrupted {
                segment,
                offset,
                what,
            } => Self {
                file: Some(segment),
                offset: Some(*offset),
                what: (*what).to_owned(),
            },
            LogError::UnsupportedVersion { file, .. } => Self {
                file: Some(file),
                offset: None,
                what: error.to_string(),
            },
            _ => Self {
                file: None,
                offset: None,
                what: error.to_string(),
            },
        }
    }
}

/// RFC 3339 with milliseconds, in UTC.
fn rfc3339(time: Timestamp) -> String {
    let seconds = time.to_string();
    let seconds = seconds.strip_suffix('Z').unwrap_or(&seconds);
    format!("{seconds}.{:03}Z", time.unix_millis() % 1_000)
}
