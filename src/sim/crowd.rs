//! All devices, a day at a time, on several threads.
//!
//! What a device sends follows from its own clock and nothing it hears. So a day goes in slices: in each, every device
//! does first what is due, then hears what all others have sent. Threads have devices of their own, and what is sent
//! stands in two buffers by turns: one wait a slice is enough, and the outcome does not hang on their number.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Barrier, PoisonError, RwLock, RwLockReadGuard};
use std::thread;

use super::DAY_MS;
use super::device::Device;
use super::ear::{Meeting, Slice, Spell};
use super::scenario::{Scenario, SimError};

/// How long a slice is. Chosen: scan results come in batches of some seconds on phones too, and it divides an hour.
pub(super) const SLICE_MS: u64 = 10_000;

/// What the devices of one thread have sent in a slice.
type Sent = Vec<Vec<Spell>>;

/// All devices.
pub(super) struct Crowd {
    pub(super) devices: Vec<Device>,
    /// Two buffers, each with a part for each thread.
    sent: [Vec<RwLock<Sent>>; 2],
    per_thread: usize,
}

/// A day that all threads go through.
struct Shared<'a> {
    scenario: &'a Scenario,
    day_ms: u64,
    per_thread: usize,
    sent: &'a [Vec<RwLock<Sent>>; 2],
    barrier: Barrier,
    hour: &'a (dyn Fn(u64) + Sync),
}

impl Crowd {
    pub(super) fn new(scenario: &Scenario, people: &[u32]) -> Result<Self, SimError> {
        let devices: Result<Vec<Device>, SimError> = people
            .iter()
            .map(|person| Device::new(scenario, *person))
            .collect();
        let devices = devices?;
        let per_thread = devices.len().div_ceil(scenario.threads.max(1)).max(1);
        let buffer = || {
            let parts = devices.chunks(per_thread);
            parts
                .map(|part| RwLock::new(vec![Vec::new(); part.len()]))
                .collect()
        };
        Ok(Self {
            sent: [buffer(), buffer()],
            devices,
            per_thread,
        })
    }

    /// Lets the `day` pass; `meetings` are of each device. `hour` is told each hour that is over.
    pub(super) fn run_day(
        &mut self,
        scenario: &Scenario,
        day: u32,
        meetings: &[Vec<Meeting>],
        hour: &(dyn Fn(u64) + Sync),
    ) -> Result<(), SimError> {
        if self.devices.is_empty() {
            return Ok(());
        }
        let shared = Shared {
            scenario,
            day_ms: u64::from(day) * DAY_MS,
            per_thread: self.per_thread,
            sent: &self.sent,
            barrier: Barrier::new(self.devices.len().div_ceil(self.per_thread)),
            hour,
        };
        let parts = self.devices.chunks_mut(self.per_thread);
        let parts = parts.zip(meetings.chunks(self.per_thread)).enumerate();
        thread::scope(|scope| {
            let shared = &shared;
            let threads: Vec<_> = parts
                .map(|(number, (devices, meetings))| {
                    scope.spawn(move || shared.day(number, devices, meetings))
                })
                .collect();
            let results = threads.into_iter().map(|thread| thread.join());
            // A panic goes on here, once all have ended.
            let ended = results.collect::<Vec<_>>().into_iter();
            let results = ended.map(|ended| ended.unwrap_or_else(|panic| resume_unwind(panic)));
            results.fold(Ok(()), Result::and)
        })
    }

    /// Does something with each device, on all threads; the answers are in the order of the devices.
    pub(super) fn each<T: Send>(
        &mut self,
        each: impl Fn(&mut Device) -> Result<T, SimError> + Sync,
    ) -> Result<Vec<T>, SimError> {
        let parts = self.devices.chunks_mut(self.per_thread);
        thread::scope(|scope| {
            let each = &each;
            let threads: Vec<_> = parts
                .map(|devices| {
                    scope.spawn(move || devices.iter_mut().map(each).collect::<Result<Vec<T>, _>>())
                })
                .collect();
            let mut all = Vec::new();
            for thread in threads {
                let ended = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                all.extend(ended?);
            }
            Ok(all)
        })
    }
}

impl Shared<'_> {
    /// The day of one thread's devices. Who fails or panics does nothing more, and waits with the others: they would wait
    /// for him for ever.
    fn day(
        &self,
        number: usize,
        devices: &mut [Device],
        meetings: &[Vec<Meeting>],
    ) -> Result<(), SimError> {
        let mut result = Ok(Ok(()));
        go_on(&mut result, || {
            devices.iter_mut().for_each(Device::begin_day);
            Ok(())
        });
        for (turn, slice) in self.slices().enumerate() {
            let Some(buffer) = self.sent.get(turn % 2) else {
                continue;
            };
            go_on(&mut result, || send(buffer, number, devices, slice));
            self.barrier.wait();
            go_on(&mut result, || self.hear(buffer, devices, meetings, slice));
            let passed_ms = slice.to_ms - slice.day_ms;
            if number == 0 && passed_ms.is_multiple_of(3_600_000) {
                go_on(&mut result, || {
                    (self.hour)(passed_ms / 3_600_000);
                    Ok(())
                });
            }
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn slices(&self) -> impl Iterator<Item = Slice> + use<> {
        let day_ms = self.day_ms;
        (0..DAY_MS / SLICE_MS).map(move |number| Slice {
            day_ms,
            from_ms: day_ms + number * SLICE_MS,
            to_ms: day_ms + (number + 1) * SLICE_MS,
        })
    }

    fn hear(
        &self,
        buffer: &[RwLock<Sent>],
        devices: &mut [Device],
        meetings: &[Vec<Meeting>],
        slice: Slice,
    ) -> Result<(), SimError> {
        let parts: Vec<RwLockReadGuard<'_, Sent>> = buffer
            .iter()
            .map(|part| part.read().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let sent_by = |sender: u32| {
            let sender = sender as usize;
            let part = parts.get(sender / self.per_thread);
            let sent = part.and_then(|part| part.get(sender % self.per_thread));
            sent.map_or(&[][..], Vec::as_slice)
        };
        for (device, meetings) in devices.iter_mut().zip(meetings) {
            device.listen(self.scenario, slice, meetings, sent_by)?;
        }
        Ok(())
    }
}

/// Does one thing more, if all went well so far.
fn go_on(
    result: &mut thread::Result<Result<(), SimError>>,
    step: impl FnOnce() -> Result<(), SimError>,
) {
    if let Ok(Ok(())) = result {
        // What comes of a half-done step is dropped with the whole run.
        *result = catch_unwind(AssertUnwindSafe(step));
    }
}

fn send(
    buffer: &[RwLock<Sent>],
    number: usize,
    devices: &mut [Device],
    slice: Slice,
) -> Result<(), SimError> {
    let Some(part) = buffer.get(number) else {
        return Ok(());
    };
    let mut sent = part.write().unwrap_or_else(PoisonError::into_inner);
    for (device, sent) in devices.iter_mut().zip(sent.iter_mut()) {
        device.advance(slice)?;
        std::mem::swap(&mut device.sent, sent);
    }
    Ok(())
}
