//! A key file: whatever stands in it.
#![no_main]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use truyvet::log::{KeyError, KeyFile, KeyProvider, KeyPurpose};

/// A file of this process's, in memory where the system has a place for that.
static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    };
    folder.join(format!("truyvet-fuzz-{}.key", std::process::id()))
});

fuzz_target!(|data: &[u8]| {
    let path = &*PATH;
    fs::write(path, data).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    match KeyFile::open(path) {
        Ok(file) => written_again(&file, data),
        Err(KeyError::Malformed { .. } | KeyError::UnsupportedVersion { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    fs::remove_file(path).unwrap();
});

/// A file that is read says the same once it has been rewritten.
fn written_again(file: &KeyFile, data: &[u8]) {
    let load = |purpose| file.load(purpose).unwrap().map(|key| *key.expose());
    let both = || [KeyPurpose::Logging, KeyPurpose::Reading].map(load);
    let before = both();
    for purpose in [KeyPurpose::Logging, KeyPurpose::Reading] {
        if let Some(key) = file.load(purpose).unwrap() {
            file.replace(purpose, &key).unwrap();
        }
    }
    assert_eq!(both(), before);
    if data.starts_with(b"truyvet-keys-2\n") && before != [None; 2] {
        // There is one way to write them.
        assert_eq!(fs::read(&*PATH).unwrap(), data);
    }
}
