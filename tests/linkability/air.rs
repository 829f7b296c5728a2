//! Devices on an air of their own, with slips made on purpose, and a listener who hears every frame.

use truyvet::Advertisement;

use super::files;

/// 2026-11-24T08:00Z, in µs.
pub(super) const START_US: u64 = 1_795_507_200_000_000;
pub(super) const SECOND_US: u64 = 1_000_000;
/// GAEN's.
pub(super) const SLOT_US: u64 = 600 * SECOND_US;

/// Random numbers of a seed (Steele, Lea and Flood's SplitMix64).
#[derive(Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }

    /// A non-resolvable address.
    pub(super) fn address(&mut self) -> [u8; 6] {
        let mut address = self.bytes();
        address[5] &= 0x3F;
        address
    }
}

/// A frame as a report of a controller has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Frame {
    pub(super) at_us: u64,
    pub(super) random: bool,
    pub(super) address: [u8; 6],
    /// Of an advertising report; 3 is one that takes no connections and answers no scans.
    pub(super) event: u8,
    pub(super) data: Vec<u8>,
}

/// What a device does, and does wrong.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) seed: u64,
    pub(super) slots: u64,
    /// From one frame to the next, to which a random delay of up to 10 ms comes.
    pub(super) interval_us: u64,
    pub(super) flags: u8,
    /// The same metadata for ever.
    pub(super) metadata: Option<[u8; 4]>,
    /// What is answered to a scan.
    pub(super) answer: Option<Vec<u8>>,
    pub(super) public: bool,
    /// The address changes in the slots for which this says so.
    pub(super) new_address: fn(u64) -> bool,
    /// So the identifier.
    pub(super) new_id: fn(u64) -> bool,
    /// The frames go on in their rhythm over a change.
    pub(super) keeps_phase: bool,
    /// Into each slot so late, beside a random time of up to three seconds; or to the millisecond, at that alone.
    pub(super) late_us: u64,
    pub(super) exact: bool,
}

impl Device {
    /// One without a slip.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            slots: 7,
            interval_us: 2 * SECOND_US,
            flags: 0x1A,
            metadata: None,
            answer: None,
            public: false,
            new_address: |_| true,
            new_id: |_| true,
            keeps_phase: false,
            late_us: 0,
            exact: false,
        }
    }

    pub(super) fn frames(&self) -> Vec<Frame> {
        let mut random = Random(self.seed);
        let (mut address, mut id, mut metadata) =
            (random.address(), random.bytes(), random.bytes());
        let mut frames = Vec::new();
        let mut at_us = START_US + random.below(self.interval_us);
        for slot in 0..self.slots {
            let late = if self.exact {
                0
            } else {
                random.below(3 * SECOND_US)
            };
            let end = START_US + (slot + 1) * SLOT_US + self.late_us + late;
            if slot > 0 && (self.new_address)(slot) && !self.public {
                address = random.address();
            }
            if slot > 0 && (self.new_id)(slot) {
                (id, metadata) = (random.bytes(), random.bytes());
            }
            while at_us < end {
                let data = gaen(self.flags, &id, &self.metadata.unwrap_or(metadata));
                let frame = Frame {
                    at_us,
                    random: !self.public,
                    address,
                    event: if self.answer.is_some() { 2 } else { 3 },
                    data,
                };
                if let Some(answer) = &self.answer {
                    let answer = Frame {
                        at_us: at_us + 500,
                        event: 4,
                        data: answer.clone(),
                        ..frame.clone()
                    };
                    frames.extend([frame, answer]);
                } else {
                    frames.push(frame);
                }
                at_us += self.interval_us + random.below(10_000);
            }
            if !self.keeps_phase {
                at_us = end + 1 + random.below(self.interval_us);
                if self.exact {
                    at_us = end + 1 + random.below(50_000);
                }
            }
        }
        frames
    }
}

/// GAEN's frame.
pub(super) fn gaen(flags: u8, id: &[u8; 16], metadata: &[u8; 4]) -> Vec<u8> {
    let mut frame = Advertisement::new();
    frame.push_flags(flags).unwrap();
    frame.push_service_uuid16(0xFD6F).unwrap();
    let data = [&id[..], metadata].concat();
    frame.push_service_data16(0xFD6F, &data).unwrap();
    frame.as_bytes().to_vec()
}

/// What a listener hears of all of them, by time.
pub(super) fn heard(devices: &[Device]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = devices.iter().flat_map(Device::frames).collect();
    frames.sort_by_key(|frame| frame.at_us);
    frames
}

/// The same as a capture.
pub(super) fn capture(devices: &[Device]) -> Vec<u8> {
    files::btsnoop_of(&heard(devices))
}

/// Some who do nothing wrong.
pub(super) fn crowd(seeds: std::ops::Range<u64>) -> Vec<Device> {
    seeds.map(Device::new).collect()
}
