//! What every store does alike.

use super::*;

/// What a publisher relies on, of a store that is empty.
pub(in crate::publication) fn keeps_its_promises(store: &dyn PublicationStore) {
    let name = "gaen/hourly/2026-11-23T10.1-abababababababab.zip";
    assert!(store.index().unwrap().is_none());
    assert!(store.open(name, 10).unwrap().is_none());
    assert_eq!(store.names().unwrap(), [""; 0]);
    store.delete(name).unwrap();

    store.create(name, b"first").unwrap();
    store.create(name, b"second").unwrap();
    assert_eq!(contents(store, name, 5).unwrap(), b"first");
    let too_long = StoreError::TooLong {
        name: name.to_owned(),
        max: 4,
    };
    assert_eq!(contents(store, name, 4), Err(too_long));

    store.replace_index(b"one", None).unwrap();
    assert_eq!(
        store.replace_index(b"other", None),
        Err(StoreError::Conflict)
    );
    let (bytes, first) = store.index().unwrap().unwrap();
    assert_eq!(bytes, b"one");
    store.replace_index(b"two", Some(&first)).unwrap();
    assert_eq!(
        store.replace_index(b"three", Some(&first)),
        Err(StoreError::Conflict)
    );
    assert_eq!(
        store.replace_index(b"three", None),
        Err(StoreError::Conflict)
    );
    assert_eq!(read_index(store).unwrap().unwrap(), b"two");

    assert_eq!(store.names().unwrap(), [name]);
    store.delete(name).unwrap();
    assert!(store.open(name, 10).unwrap().is_none());
    assert_eq!(store.names().unwrap(), [""; 0]);
}

fn contents(store: &dyn PublicationStore, name: &str, max: u64) -> Result<Vec<u8>, StoreError> {
    read_all(name, store.open(name, max)?.unwrap(), max)
}

#[test]
fn memory_keeps_its_promises() {
    keeps_its_promises(&MemoryStore::default());
}

#[test]
fn a_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    keeps_its_promises(&FolderStore::new(folder.path().join("publication")));
}

#[test]
fn names_that_lead_out_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "x").unwrap();
    let store = FolderStore::new(folder.path().join("publication"));
    for name in [
        "../secret",
        "/etc/passwd",
        "a/../../secret",
        "",
        ".lock",
        "a/.b",
    ] {
        let refused = StoreError::Name {
            name: name.to_owned(),
        };
        assert_eq!(store.open(name, 10).err(), Some(refused.clone()), "{name}");
        assert_eq!(
            store.create(name, b"x").err(),
            Some(refused.clone()),
            "{name}"
        );
        assert_eq!(store.delete(name).err(), Some(refused), "{name}");
    }
}

#[test]
fn what_was_never_finished_is_no_file_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::new(folder.path());
    let (old, new) = (
        folder.path().join(".7-1.unfinished"),
        folder.path().join(".7-2.unfinished"),
    );
    std::fs::write(&old, "half").unwrap();
    std::fs::write(&new, "half").unwrap();
    let file = std::fs::File::options().write(true).open(&old).unwrap();
    let hours_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    file.set_modified(hours_ago).unwrap();
    assert_eq!(store.names().unwrap(), [""; 0]);
    assert_eq!((old.exists(), new.exists()), (false, true));
}

#[cfg(feature = "object-store")]
mod objects {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;

    #[test]
    fn an_object_store_keeps_its_promises() {
        let store = Arc::new(InMemory::new());
        for prefix in ["", "some/place"] {
            let prefix = Path::from(prefix);
            keeps_its_promises(&ObjectStorage::new(store.clone(), prefix).unwrap());
        }
    }

    /// It blocks, but wherever it is called.
    #[tokio::test]
    async fn within_a_runtime() {
        let store = Arc::new(InMemory::new());
        keeps_its_promises(&ObjectStorage::new(store, Path::default()).unwrap());
    }

    #[test]
    fn names_that_lead_out() {
        let storage = ObjectStorage::new(Arc::new(InMemory::new()), Path::from("a")).unwrap();
        for name in ["../secret", "/x", "a//b"] {
            let refused = storage.open(name, 10).err();
            assert!(matches!(refused, Some(StoreError::Name { .. })), "{name}");
        }
    }

    #[test]
    fn places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        for place in [path.to_owned(), format!("file://{path}")] {
            let store = open_url(&place, []).unwrap();
            store.create("a", b"x").unwrap();
            assert!(folder.path().join("a").exists());
            store.delete("a").unwrap();
        }
        keeps_its_promises(&*open_url("memory:///", []).unwrap());
        let refused = open_url("gopher://bucket", []).err();
        assert!(matches!(refused, Some(StoreError::Place { .. })));
    }
}
