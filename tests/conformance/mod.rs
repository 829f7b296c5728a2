//! The large files that third parties published, too large for the repository.

use std::path::{Path, PathBuf};

/// The file `name` of the conformance data beside the checkout; `None`, said loudly, where there is
/// none. Continuous integration always has it.
pub(crate) fn conformance_file(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    let file = beside.join(name);
    if file.is_file() {
        return Some(file);
    }
    eprintln!("skipped: {name} is not in the conformance data beside the checkout");
    None
}
