//! The commands by which a test directs the air: one a line, each answered `ok` or `error WHY`.

use std::fs;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::ops::{Range, RangeInclusive};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use crate::air::Air;
use crate::hci::LEN_MAX;

/// Longer than the longest command, a storm's.
const LINE_LEN_MAX: u64 = 4_096;

/// Of a bare advertiser, unless its command says otherwise. Chosen: as often as phones do at most.
const INTERVAL_MS: u64 = 100;

/// What a storm's counter takes of its data.
const COUNTER_LEN: usize = 4;
const COUNTER_TOKEN: &str = "XXXXXXXX";

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// From all to all of these; what is `None` stays as it is, an RSSI of `None` is out of range.
    Link {
        from: Range<usize>,
        to: Range<usize>,
        rssi_dbm: Option<f64>,
        noise_db: Option<f64>,
        loss: Option<f64>,
    },
    Send {
        beside: usize,
        data: Vec<u8>,
        interval: Duration,
        count: u64,
    },
    Storm {
        beside: usize,
        data: Vec<u8>,
        interval: Duration,
        count: u64,
    },
    Silence(usize),
    Unplug(usize),
    Plug(usize),
    Stats(PathBuf),
}

/// An order, and where its answer goes.
pub(crate) type Request = (Order, Sender<String>);

/// Reads an order to an air of so many controllers.
///
/// # Errors
///
/// What is wrong with it, for the one who gave it.
pub(crate) fn parse(line: &str, controllers: usize) -> Result<Order, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |word: &str| -> Result<usize, String> {
        let number = word.parse().ok().filter(|k| *k < controllers);
        number.ok_or(format!("{word} is none of {controllers} controllers"))
    };
    let some = |word: &str| match word {
        "*" => Ok(0..controllers),
        _ => number(word).map(|k| k..k + 1),
    };
    match words.as_slice() {
        ["link", from, to, rssi, rest @ ..] if rest.len() <= 2 => {
            let mut rest = rest.iter();
            Ok(Order::Link {
                from: some(from)?,
                to: some(to)?,
                rssi_dbm: match *rssi {
                    "off" => None,
                    dbm => Some(real(dbm, -127.0..=20.0)?),
                },
                noise_db: rest.next().map(|db| real(db, 0.0..=100.0)).transpose()?,
                loss: rest.next().map(|loss| real(loss, 0.0..=1.0)).transpose()?,
            })
        }
        ["send", k, data, rest @ ..] if rest.len() <= 2 => {
            let mut rest = rest.iter();
            let interval = rest.next().map(|ms| whole(ms)).transpose()?;
            let count = rest.next().map(|count| whole(count)).transpose()?;
            Ok(Order::Send {
                beside: number(k)?,
                data: bytes(data)?,
                interval: Duration::from_millis(interval.unwrap_or(INTERVAL_MS).max(1)),
                count: count.unwrap_or(u64::MAX),
            })
        }
        ["storm", k, count, rate, data] => {
            let zeros = "0".repeat(COUNTER_TOKEN.len());
            let data = bytes(&data.replace(COUNTER_TOKEN, &zeros))?;
            if data.len() < COUNTER_LEN {
                return Err("a storm's payload ends with four bytes for its counter".to_owned());
            }
            Ok(Order::Storm {
                beside: number(k)?,
                data,
                interval: Duration::from_secs(1).div_f64(real(rate, 0.001..=1e6)?),
                count: whole(count)?,
            })
        }
        ["silence", k] => Ok(Order::Silence(number(k)?)),
        ["unplug", k] => Ok(Order::Unplug(number(k)?)),
        ["plug", k] => Ok(Order::Plug(number(k)?)),
        ["stats", path] => Ok(Order::Stats(PathBuf::from(path))),
        _ => Err(format!("no such command: {line}")),
    }
}

fn real(word: &str, allowed: RangeInclusive<f64>) -> Result<f64, String> {
    let number = word.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or(format!("{word} is not from {allowed:?}"))
}

fn whole(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("{word} is no number"))
}

/// Bytes in hex; `-` for none.
fn bytes(word: &str) -> Result<Vec<u8>, String> {
    if word == "-" {
        return Ok(Vec::new());
    }
    let digits: Option<Vec<u8>> = word
        .chars()
        .map(|digit| digit.to_digit(16)?.try_into().ok())
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && digits.len() <= 2 * LEN_MAX);
    let digits = digits.ok_or(format!("{word} is no hex of at most {LEN_MAX} bytes"))?;
    let (pairs, _) = digits.as_chunks::<2>();
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Obeys an order, and answers it; an adapter's vanishing is answered later.
pub(crate) fn obey(air: &mut Air, (order, answer): Request) {
    let done = match order {
        Order::Link {
            from,
            to,
            rssi_dbm,
            noise_db,
            loss,
        } => {
            for (from, to) in from.flat_map(|from| to.clone().map(move |to| (from, to))) {
                if let Some(link) = air.link(from, to) {
                    link.rssi_dbm = rssi_dbm;
                    link.noise_db = noise_db.unwrap_or(link.noise_db);
                    link.loss = loss.unwrap_or(link.loss);
                }
            }
            Ok(())
        }
        Order::Send {
            beside,
            data,
            interval,
            count,
        } => {
            air.send(beside, data, interval, count);
            Ok(())
        }
        Order::Storm {
            beside,
            data,
            interval,
            count,
        } => {
            air.storm(beside, data, interval, count);
            Ok(())
        }
        Order::Silence(k) => {
            air.silence(k);
            Ok(())
        }
        Order::Unplug(k) => match air.unplug(k) {
            Some(port) => {
                // The kernel may wait for answers of this adapter's, and the others go on.
                thread::spawn(move || {
                    drop(port);
                    let _ = answer.send("ok".to_owned());
                });
                return;
            }
            None => Err(Error::other(format!("controller {k} is not plugged in"))),
        },
        Order::Plug(k) => air.plug(k),
        Order::Stats(path) => write(&path, &air.stats()),
    };
    let said = done.map_or_else(|error| format!("error {error}"), |()| "ok".to_owned());
    // Whoever has gone away wants no answer.
    let _ = answer.send(said);
}

/// A reader finds the whole text or none.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// Hands over what is ordered at a socket, from now on.
///
/// # Errors
///
/// If the socket cannot be made.
pub(crate) fn serve(path: &Path, controllers: usize, orders: Sender<Request>) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let orders = orders.clone();
            thread::spawn(move || {
                if let Err(error) = converse(stream, controllers, &orders) {
                    eprintln!("control: {error}");
                }
            });
        }
    });
    Ok(())
}

fn converse(stream: UnixStream, controllers: usize, orders: &Sender<Request>) -> Result<(), Error> {
    let mut answers = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if lines.by_ref().take(LINE_LEN_MAX).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let said = match parse(&line, controllers) {
            Ok(order) => {
                let (answer, answered) = channel();
                orders.send((order, answer)).map_err(Error::other)?;
                answered.recv().map_err(Error::other)?
            }
            Err(why) => format!("error {}", why.trim_end()),
        };
        writeln!(answers, "{said}")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        assert_eq!(
            parse("link 0 * -63 3 0.1\n", 2),
            Ok(Order::Link {
                from: 0..1,
                to: 0..2,
                rssi_dbm: Some(-63.0),
                noise_db: Some(3.0),
                loss: Some(0.1),
            })
        );
        let send = Order::Send {
            beside: 1,
            data: Vec::new(),
            interval: Duration::from_millis(100),
            count: 8,
        };
        assert_eq!(parse("send 1 - 100 8", 2), Ok(send));
        let storm = Order::Storm {
            beside: 0,
            data: vec![0xfd, 0, 0, 0, 0],
            interval: Duration::from_millis(20),
            count: 9,
        };
        assert_eq!(parse("storm 0 9 50 fdXXXXXXXX", 1), Ok(storm));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for line in [
            "",
            "shout 0",
            "link 0 2 -63",
            "link 0 1 63",
            "link 0 1 -63 NaN",
            "link 0 1 -63 0 1.5",
            "send 0 abc",
            "send 0 +1",
            "send 0 zz",
            "send 2 -",
            "storm 0 5 0 00000000",
            "storm 0 5 50 000000",
            "silence",
            "silence -1",
        ] {
            assert!(parse(line, 2).is_err(), "{line}");
        }
    }
}
