//! Files as they stream by: the same as in memory, and what happens when they change, lie or are cut.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use prost::Message;

use super::super::proto::{TekSignature, TekSignatureList, TemporaryExposureKey};
use super::reading::{bin, info, message, signed};
use super::*;
use crate::entropy::Entropy;

/// Keys whose `export.bin` has several of the parts that are hashed.
const MANY: u32 = 10_000;

fn random_keys(count: u32) -> Vec<DiagnosisKey> {
    let mut entropy = SeededEntropy::new(7);
    let key = |_| {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes).unwrap();
        DiagnosisKey::new(bytes, IntervalNumber(2_650_000), 144).unwrap()
    };
    (0..count).map(key).collect()
}

static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let revised = [
        reported(1, ReportType::Revoked),
        reported(2, ReportType::Revoked),
    ];
    let writer = ExportWriter::new(options())
        .keys(random_keys(MANY))
        .revised_keys(revised);
    written(writer)
});

/// All keys of a stream, through its batches.
fn streamed<R: Read + Seek>(
    export: &mut ExportStream<'_, R>,
) -> Result<Vec<DiagnosisKey>, ExportError> {
    let mut keys = Vec::new();
    while let Some(batch) = export.next_batch()? {
        keys.extend(batch.iter().cloned().filter_map(PublishedKey::into_gaen));
    }
    Ok(keys)
}

/// By both ways: kept in memory, and out of the zip each time.
fn stream_all(zip: &[u8]) -> Result<Vec<DiagnosisKey>, ExportError> {
    let kept = ExportReader::open(Cursor::new(zip))
        .and_then(|mut reader| streamed(&mut reader.verify(&trusted())?));
    let again = ExportReader::open(Cursor::new(zip))
        .and_then(|reader| streamed(&mut reader.keeping_nothing().verify(&trusted())?));
    assert_eq!(kept, again);
    kept
}

#[test]
fn long_and_short_files_are_read_as_in_memory() {
    for zip in [&two_keys(), &*LONG] {
        let whole = read(zip).unwrap();
        assert_eq!(stream_all(zip).as_ref(), Ok(&whole.keys));
        let reader = ExportReader::open(Cursor::new(zip)).unwrap();
        let mut reader = reader.keeping_nothing();
        let mut export = reader.verify(&trusted()).unwrap();
        assert_eq!(export.header(), &whole.header());
        assert_eq!(export.key_count(), whole.keys.len());
        assert_eq!(export.signed_by(), Some(AUTHORITY.verification_key()));
        assert_eq!(streamed(&mut export).unwrap(), whole.keys);
        assert_eq!(export.next_batch().unwrap(), None);
        export.rewind().unwrap();
        assert_eq!(streamed(&mut export).unwrap().len(), whole.keys.len());
        assert_eq!(export.into_export().unwrap(), whole);
    }
}

#[test]
fn streams_go_from_thread_to_thread() {
    fn is_send<T: Send>() {}
    is_send::<ExportReader<std::fs::File>>();
    is_send::<ExportStream<'_, std::fs::File>>();
    is_send::<ExportSet<'_, std::fs::File>>();
}

#[test]
fn a_signature_is_asked_for_first() {
    let mut reader = ExportReader::open(Cursor::new(two_keys())).unwrap();
    assert!(matches!(
        reader.verify(&[]),
        Err(ExportError::NotVerified { .. })
    ));
    let mut unsigned = reader.stream_without_verification().unwrap();
    assert_eq!(unsigned.signed_by(), None);
    assert_eq!(streamed(&mut unsigned).unwrap(), [key(1), key(2)]);
    // Garbage is not looked into, in a stream no more than in memory.
    let sig = TekSignatureList { signatures: vec![] };
    let zip = archive::pack(b"no export at all", &sig.encode_to_vec()).unwrap();
    assert_eq!(
        stream_all(&zip),
        Err(ExportError::NotVerified { refused: vec![] })
    );
    let zip = signed(b"no export at all", &[info("452", "v1")]);
    assert_eq!(stream_all(&zip), Err(ExportError::Header));
}

/// A file that is another one from the so-manieth time on that its `export.bin` is begun.
struct Turncoat<'a> {
    files: [&'a [u8]; 2],
    place: u64,
    begun: Rc<Cell<u32>>,
    turns_at: u32,
}

impl Read for Turncoat<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.place == 0 && into.len() == 30 {
            self.begun.set(self.begun.get() + 1);
        }
        let file = self.files[usize::from(self.begun.get() >= self.turns_at)];
        let mut rest = file.get(self.place as usize..).unwrap_or_default();
        let read = Read::read(&mut rest, into)?;
        self.place += read as u64;
        Ok(read)
    }
}

impl Seek for Turncoat<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.place = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(_) => self.files[0].len() as u64,
            SeekFrom::Current(_) => self.place,
        };
        Ok(self.place)
    }
}

/// `LONG` with the last byte of one of its keys changed, of the same length and in the same places.
fn changed(stored: &[u8], at: usize) -> Vec<u8> {
    let mut changed = stored.to_vec();
    changed[at] ^= 1;
    changed
}

#[test]
fn a_file_that_changes_smuggles_nothing_in() {
    // Stored, so that a change of one byte is one of one key.
    let file = UnverifiedExport::read(&LONG).unwrap();
    let honest = archive::tests::stored_zip(file.bin(), &{
        let signatures = vec![TekSignature {
            signature_info: Some(info("452", "v1")),
            signature: Some(file.signatures()[0].signature.clone()),
            ..Default::default()
        }];
        TekSignatureList { signatures }.encode_to_vec()
    });
    let expected = read(&honest).unwrap().keys;
    let middle = honest.len() / 2;
    let forged = changed(&honest, middle);
    for turns_at in 1..=4 {
        let begun = Rc::new(Cell::new(0));
        let turncoat = Turncoat {
            files: [&honest, &forged],
            place: 0,
            begun: begun.clone(),
            turns_at,
        };
        let mut reader = ExportReader::open(turncoat).unwrap().keeping_nothing();
        let stream = reader.verify(&trusted());
        let stream = match (turns_at, stream) {
            // The CRC-32 tells before the signature could.
            (1, Err(error)) => {
                assert_eq!(error, ExportError::EntryCorrupted { name: BIN });
                continue;
            }
            // The survey.
            (2, Err(error)) => {
                assert!(matches!(error, ExportError::Changed { .. }), "{error}");
                continue;
            }
            (_, stream) => stream,
        };
        let mut stream = stream.unwrap();
        let mut given = Vec::new();
        let ended = loop {
            match stream.next_batch() {
                Ok(Some(batch)) => given.extend(batch.to_vec()),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let given: Vec<_> = given
            .into_iter()
            .filter_map(PublishedKey::into_gaen)
            .collect();
        assert_eq!(given[..], expected[..given.len()], "{turns_at}");
        match turns_at {
            3 => {
                assert!(matches!(ended, Err(ExportError::Changed { .. })));
                // Nor is it well when it is asked once more.
                assert_eq!(stream.next_batch().map(drop), ended);
            }
            _ => assert_eq!((ended, given.len()), (Ok(()), expected.len())),
        }
        assert_eq!(begun.get(), 3);
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    struct Broken<'a>(Cursor<&'a [u8]>, Rc<Cell<bool>>);
    impl Read for Broken<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.1.get() {
                true => Err(io::Error::new(io::ErrorKind::TimedOut, "the disk is gone")),
                false => self.0.read(into),
            }
        }
    }
    impl Seek for Broken<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let (zip, gone) = (two_keys(), Rc::new(Cell::new(false)));
    let mut reader = ExportReader::open(Broken(Cursor::new(&zip), gone.clone())).unwrap();
    gone.set(true);
    let error = reader.verify(&trusted()).unwrap_err();
    let (kind, reason) = (io::ErrorKind::TimedOut, String::from("the disk is gone"));
    assert_eq!(error, ExportError::Io { kind, reason });
}

#[test]
fn truncated_at_every_byte() {
    let zip = two_keys();
    for end in 0..zip.len() {
        assert!(stream_all(&zip[..end]).is_err(), "{end}");
    }
}

/// Two signatures, each right (`true`) or of another key.
fn doubly_signed(signatures: [bool; 2]) -> Vec<u8> {
    let other = SigningKey::generate().unwrap();
    let mut export = message();
    export.keys = vec![(&key(1)).try_into().unwrap()];
    export.end_timestamp = Some(options().end.unix_seconds());
    let bin = bin(&export);
    let signatures = signatures.map(|right| TekSignature {
        signature_info: Some(info("452", "v1")),
        signature: Some(if right { &AUTHORITY } else { &other }.sign(&bin).unwrap()),
        ..Default::default()
    });
    let sig = TekSignatureList {
        signatures: signatures.into(),
    };
    archive::pack(&bin, &sig.encode_to_vec()).unwrap()
}

/// While an authority changes keys it signs with both, and a device may know either: one that holds is
/// enough, wherever it stands. The same twice says no more than once.
#[test]
fn doubly_signed_files() {
    for signatures in [[true, false], [false, true], [true, true]] {
        let zip = doubly_signed(signatures);
        assert_eq!(stream_all(&zip).unwrap(), [key(1)], "{signatures:?}");
        assert_eq!(read(&zip).unwrap().keys, [key(1)], "{signatures:?}");
    }
    let Err(ExportError::NotVerified { refused }) = stream_all(&doubly_signed([false, false]))
    else {
        panic!("accepted");
    };
    let reasons: Vec<_> = refused.iter().map(|refused| refused.reason).collect();
    assert_eq!(reasons, [Refusal::Wrong; 2]);
}

/// Protocol Buffers let fields come in any order, and what the header says counts for keys before it.
#[test]
fn keys_before_the_header() {
    let mut keys = message();
    (keys.batch_num, keys.batch_size) = (None, None);
    keys.keys = [9, 1, 5]
        .map(|byte| (&key(byte)).try_into().unwrap())
        .into();
    let mut header = message();
    header.end_timestamp = Some(options().end.unix_seconds());
    header.region = Some(String::from("VN"));
    let mut swapped = bin(&keys);
    swapped.extend(header.encode_to_vec());
    let zip = signed(&swapped, &[info("452", "v1")]);
    assert_eq!(stream_all(&zip).unwrap(), [key(9), key(1), key(5)]);
    assert_eq!(read(&zip).unwrap().region, "VN");
    // An end that comes after the keys refuses them all the same.
    let late = key(1).rolling_start().start().unix_seconds();
    header.end_timestamp = Some(late);
    let mut swapped = bin(&keys);
    swapped.extend(header.encode_to_vec());
    let export = read(&signed(&swapped, &[info("452", "v1")])).unwrap();
    assert_eq!((export.keys.len(), export.refused.still_valid), (0, 3));
}

#[test]
fn still_valid_keys_are_refused() {
    let ends = |after_s: i64| {
        let end = IntervalNumber(2_650_144).start().unix_seconds();
        let mut options = options();
        options.end = Timestamp::from_unix_seconds(end.checked_add_signed(after_s).unwrap());
        options.embargo = None;
        let keys = [key(1), reported(2, ReportType::ConfirmedTest)];
        let revised = [
            reported(3, ReportType::Revoked),
            reported(4, ReportType::SelfReport),
        ];
        written(ExportWriter::new(options).keys(keys).revised_keys(revised))
    };
    let given = |zip: &[u8], embargo: Option<u64>| {
        let mut options = ReadOptions::default();
        if embargo != Some(0) {
            options.embargo = embargo.map(Duration::from_secs);
        }
        let mut reader = ExportReader::open(Cursor::new(zip))
            .unwrap()
            .with_options(options);
        let mut export = reader.verify(&trusted()).unwrap();
        let keys = streamed(&mut export).unwrap();
        assert_eq!(
            export.key_count(),
            keys.len() + export.refused().still_valid
        );
        keys.iter().map(|key| key.key()[0]).collect::<Vec<_>>()
    };
    assert_eq!(given(&ends(0), Some(0)), [1, 2, 3, 4]);
    // The revoked one matches nothing, and says that of an earlier file's.
    assert_eq!(given(&ends(-1), Some(0)), [3]);
    assert_eq!(given(&ends(-1), None), [1, 2, 3, 4]);
    assert_eq!(given(&ends(7199), Some(7200)), [3]);
    assert_eq!(given(&ends(7200), Some(7200)), [1, 2, 3, 4]);
    let export = read(&ends(-1)).unwrap();
    assert_eq!(export.refused.still_valid, 3);
    assert_eq!(
        export.refused.to_string(),
        "3 refused: still valid when published"
    );
}

#[test]
fn too_many_revised_keys() {
    let one = TemporaryExposureKey::try_from(&key(7)).unwrap();
    let mut body = vec![0x42];
    body.extend(one.encode_length_delimited_to_vec());
    let mut bytes = bin(&message());
    bytes.extend(body.repeat(REVISED_KEYS_MAX));
    let options = ReadOptions::EVERY_KEY;
    let parse = |bytes: &[u8]| {
        let file = UnverifiedExport::from_unsigned_bin(bytes.to_vec())?;
        file.with_options(options).parse_without_verification()
    };
    assert_eq!(parse(&bytes).unwrap().keys, [key(7)]);
    bytes.extend(body);
    assert_eq!(parse(&bytes), Err(ExportError::TooManyRevisedKeys));
}

#[test]
fn a_set_lets_the_last_revision_count() {
    let file = |end_day: u64, new: &[DiagnosisKey], revised: &[DiagnosisKey]| {
        let mut options = options();
        options.end = Timestamp::from_unix_seconds(end_day * 86_400);
        let writer = ExportWriter::new(options).keys(new.to_vec());
        written(writer.revised_keys(revised.to_vec()))
    };
    let (confirmed, revoked) = (
        reported(1, ReportType::ConfirmedTest),
        reported(1, ReportType::Revoked),
    );
    let files = [
        file(18_410, &[key(1), key(2)], &[]),
        file(18_411, &[key(3)], &[confirmed]),
        file(18_412, &[], std::slice::from_ref(&revoked)),
        file(18_413, &[key(1), key(4)], &[]),
    ];
    for order in [[0, 1, 2, 3], [3, 1, 2, 0]] {
        let mut readers = order.map(|at| ExportReader::open(Cursor::new(&files[at])).unwrap());
        let streams = readers
            .iter_mut()
            .map(|reader| reader.verify(&trusted()).unwrap());
        let mut set = ExportSet::new(streams);
        assert_eq!(set.check_batches(), Ok(()));
        assert_eq!(set.exports().len(), 4);
        let mut keys = Vec::new();
        while let Some(batch) = set.next_batch().unwrap() {
            keys.extend(batch.to_vec());
        }
        let expected = [key(2), key(3), revoked.clone(), key(4)].map(PublishedKey::Gaen);
        assert_eq!(keys, expected);
        let mut combined = Export::combine(files.iter().map(|file| read(file).unwrap()));
        combined.sort_by_key(|key| format!("{key:?}"));
        keys.sort_by_key(|key| format!("{key:?}"));
        assert_eq!(keys, combined);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What a writer wrote, and what anybody made of it, is in a stream what it is in memory.
    #[test]
    fn streams_are_what_is_in_memory(
        keys in prop::collection::btree_set(0u8..60, 0..30),
        revised in prop::collection::btree_set(100u8..110, 0..5),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let writer = ExportWriter::new(options())
            .keys(keys.into_iter().map(key))
            .revised_keys(revised.into_iter().map(|byte| reported(byte, ReportType::SelfReport)));
        let mut zip = written(writer);
        if let Some((at, byte)) = change {
            *at.get_mut(&mut zip) = byte;
        }
        prop_assert_eq!(stream_all(&zip), read(&zip).map(|export| export.keys));
    }
}
