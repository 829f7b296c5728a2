//! What a computer does to its disk, entry by entry, and what a power cut leaves of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::file::File;
use crate::random::Random;

/// A thing done to the disk, or to the keys beside it.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Create {
        name: String,
    },
    Append {
        file: usize,
        bytes: Vec<u8>,
    },
    /// In the place of what is there.
    Overwrite {
        file: usize,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: usize,
        len: usize,
    },
    Sync {
        file: usize,
    },
    FailedSync {
        file: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        name: String,
    },
    SyncDirectory,
    ReplaceKey {
        slot: usize,
        key: [u8; 32],
    },
    EraseKeys,
}

/// What is there after a power cut.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Image {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) keys: [Option<[u8; 32]>; 2],
}

/// Which of the things that a power cut may leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Nothing that was not synced.
    Least,
    /// Everything, synced or not.
    Most,
    /// Some of it.
    Any(u64),
}

impl Outcome {
    /// As it is named in what is printed and asked for.
    pub(crate) fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Least,
            1 => Self::Most,
            seed => Self::Any(seed),
        }
    }
}

/// Names, and which file each is.
type Names = BTreeMap<String, usize>;

#[derive(Clone, Debug)]
enum NameChange {
    Create {
        name: String,
        file: usize,
    },
    Rename {
        from: String,
        to: String,
        file: usize,
    },
    Remove {
        name: String,
    },
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Create { name, file } => {
                names.insert(name.clone(), *file);
            }
            Self::Rename { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

/// The disk behind its cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platter {
    files: Vec<File>,
    /// Every name that a file has had.
    called: Vec<Vec<String>>,
    on_disk: Names,
    cached: Names,
    /// What `on_disk` lacks to be `cached`.
    dirty: Vec<NameChange>,
    keys: [Option<[u8; 32]>; 2],
}

impl From<&Image> for Platter {
    fn from(image: &Image) -> Self {
        let names: Names = image.files.keys().cloned().zip(0..).collect();
        Self {
            files: image.files.values().cloned().map(File::on_disk).collect(),
            called: image.files.keys().map(|name| vec![name.clone()]).collect(),
            on_disk: names.clone(),
            cached: names,
            dirty: Vec::new(),
            keys: image.keys,
        }
    }
}

impl Platter {
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.cached.keys()
    }

    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.cached.get(name).copied()
    }

    pub(crate) fn cached(&self, file: usize) -> &Vec<u8> {
        self.files[file].cached()
    }

    pub(crate) fn first_name(&self, file: usize) -> &str {
        &self.called[file][0]
    }

    pub(crate) fn key(&self, slot: usize) -> Option<[u8; 32]> {
        self.keys[slot]
    }

    /// Does what the entry says, which must be possible.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Create { name } => {
                let file = self.files.len();
                self.files.push(File::on_disk(Vec::new()));
                self.called.push(vec![name.clone()]);
                let name = name.clone();
                self.rename(NameChange::Create { name, file });
            }
            Entry::Append { file, bytes } => self.files[*file].append(bytes),
            Entry::Overwrite {
                file,
                offset,
                bytes,
            } => self.files[*file].write(*offset, bytes),
            Entry::Truncate { file, len } => self.files[*file].truncate(*len),
            Entry::Sync { file } => self.files[*file].sync(),
            Entry::FailedSync { file } => self.files[*file].fail_to_sync(),
            Entry::Rename { from, to } => {
                let file = self.cached[from];
                self.called[file].push(to.clone());
                let (from, to) = (from.clone(), to.clone());
                self.rename(NameChange::Rename { from, to, file });
            }
            Entry::Remove { name } => self.rename(NameChange::Remove { name: name.clone() }),
            Entry::SyncDirectory => {
                self.dirty.clear();
                self.on_disk = self.cached.clone();
            }
            Entry::ReplaceKey { slot, key } => self.keys[*slot] = Some(*key),
            Entry::EraseKeys => self.keys = [None, None],
        }
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.cached);
        self.dirty.push(change);
    }

    /// Whether a power cut can leave one thing only.
    pub(crate) fn is_certain(&self) -> bool {
        let mut files = self.on_disk.values();
        self.dirty.is_empty() && files.all(|file| self.files[*file].is_certain())
    }

    /// What a power cut leaves.
    pub(crate) fn cut(&self, outcome: Outcome) -> Image {
        let mut random = match outcome {
            Outcome::Any(seed) => Random::new(seed),
            _ => Random::new(0),
        };
        let names = match outcome {
            Outcome::Least => self.on_disk.clone(),
            Outcome::Most => self.cached.clone(),
            Outcome::Any(_) => self.any_names(&mut random),
        };
        let content = |file: usize| match outcome {
            Outcome::Least => self.files[file].least(),
            Outcome::Most => self.cached(file).clone(),
            Outcome::Any(_) => self.files[file].any(&mut random.fork(file as u64)),
        };
        Image {
            files: names
                .into_iter()
                .map(|(name, file)| (name, content(file)))
                .collect(),
            keys: self.keys,
        }
    }

    /// The names after some of what changed them.
    fn any_names(&self, random: &mut Random) -> Names {
        let mut names = self.on_disk.clone();
        let first = random.below(self.dirty.len() + 1);
        // Journals keep the order of such changes; other file systems need not.
        let in_order = random.one_in(3);
        for (number, change) in self.dirty.iter().enumerate() {
            let happened = match in_order {
                true => number < first,
                false => !random.one_in(2),
            };
            if happened {
                change.apply(&mut names);
            }
        }
        names
    }

    /// All that is now there, with every file that has ever been there under each of its names, unless that is
    /// taken: what somebody finds who looks below the file system.
    pub(crate) fn undeleted(&self) -> Image {
        let mut image = self.cut(Outcome::Most);
        for (file, names) in self.called.iter().enumerate() {
            for name in names {
                let bytes = || self.cached(file).clone();
                image.files.entry(name.clone()).or_insert_with(bytes);
            }
        }
        image
    }

    /// Says what an entry does.
    pub(crate) fn describe<'a>(&'a self, entry: &'a Entry) -> impl fmt::Display + 'a {
        Described(self, entry)
    }
}

struct Described<'a>(&'a Platter, &'a Entry);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |file: &usize| self.0.first_name(*file);
        match self.1 {
            Entry::Create { name } => write!(f, "create {name}"),
            Entry::Append { file, bytes } => {
                write!(f, "append {} bytes to {}", bytes.len(), name(file))
            }
            Entry::Overwrite { file, bytes, .. } => {
                write!(f, "overwrite {} bytes of {}", bytes.len(), name(file))
            }
            Entry::Truncate { file, len } => write!(f, "truncate {} to {len}", name(file)),
            Entry::Sync { file } => write!(f, "sync {}", name(file)),
            Entry::FailedSync { file } => write!(f, "fail to sync {}", name(file)),
            Entry::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Entry::Remove { name } => write!(f, "remove {name}"),
            Entry::SyncDirectory => write!(f, "sync the directory"),
            Entry::ReplaceKey { slot, .. } => write!(f, "replace key {slot}"),
            Entry::EraseKeys => write!(f, "erase the keys"),
        }
    }
}
