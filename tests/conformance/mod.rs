//! The large files that third parties published, too large for the repository.

use std::path::{Path, PathBuf};

/// The file `name` of the conformance data beside the checkout; `None`, said loudly, where there is
/// none. Continuous integration always has it.
pub(crate) fn conformance_file(name: &str) -> Option<PathBuf> {
    // The packages within the workspace look beside the same checkout.
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("../shared/vectors").join(name))
        .find(|file| file.is_file());
    if found.is_some() {
        return found;
    }
    eprintln!("skipped: {name} is not in the conformance data beside the checkout");
    None
}
