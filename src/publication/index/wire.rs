//! The index as bytes.

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::{Cycle, INDEX_BYTES_MAX, Index, IndexError, PACKAGES_MAX, PackageInfo};
use crate::protocol::ProtocolKind;
use crate::publication::gaen_export::SIGNATURES_MAX;
use crate::publication::signature::{KeyName, SigningKey, VerificationKey};
use crate::time::Timestamp;

/// What the first line says it is. Nothing else that an authority signs begins so.
const FORMAT: &str = "truyvet publication 1";

/// The first line. Times are Unix seconds.
#[derive(Deserialize, Serialize)]
struct List {
    format: String,
    region: String,
    number: u64,
    since: u64,
    hourly_since: u64,
    daily_until: u64,
    published_until: u64,
    packages: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    name: String,
    protocol: Kind,
    cycle: Length,
    start: u64,
    part: u16,
    bytes: u64,
    sha256: String,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Gaen,
    Bluezone,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Length {
    Hourly,
    Daily,
}

/// The second line.
#[derive(Deserialize, Serialize)]
struct Signatures {
    signatures: Vec<Signature>,
}

#[derive(Deserialize, Serialize)]
struct Signature {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_version: Option<String>,
    /// X9.62 DER in base64.
    signature: String,
}

pub(super) fn sign(index: &Index, signers: &[&SigningKey]) -> Result<Vec<u8>, IndexError> {
    require_few(signers.len())?;
    let mut file = line(&List::from(index))?;
    let signatures = signers
        .iter()
        .map(|signer| {
            let name = signer.verification_key().name();
            Ok(Signature {
                key_id: name.id.clone(),
                key_version: name.version.clone(),
                signature: BASE64.encode(&signer.sign(&file)?),
            })
        })
        .collect::<Result<_, IndexError>>()?;
    file.extend(line(&Signatures { signatures })?);
    match file.len() {
        0..=INDEX_BYTES_MAX => Ok(file),
        got => Err(IndexError::TooLong { got }),
    }
}

fn line(value: &impl Serialize) -> Result<Vec<u8>, IndexError> {
    // Of strings and numbers alone, which any writer takes.
    let mut line = serde_json::to_vec(value).map_err(|_| IndexError::Form)?;
    line.push(b'\n');
    Ok(line)
}

fn require_few(got: usize) -> Result<(), IndexError> {
    let max = SIGNATURES_MAX;
    match got {
        1..=SIGNATURES_MAX => Ok(()),
        _ => Err(IndexError::Signatures { max, got }),
    }
}

pub(super) fn verify(file: &[u8], trusted: &[VerificationKey]) -> Result<Index, IndexError> {
    if file.len() > INDEX_BYTES_MAX {
        return Err(IndexError::TooLong { got: file.len() });
    }
    let end = file.iter().position(|byte| *byte == b'\n');
    let (list, signatures) = end
        .and_then(|end| file.split_at_checked(end + 1))
        .ok_or(IndexError::Form)?;
    require_signed(list, signatures, trusted)?;
    let list: List = serde_json::from_slice(list).map_err(|error| IndexError::Malformed {
        column: error.column(),
    })?;
    list.try_into()
}

/// That one of `signatures` over `list` is of one of `trusted`: one is enough, as for an export.
fn require_signed(
    list: &[u8],
    signatures: &[u8],
    trusted: &[VerificationKey],
) -> Result<(), IndexError> {
    let Signatures { signatures } =
        serde_json::from_slice(signatures).map_err(|_| IndexError::Form)?;
    require_few(signatures.len())?;
    let holds = |signature: &Signature| {
        let name = KeyName {
            id: signature.key_id.clone(),
            version: signature.key_version.clone(),
        };
        let der = BASE64.decode(signature.signature.as_bytes());
        der.is_ok_and(|der| {
            trusted
                .iter()
                .any(|key| key.name().admits(&name) && key.verify(list, &der))
        })
    };
    match signatures.iter().any(holds) {
        true => Ok(()),
        false => Err(IndexError::NotVerified {
            signatures: signatures.len(),
        }),
    }
}

impl From<&Index> for List {
    fn from(index: &Index) -> Self {
        Self {
            format: String::from(FORMAT),
            region: index.region.clone(),
            number: index.number,
            since: index.since.unix_seconds(),
            hourly_since: index.hourly_since.unix_seconds(),
            daily_until: index.daily_until.unix_seconds(),
            published_until: index.published_until.unix_seconds(),
            packages: index.packages.iter().map(Entry::from).collect(),
        }
    }
}

impl From<&PackageInfo> for Entry {
    fn from(package: &PackageInfo) -> Self {
        Self {
            name: package.name(),
            protocol: match package.protocol {
                ProtocolKind::Gaen => Kind::Gaen,
                ProtocolKind::Bluezone => Kind::Bluezone,
            },
            cycle: match package.cycle {
                Cycle::Hourly => Length::Hourly,
                Cycle::Daily => Length::Daily,
            },
            start: package.start.unix_seconds(),
            part: package.part,
            bytes: package.bytes,
            sha256: HEXLOWER.encode(&package.sha256),
        }
    }
}

impl TryFrom<List> for Index {
    type Error = IndexError;

    fn try_from(list: List) -> Result<Self, IndexError> {
        if list.format != FORMAT {
            return Err(IndexError::Format { expected: FORMAT });
        }
        if list.packages.len() > PACKAGES_MAX {
            let got = list.packages.len();
            return Err(IndexError::TooManyPackages { got });
        }
        let packages = list.packages.into_iter().enumerate();
        Ok(Self {
            region: list.region,
            number: list.number,
            since: Timestamp::from_unix_seconds(list.since),
            hourly_since: Timestamp::from_unix_seconds(list.hourly_since),
            daily_until: Timestamp::from_unix_seconds(list.daily_until),
            published_until: Timestamp::from_unix_seconds(list.published_until),
            packages: packages
                .map(|(at, entry)| entry.check(at))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Entry {
    fn check(&self, at: usize) -> Result<PackageInfo, IndexError> {
        let wrong = |problem| IndexError::Package { at, problem };
        let hash = HEXLOWER.decode(self.sha256.as_bytes()).ok();
        let package = PackageInfo {
            protocol: match self.protocol {
                Kind::Gaen => ProtocolKind::Gaen,
                Kind::Bluezone => ProtocolKind::Bluezone,
            },
            cycle: match self.cycle {
                Length::Hourly => Cycle::Hourly,
                Length::Daily => Cycle::Daily,
            },
            start: Timestamp::from_unix_seconds(self.start),
            part: self.part,
            bytes: self.bytes,
            sha256: hash
                .and_then(|hash| hash.try_into().ok())
                .ok_or(wrong("its hash"))?,
        };
        // A name leads to a file: it is made here, and what the list has must be the same.
        match package.name() == self.name {
            true => Ok(package),
            false => Err(wrong("its name")),
        }
    }
}
