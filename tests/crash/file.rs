//! A file in the cache, and all that may be on the disk of it.

use crate::random::Random;

/// What the disk writes at once. A power cut may tear it all the same.
const BLOCK_BYTES: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(bytes);
            }
            Self::Truncate { len } => to.resize(*len, 0),
        }
    }
}

/// Every byte of the file on the disk is that of one of its versions.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// From what is on the disk at least, to what a program reads.
    versions: Vec<Vec<u8>>,
    /// What the next sync will write.
    dirty: Vec<Change>,
}

impl File {
    pub(crate) fn on_disk(bytes: Vec<u8>) -> Self {
        Self {
            versions: vec![bytes],
            dirty: Vec::new(),
        }
    }

    pub(crate) fn cached(&self) -> &Vec<u8> {
        self.versions.last().unwrap()
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.write(self.cached().len(), bytes);
    }

    /// What stands there already is overwritten.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        self.change(Change::Write { offset, bytes });
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.change(Change::Truncate { len });
    }

    fn change(&mut self, change: Change) {
        let mut changed = self.cached().clone();
        change.apply(&mut changed);
        self.versions.push(changed);
        self.dirty.push(change);
    }

    /// What was dirty is on the disk. What a failed sync has dropped is as uncertain as before.
    pub(crate) fn sync(&mut self) {
        let len = self.cached().len();
        for version in &mut self.versions {
            self.dirty.iter().for_each(|change| change.apply(version));
            version.resize(len, 0);
        }
        self.versions.dedup();
        self.dirty.clear();
    }

    /// Some of what was dirty is on the disk, and all of it counts as clean: no later sync will write it.
    pub(crate) fn fail_to_sync(&mut self) {
        self.dirty.clear();
    }

    /// Whether a power cut leaves more than one thing.
    pub(crate) fn is_certain(&self) -> bool {
        self.versions.len() == 1
    }

    pub(crate) fn least(&self) -> Vec<u8> {
        self.versions[0].clone()
    }

    /// One of the files that a power cut may leave.
    pub(crate) fn any(&self, random: &mut Random) -> Vec<u8> {
        if self.is_certain() || random.one_in(4) {
            return self.versions[random.below(self.versions.len())].clone();
        }
        let len = self.any_len(random);
        let grain = [BLOCK_BYTES, BLOCK_BYTES, 64, 16][random.below(4)];
        let stale = random.one_in(8);
        let mut bytes = vec![0; len];
        let mut start = 0;
        while start < len {
            let mut end = len.min(start + grain);
            if random.one_in(8) {
                end = start + 1 + random.below(end - start);
            }
            let choice = random.below(self.versions.len() + usize::from(stale));
            for (at, byte) in bytes.iter_mut().enumerate().take(end).skip(start) {
                *byte = match self.versions.get(choice) {
                    Some(version) => version.get(at).copied().unwrap_or(0),
                    None => self.certain_at(at).unwrap_or_else(|| random.byte()),
                };
            }
            start = end;
        }
        bytes
    }

    fn any_len(&self, random: &mut Random) -> usize {
        let len = |version: usize| self.versions[version].len();
        let (a, b) = (
            len(random.below(self.versions.len())),
            len(random.below(self.versions.len())),
        );
        match random.one_in(3) {
            true => a.min(b) + random.below(a.abs_diff(b) + 1),
            false => a,
        }
    }

    /// The byte there, if all versions have the same.
    fn certain_at(&self, at: usize) -> Option<u8> {
        let first = self.versions[0].get(at)?;
        let same = |version: &Vec<u8>| version.get(at) == Some(first);
        self.versions.iter().all(same).then_some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(file: &File) -> Vec<Vec<u8>> {
        (0..2_000)
            .map(|seed| file.any(&mut Random::new(seed)))
            .collect()
    }

    #[test]
    fn what_is_synced_is_certain() {
        let mut file = File::on_disk(Vec::new());
        file.append(&[1; 700]);
        file.sync();
        assert!(file.is_certain());
        file.append(&[2; 700]);
        for bytes in outcomes(&file) {
            assert!((700..=1_400).contains(&bytes.len()), "{}", bytes.len());
            assert_eq!(bytes[..700], [1; 700]);
        }
    }

    #[test]
    fn what_is_not_synced_comes_in_any_part() {
        let mut file = File::on_disk(vec![1; 100]);
        file.append(&[2; 2_000]);
        let all = outcomes(&file);
        assert!(all.contains(&vec![1; 100]));
        assert!(all.contains(file.cached()));
        // Longer without its bytes; a later block without an earlier one; a block that is torn.
        assert!(
            all.iter()
                .any(|it| it.len() == 2_100 && it[100..] == [0; 2_000])
        );
        assert!(
            all.iter()
                .any(|it| it.len() == 2_100 && it[200] == 0 && it[1_500] == 2)
        );
        assert!(
            all.iter()
                .any(|it| it.len() > 1_200 && it[1_100] != it[1_101])
        );
        assert!(all.iter().any(|it| it.len() > 102 && it[101] > 2));
    }

    #[test]
    fn a_truncation_may_not_have_happened() {
        let mut file = File::on_disk(vec![1; 100]);
        file.truncate(60);
        let lens: Vec<usize> = outcomes(&file).iter().map(Vec::len).collect();
        assert!(lens.contains(&100) && lens.contains(&60));
        file.sync();
        assert_eq!(outcomes(&file)[0], [1; 60]);
        assert!(file.is_certain());
    }

    #[test]
    fn what_a_failed_sync_dropped_no_later_one_writes() {
        let mut file = File::on_disk(vec![1; 10]);
        file.append(&[2; 10]);
        file.fail_to_sync();
        file.append(&[3; 10]);
        file.sync();
        assert!(!file.is_certain());
        let all = outcomes(&file);
        assert!(all.iter().all(|it| it.len() == 30 && it[20..] == [3; 10]));
        assert!(all.iter().any(|it| it[10..20] == [0; 10]));
        assert!(all.iter().any(|it| it[10..20] == [2; 10]));
    }
}
