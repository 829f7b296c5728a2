//! What a host says to a controller, and how a controller answers: Bluetooth Core Specification,
//! Volume 4, Part E. Only what Linux needs in order to advertise and to scan.

use std::time::Duration;

/// Packet types of the UART transport, which the kernel's virtual controllers use as well (Part A, 2).
pub(crate) const COMMAND_PACKET: u8 = 0x01;
const EVENT_PACKET: u8 = 0x04;

/// Error codes (Volume 1, Part F).
pub(crate) const SUCCESS: u8 = 0x00;
pub(crate) const UNKNOWN_COMMAND: u8 = 0x01;
pub(crate) const NO_MEMORY: u8 = 0x07;
pub(crate) const DISALLOWED: u8 = 0x0c;
pub(crate) const INVALID_PARAMETERS: u8 = 0x12;
pub(crate) const ADVERTISING_TIMEOUT: u8 = 0x3c;
pub(crate) const UNKNOWN_ADVERTISING: u8 = 0x42;

/// Bits of an advertisement's properties (7.8.53), most of which its reports have too (7.7.65.13).
pub(crate) const SCANNABLE: u16 = 1 << 1;
const DIRECTED: u16 = 1 << 2;
const SCAN_RESPONSE: u16 = 1 << 3;
pub(crate) const LEGACY: u16 = 1 << 4;
const CONNECTABLE: u16 = 1 << 0;

/// As many bytes as a legacy advertisement has.
pub(crate) const LEGACY_LEN_MAX: usize = 31;
/// As many bytes as one extended report holds: longer data would come in several.
pub(crate) const LEN_MAX: usize = 229;

/// One unit of advertising and scan intervals.
const INTERVAL_UNIT: Duration = Duration::from_micros(625);
/// One unit of an advertising set's duration.
const DURATION_UNIT: Duration = Duration::from_millis(10);
/// 20 ms: what an advertising interval must be at least, in units.
const ADVERTISING_INTERVAL_MIN: u32 = 0x20;
/// 2.5 ms: what a scan window must be at least, in units.
const SCAN_WINDOW_MIN: u16 = 0x04;

/// Six bytes, the least significant first, as on the air.
pub(crate) type Address = [u8; 6];

/// An advertising set; `None` is the one of the legacy commands.
pub(crate) type Handle = Option<u8>;

/// What a host can ask about a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    Version,
    Commands,
    Features,
    Address,
    Buffers,
    LeFeatures,
    LeStates,
    TxPower,
    AcceptListSize,
    DataLenMax,
    SetsMax,
}

/// How advertising data joins what a set has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Further,
    First,
    Unchanged,
}

/// What a host wants of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// Nothing that matters on this air: event masks, and the list of accepted devices.
    Accept,
    Reset,
    Read(Property),
    SetRandomAddress(Handle, Address),
    SetAdvertising {
        handle: Handle,
        properties: u16,
        interval: Duration,
        random: bool,
    },
    SetData {
        handle: Handle,
        response: bool,
        piece: Piece,
        data: &'a [u8],
    },
    /// For how long each set advertises; zero is for ever. None to be stopped are all.
    Advertise {
        on: bool,
        sets: Vec<(Handle, Duration)>,
    },
    RemoveSet(u8),
    ClearSets,
    SetScan {
        active: bool,
        interval: Duration,
        window: Duration,
    },
    Scan {
        on: bool,
        filter: bool,
    },
}

/// Takes bytes from the front, as long as there are any.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn three(&mut self) -> Option<u32> {
        let [a, b, c] = self.array()?;
        Some(u32::from_le_bytes([a, b, c, 0]))
    }
}

/// The opcode and the parameters of a command packet, if it is whole.
pub(crate) fn split(packet: &[u8]) -> Option<(u16, &[u8])> {
    let mut fields = Fields(packet);
    if fields.byte()? != COMMAND_PACKET {
        return None;
    }
    let opcode = fields.short()?;
    let len = fields.byte()?;
    Some((opcode, fields.bytes(usize::from(len))?))
}

/// Reads a command, for a controller with extended advertising or one without.
///
/// # Errors
///
/// With the error code that the host is to be told.
pub(crate) fn parse(opcode: u16, parameters: &[u8], extended: bool) -> Result<Command<'_>, u8> {
    if let Some(command) = without_parameters(opcode, extended) {
        return Ok(command);
    }
    let fields = Fields(parameters);
    let command = match opcode {
        0x2005..=0x200c => legacy(opcode, fields),
        0x2035..=0x2042 if extended => of_extended(opcode, fields),
        _ => return Err(UNKNOWN_COMMAND),
    };
    command.ok_or(INVALID_PARAMETERS)
}

fn without_parameters(opcode: u16, extended: bool) -> Option<Command<'static>> {
    Some(match opcode {
        // Event masks, whether the host knows LE, and the accept list.
        0x0c01 | 0x0c63 | 0x0c6d | 0x2001 | 0x2010..=0x2012 => Command::Accept,
        0x0c03 => Command::Reset,
        0x1001 => Command::Read(Property::Version),
        0x1002 => Command::Read(Property::Commands),
        0x1003 => Command::Read(Property::Features),
        0x1009 => Command::Read(Property::Address),
        0x2002 => Command::Read(Property::Buffers),
        0x2003 => Command::Read(Property::LeFeatures),
        0x2007 => Command::Read(Property::TxPower),
        0x200f => Command::Read(Property::AcceptListSize),
        0x201c => Command::Read(Property::LeStates),
        0x203a if extended => Command::Read(Property::DataLenMax),
        0x203b if extended => Command::Read(Property::SetsMax),
        0x203d if extended => Command::ClearSets,
        _ => return None,
    })
}

/// The commands of 7.8.4 to 7.8.11.
fn legacy(opcode: u16, mut fields: Fields<'_>) -> Option<Command<'_>> {
    Some(match opcode {
        0x2005 => Command::SetRandomAddress(None, fields.array()?),
        0x2006 => {
            let interval = u32::from(fields.short()?);
            fields.short()?;
            let properties = match fields.byte()? {
                0 => CONNECTABLE | SCANNABLE,
                1 | 4 => CONNECTABLE | DIRECTED,
                2 => SCANNABLE,
                3 => 0,
                _ => return None,
            };
            Command::SetAdvertising {
                handle: None,
                properties: properties | LEGACY,
                interval: advertising_interval(interval)?,
                random: fields.byte()? & 1 == 1,
            }
        }
        0x2008 | 0x2009 => {
            let len = usize::from(fields.byte()?);
            if len > LEGACY_LEN_MAX {
                return None;
            }
            Command::SetData {
                handle: None,
                response: opcode == 0x2009,
                piece: Piece::First,
                data: fields.bytes(len)?,
            }
        }
        0x200a => Command::Advertise {
            on: fields.flag()?,
            sets: vec![(None, Duration::ZERO)],
        },
        0x200b => scan_parameters(&mut fields)?,
        0x200c => Command::Scan {
            on: fields.flag()?,
            filter: fields.flag()?,
        },
        _ => return None,
    })
}

/// The commands of 7.8.52 to 7.8.65.
fn of_extended(opcode: u16, mut fields: Fields<'_>) -> Option<Command<'_>> {
    Some(match opcode {
        0x2035 => Command::SetRandomAddress(Some(fields.byte()?), fields.array()?),
        0x2036 => {
            let handle = Some(fields.byte()?);
            let properties = fields.short()?;
            let interval = advertising_interval(fields.three()?)?;
            // The longest interval and the channels.
            fields.bytes(4)?;
            Command::SetAdvertising {
                handle,
                properties,
                interval,
                random: fields.byte()? & 1 == 1,
            }
        }
        0x2037 | 0x2038 => {
            let handle = Some(fields.byte()?);
            let piece = match fields.byte()? {
                0 | 2 => Piece::Further,
                1 | 3 => Piece::First,
                4 => Piece::Unchanged,
                _ => return None,
            };
            // Whether a controller may cut the data in pieces.
            fields.byte()?;
            let len = usize::from(fields.byte()?);
            Command::SetData {
                handle,
                response: opcode == 0x2038,
                piece,
                data: fields.bytes(len)?,
            }
        }
        0x2039 => {
            let on = fields.flag()?;
            let mut sets = Vec::new();
            for _ in 0..fields.byte()? {
                let handle = Some(fields.byte()?);
                let duration = DURATION_UNIT * u32::from(fields.short()?);
                // How many events at most.
                fields.byte()?;
                sets.push((handle, duration));
            }
            Command::Advertise { on, sets }
        }
        0x203c => Command::RemoveSet(fields.byte()?),
        0x2041 => {
            // Own address, whom to hear, and on which PHYs: those of the first are taken for all.
            fields.bytes(3)?;
            scan_parameters(&mut fields)?
        }
        0x2042 => Command::Scan {
            on: fields.flag()?,
            filter: fields.byte()? > 0,
        },
        _ => return None,
    })
}

fn advertising_interval(units: u32) -> Option<Duration> {
    (units >= ADVERTISING_INTERVAL_MIN).then(|| INTERVAL_UNIT * units)
}

fn scan_parameters(fields: &mut Fields<'_>) -> Option<Command<'static>> {
    let active = fields.flag()?;
    let (interval, window) = (fields.short()?, fields.short()?);
    (SCAN_WINDOW_MIN..=interval)
        .contains(&window)
        .then(|| Command::SetScan {
            active,
            interval: INTERVAL_UNIT * u32::from(interval),
            window: INTERVAL_UNIT * u32::from(window),
        })
}

/// Tells the host how its command ended (7.7.14).
pub(crate) fn command_complete(opcode: u16, result: &[u8]) -> Vec<u8> {
    // One command may follow.
    let mut parameters = vec![1];
    parameters.extend(opcode.to_le_bytes());
    parameters.extend(result);
    event(0x0e, &parameters)
}

/// Tells the host that a set advertises no longer, its time being over (7.7.65.18).
pub(crate) fn set_terminated(handle: u8) -> Vec<u8> {
    event(0x3e, &[0x12, ADVERTISING_TIMEOUT, handle, 0, 0, 0])
}

/// What a controller reports to its host when it has heard something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) properties: u16,
    /// Whether this answers an active scan.
    pub(crate) response: bool,
    pub(crate) random: bool,
    pub(crate) address: Address,
    pub(crate) data: &'a [u8],
    pub(crate) rssi_dbm: i8,
}

impl Report<'_> {
    /// As it is told without extended advertising (7.7.65.2), which knows legacy advertisements only.
    pub(crate) fn legacy(&self) -> Option<Vec<u8>> {
        if self.properties & LEGACY == 0 {
            return None;
        }
        let kind = match (self.response, self.properties) {
            (true, _) => 4,
            (_, bits) if bits & DIRECTED > 0 => 1,
            (_, bits) if bits & CONNECTABLE > 0 => 0,
            (_, bits) if bits & SCANNABLE > 0 => 2,
            _ => 3,
        };
        let mut parameters = vec![0x02, 1, kind, u8::from(self.random)];
        parameters.extend(self.address);
        parameters.push(self.data.len().try_into().ok()?);
        parameters.extend(self.data);
        parameters.extend(self.rssi_dbm.to_le_bytes());
        Some(event(0x3e, &parameters))
    }

    /// As it is told with extended advertising (7.7.65.13).
    pub(crate) fn extended(&self) -> Option<Vec<u8>> {
        let is_legacy = self.properties & LEGACY > 0;
        let mut bits = self.properties & (CONNECTABLE | SCANNABLE | DIRECTED | LEGACY);
        if self.response {
            bits |= SCAN_RESPONSE;
        }
        let mut parameters = vec![0x0d, 1];
        parameters.extend(bits.to_le_bytes());
        parameters.push(u8::from(self.random));
        parameters.extend(self.address);
        // PHYs: 1M, and for legacy advertisements no second one; no set's number, no known tx power.
        parameters.extend([1, u8::from(!is_legacy), 0xff, 127]);
        parameters.extend(self.rssi_dbm.to_le_bytes());
        // No periodic advertising, directed at nobody.
        parameters.extend([0; 9]);
        parameters.push(self.data.len().try_into().ok()?);
        parameters.extend(self.data);
        Some(event(0x3e, &parameters))
    }
}

fn event(code: u8, parameters: &[u8]) -> Vec<u8> {
    // Every caller's parameters are shorter: the longest hold `LEN_MAX` bytes of data.
    let len = u8::try_from(parameters.len()).unwrap_or(u8::MAX);
    let mut packet = vec![EVENT_PACKET, code, len];
    packet.extend(parameters.iter().take(usize::from(len)));
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_is_cut_short_is_none() {
        let whole = [1, 0x0a, 0x20, 1, 1];
        assert_eq!(split(&whole), Some((0x200a, &[1][..])));
        for len in 0..whole.len() {
            assert_eq!(split(whole.get(..len).unwrap_or_default()), None, "{len}");
        }
        assert_eq!(split(&[2, 0x0a, 0x20, 1, 1]), None);
    }

    #[test]
    fn parameters_that_are_cut_short_are_invalid() {
        // The first length of ones that each command is content with.
        for (opcode, enough) in [
            (0x2005, 6),
            (0x2008, 2),
            (0x2009, 2),
            (0x200a, 1),
            (0x200c, 2),
            (0x2035, 7),
            (0x2036, 11),
            (0x2037, 5),
            (0x2038, 5),
            (0x2039, 6),
            (0x203c, 1),
            (0x2041, 8),
            (0x2042, 2),
        ] {
            let ones = [1; 16];
            for len in 0..enough {
                let result = parse(opcode, ones.get(..len).unwrap_or_default(), true);
                assert_eq!(result, Err(INVALID_PARAMETERS), "{opcode:04x} {len}");
            }
            let whole = parse(opcode, ones.get(..enough).unwrap_or_default(), true);
            assert!(whole.is_ok(), "{opcode:04x} {whole:?}");
        }
        assert_eq!(parse(0x2005, &[0; 5], false), Err(INVALID_PARAMETERS));
        assert_eq!(
            parse(0x2005, &[7; 6], false),
            Ok(Command::SetRandomAddress(None, [7; 6]))
        );
        assert_eq!(parse(0x2008, &[2, 9], false), Err(INVALID_PARAMETERS));
        assert_eq!(parse(0x2008, &[32; 33], false), Err(INVALID_PARAMETERS));
        assert_eq!(parse(0x200a, &[2], false), Err(INVALID_PARAMETERS));
        assert_eq!(
            parse(0x2039, &[1, 2, 0, 0, 0, 0], true),
            Err(INVALID_PARAMETERS)
        );
    }

    #[test]
    fn extended_commands_are_unknown_to_a_legacy_controller() {
        assert_eq!(parse(0x2039, &[0, 0], false), Err(UNKNOWN_COMMAND));
        assert_eq!(parse(0x203d, &[], false), Err(UNKNOWN_COMMAND));
        assert_eq!(parse(0x203d, &[], true), Ok(Command::ClearSets));
    }

    #[test]
    fn scan_parameters_are_in_units_of_625_microseconds() {
        let expected = Command::SetScan {
            active: true,
            interval: Duration::from_millis(60),
            window: Duration::from_millis(30),
        };
        assert_eq!(
            parse(0x200b, &[1, 0x60, 0, 0x30, 0, 0, 0], false),
            Ok(expected)
        );
        let wider = [1, 0x30, 0, 0x60, 0, 0, 0];
        assert_eq!(parse(0x200b, &wider, false), Err(INVALID_PARAMETERS));
    }

    #[test]
    fn a_report_is_laid_out_as_the_specification_has_it() {
        let report = Report {
            properties: LEGACY,
            response: false,
            random: true,
            address: [1, 2, 3, 4, 5, 6],
            data: &[9, 8],
            rssi_dbm: -63,
        };
        assert_eq!(
            report.legacy(),
            Some(vec![
                4, 0x3e, 14, 2, 1, 3, 1, 1, 2, 3, 4, 5, 6, 2, 9, 8, 0xc1
            ])
        );
        let extended = report.extended().unwrap_or_default();
        assert_eq!(extended.get(3..7), Some(&[0x0d, 1, 0x10, 0][..]));
        assert_eq!(extended.len(), 3 + 26 + 2);
        let other = Report {
            properties: 0,
            ..report
        };
        assert_eq!(other.legacy(), None);
    }
}
