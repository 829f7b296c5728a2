//! Schedules of systems that ran.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Frames;
use crate::engine::Schedule;

/// A schedule by name, with the frames of its system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Preset {
    /// [`Schedule::continuous`]: what Herald keeps up on phones.
    Continuous,
    /// [`Schedule::bluezone_foreground`].
    BluezoneForeground,
    /// [`Schedule::bluezone_background`].
    BluezoneBackground,
    /// [`Schedule::gaen`], Google's.
    GaenGoogle,
    /// [`Schedule::gaen_apple`], while the iPhone is awake.
    GaenApple,
    /// [`Schedule::gaen_apple_asleep`].
    GaenAppleAsleep,
}

impl Preset {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Continuous,
        Self::BluezoneForeground,
        Self::BluezoneBackground,
        Self::GaenGoogle,
        Self::GaenApple,
        Self::GaenAppleAsleep,
    ];

    /// Its name, as it is read from text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continuous => "continuous",
            Self::BluezoneForeground => "bluezone-foreground",
            Self::BluezoneBackground => "bluezone-background",
            Self::GaenGoogle => "gaen-google",
            Self::GaenApple => "gaen-apple",
            Self::GaenAppleAsleep => "gaen-apple-asleep",
        }
    }

    /// When its radio is on.
    pub const fn schedule(self) -> Schedule {
        match self {
            Self::Continuous => Schedule::continuous(),
            Self::BluezoneForeground => Schedule::bluezone_foreground(),
            Self::BluezoneBackground => Schedule::bluezone_background(),
            Self::GaenGoogle => Schedule::gaen(),
            Self::GaenApple => Schedule::gaen_apple(),
            Self::GaenAppleAsleep => Schedule::gaen_apple_asleep(),
        }
    }

    /// What its neighbours send: every 100 ms in Bluezone (Android's `ADVERTISE_MODE_LOW_LATENCY`), else GAEN's 270.
    pub fn frames(self) -> Frames {
        let interval = match self {
            Self::BluezoneForeground | Self::BluezoneBackground => Duration::from_millis(100),
            _ => return Frames::default(),
        };
        Frames {
            interval,
            ..Frames::default()
        }
    }

    /// Bytes of such a frame: Bluezone's 23, or GAEN's 31.
    pub const fn frame_bytes(self) -> u8 {
        match self {
            Self::BluezoneForeground | Self::BluezoneBackground => 23,
            _ => 31,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        let found = Self::ALL.into_iter().find(|preset| preset.name() == name);
        found.ok_or(UnknownPreset)
    }
}

/// No preset has that name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected one of {}", Preset::ALL.map(Preset::name).join(", "))]
pub struct UnknownPreset;
