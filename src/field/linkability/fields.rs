//! What of an advertisement is its identifier, and what else it carries.

use std::fmt;

use serde::Serialize;

use crate::advertisement::{
    Advertisement, COMPLETE_UUIDS_16, COMPLETE_UUIDS_128, FLAGS, INCOMPLETE_UUIDS_16,
    INCOMPLETE_UUIDS_128, MANUFACTURER_DATA, SERVICE_DATA_16,
};
use crate::crypto::sha256;
use crate::protocol::{EphemeralId, Heard, Protocol, ProtocolKind};

/// AD types besides (Bluetooth Assigned Numbers, 2.3).
const SHORT_NAME: u8 = 0x08;
const NAME: u8 = 0x09;
const TX_POWER: u8 = 0x0A;

/// AD structures of one advertisement that are looked at. Chosen: 31 bytes hold 15.
const STRUCTURES_MAX: usize = 32;

/// Values of so many bytes may be one device's alone; how many devices there are is to be seen. Chosen: of a hundred devices no
/// two share one of 2²⁴ values, but once in three thousand such crowds.
const OWN_BYTES: usize = 3;

/// Something that an advertisement carries beside its identifier.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Field {
    AddressKind,
    Form,
    /// Which AD structures there are, in which order and how long.
    Layout,
    Flags,
    TxPower,
    Name,
    /// Of a company.
    ManufacturerData(u16),
    /// Of a service.
    ServiceData(u16),
    /// GAEN's.
    Metadata,
    Services,
    Interval,
    /// Another AD type.
    Other(u8),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressKind => f.write_str("kind of address"),
            Self::Form => f.write_str("kind of PDU"),
            Self::Layout => f.write_str("order and lengths of the AD structures"),
            Self::Flags => f.write_str("flags"),
            Self::TxPower => f.write_str("tx power"),
            Self::Name => f.write_str("name"),
            Self::ManufacturerData(company) => {
                write!(f, "manufacturer data of company {company:#06x}")
            }
            Self::ServiceData(service) => write!(f, "service data of {service:#06x}"),
            Self::Metadata => f.write_str("encrypted metadata (AEM)"),
            Self::Services => f.write_str("list of services"),
            Self::Interval => f.write_str("advertising interval"),
            Self::Other(ad_type) => write!(f, "AD structure of type {ad_type:#04x}"),
        }
    }
}

/// Where a field stood.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Place {
    /// Beside the identifier.
    Own,
    /// In the answer to a scan.
    Answer,
    /// In another advertisement of the same address.
    Beside,
}

/// A field with the digest of its value.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Trait {
    pub(super) place: Place,
    pub(super) field: Field,
    pub(super) value: [u8; 8],
    /// How long the value is, if it may single somebody out by itself; 0 for one out of few.
    pub(super) own_bytes: u8,
}

impl Trait {
    /// A value out of few.
    pub(super) fn common(field: Field, value: &[u8]) -> Self {
        Self {
            place: Place::Own,
            field,
            value: digest(value),
            own_bytes: 0,
        }
    }

    fn of(field: Field, value: &[u8]) -> Self {
        let own_bytes = match value.len() {
            0..OWN_BYTES => 0,
            len => u8::try_from(len).unwrap_or(u8::MAX),
        };
        Self {
            own_bytes,
            ..Self::common(field, value)
        }
    }

    /// Whether `holders` of `all` devices having the value is no chance: of values this long, drawn by each at random, some value
    /// would be so many devices' with this probability at most.
    pub(super) fn singles_out(&self, holders: usize, all: usize) -> bool {
        const CHANCE_MAX: f64 = 0.001;
        let others = holders.saturating_sub(1) as f64;
        let sets: f64 = (1..=holders).map(|n| (all as f64 / n as f64).log2()).sum();
        let all_alike = 8.0 * f64::from(self.own_bytes) * others;
        self.own_bytes > 0 && sets - all_alike <= CHANCE_MAX.log2()
    }
}

/// The first bytes of a value's SHA-256.
pub(super) fn digest(value: &[u8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = sha256(&[value]);
    [a, b, c, d, e, f, g, h]
}

/// What advertising data says.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    pub(super) identifier: Option<(ProtocolKind, EphemeralId)>,
    /// It speaks one of the protocols, and has no identifier to read: by mistake, or because it is read over a connection.
    pub(super) unreadable: bool,
    pub(super) traits: Vec<Trait>,
}

/// Reads `data` as one of `protocols`.
pub(super) fn read(data: &[u8], protocols: &[Protocol]) -> Read {
    let structures = structures(data);
    let mut read = Read::default();
    let mut metadata = None;
    for frame in frames(data, &structures) {
        for protocol in protocols {
            match protocol.parse(&frame) {
                Ok(Some(Heard::Identifier {
                    id, metadata: it, ..
                })) => {
                    read.identifier = Some((protocol.kind(), id));
                    metadata = it;
                }
                Ok(Some(Heard::ReadByGatt)) | Err(_) => read.unreadable = true,
                Ok(None) => {}
            }
            if read.identifier.is_some() {
                read.unreadable = false;
                break;
            }
        }
        if read.identifier.is_some() {
            break;
        }
    }
    let id = read.identifier.map(|(_, id)| id);
    read.traits = traits(&structures, id.as_ref());
    read.traits
        .extend(metadata.map(|it| Trait::of(Field::Metadata, &it)));
    read
}

/// The AD structures as type and data. Unlike [`Advertisement`], this takes an extended advertisement's too, and what is whole
/// of one that is cut.
fn structures(data: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = data;
    let mut found = Vec::new();
    while let Some((&len, after)) = rest.split_first() {
        let Some((structure, next)) = after.split_at_checked(usize::from(len)) else {
            break;
        };
        let Some((&ad_type, data)) = structure.split_first() else {
            break;
        };
        if found.len() == STRUCTURES_MAX {
            break;
        }
        found.push((ad_type, data));
        rest = next;
    }
    found
}

/// The data as legacy advertisements, which is what the protocols read: as a whole, or if it has more bytes than one, every
/// structure beside those that name services.
fn frames(data: &[u8], structures: &[(u8, &[u8])]) -> Vec<Advertisement> {
    if let Ok(frame) = Advertisement::parse(data) {
        return vec![frame];
    }
    let joined = |parts: &[&(u8, &[u8])]| {
        let mut bytes = Vec::new();
        for (ad_type, data) in parts {
            bytes.push(u8::try_from(data.len() + 1).unwrap_or(u8::MAX));
            bytes.push(*ad_type);
            bytes.extend(*data);
        }
        Advertisement::parse(&bytes).ok()
    };
    let short = [INCOMPLETE_UUIDS_16, COMPLETE_UUIDS_16];
    let names: Vec<_> = structures
        .iter()
        .filter(|(it, _)| short.contains(it))
        .collect();
    let others = structures.iter().filter(|(it, _)| !short.contains(it));
    let beside = others.filter_map(|structure| {
        let with = joined(&[names.as_slice(), &[structure]].concat());
        with.or_else(|| joined(&[structure]))
    });
    beside.collect()
}

fn traits(structures: &[(u8, &[u8])], id: Option<&EphemeralId>) -> Vec<Trait> {
    let mut traits = Vec::new();
    let mut layout = Vec::new();
    for (ad_type, data) in structures {
        layout.extend([*ad_type, u8::try_from(data.len()).unwrap_or(u8::MAX)]);
        if id.is_some_and(|id| holds(data, id)) {
            continue;
        }
        traits.push(match (*ad_type, data) {
            (FLAGS, _) => Trait::common(Field::Flags, data),
            (TX_POWER, _) => Trait::common(Field::TxPower, data),
            (SHORT_NAME | NAME, _) => Trait::of(Field::Name, data),
            (MANUFACTURER_DATA, [low, high, rest @ ..]) => {
                let company = u16::from_le_bytes([*low, *high]);
                Trait::of(Field::ManufacturerData(company), rest)
            }
            (SERVICE_DATA_16, [low, high, rest @ ..]) => {
                let service = u16::from_le_bytes([*low, *high]);
                Trait::of(Field::ServiceData(service), rest)
            }
            // Which services there are is a matter of the app and the model, however long their numbers.
            (
                INCOMPLETE_UUIDS_16 | COMPLETE_UUIDS_16 | INCOMPLETE_UUIDS_128 | COMPLETE_UUIDS_128,
                _,
            ) => Trait::common(Field::Services, data),
            (other, _) => Trait::of(Field::Other(other), data),
        });
    }
    traits.push(Trait::common(Field::Layout, &layout));
    traits
}

/// Whether `data` is where the identifier stands, in either order of bytes.
fn holds(data: &[u8], id: &EphemeralId) -> bool {
    let id = id.as_bytes();
    data.windows(id.len())
        .any(|bytes| bytes == id || bytes.iter().rev().eq(id))
}
