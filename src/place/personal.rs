//! Viet Nam's personal QR text, as far as to say what it would disclose.
//!
//! `SoGiayTo|HoTen|NgaySinh|LoaiDinhDanh|QID|EXT` (Ministry of Information and Communications, technical
//! requirements of 11 September 2021): plain text, unsigned. Nothing here keeps any of it.

use std::fmt;

/// Fields of the text, in its order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PersonalField {
    /// `SoGiayTo`: the number of an identity document.
    DocumentNumber,
    /// `HoTen`: the full name.
    FullName,
    /// `NgaySinh`: the date of birth.
    DateOfBirth,
    /// `LoaiDinhDanh`: whether the person declared it or somebody did on the person's behalf.
    DeclaredBy,
    /// `QID`: the number by which the national QR platform knows the person.
    NationalQrId,
    /// `EXT`: further values, such as sex, insurance number and phone number.
    Extension,
}

impl PersonalField {
    const ALL: [Self; 6] = [
        Self::DocumentNumber,
        Self::FullName,
        Self::DateOfBirth,
        Self::DeclaredBy,
        Self::NationalQrId,
        Self::Extension,
    ];

    /// The name that the requirements give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DocumentNumber => "SoGiayTo",
            Self::FullName => "HoTen",
            Self::DateOfBirth => "NgaySinh",
            Self::DeclaredBy => "LoaiDinhDanh",
            Self::NationalQrId => "QID",
            Self::Extension => "EXT",
        }
    }
}

impl fmt::Display for PersonalField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self {
            Self::DocumentNumber => "identity document's number",
            Self::FullName => "full name",
            Self::DateOfBirth => "date of birth",
            Self::DeclaredBy => "who declared it",
            Self::NationalQrId => "number on the national QR platform",
            Self::Extension => "further values such as sex, insurance and phone number",
        };
        write!(f, "{} ({meaning})", self.name())
    }
}

/// The fields that a personal QR text would disclose: their names, and nothing of what they hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disclosures(Vec<PersonalField>);

impl Disclosures {
    /// What `text` would disclose, if it is a personal QR text: six fields or more between bars, the fourth
    /// `0` or `1`. A field that is empty discloses nothing. What it holds is looked at for that, and is
    /// neither copied nor kept.
    pub fn of(text: &str) -> Option<Self> {
        let mut fields = text.splitn(PersonalField::ALL.len(), '|');
        let mut disclosed = Vec::with_capacity(PersonalField::ALL.len());
        for field in PersonalField::ALL {
            let value = fields.next()?.trim();
            if field == PersonalField::DeclaredBy && !["0", "1"].contains(&value) {
                return None;
            }
            // EXT may have bars of its own.
            if value.chars().any(|c| c != '|' && !c.is_whitespace()) {
                disclosed.push(field);
            }
        }
        Some(Self(disclosed))
    }

    /// The fields, in the text's order.
    pub fn fields(&self) -> &[PersonalField] {
        &self.0
    }
}

impl fmt::Display for Disclosures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{field}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PersonalField::*;
    use super::*;

    #[test]
    fn only_the_names_of_fields_are_told() {
        let text = "001234567890|NGUYEN VAN A|1980-02-03|0|QID123|0901234567";
        let disclosures = Disclosures::of(text).unwrap();
        assert_eq!(disclosures.fields(), PersonalField::ALL);
        for shown in [format!("{disclosures}"), format!("{disclosures:?}")] {
            for value in text.split('|').filter(|value| value.len() > 1) {
                assert!(!shown.contains(value), "{shown}");
            }
        }
    }

    #[test]
    fn what_is_empty_is_not_disclosed() {
        for (text, expected) in [
            (
                "|NGUYEN VAN A|1980|1||",
                vec![FullName, DateOfBirth, DeclaredBy],
            ),
            (
                "1||| 0 |Q| ",
                vec![DocumentNumber, DeclaredBy, NationalQrId],
            ),
            ("|||0||a|b|c", vec![DeclaredBy, Extension]),
            ("|||0||||", vec![DeclaredBy]),
        ] {
            assert_eq!(Disclosures::of(text).unwrap().fields(), expected, "{text}");
        }
    }

    #[test]
    fn another_text_is_not_personal() {
        for text in [
            "",
            "|||||",
            "a|b|c|0|e",
            "a|b|c|2|e|f",
            "a|b|c|00|e|f",
            "TVP1:AAAA",
        ] {
            assert_eq!(Disclosures::of(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_personal_or_not(text in ".*") {
            let personal = Disclosures::of(&text).is_some();
            prop_assert!(!personal || text.matches('|').count() >= 5);
        }
    }
}
