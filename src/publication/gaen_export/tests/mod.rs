//! Files right and wrong through the whole of reading and writing.

mod combining;
mod reading;
mod streaming;
mod writing;

use std::sync::LazyLock;

use super::*;
use crate::entropy::SeededEntropy;
use crate::protocol::PublishedKey;
use crate::protocol::ReportType;
use crate::protocol::gaen::DiagnosisKey;
use crate::publication::signature::KeyName;
use crate::publication::signature::{SigningKey, VerificationKey};
use crate::time::IntervalNumber;
use crate::time::Timestamp;

static AUTHORITY: LazyLock<SigningKey> = LazyLock::new(|| {
    let key = SigningKey::generate().unwrap();
    key.named(KeyName::new("452", "v1"))
});

fn trusted() -> [VerificationKey; 1] {
    [AUTHORITY.verification_key().clone()]
}

fn key(byte: u8) -> DiagnosisKey {
    DiagnosisKey::new([byte; 16], IntervalNumber(2_650_000), 144).unwrap()
}

fn options() -> ExportOptions {
    let day = |day: u64| Timestamp::from_unix_seconds(day * 86_400);
    let mut options = ExportOptions::new("VN", day(18_400), day(18_404));
    options.padding = Padding::NONE;
    options
}

fn written(writer: ExportWriter) -> Vec<u8> {
    writer
        .write(&[&AUTHORITY], &mut SeededEntropy::new(1))
        .unwrap()
}

fn two_keys() -> Vec<u8> {
    written(ExportWriter::new(options()).keys([key(2), key(1)]))
}

fn read(zip: &[u8]) -> Result<Export, ExportError> {
    UnverifiedExport::read(zip)?.verify(&trusted())
}

fn reported(byte: u8, report_type: ReportType) -> DiagnosisKey {
    let mut key = key(byte);
    key.report_type = report_type;
    key
}
