//! What the target `matcher` reads: published keys, and sightings of them or of nobody.

/// Bytes of a [`Record`].
const RECORD_BYTES: usize = 6;

/// Records that are read at most, so that an input takes no seconds.
const RECORDS_MAX: usize = 96;

/// Keys of which identifiers are computed at most, as the plain way computes them all again and again.
const KEYS_MAX: usize = 8;

/// One input.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MatcherInput {
    /// Which tolerances, and how many threads.
    pub config: u8,
    /// When the keys were published, in hours from the day; 0 if nobody knows.
    pub published_h: u8,
    /// Keys and sightings in any order.
    pub records: Vec<Record>,
}

/// A key, or a sighting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Record {
    /// A diagnosis key that begins so many intervals after the day.
    Gaen { seed: u8, start: u16, period: u8 },
    /// A list's entry that begins so many days after the day, and ends so many minutes later.
    Bluezone {
        seed: u8,
        day: u8,
        slots: u8,
        minutes: u16,
    },
    /// One of an identifier of a key, so many half minutes from when it was advertised.
    Of {
        key: u8,
        identifier: u8,
        long_s: u8,
        half_minutes: i16,
    },
    /// One of somebody's identifier, so many minutes after the day.
    Other {
        seed: u8,
        len: u8,
        long_s: u8,
        minutes: u16,
    },
}

impl Record {
    fn is_key(&self) -> bool {
        matches!(self, Self::Gaen { .. } | Self::Bluezone { .. })
    }

    fn decode([kind, a, b, c, low, high]: [u8; RECORD_BYTES]) -> Self {
        let number = u16::from_le_bytes([low, high]);
        match kind % 4 {
            0 => Self::Gaen {
                seed: a,
                start: number,
                period: b,
            },
            1 => Self::Bluezone {
                seed: a,
                day: b,
                slots: c,
                minutes: number,
            },
            2 => Self::Of {
                key: a,
                identifier: b,
                long_s: c,
                half_minutes: i16::from_le_bytes([low, high]),
            },
            _ => Self::Other {
                seed: a,
                len: b,
                long_s: c,
                minutes: number,
            },
        }
    }

    fn encode(self) -> [u8; RECORD_BYTES] {
        let (kind, [a, b, c], number) = match self {
            Self::Gaen {
                seed,
                start,
                period,
            } => (0, [seed, period, 0], start),
            Self::Bluezone {
                seed,
                day,
                slots,
                minutes,
            } => (1, [seed, day, slots], minutes),
            Self::Of {
                key,
                identifier,
                long_s,
                half_minutes,
            } => (2, [key, identifier, long_s], half_minutes.cast_unsigned()),
            Self::Other {
                seed,
                len,
                long_s,
                minutes,
            } => (3, [seed, len, long_s], minutes),
        };
        let [low, high] = number.to_le_bytes();
        [kind, a, b, c, low, high]
    }
}

impl MatcherInput {
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[config, published_h], rest) = bytes.split_first_chunk()?;
        let mut keys = 0;
        let records = rest.as_chunks().0.iter().map(|it| Record::decode(*it));
        let few = records.filter(|record| {
            keys += usize::from(record.is_key());
            !record.is_key() || keys <= KEYS_MAX
        });
        Some(Self {
            config,
            published_h,
            records: few.take(RECORDS_MAX).collect(),
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let records = self.records.iter().flat_map(|record| record.encode());
        [self.config, self.published_h]
            .into_iter()
            .chain(records)
            .collect()
    }
}
