use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::crypto::sha256;

/// Argon2id's smallest: what is tested here does not depend on its cost.
const CHEAP: Argon2Parameters = Argon2Parameters {
    memory_kib: 8,
    iterations: 1,
    lanes: 1,
};

fn secret(byte: u8) -> Secret<32> {
    Secret::new([byte; 32])
}

fn load(provider: &PassphraseFile, purpose: KeyPurpose) -> Option<[u8; 32]> {
    provider.load(purpose).unwrap().map(|key| *key.expose())
}

/// A file with both keys under "pass", and where it is.
fn both() -> (tempfile::TempDir, PathBuf, PassphraseFile) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let provider = PassphraseFile::with_parameters(&path, "pass", CHEAP).unwrap();
    provider.replace(KeyPurpose::Logging, &secret(1)).unwrap();
    provider.replace(KeyPurpose::Reading, &secret(2)).unwrap();
    (dir, path, provider)
}

/// The bytes of the file that `change` was done to.
fn changed(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<PassphraseFile, KeyError> {
    let whole = fs::read(path).unwrap();
    let mut bytes = whole.clone();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    let opened = PassphraseFile::open(path, "pass");
    fs::write(path, whole).unwrap();
    opened
}

/// Makes the check right again: what somebody would who changes a file on purpose.
fn check_again(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - 32);
    let check = sha256(&[bytes]);
    bytes.extend(check);
}

#[test]
fn a_new_file_holds_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    PassphraseFile::with_parameters(&path, "pass", CHEAP).unwrap();
    let again = PassphraseFile::open(&path, "pass").unwrap();
    assert_eq!(load(&again, KeyPurpose::Logging), None);
    assert_eq!(load(&again, KeyPurpose::Reading), None);
}

#[test]
fn replaced_key_is_kept_over_a_reopening() {
    let (dir, path, provider) = both();
    provider.replace(KeyPurpose::Logging, &secret(3)).unwrap();
    for again in [
        PassphraseFile::open(&path, "pass").unwrap(),
        PassphraseFile::open_or_create(&path, "pass").unwrap(),
        provider,
    ] {
        assert_eq!(load(&again, KeyPurpose::Logging), Some([3; 32]));
        assert_eq!(load(&again, KeyPurpose::Reading), Some([2; 32]));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_power_cut_between_write_and_rename_is_survived() {
    let (dir, path, _) = both();
    fs::write(dir.path().join("key.new"), [7; 100]).unwrap();
    let again = PassphraseFile::open(&path, "pass").unwrap();
    assert_eq!(load(&again, KeyPurpose::Logging), Some([1; 32]));
    again.replace(KeyPurpose::Logging, &secret(3)).unwrap();
    assert_eq!(load(&again, KeyPurpose::Logging), Some([3; 32]));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn no_key_is_in_the_file_in_plain_and_no_two_writes_look_alike() {
    let (_dir, path, provider) = both();
    let before = fs::read(&path).unwrap();
    for run in [[1; 8], [2; 8]] {
        assert!(!before.windows(8).any(|window| window == run));
    }
    provider.replace(KeyPurpose::Reading, &secret(2)).unwrap();
    let after = fs::read(&path).unwrap();
    assert_eq!(after[..40], before[..40]);
    assert_ne!(after[40..56], before[40..56], "the write salt");
    let same = after[56..]
        .iter()
        .zip(&before[56..])
        .filter(|(a, b)| a == b);
    // 113 random bytes: 0.4 on average.
    assert!(same.count() < 12);
}

#[test]
fn wrong_passphrase() {
    let (_dir, path, _) = both();
    let before = fs::read(&path).unwrap();
    for wrong in ["Pass", "pass ", "pas"] {
        for error in [
            PassphraseFile::open(&path, wrong).unwrap_err(),
            PassphraseFile::with_parameters(&path, wrong, CHEAP).unwrap_err(),
        ] {
            assert!(matches!(error, KeyError::WrongPassphrase { .. }), "{error}");
        }
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn passphrase_empty() {
    let (dir, path, provider) = both();
    let new = dir.path().join("new");
    for error in [
        PassphraseFile::open(&path, "").unwrap_err(),
        PassphraseFile::open_or_create(&new, "").unwrap_err(),
        provider.change_passphrase("", CHEAP).unwrap_err(),
    ] {
        assert!(matches!(error, KeyError::EmptyPassphrase), "{error}");
    }
    assert!(!new.exists());
}

#[test]
fn a_changed_passphrase_opens_and_the_old_one_does_not() {
    let (_dir, path, provider) = both();
    let elsewhere = PassphraseFile::open(&path, "pass").unwrap();
    let dearer = Argon2Parameters::new(16, 2, 2).unwrap();
    provider.change_passphrase("word", dearer).unwrap();
    assert_eq!(load(&provider, KeyPurpose::Logging), Some([1; 32]));
    provider.replace(KeyPurpose::Logging, &secret(3)).unwrap();

    let again = PassphraseFile::open(&path, "word").unwrap();
    assert_eq!(load(&again, KeyPurpose::Logging), Some([3; 32]));
    assert_eq!(load(&again, KeyPurpose::Reading), Some([2; 32]));
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[12..24], [16, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0]);
    let wrong = PassphraseFile::open(&path, "pass").unwrap_err();
    assert!(matches!(wrong, KeyError::WrongPassphrase { .. }));
    // Who has it open under the old one is told, and does not put it back.
    let wrong = elsewhere.load(KeyPurpose::Logging).unwrap_err();
    assert!(matches!(wrong, KeyError::WrongPassphrase { .. }));
    let wrong = elsewhere.replace(KeyPurpose::Logging, &secret(4));
    assert!(matches!(wrong, Err(KeyError::WrongPassphrase { .. })));
    assert_eq!(load(&again, KeyPurpose::Logging), Some([3; 32]));
}

#[test]
fn everybody_who_starts_at_once_has_the_same_file() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let open = || PassphraseFile::with_parameters(&path, "pass", CHEAP).unwrap();
        let providers: Vec<_> = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(open));
            threads.map(|thread| thread.join().unwrap()).into()
        });
        providers[0]
            .replace(KeyPurpose::Logging, &secret(1))
            .unwrap();
        for provider in &providers {
            assert_eq!(load(provider, KeyPurpose::Logging), Some([1; 32]));
        }
    }
}

#[test]
fn erase_leaves_nothing_and_can_be_repeated() {
    let (dir, path, provider) = both();
    provider.erase().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    provider.erase().unwrap();
    assert_eq!(load(&provider, KeyPurpose::Logging), None);
    let error = provider.replace(KeyPurpose::Logging, &secret(1));
    assert!(matches!(error, Err(KeyError::Unavailable(_))));
    let anew = PassphraseFile::with_parameters(&path, "word", CHEAP).unwrap();
    assert_eq!(load(&anew, KeyPurpose::Logging), None);
}

#[test]
fn file_cut_or_lengthened() {
    let (_dir, path, _) = both();
    assert_eq!(fs::read(&path).unwrap().len(), 169);
    for len in 0..169 {
        let error = changed(&path, |bytes| bytes.truncate(len)).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }), "{len} {error}");
    }
    for more in [1, 400, 10_000] {
        let error = changed(&path, |bytes| bytes.resize(169 + more, 0)).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }), "{error}");
    }
}

/// What storage or a transfer damages is told apart from a wrong passphrase.
#[test]
fn byte_flipped() {
    let (_dir, path, _) = both();
    for at in 0..169 {
        let error = changed(&path, |bytes| bytes[at] ^= 0x10).unwrap_err();
        match error {
            KeyError::UnsupportedVersion { newest: 1, .. } => assert!((8..10).contains(&at)),
            error => assert!(matches!(error, KeyError::Malformed { .. }), "{at}: {error}"),
        }
    }
}

/// Whoever makes the check right again is stopped by the tag, in every field that it covers.
#[test]
fn tag_flipped_or_what_it_covers_on_purpose() {
    let (_dir, path, _) = both();
    changed(&path, check_again).unwrap();
    for at in (12..137).filter(|at| ![14, 15, 18, 19, 22, 23].contains(at)) {
        let error = changed(&path, |bytes| {
            // Numbers stay within their bounds.
            bytes[at] ^= if at == 16 { 2 } else { 8 };
            check_again(bytes);
        })
        .unwrap_err();
        let (wrong, outside) = (
            matches!(error, KeyError::WrongPassphrase { .. }),
            matches!(error, KeyError::Argon2Parameters { .. }),
        );
        assert!(wrong || (outside && at < 24), "{at}: {error}");
    }
    let error = changed(&path, |bytes| {
        bytes[10] = 1;
        check_again(bytes);
    });
    assert!(matches!(error, Err(KeyError::Malformed { .. })));
}

#[test]
fn parameters_beyond_the_bound_refused() {
    let (_dir, path, _) = both();
    let most = (1 << 20, 32, 16);
    assert!(Argon2Parameters::new(most.0, most.1, most.2).is_ok());
    assert!(Argon2Parameters::new(8 * 16, 1, 16).is_ok());
    for parameters in [
        (most.0 + 1, 1, 1),
        (u32::MAX, 1, 1),
        (most.0, most.1 + 1, 1),
        (most.0, u32::MAX, 1),
        (most.0, 1, most.2 + 1),
        (most.0, 1, u32::MAX),
        (7, 1, 1),
        (15, 1, 2),
        (0, 0, 0),
        (8, 0, 1),
        (8, 1, 0),
    ] {
        let (memory_kib, iterations, lanes) = parameters;
        let error = Argon2Parameters::new(memory_kib, iterations, lanes).unwrap_err();
        assert!(matches!(error, KeyError::Argon2Parameters { .. }));
        let error = changed(&path, |bytes| {
            let numbers = [memory_kib, iterations, lanes].map(u32::to_le_bytes);
            bytes[12..24].copy_from_slice(&numbers.concat());
            check_again(bytes);
        })
        .unwrap_err();
        assert!(
            matches!(&error, KeyError::Argon2Parameters { memory_kib: m, iterations: t, lanes: p }
                if (*m, *t, *p) == parameters),
            "{error}"
        );
    }
}

/// RFC 9106, section 4.
#[test]
fn the_default_is_the_second_recommended() {
    let second = Argon2Parameters::new(64 * 1024, 3, 4).unwrap();
    assert_eq!(Argon2Parameters::default(), second);
}

/// Printed by `tests/vectors/keys/passphrase_file.py`: OpenSSL's Argon2id, HKDF and ChaCha20-Poly1305.
const BY_OPENSSL: &str = concat!(
    "895456500d0a1a0a01000000400000000300000004000000101112131415161718191a1b1c1d1e1f",
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf2012cd46e046a0464e5bc08cbfa01f3a1e6df9bbe0e8561b",
    "d4c46c3097fc6db6cab4927126e33e6c61259dad610906ce0acb149333ad05c353f97dc08ce14105",
    "94a58a942e06548d0c9b95284bbecd84c2545d6b19fb549fa0670f657fa5f95e2c9fdfe60d6cc7fa",
    "faaa8c960523ed7b38",
);

#[test]
fn a_file_made_by_others_is_read() {
    let file = data_encoding::HEXLOWER
        .decode(BY_OPENSSL.as_bytes())
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    PrivateFile::open_or_create(path.clone()).unwrap();
    fs::write(&path, file).unwrap();
    let provider = PassphraseFile::open(&path, "correct horse battery staple").unwrap();
    let logging: Vec<u8> = (0..32).collect();
    assert_eq!(load(&provider, KeyPurpose::Logging).unwrap()[..], logging);
    assert_eq!(load(&provider, KeyPurpose::Reading), None);
}

#[test]
fn files_of_the_other_kind_are_told() {
    let (dir, path, _) = both();
    let error = crate::log::KeyFile::open(&path).unwrap_err();
    assert!(error.to_string().contains("PassphraseFile"), "{error}");
    let other = dir.path().join("other");
    let file = crate::log::KeyFile::open_or_create(&other).unwrap();
    file.replace(KeyPurpose::Logging, &secret(1)).unwrap();
    let error = PassphraseFile::with_parameters(&other, "pass", CHEAP).unwrap_err();
    assert!(error.to_string().contains("KeyFile"), "{error}");
    assert_eq!(
        file.load(KeyPurpose::Logging).unwrap().unwrap().expose(),
        &[1; 32]
    );
}

#[test]
fn file_absent() {
    let dir = tempfile::tempdir().unwrap();
    let error = PassphraseFile::open(dir.path().join("key"), "pass").unwrap_err();
    assert!(matches!(error, KeyError::Io { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn file_readable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, path, provider) = both();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    for error in [
        PassphraseFile::open(&path, "pass").unwrap_err(),
        provider
            .replace(KeyPurpose::Logging, &secret(3))
            .unwrap_err(),
    ] {
        let mode = 0o604;
        assert!(
            matches!(error, KeyError::ReadableByOthers { mode: found, .. } if found == mode),
            "{error}"
        );
    }
}

#[test]
fn debug_prints_no_secret() {
    let (_dir, _path, provider) = both();
    let printed = format!("{provider:?}");
    assert!(printed.contains("key: Secret(..)"), "{printed}");
    assert!(!printed.contains("pass\""), "{printed}");
}

proptest! {
    #[test]
    fn any_bytes_open_or_fail(bytes in proptest::collection::vec(any::<u8>(), 1..300)) {
        prop_assert!(Sealed::parse(&bytes, Path::new("key")).is_err());
    }

    /// Past the check, any numbers are either refused or within their bounds.
    #[test]
    fn any_header_opens_or_fails(header: [[u8; 16]; 3], sealed in proptest::collection::vec(any::<u8>(), 89)) {
        let mut bytes = b"\x89TVP\r\n\x1A\n\x01\0\0\0".to_vec();
        bytes.extend(&header.as_flattened()[..36]);
        bytes.extend(sealed);
        bytes.extend([0; 32]);
        check_again(&mut bytes);
        match Sealed::parse(&bytes, Path::new("key")) {
            Ok(sealed) => {
                let Argon2Parameters { memory_kib, iterations, lanes } = sealed.parameters;
                prop_assert!(Argon2Parameters::new(memory_kib, iterations, lanes).is_ok());
            }
            Err(error) => {
                let refused =
                    matches!(error, KeyError::Argon2Parameters { .. } | KeyError::Malformed { .. });
                prop_assert!(refused, "{error}");
            }
        }
    }
}
