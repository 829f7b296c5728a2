//! Key material that wipes itself.

use std::fmt;

use zeroize::Zeroize;

/// `N` secret bytes: wiped when dropped, neither `Clone` nor `Copy`, and printed as `Secret(..)`.
///
/// The bytes live on the heap, so that moving the value leaves no copy behind.
///
/// ```
/// use truyvet::Secret;
///
/// let key = Secret::new([7; 16]);
/// assert_eq!(format!("{key:?}"), "Secret(..)");
/// assert_eq!(key.expose(), &[7; 16]);
/// ```
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes ownership of `bytes`. The caller's own copies are the caller's to wipe.
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Box::new(bytes))
    }

    /// The bytes themselves. Whoever copies them out is responsible for the copy.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// A second holder of the same secret, for the rare place that needs one, such as a
    /// [`KeyProvider`](crate::log::KeyProvider) that gives what it keeps; by name, so that a reader sees it.
    pub fn duplicate(&self) -> Self {
        Self::new(*self.expose())
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
