//! Codes that are read out, written down and typed: Crockford's base32, with a check character.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyError};

/// Crockford's base32: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of a code that are drawn, without the check character. Chosen: fewer than eight cannot be
/// protected from guessing by a limit that lets honest people through; over sixteen nobody types.
pub(super) const DRAWN_MIN: usize = 8;
pub(super) const DRAWN_MAX: usize = 16;

/// Characters between two dashes. Chosen: what one keeps in mind on the way from a letter to a screen.
const GROUP: usize = 5;

/// Bytes of a text that is looked at: a code with something between any two characters, in UTF-8.
const TEXT_BYTES_MAX: usize = 100;

/// A code that lets one report be made. Wiped when dropped and never printed.
///
/// Nine to seventeen characters of Crockford's base32, of which the last checks the others: any one that is
/// wrong and any two that changed places are found before the code is sent. Reading does not mind case, spaces
/// and dashes, and takes I and L for 1 and O for 0.
///
/// ```
/// use truyvet::report::authorisation::{InvalidCode, VerificationCode};
///
/// let code: VerificationCode = "7KQ4M-9XP2K".parse()?;
/// assert_eq!("7kq4m 9xp2k".parse(), Ok(code));
/// assert_eq!("7KQM4-9XP2K".parse::<VerificationCode>(), Err(InvalidCode::Check));
/// # Ok::<(), InvalidCode>(())
/// ```
pub struct VerificationCode {
    /// Of 0..32 each, the check character last.
    digits: Zeroizing<Vec<u8>>,
}

impl VerificationCode {
    /// A code of `drawn` random characters and their check character.
    pub(super) fn draw(drawn: usize, entropy: &mut dyn Entropy) -> Result<Self, EntropyError> {
        let mut digits = Zeroizing::new(vec![0; drawn + 1]);
        if let Some((check, drawn)) = digits.split_last_mut() {
            entropy.fill(drawn)?;
            drawn.iter_mut().for_each(|digit| *digit &= 31);
            *check = doubled(remainder(drawn));
        }
        Ok(Self { digits })
    }

    /// The code in groups of five, as it is shown: `7KQ4M-9XP2K`.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * self.digits.len()));
        for (index, character) in self.characters().enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            text.push(char::from(character));
        }
        text
    }

    /// The code's characters and nothing between them, as they are hashed and sent.
    pub(in crate::report) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.digits.len()));
        bytes.extend(self.characters());
        bytes
    }

    fn characters(&self) -> impl Iterator<Item = u8> + '_ {
        let character = |digit: &u8| ALPHABET.get(usize::from(*digit));
        self.digits.iter().filter_map(character).copied()
    }
}

impl FromStr for VerificationCode {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(InvalidCode::Length { got: text.len() });
        }
        let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
        let typed = text.chars().filter(|c| !is_separator(*c));
        for (index, character) in typed.enumerate() {
            let at = index + 1;
            digits.push(digit_of(character).ok_or(InvalidCode::Character { at })?);
        }
        let got = digits.len();
        if !(DRAWN_MIN + 1..=DRAWN_MAX + 1).contains(&got) {
            return Err(InvalidCode::Length { got });
        }
        match remainder(&digits) {
            0 => Ok(Self { digits }),
            _ => Err(InvalidCode::Check),
        }
    }
}

/// Text that is no code.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCode {
    /// A character that no code has.
    #[error("expected letters and digits without U, got another character at place {at}")]
    Character {
        /// Its place, counted from 1, without spaces and dashes.
        at: usize,
    },
    /// Too few characters, or too many.
    #[error("expected a code of 9 to 17 characters, got {got}")]
    Length {
        /// Characters there are.
        got: usize,
    },
    /// The check character does not fit: one is wrong, or two have changed places.
    #[error("the code has a typing mistake: its check character does not fit")]
    Check,
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}' | '.' | '_')
}

fn digit_of(character: char) -> Option<u8> {
    let canonical = match character.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    let byte = u8::try_from(canonical).ok()?;
    let index = ALPHABET.iter().position(|known| *known == byte)?;
    u8::try_from(index).ok()
}

/// The digits as a polynomial over GF(32), at x = 2: zero for a whole code. Each place has a weight of its
/// own, none of them zero, so that no single mistake and no exchange of two places stays zero.
fn remainder(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |sum, digit| doubled(sum) ^ digit)
}

/// Twice `element` in GF(32), modulo the primitive polynomial x^5 + x^2 + 1.
const fn doubled(element: u8) -> u8 {
    let carry = if element & 16 == 0 { 0 } else { 0b10_0101 };
    (element << 1) ^ carry
}

impl PartialEq for VerificationCode {
    fn eq(&self, other: &Self) -> bool {
        self.digits == other.digits
    }
}

impl Eq for VerificationCode {}

impl fmt::Debug for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entropy::SeededEntropy;

    fn draw(seed: u64, drawn: usize) -> VerificationCode {
        VerificationCode::draw(drawn, &mut SeededEntropy::new(seed)).unwrap()
    }

    #[test]
    fn the_powers_of_two_are_all_there_is_but_zero() {
        let mut element = 1;
        let mut seen = std::collections::HashSet::new();
        for _ in 0..31 {
            assert!(element < 32 && seen.insert(element));
            element = doubled(element);
        }
        assert_eq!(element, 1);
    }

    #[test]
    fn codes_are_pinned() {
        assert_eq!(*draw(1, 9).to_text(), "G0W95-ZAPHR");
        assert_eq!(draw(1, 16).to_bytes().len(), 17);
        assert!(!format!("{:?}", draw(1, 9)).contains("G0W95"));
    }

    #[test]
    fn any_single_mistake() {
        let code = draw(2, 9).to_bytes();
        for at in 0..code.len() {
            for wrong in ALPHABET.iter().filter(|wrong| **wrong != code[at]) {
                let mut typed = code.clone();
                typed[at] = *wrong;
                let typed = std::str::from_utf8(&typed).unwrap();
                assert_eq!(typed.parse::<VerificationCode>(), Err(InvalidCode::Check));
            }
        }
    }

    #[test]
    fn any_two_that_changed_places() {
        for seed in 0..50 {
            let code = draw(seed, 16).to_bytes();
            for a in 0..code.len() {
                for b in (a + 1..code.len()).filter(|b| code[*b] != code[a]) {
                    let mut typed = code.clone();
                    typed.swap(a, b);
                    let typed = std::str::from_utf8(&typed).unwrap();
                    assert_eq!(typed.parse::<VerificationCode>(), Err(InvalidCode::Check));
                }
            }
        }
    }

    #[test]
    fn letters_that_no_code_has() {
        for (text, at) in [("7KQ4M-9XP2U", 10), ("!KQ4M-9XP2W", 1), ("7KQ4M 9XP2é", 10)] {
            let error = text.parse::<VerificationCode>();
            assert_eq!(error, Err(InvalidCode::Character { at }));
        }
    }

    #[test]
    fn too_short_and_too_long() {
        for (text, got) in [("", 0), ("00000000", 8), ("000000000000000000", 18)] {
            let error = text.parse::<VerificationCode>();
            assert_eq!(error, Err(InvalidCode::Length { got }));
        }
        let long = "0".repeat(101);
        assert!(matches!(
            long.parse::<VerificationCode>(),
            Err(InvalidCode::Length { got: 101 })
        ));
    }

    #[test]
    fn confused_letters_are_taken_for_digits() {
        let code = "00000-00100-101";
        let parsed: Result<VerificationCode, _> = code.parse();
        assert!(parsed.is_ok());
        let as_typed = code
            .replace('0', "o")
            .replacen('1', "I", 1)
            .replace('1', "l");
        assert_eq!(as_typed.parse::<VerificationCode>(), parsed);
    }

    proptest! {
        #[test]
        fn codes_are_read_as_they_are_shown(seed: u64, drawn in DRAWN_MIN..=DRAWN_MAX) {
            let code = draw(seed, drawn);
            prop_assert!(code.to_text().parse() == Ok(draw(seed, drawn)));
            let lower = code.to_text().to_lowercase().replace('-', " . ");
            prop_assert!(lower.parse() == Ok(code));
        }

        #[test]
        fn any_text_is_a_code_or_is_not(text in ".{0,40}") {
            if let Ok(code) = text.parse::<VerificationCode>() {
                prop_assert_eq!(code.to_text().parse(), Ok(code));
            }
        }
    }
}
