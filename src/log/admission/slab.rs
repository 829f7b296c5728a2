//! Places with numbers, taken and given back, and never more than a maximum of them.

/// No place. Ends a list.
pub(super) const NONE: u32 = u32::MAX;

/// Values under numbers; a number that was given back is the next one given out.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<T>,
    free: Vec<u32>,
    max: usize,
}

impl<T> Slab<T> {
    /// Takes no memory before the first value comes.
    pub(super) const fn new(max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            max,
        }
    }

    /// The number under which `value` stands now; `None` if all places are taken.
    pub(super) fn insert(&mut self, value: T) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        if let Some(number) = self.free.pop() {
            *self.get_mut(number)? = value;
            return Some(number);
        }
        if self.slots.capacity() == 0 {
            // All at once: what is never touched costs nothing, and nothing is ever copied over.
            self.slots.reserve_exact(self.max);
            self.free.reserve_exact(self.max);
        }
        let number = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(value);
        Some(number)
    }

    /// Gives the place of `number` back, which must be taken.
    pub(super) fn give_back(&mut self, number: u32) {
        self.free.push(number);
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.slots.get(usize::try_from(number).ok()?)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.slots.get_mut(usize::try_from(number).ok()?)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    /// Bytes that are reserved.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<T>() + self.free.capacity() * size_of::<u32>()
    }
}
