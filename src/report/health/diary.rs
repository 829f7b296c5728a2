//! What has been declared on this device, in its encounter log.

use std::fmt;

use super::rules::id_of;
use super::{
    CheckedDeclaration, DeclarationId, Form, HealthDeclaration, HealthError, Subject, Timestamp,
    UtcDay,
};
use crate::log::{EncounterLog, EntryKind, LogError, LogReader};

/// Declarations that a diary holds in memory at most. Chosen: a household of ten, with three corrections a day, for
/// three weeks; some 4 MB if each has the longest note.
const DECLARATIONS_MAX: usize = 1_000;

/// A declaration that cannot be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiaryError {
    /// It breaks a rule.
    #[error(transparent)]
    Health(#[from] HealthError),
    /// The log does not take it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no room for more until the oldest are forgotten.
    #[error("the diary holds {DECLARATIONS_MAX} declarations, and takes no more")]
    Full,
}

/// A declaration of the diary.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Recorded {
    /// What a correction refers to it by.
    pub id: DeclarationId,
    /// What it says.
    pub declaration: HealthDeclaration,
    /// The day that it speaks of: that on which it was made, or of a correction that of what was corrected first.
    pub day: UtcDay,
    /// Whether a later one corrects it.
    pub is_corrected: bool,
}

/// Not its id, from which what it says can be guessed.
impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("declaration", &self.declaration)
            .field("day", &self.day)
            .field("is_corrected", &self.is_corrected)
            .finish_non_exhaustive()
    }
}

/// All declarations that a log has, as far as its retention reaches. A corrected one stays beside its correction.
///
/// To hold one takes the log's reading key, as to read what was heard does: open it when it is looked at, and drop it.
#[derive(Debug, Default)]
pub struct Diary {
    recorded: Vec<Recorded>,
    unreadable: usize,
    damage: Vec<LogError>,
}

impl Diary {
    /// The diary in the log that `reader` reads.
    ///
    /// # Errors
    ///
    /// [`LogError`] if the log cannot be listed. What of it is damaged is in [`damage`](Self::damage).
    pub fn of(reader: &LogReader) -> Result<Self, LogError> {
        let mut diary = Self::default();
        for entry in reader.entries()? {
            match entry {
                Err(error) => diary.damage.push(error),
                Ok(entry) if entry.kind != EntryKind::HealthDeclaration => {}
                Ok(entry) => match HealthDeclaration::from_bytes(&entry.bytes) {
                    Ok(declaration) if diary.recorded.len() < DECLARATIONS_MAX => {
                        diary.add(id_of(&entry.bytes), declaration);
                    }
                    _ => diary.unreadable += 1,
                },
            }
        }
        Ok(diary)
    }

    /// Whether `declaration` keeps all rules as of `now`, also those of one update a day and of corrections.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check(
        &self,
        declaration: HealthDeclaration,
        now: Timestamp,
    ) -> Result<CheckedDeclaration, HealthError> {
        let checked = declaration.check(now)?;
        let it = checked.declaration();
        match it.corrects {
            Some(id) => self.check_correction(it, id)?,
            None if it.form == Form::Daily => self.check_first_of_day(it)?,
            None => {}
        }
        Ok(checked)
    }

    /// Checks `declaration` and appends it to `log`, which this diary is of.
    ///
    /// It is kept with the day on which it was made, however far back it speaks of. One that was made before the days
    /// that the log keeps, as one of [21 days](super::Window::Days21) may have been, is refused with
    /// [`LogError::EntryDay`].
    ///
    /// # Errors
    ///
    /// [`DiaryError`]; nothing is stored then.
    pub fn append(
        &mut self,
        log: &mut EncounterLog,
        declaration: HealthDeclaration,
        now: Timestamp,
    ) -> Result<DeclarationId, DiaryError> {
        let checked = self.check(declaration, now)?;
        if self.recorded.len() >= DECLARATIONS_MAX {
            return Err(DiaryError::Full);
        }
        log.append_entries_on(now.utc_day(), &[checked.to_entry()])?;
        Ok(self.note(&checked))
    }

    /// Takes in what has been appended to the log by others: a tracer that has it, say.
    pub fn note(&mut self, checked: &CheckedDeclaration) -> DeclarationId {
        let id = checked.id();
        self.add(id, checked.declaration().clone());
        id
    }

    /// All declarations in the order in which they were stored, corrected ones among them.
    pub fn all(&self) -> &[Recorded] {
        &self.recorded
    }

    /// The days of which there are declarations, the earliest first.
    pub fn days(&self) -> Vec<UtcDay> {
        let mut days: Vec<UtcDay> = self.recorded.iter().map(|it| it.day).collect();
        days.sort();
        days.dedup();
        days
    }

    /// What counts of `day`: of each declaration the latest correction.
    pub fn of_day(&self, day: UtcDay) -> impl Iterator<Item = &Recorded> {
        let of_day = self.recorded.iter().filter(move |it| it.day == day);
        of_day.filter(|it| !it.is_corrected)
    }

    /// What counts of `subject`, of the latest day.
    pub fn latest(&self, subject: &Subject) -> Option<&Recorded> {
        let of_subject = self.recorded.iter().filter(|it| !it.is_corrected);
        of_subject
            .filter(|it| it.declaration.subject == *subject)
            .max_by_key(|it| (it.day, it.declaration.made_at))
    }

    /// Entries that are no declaration this release reads, or too many.
    pub const fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// What of the log could not be read, so that declarations may be missing.
    pub fn damage(&self) -> &[LogError] {
        &self.damage
    }

    fn add(&mut self, id: DeclarationId, declaration: HealthDeclaration) {
        // An entry that was given twice because its writer did not know is one declaration.
        if self.find(id).is_some() {
            return;
        }
        let corrected = declaration.corrects;
        let corrected = self.recorded.iter_mut().find(|it| Some(it.id) == corrected);
        let day = match corrected {
            Some(corrected) => {
                corrected.is_corrected = true;
                corrected.day
            }
            None => declaration.day(),
        };
        self.recorded.push(Recorded {
            id,
            declaration,
            day,
            is_corrected: false,
        });
    }

    fn find(&self, id: DeclarationId) -> Option<&Recorded> {
        self.recorded.iter().find(|it| it.id == id)
    }

    fn check_first_of_day(&self, declaration: &HealthDeclaration) -> Result<(), HealthError> {
        let day = declaration.day();
        let declared = self.recorded.iter().any(|it| {
            let before = &it.declaration;
            it.day == day && before.form == Form::Daily && before.subject == declaration.subject
        });
        match declared {
            true => Err(HealthError::DeclaredAlready { day }),
            false => Ok(()),
        }
    }

    fn check_correction(
        &self,
        declaration: &HealthDeclaration,
        id: DeclarationId,
    ) -> Result<(), HealthError> {
        let corrected = self.find(id).ok_or(HealthError::NothingToCorrect)?;
        let before = &corrected.declaration;
        if before.subject != declaration.subject || before.form != declaration.form {
            return Err(HealthError::CorrectsAnother);
        }
        if corrected.is_corrected {
            return Err(HealthError::CorrectedAlready);
        }
        match declaration.made_at < before.made_at {
            true => Err(HealthError::CorrectsLater),
            false => Ok(()),
        }
    }
}
