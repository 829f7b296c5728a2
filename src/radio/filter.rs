//! Which frames a scanner reports, and how they are put together from pieces.

use std::collections::HashMap;

use uuid::Uuid;

use crate::advertisement::{Advertisement, uuid_from_u16, uuid_to_u16};
use crate::protocol::{Protocol, bluezone};

/// Which frames a scanner reports: those that carry something of the protocols listened for. Systems
/// that report an advertisement in parsed pieces have the interesting ones put together again here.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    services: Vec<Uuid>,
    /// Those of the services whose data holds identifiers.
    data_services: Vec<Uuid>,
    companies: Vec<u16>,
}

impl Filter {
    /// What the `protocols` need.
    pub fn of(protocols: &[Protocol]) -> Self {
        let mut filter = Self::default();
        for protocol in protocols {
            match protocol {
                Protocol::Bluezone(profile) => {
                    filter.services.push(uuid_from_u16(profile.service));
                    filter.services.push(profile.ios_service);
                    filter.companies.push(profile.company);
                    filter.companies.push(bluezone::APPLE_COMPANY);
                }
                Protocol::Gaen(config) => {
                    filter.services.push(uuid_from_u16(config.service));
                    filter.data_services.push(uuid_from_u16(config.service));
                    filter.companies.extend(config.company);
                }
            }
        }
        filter
    }

    /// The service UUIDs of interest.
    pub fn services(&self) -> &[Uuid] {
        &self.services
    }

    /// The company identifiers of interest.
    pub fn companies(&self) -> &[u16] {
        &self.companies
    }

    /// Whether `frame` holds anything of interest.
    pub fn passes(&self, frame: &Advertisement) -> bool {
        frame.services().any(|uuid| self.services.contains(&uuid))
            || frame.structures().any(|structure| {
                let service = structure.as_service_data16();
                let company = structure.as_manufacturer_data();
                service.is_some_and(|(short, _)| self.services.contains(&uuid_from_u16(short)))
                    || company.is_some_and(|(company, _)| self.companies.contains(&company))
            })
    }

    /// Whether whoever reports `frame` for what it holds reports every identifier: service data if some are
    /// in that, and no company's beside it.
    #[cfg(feature = "ble")]
    pub(super) fn proves_patterns(&self, frame: &Advertisement) -> bool {
        let by_company = frame.structures().any(|structure| {
            let data = structure.as_manufacturer_data();
            data.is_some_and(|(company, _)| self.companies.contains(&company))
        });
        let mut services = self.data_services.iter().filter_map(|it| uuid_to_u16(*it));
        match self.data_services.is_empty() {
            true => by_company,
            false => !by_company && services.any(|it| frame.service_data16(it).is_some()),
        }
    }

    /// Whether there is anything of interest among parsed data.
    pub fn holds_any(
        &self,
        service_data: &HashMap<Uuid, Vec<u8>>,
        manufacturer_data: &HashMap<u16, Vec<u8>>,
    ) -> bool {
        let mut services = self.services.iter();
        let mut companies = self.companies.iter();
        services.any(|uuid| service_data.contains_key(uuid))
            || companies.any(|company| manufacturer_data.contains_key(company))
    }

    /// Puts a frame together from parsed pieces; `None` if nothing in them is of interest. A piece
    /// that does not fit into 31 bytes beside the more telling ones is left out: data comes before
    /// lists of services, whose presence it implies.
    ///
    /// Where there is no data but a service of interest, the one other 128-bit service UUID is kept, as
    /// it may be the identifier. If there are several, nobody can tell which it is (some systems report
    /// what a device has listed before as well), and none is kept.
    pub fn frame(
        &self,
        services: &[Uuid],
        service_data: &HashMap<Uuid, Vec<u8>>,
        manufacturer_data: &HashMap<u16, Vec<u8>>,
    ) -> Option<Advertisement> {
        let mut frame = Advertisement::new();
        let mut found = false;
        for uuid in &self.services {
            if let (Some(data), Some(short)) = (service_data.get(uuid), uuid_to_u16(*uuid)) {
                found |= frame.push_service_data16(short, data).is_ok();
            }
        }
        for company in &self.companies {
            if let Some(data) = manufacturer_data.get(company) {
                found |= frame.push_manufacturer_data(*company, data).is_ok();
            }
        }
        let marked = services
            .iter()
            .any(|uuid| uuid_to_u16(*uuid).is_some() && self.services.contains(uuid));
        if marked && !found {
            self.push_identifier(&mut frame, services);
        }
        for uuid in services.iter().filter(|uuid| self.services.contains(uuid)) {
            found |= match uuid_to_u16(*uuid) {
                Some(short) => frame.push_service_uuid16(short).is_ok(),
                None => frame.push_service_uuid128(*uuid).is_ok(),
            };
        }
        found.then_some(frame)
    }

    fn push_identifier(&self, frame: &mut Advertisement, services: &[Uuid]) {
        let mut unknown = services
            .iter()
            .filter(|uuid| uuid_to_u16(**uuid).is_none() && !self.services.contains(uuid));
        if let Some(uuid) = unknown.next()
            && unknown.all(|other| other == uuid)
        {
            // Nothing stands before it, so it fits.
            let _ = frame.push_service_uuid128(*uuid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::gaen;

    #[test]
    fn pieces_of_interest_are_put_together() {
        let filter = Filter::of(&[Protocol::bluezone(), Protocol::gaen()]);
        let gaen = uuid_from_u16(0xFD6F);
        let frame = filter
            .frame(
                &[uuid_from_u16(0x180F), gaen],
                &HashMap::from([(gaen, vec![9; 20]), (uuid_from_u16(0x180F), vec![1])]),
                &HashMap::from([(0x0059, vec![1; 9])]),
            )
            .unwrap();
        assert_eq!(frame.service_data16(0xFD6F), Some(&[9; 20][..]));
        assert!(frame.has_service(gaen));
        assert_eq!(frame.as_bytes().len(), 28);
    }

    #[cfg(feature = "ble")]
    #[test]
    fn what_proves_that_every_identifier_is_reported() {
        let mut gaen = Advertisement::new();
        gaen.push_service_data16(0xFD6F, &[9; 20]).unwrap();
        let mut company = Advertisement::new();
        company.push_manufacturer_data(0x22B5, &[1; 12]).unwrap();
        let mut both = company;
        both.push_service_data16(0xFD6F, &[9; 4]).unwrap();
        let proves = |protocols: &[Protocol]| {
            let filter = Filter::of(protocols);
            [&gaen, &company, &both].map(|frame| filter.proves_patterns(frame))
        };
        let all = [Protocol::bluezone(), Protocol::gaen()];
        assert_eq!(proves(&all), [true, false, false]);
        assert_eq!(proves(&all[..1]), [false, true, true]);
        assert_eq!(proves(&all[1..]), [true, false, true]);
    }

    #[test]
    fn nothing_of_interest_is_no_frame() {
        let filter = Filter::of(&[Protocol::gaen()]);
        let none = filter.frame(
            &[uuid_from_u16(0x4E56)],
            &HashMap::new(),
            &HashMap::from([(0x22B5, vec![1; 12])]),
        );
        assert_eq!(none, None);
    }

    #[test]
    fn pieces_too_long_for_a_frame_are_left_out() {
        let filter = Filter::of(&[Protocol::bluezone()]);
        let frame = filter.frame(
            &[uuid_from_u16(0x4E56)],
            &HashMap::new(),
            &HashMap::from([(0x004C, vec![0; 300]), (0x22B5, vec![1; 12])]),
        );
        assert_eq!(frame.unwrap().manufacturer_data(0x22B5), Some(&[1; 12][..]));
    }

    #[test]
    fn the_identifier_of_an_apple_device_is_kept() {
        let filter = Filter::of(&[Protocol::bluezone(), Protocol::gaen()]);
        let (marker, id) = (uuid_from_u16(0xFD6F), Uuid::from_u128(7 << 64 | 7));
        let put = |services: &[Uuid]| filter.frame(services, &HashMap::new(), &HashMap::new());
        for services in [&[marker, id][..], &[id, uuid_from_u16(0x180F), marker, id]] {
            let frame = put(services).unwrap();
            assert!(frame.has_service(id) && frame.has_service(marker));
            assert_eq!(frame.as_bytes().len(), 22);
            assert!(filter.passes(&frame));
        }
        assert_eq!(put(&[id]), None);
    }

    #[test]
    fn of_two_long_uuids_neither_is_the_identifier() {
        let filter = Filter::of(&[Protocol::gaen()]);
        let marker = uuid_from_u16(0xFD6F);
        let many: Vec<_> = (1..5_000).map(Uuid::from_u128).chain([marker]).collect();
        let frame = filter.frame(&many, &HashMap::new(), &HashMap::new());
        assert!(Protocol::gaen().parse(&frame.unwrap()).is_err());
    }

    #[test]
    fn a_long_uuid_beside_service_data_is_left_out() {
        let filter = Filter::of(&[Protocol::gaen()]);
        let marker = uuid_from_u16(0xFD6F);
        let frame = filter
            .frame(
                &[marker, Uuid::from_u128(7)],
                &HashMap::from([(marker, vec![9; 4])]),
                &HashMap::new(),
            )
            .unwrap();
        assert_eq!(frame.services().collect::<Vec<_>>(), [marker]);
    }

    #[test]
    fn gaen_under_a_company_passes_if_it_was_chosen() {
        let chosen = Filter::of(&[Protocol::Gaen(gaen::Config {
            company: Some(0xFFFF),
            ..gaen::Config::default()
        })]);
        let data = HashMap::from([(0xFFFF, vec![3; 20])]);
        let frame = chosen.frame(&[], &HashMap::new(), &data).unwrap();
        assert!(chosen.passes(&frame));
        let usual = Filter::of(&[Protocol::gaen()]);
        assert!(!usual.passes(&frame));
        assert_eq!(usual.frame(&[], &HashMap::new(), &data), None);
    }
}
