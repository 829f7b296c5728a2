//! A sighting in 34 bytes: all that it says, in a fixed width, for engines that have no encoding of their
//! own.
//!
//! | bytes | |
//! |---|---|
//! | 1 | flags: bits 0 and 1 source, bit 2 GAEN, bit 3 an identifier of 16 bytes, bit 4 metadata, bit 5 strengths |
//! | 16 | identifier, zeros behind 12 bytes |
//! | 4 | metadata |
//! | 6 | first, Unix milliseconds |
//! | 2 | last, milliseconds after it |
//! | 2 | frames |
//! | 3 | weakest, mean, strongest in dBm |

use truyvet::sighting::{Rssi, RssiSummary, Source};
use truyvet::time::Timestamp;
use truyvet::{EphemeralId, ProtocolKind, Sighting};

use crate::Result;

pub(crate) const LEN: usize = 34;

const GAEN: u8 = 1 << 2;
const LONG_ID: u8 = 1 << 3;
const METADATA: u8 = 1 << 4;
const STRENGTHS: u8 = 1 << 5;
const SOURCES: [Source; 4] = [
    Source::ServiceData,
    Source::ManufacturerData,
    Source::ServiceUuid,
    Source::GattRead,
];

/// # Errors
///
/// If the sighting is longer than 65 seconds, or of a protocol or source that is not known here.
pub(crate) fn encode(sighting: &Sighting) -> Result<[u8; LEN]> {
    let mut flags = match SOURCES.iter().position(|source| *source == sighting.source) {
        Some(number) => u8::try_from(number)?,
        None => return Err(format!("no number for the source {:?}", sighting.source).into()),
    };
    flags |= match sighting.protocol {
        ProtocolKind::Bluezone => 0,
        ProtocolKind::Gaen => GAEN,
        other => return Err(format!("no number for the protocol {other}").into()),
    };
    let id = sighting.id.as_bytes();
    flags |= if id.len() == 16 { LONG_ID } else { 0 };
    flags |= sighting.metadata.map_or(0, |_| METADATA);
    flags |= sighting.rssi.map_or(0, |_| STRENGTHS);

    let first_ms = sighting.first.unix_millis();
    let lasted_ms = sighting.last.unix_millis().checked_sub(first_ms);
    let lasted_ms = u16::try_from(lasted_ms.ok_or("a sighting ends before it begins")?)?;
    let [first_ms @ .., 0, 0] = first_ms.to_le_bytes() else {
        return Err("a time of more than 48 bits".into());
    };
    let strengths = sighting.rssi.map_or([0; 3], |rssi| {
        [rssi.min, rssi.mean, rssi.max].map(|it| it.dbm().cast_unsigned())
    });

    let fields = [flags]
        .into_iter()
        .chain(id.iter().copied().chain([0; 16]).take(16))
        .chain(sighting.metadata.unwrap_or_default())
        .chain(first_ms)
        .chain(lasted_ms.to_le_bytes())
        .chain(sighting.frames.to_le_bytes())
        .chain(strengths);
    let mut record = [0; LEN];
    for (to, from) in record.iter_mut().zip(fields) {
        *to = from;
    }
    Ok(record)
}

/// # Errors
///
/// If `record` is none that [`encode`] makes.
pub(crate) fn decode(record: &[u8]) -> Result<Sighting> {
    let mut rest = record;
    let [flags] = take(&mut rest)?;
    let id: [u8; 16] = take(&mut rest)?;
    let metadata: [u8; 4] = take(&mut rest)?;
    let [a, b, c, d, e, f] = take(&mut rest)?;
    let first_ms = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    let lasted_ms = u16::from_le_bytes(take(&mut rest)?);
    let frames = u16::from_le_bytes(take(&mut rest)?);
    let strengths: [u8; 3] = take(&mut rest)?;
    if !rest.is_empty() {
        return Err(format!("expected a record of {LEN} bytes, got {}", record.len()).into());
    }

    let source = SOURCES.get(usize::from(flags & 3)).copied();
    let id_len = if flags & LONG_ID == 0 { 12 } else { 16 };
    let rssi = if flags & STRENGTHS == 0 {
        None
    } else {
        let [min, mean, max] = strengths.map(|byte| Rssi::try_from(byte.cast_signed()));
        Some(RssiSummary {
            min: min?,
            mean: mean?,
            max: max?,
        })
    };
    Ok(Sighting {
        protocol: if flags & GAEN == 0 {
            ProtocolKind::Bluezone
        } else {
            ProtocolKind::Gaen
        },
        id: EphemeralId::try_from((id_len, id))?,
        metadata: (flags & METADATA != 0).then_some(metadata),
        first: Timestamp::from_unix_millis(first_ms),
        last: Timestamp::from_unix_millis(first_ms + u64::from(lasted_ms)),
        frames,
        rssi,
        source: source.ok_or("a source that does not exist")?,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let Some((field, behind)) = rest.split_first_chunk() else {
        return Err(format!("a record ends {} bytes early", N - rest.len()).into());
    };
    *rest = behind;
    Ok(*field)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::days;

    fn strengths() -> impl Strategy<Value = RssiSummary> {
        [-127..=20_i32, -127..=20, -127..=20].prop_map(|dbm| {
            let [min, mean, max] = dbm.map(|dbm| Rssi::from_dbm(dbm).unwrap());
            RssiSummary { min, mean, max }
        })
    }

    fn sightings() -> impl Strategy<Value = Sighting> {
        let id = prop_oneof![
            any::<[u8; 12]>().prop_map(EphemeralId::from),
            any::<[u8; 16]>().prop_map(EphemeralId::from),
        ];
        let times = (0..1_u64 << 46, any::<u16>(), any::<u16>());
        let of = (any::<bool>(), 0..SOURCES.len());
        let rest = (any::<Option<[u8; 4]>>(), prop::option::of(strengths()));
        (id, times, of, rest).prop_map(|(id, times, (gaen, source), (metadata, rssi))| Sighting {
            protocol: [ProtocolKind::Bluezone, ProtocolKind::Gaen][usize::from(gaen)],
            id,
            metadata,
            first: Timestamp::from_unix_millis(times.0),
            last: Timestamp::from_unix_millis(times.0 + u64::from(times.1)),
            frames: times.2,
            rssi,
            source: SOURCES[source],
        })
    }

    proptest! {
        #[test]
        fn nothing_of_a_sighting_is_lost(sighting in sightings()) {
            let record = encode(&sighting).unwrap();
            prop_assert_eq!(decode(&record).unwrap(), sighting);
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(decode(&bytes).is_err() || bytes.len() == LEN);
        }
    }

    #[test]
    fn longer_than_its_field() {
        let mut sighting = days::half_minute(1, 1, 1);
        sighting.last = Timestamp::from_unix_millis(1 + 65_536);
        assert!(encode(&sighting).is_err());
    }

    #[test]
    fn ends_before_it_begins() {
        let mut sighting = days::half_minute(1, 1, 1);
        sighting.last = Timestamp::from_unix_millis(0);
        assert!(encode(&sighting).is_err());
    }
}
