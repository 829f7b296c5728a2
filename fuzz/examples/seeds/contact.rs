//! What a contact sends.

use std::collections::BTreeMap;

use truyvet_fuzz::Case;

use super::{Failure, Seeds};

pub(super) fn evidence() -> Result<Seeds, Failure> {
    let genuine = Case::new()?.evidence.to_bytes()?.to_vec();
    let golden = include_str!("../../../src/report/evidence/tests/golden.hex");
    let digits: Vec<u8> = golden
        .bytes()
        .filter(|it| !it.is_ascii_whitespace())
        .collect();
    let pairs = digits.chunks(2).map(std::str::from_utf8);
    let golden = pairs.map(|pair| Ok::<u8, Failure>(u8::from_str_radix(pair?, 16)?));
    let golden: Vec<u8> = golden.collect::<Result<_, Failure>>()?;
    let cut = genuine.get(..100).unwrap_or_default().to_vec();
    Ok(BTreeMap::from([
        ("genuine".to_owned(), genuine),
        ("golden".to_owned(), golden),
        ("cut".to_owned(), cut),
    ]))
}
