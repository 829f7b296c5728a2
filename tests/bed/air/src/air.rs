//! The air: who hears whom and how well, and what is sent beside the controllers.

use std::io::Error;
use std::time::{Duration, Instant};

use crate::controller::{Advert, Controller, Counters, Dedup};
use crate::hci::{Address, LEGACY};
use crate::port::Port;
use crate::random::Random;

/// Of one storm at a time, so that commands are answered during the heaviest. Chosen: 100,000 a second.
const BURST_MAX: usize = 200;

/// What a link from one controller to another does to what goes over it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Link {
    /// `None` if out of range.
    pub(crate) rssi_dbm: Option<f64>,
    /// Standard deviation of the RSSI.
    pub(crate) noise_db: f64,
    /// From 0 to 1.
    pub(crate) loss: f64,
}

impl Link {
    /// The RSSI of one advertisement, and whether it is lost; `None` if out of range.
    fn carry(&self, random: &mut Random) -> Option<(i8, bool)> {
        let rssi = self.rssi_dbm? + self.noise_db * random.normal();
        // Of what a report can say (7.7.65.2); the cast then loses nothing.
        let rssi = rssi.round().clamp(-127.0, 20.0) as i8;
        Some((rssi, random.unit() < self.loss))
    }
}

/// What all controllers have in common at the start.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) controllers: usize,
    pub(crate) extended: bool,
    pub(crate) dedup: Dedup,
    pub(crate) link: Link,
    pub(crate) seed: u64,
}

/// An advertiser beside a controller, which is none itself.
#[derive(Debug)]
struct Bare {
    beside: usize,
    /// `None` in a storm: each advertisement has its own.
    address: Option<Address>,
    data: Vec<u8>,
    interval: Duration,
    left: u64,
    sent: u32,
    next: Instant,
}

impl Bare {
    fn advert(&mut self, random: &mut Random) -> Advert {
        let address = self.address.unwrap_or_else(|| {
            // What tells one advertisement of a storm from another stands at the end.
            let counter = self.sent.to_be_bytes();
            let kept = self.data.len().saturating_sub(counter.len());
            self.data.truncate(kept);
            self.data.extend(counter);
            random.address()
        });
        let at = self.next;
        self.left -= 1;
        self.sent = self.sent.wrapping_add(1);
        self.next += self.interval;
        Advert {
            // Neither connectable nor scannable.
            properties: LEGACY,
            random: true,
            address,
            data: self.data.clone(),
            response: Vec::new(),
            at,
        }
    }
}

/// A controller at its place.
#[derive(Debug)]
struct Place {
    controller: Controller,
    /// `None` while it is unplugged.
    port: Option<Port>,
    /// To each of the others, and to itself, which is not used.
    links: Vec<Link>,
}

#[derive(Debug)]
pub(crate) struct Air {
    places: Vec<Place>,
    bare: Vec<Bare>,
    random: Random,
}

impl Air {
    /// Nobody is plugged in.
    pub(crate) fn new(setting: &Setting) -> Self {
        let place = |k: usize| {
            // Of a range for private use, numbered from 1; the least significant byte comes first.
            let number = u8::try_from(k + 1).unwrap_or(u8::MAX);
            let address = [number, 0, 0, 0x0b, 0xa1, 0x00];
            Place {
                controller: Controller::new(address, setting.extended, setting.dedup),
                port: None,
                links: vec![setting.link; setting.controllers],
            }
        };
        Self {
            places: (0..setting.controllers).map(place).collect(),
            bare: Vec::new(),
            random: Random::new(setting.seed),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Has an adapter appear, the same as before, with nothing set.
    pub(crate) fn plug(&mut self, k: usize) -> Result<(), Error> {
        let Some(place) = self.places.get_mut(k) else {
            return Err(Error::other(format!("there is no controller {k}")));
        };
        if place.port.is_some() {
            return Err(Error::other(format!("controller {k} is plugged in")));
        }
        let (port, adapter) = Port::open()?;
        if usize::from(adapter) != k {
            return Err(Error::other(format!(
                "controller {k} would be hci{adapter}: plug in those before it first"
            )));
        }
        place.controller.reset();
        place.port = Some(port);
        Ok(())
    }

    /// What keeps an adapter there: it vanishes when this is dropped, for which the kernel may take as
    /// long as it waits for answers.
    pub(crate) fn unplug(&mut self, k: usize) -> Option<Port> {
        let place = self.places.get_mut(k)?;
        place.controller.reset();
        place.port.take()
    }

    pub(crate) fn link(&mut self, from: usize, to: usize) -> Option<&mut Link> {
        self.places.get_mut(from)?.links.get_mut(to)
    }

    /// Has something beside a controller send these bytes, from one address.
    pub(crate) fn send(&mut self, beside: usize, data: Vec<u8>, interval: Duration, count: u64) {
        let address = Some(self.random.address());
        self.add(beside, address, data, interval, count);
    }

    /// Has something beside a controller send from ever new addresses, the last four bytes counting.
    pub(crate) fn storm(&mut self, beside: usize, data: Vec<u8>, interval: Duration, count: u64) {
        self.add(beside, None, data, interval, count);
    }

    fn add(
        &mut self,
        beside: usize,
        address: Option<Address>,
        data: Vec<u8>,
        interval: Duration,
        left: u64,
    ) {
        self.bare.push(Bare {
            beside,
            address,
            data,
            interval,
            left,
            sent: 0,
            next: Instant::now(),
        });
    }

    pub(crate) fn silence(&mut self, beside: usize) {
        self.bare.retain(|bare| bare.beside != beside);
    }

    /// Does all that hosts want, and sends all that is due.
    pub(crate) fn turn(&mut self, now: Instant) {
        let mut adverts = Vec::new();
        for (k, place) in self.places.iter_mut().enumerate() {
            place.obey_host(k, now);
            let (due, events) = place.controller.due(now, &mut self.random);
            place.tell_host(k, &events);
            adverts.extend(due.into_iter().map(|advert| (k, advert)));
        }
        for bare in &mut self.bare {
            for _ in 0..BURST_MAX {
                if bare.left == 0 || bare.next > now {
                    break;
                }
                adverts.push((bare.beside, bare.advert(&mut self.random)));
            }
        }
        self.bare.retain(|bare| bare.left > 0);
        for (from, advert) in &adverts {
            self.carry(*from, advert);
        }
    }

    fn carry(&mut self, from: usize, advert: &Advert) {
        let Some(links) = self.places.get(from).map(|place| place.links.clone()) else {
            return;
        };
        for (to, (place, link)) in self.places.iter_mut().zip(links).enumerate() {
            if to == from {
                continue;
            }
            if let Some((rssi_dbm, lost)) = link.carry(&mut self.random) {
                let events = place.controller.hear(advert, rssi_dbm, lost);
                place.tell_host(to, &events);
            }
        }
    }

    /// One line for each counter of each controller.
    pub(crate) fn stats(&self) -> String {
        let mut text = String::new();
        for (k, place) in self.places.iter().enumerate() {
            let storms = self.bare.iter();
            let storms = storms.filter(|bare| bare.beside == k && bare.address.is_none());
            let Counters {
                delivered,
                duplicates,
                lost,
                outside_window,
                advertised,
                refused,
            } = place.controller.counters;
            for (name, count) in [
                ("delivered", delivered),
                ("duplicates", duplicates),
                ("lost", lost),
                ("outside_window", outside_window),
                ("advertised", advertised),
                ("refused", refused),
                ("storm_left", storms.map(|bare| bare.left).sum()),
            ] {
                text.push_str(&format!("{k} {name} {count}\n"));
            }
        }
        text
    }
}

impl Place {
    fn obey_host(&mut self, k: usize, now: Instant) {
        while let Some(port) = &mut self.port {
            match port.receive() {
                Ok(None) => return,
                Ok(Some(packet)) => {
                    let answer = self.controller.obey(&packet, now);
                    self.tell_host(k, answer.as_slice());
                }
                Err(error) => self.fail(k, &error),
            }
        }
    }

    fn tell_host(&mut self, k: usize, events: &[Vec<u8>]) {
        for event in events {
            if let Some(port) = &mut self.port
                && let Err(error) = port.send(event)
            {
                self.fail(k, &error);
            }
        }
    }

    /// A controller whose host is not there is out of order until it is plugged in again.
    fn fail(&mut self, k: usize, error: &Error) {
        eprintln!("controller {k}: {error}; unplugged");
        self.controller.reset();
        self.port = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: [u8; 6] = [1, 0x0c, 0x20, 2, 1, 0];

    /// Three controllers, all of which scan, with nothing plugged in.
    fn air() -> Air {
        let mut air = Air::new(&Setting {
            controllers: 3,
            extended: false,
            dedup: Dedup::Address,
            link: Link {
                rssi_dbm: Some(-60.0),
                noise_db: 0.0,
                loss: 0.0,
            },
            seed: 0,
        });
        for place in &mut air.places {
            place.controller.obey(&SCAN, Instant::now());
        }
        air
    }

    fn delivered(air: &Air) -> Vec<u64> {
        let counters = air.places.iter().map(|place| place.controller.counters);
        counters.map(|counters| counters.delivered).collect()
    }

    #[test]
    fn a_link_leads_one_way() {
        let mut air = air();
        if let Some(link) = air.link(0, 2) {
            link.rssi_dbm = None;
        }
        air.send(0, vec![1], Duration::from_secs(60), 1);
        air.turn(Instant::now());
        assert_eq!(delivered(&air), [0, 1, 0]);
        air.send(2, vec![1], Duration::from_secs(60), 1);
        air.turn(Instant::now());
        assert_eq!(delivered(&air), [1, 2, 0]);
    }

    #[test]
    fn a_link_loses_its_share() {
        let link = Link {
            rssi_dbm: Some(-200.0),
            noise_db: 0.0,
            loss: 0.25,
        };
        let mut random = Random::new(7);
        let carried: Vec<_> = (0..10_000)
            .filter_map(|_| link.carry(&mut random))
            .collect();
        let lost = carried.iter().filter(|(_, lost)| *lost).count();
        // Five standard errors about 2,500.
        assert!((2_283..=2_717).contains(&lost), "{lost}");
        assert!(carried.iter().all(|(rssi_dbm, _)| *rssi_dbm == -127));
    }

    #[test]
    fn a_storm_is_counted_and_ends() {
        let mut air = air();
        air.storm(1, vec![7, 0, 0, 0, 0], Duration::from_millis(1), 50);
        assert!(air.stats().contains("1 storm_left 50\n"));
        let Some(begun) = air.bare.first().map(|bare| bare.next) else {
            unreachable!("the storm has not begun");
        };
        air.turn(begun + Duration::from_millis(19));
        assert_eq!(delivered(&air).first(), Some(&20));
        assert!(air.stats().contains("1 storm_left 30\n"));
        air.turn(begun + Duration::from_secs(1));
        assert_eq!(delivered(&air), [50, 0, 50]);
        assert!(air.bare.is_empty());
    }

    #[test]
    fn silence_ends_what_is_sent_beside_one() {
        let mut air = air();
        for beside in [0, 1] {
            air.send(beside, vec![1], Duration::from_secs(60), u64::MAX);
        }
        air.silence(0);
        air.turn(Instant::now());
        assert_eq!(delivered(&air), [1, 0, 1]);
    }
}
