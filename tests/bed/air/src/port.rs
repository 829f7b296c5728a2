//! A controller's end of the kernel's virtual HCI transport, `/dev/vhci`.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

const DEVICE: &str = "/dev/vhci";

/// `O_NONBLOCK` of Linux on x86-64 and Arm.
const NON_BLOCKING: i32 = 0o4000;

/// Makes a controller of the primary kind, and the answer to it (the kernel's `hci_vhci.c`).
const VENDOR_PACKET: u8 = 0xff;
const PRIMARY: u8 = 0x00;

/// `ENXIO` of Linux.
const SWITCHED_OFF: i32 = 6;

/// Longer than the longest command: a header of four bytes and 255 of parameters.
const PACKET_LEN_MAX: usize = 512;

/// While this is open, the adapter is there.
#[derive(Debug)]
pub(crate) struct Port(File);

impl Port {
    /// Has an adapter appear, and tells its number in `hciN`.
    pub(crate) fn open() -> Result<(Self, u16), Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(NON_BLOCKING);
        let mut file = options.open(DEVICE)?;
        file.write_all(&[VENDOR_PACKET, PRIMARY])?;
        let mut answer = [0; 4];
        file.read_exact(&mut answer)?;
        match answer {
            [VENDOR_PACKET, PRIMARY, low, high] => {
                Ok((Self(file), u16::from_le_bytes([low, high])))
            }
            _ => Err(Error::other(format!("{DEVICE} answered {answer:02x?}"))),
        }
    }

    /// The next packet of the host, if there is one.
    pub(crate) fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut packet = vec![0; PACKET_LEN_MAX];
        match self.0.read(&mut packet) {
            Ok(len) => {
                packet.truncate(len);
                Ok(Some(packet).filter(|packet| !packet.is_empty()))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What reaches an adapter that is switched off, or about to be, nobody hears.
    pub(crate) fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        match self.0.write_all(packet) {
            // `hci_recv_frame` in the kernel's net/bluetooth/hci_core.c.
            Err(error) if error.raw_os_error() == Some(SWITCHED_OFF) => Ok(()),
            done => done,
        }
    }
}
