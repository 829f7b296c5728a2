//! Herald's files of a run, with names in place of hashes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::members::{Member, hashes, member, names_of, require_one_test};
use super::{FieldError, FieldTest, open};
use crate::field::herald::{CONTACTS_HEADER, ContactsReader, Statistics, What};
use crate::field::participants::{Hash, Participant, ShortName};
use crate::field::recorder::{make_private, write_summaries};

impl FieldTest {
    /// Writes Herald's files of truyvet's `folders` again into folders of the same names within `to`, with names in place
    /// of hashes, so that Herald's own analysis can read them. Strangers keep their hashes.
    ///
    /// # Errors
    ///
    /// [`FieldError`]; [`FieldError::File`] also for what is there already.
    pub fn complete(folders: &[PathBuf], to: &Path) -> Result<(), FieldError> {
        let members = folders.iter().map(|folder| member(folder));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        names_of(folders, &members)?;
        require_one_test(&members)?;
        let hashes = hashes(&members);
        let name = |index: usize| match members.get(index) {
            Some(Member::Own(own)) => Some(&own.name),
            _ => None,
        };
        let whose = |hash: &str| {
            let hash = Hash::try_from(hash.to_owned()).ok()?;
            name(*hashes.get(&hash)?)
        };
        for (folder, member) in folders.iter().zip(&members) {
            if let Member::Own(own) = member {
                let into = to.join(own.name.as_str().replace('/', "-"));
                complete(folder, &into, own, &whose)?;
            }
        }
        Ok(())
    }
}

/// Writes one device's files with names.
fn complete<'a>(
    folder: &Path,
    into: &Path,
    own: &Participant,
    whose: &dyn Fn(&str) -> Option<&'a ShortName>,
) -> Result<(), FieldError> {
    let from = folder.join("contacts.csv");
    let path = into.join("contacts.csv");
    let failed = |source| FieldError::File {
        path: path.clone(),
        source,
    };
    make_private(into).map_err(failed)?;
    let mut out = BufWriter::new(File::create_new(&path).map_err(failed)?);
    let unread = |source| FieldError::Herald {
        path: from.clone(),
        source,
    };
    let mut contacts = ContactsReader::new(open(&from)?).map_err(unread)?;
    let mut statistics: HashMap<String, Statistics> = HashMap::new();
    writeln!(out, "{CONTACTS_HEADER}").map_err(failed)?;
    while let Some(mut contact) = contacts.next().map_err(unread)? {
        let name = whose(contact.id).map(ShortName::as_str);
        if let (Some(name), What::Read(_)) = (name, contact.what) {
            contact.what = What::Read(name);
        }
        if let (Some(name), What::Measure { .. }) = (name, contact.what) {
            statistics
                .entry(name.to_owned())
                .or_default()
                .add(contact.at);
        }
        writeln!(out, "{contact}").map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    write_summaries(into, own, statistics.into_iter().collect()).map_err(failed)?;
    let battery = folder.join("battery.csv");
    if battery.exists() {
        fs::copy(&battery, into.join("battery.csv")).map_err(failed)?;
    }
    Ok(())
}
