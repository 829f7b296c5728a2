//! What a tracer keeps of a log that its writer has: how to read it.

use std::sync::Arc;

use super::{KeyProvider, LogError, LogReader, Storage};

/// Where a log is, and who has its keys.
#[derive(Clone)]
pub(crate) struct LogAccess {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) keys: Arc<dyn KeyProvider>,
}

impl LogAccess {
    pub(crate) fn reader(&self) -> Result<LogReader, LogError> {
        LogReader::of(Arc::clone(&self.storage), &*self.keys)
    }
}

impl std::fmt::Debug for LogAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogAccess").finish_non_exhaustive()
    }
}
