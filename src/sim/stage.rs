//! A few devices and radios of others, step by step: for schedules, and for attacks.

use super::DAY_MS;
use super::crowd::SLICE_MS;
use super::device::Device;
use super::ear::{Meeting, Slice, Spell};
use super::scenario::{Scenario, SimError};

/// A few devices.
pub(super) struct Stage<'s> {
    scenario: &'s Scenario,
    pub(super) devices: Vec<Device>,
    /// Of devices, then of others' radios.
    sent: Vec<Vec<Spell>>,
    now_ms: u64,
}

/// Somebody at `distance_m` all day.
pub(super) fn beside(scenario: &Scenario, sender: u32, distance_m: f64) -> Meeting {
    Meeting {
        from_ms: 0,
        to_ms: DAY_MS as u32,
        sender,
        mean_dbm: scenario.ether.strength_dbm(distance_m, scenario.protocol) as f32,
    }
}

impl<'s> Stage<'s> {
    /// So many devices, numbered from `first` on in what they draw, and radios of others.
    pub(super) fn new(
        scenario: &'s Scenario,
        first: u32,
        devices: u32,
        radios: usize,
    ) -> Result<Self, SimError> {
        let made: Result<Vec<Device>, SimError> = (first..first + devices)
            .map(|number| Device::new(scenario, number))
            .collect();
        let devices = made?;
        Ok(Self {
            scenario,
            sent: vec![Vec::new(); devices.len() + radios],
            devices,
            now_ms: 0,
        })
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The slice that comes.
    pub(super) fn slice(&self) -> Slice {
        Slice {
            day_ms: self.now_ms / DAY_MS * DAY_MS,
            from_ms: self.now_ms,
            to_ms: self.now_ms + SLICE_MS,
        }
    }

    /// Lets a slice pass. When the devices have sent, `act` hears that and puts in what others send; then those devices
    /// listen that have `meetings`.
    pub(super) fn step(
        &mut self,
        meetings: &[Vec<Meeting>],
        act: &mut dyn FnMut(Slice, &mut [Vec<Spell>]),
    ) -> Result<(), SimError> {
        let slice = self.slice();
        for (device, sent) in self.devices.iter_mut().zip(&mut self.sent) {
            device.advance(slice)?;
            std::mem::swap(&mut device.sent, sent);
        }
        act(slice, &mut self.sent);
        let sent = &self.sent;
        let sent_by = |sender: u32| sent.get(sender as usize).map_or(&[][..], Vec::as_slice);
        for (device, meetings) in self.devices.iter_mut().zip(meetings) {
            if !meetings.is_empty() {
                device.listen(self.scenario, slice, meetings, sent_by)?;
            }
        }
        self.now_ms = slice.to_ms;
        if self.now_ms.is_multiple_of(DAY_MS) {
            self.devices.iter_mut().for_each(Device::begin_day);
        }
        Ok(())
    }
}
