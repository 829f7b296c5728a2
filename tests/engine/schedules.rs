//! Schedules, jitter, and what no schedule may bring about.

use proptest::prelude::*;
use truyvet::engine::DutyCycle;

use super::*;

/// The moments at which the scan is turned on, since the start.
fn scans(rig: &mut Rig, duration: Duration) -> Vec<Duration> {
    let begin = rig.clock.now().monotonic;
    let end = begin + duration;
    let mut at = Vec::new();
    while rig.clock.now().monotonic < end {
        let left = end - rig.clock.now().monotonic;
        let next = rig.engine.next_deadline().unwrap() - rig.clock.now().monotonic;
        let actions = rig.pass(next.min(left));
        if actions.iter().any(|it| matches!(it, Action::Scan(true))) {
            at.push(rig.clock.now().monotonic - begin);
            rig.engine.scan_result(rig.clock.now(), Ok(()));
        }
    }
    at
}

#[test]
fn gaen_scans_every_210_to_300_seconds_at_random() {
    let config = Config::new(Protocol::gaen()).schedule(Schedule::gaen());
    let (mut rig, _) = Rig::started(config.clone());
    let at = scans(&mut rig, s(36_000));
    let turns: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(turns.len() > 100, "{}", turns.len());
    assert!(turns.iter().all(|turn| (s(210)..s(300)).contains(turn)));
    let mean = turns.iter().sum::<Duration>() / turns.len() as u32;
    assert!((s(245)..s(265)).contains(&mean), "{mean:?}");
    // The same seed, the same jitter.
    let (mut again, _) = Rig::started(config);
    assert_eq!(scans(&mut again, s(36_000)), at);
}

#[test]
fn another_schedule_is_followed_at_once() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    assert!(scans(&mut rig, s(1_000)).is_empty());
    let now = rig.clock.now();
    rig.engine
        .set_schedule(now, Schedule::bluezone_background());
    assert_eq!(scans(&mut rig, s(700)), [s(300), s(600)]);
    // In its pause it is called back.
    rig.engine
        .set_schedule(rig.clock.now(), Schedule::continuous());
    rig.actions();
    rig.engine.scan_result(rig.clock.now(), Ok(()));
    assert_eq!(rig.engine.health().scanning.state, State::Working);
    assert!(scans(&mut rig, s(3_600)).is_empty());
}

#[test]
fn a_schedule_changed_in_a_pause_begins_with_its_time_on() {
    let schedule = Schedule::bluezone_background();
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()).schedule(schedule));
    rig.pass(s(50));
    assert_eq!(rig.engine.health().scanning.state, State::Resting);
    rig.engine
        .set_schedule(rig.clock.now(), Schedule::continuous());
    let actions = rig.actions();
    assert!(actions.iter().any(|it| matches!(it, Action::Scan(true))));
}

/// What happens to an engine, in any order.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Jump(i64),
    Schedule(usize),
    AdapterOff,
    AdapterReady,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..3_000).prop_map(Step::Pass),
        1 => (-90_000i64..90_000).prop_map(Step::Jump),
        1 => (0usize..5).prop_map(Step::Schedule),
        1 => Just(Step::AdapterOff),
        1 => Just(Step::AdapterReady),
        1 => Just(Step::Release),
    ]
}

fn schedule(number: usize) -> Schedule {
    let own = DutyCycle::periodic(s(7), s(1_000)).unwrap();
    [
        Schedule::continuous(),
        Schedule::bluezone_background(),
        Schedule::bluezone_foreground(),
        Schedule::gaen(),
        Schedule::new(own, own.jittered(s(500)).unwrap()),
    ][number]
}

/// A clock that is put right by less than what counts as a jump is followed all the same.
#[test]
fn the_identifier_ends_in_time_after_the_clock_went_a_little_ahead() {
    let (mut rig, first) = Rig::started(Config::new(Protocol::bluezone()));
    let Some(Action::Advertise { until, .. }) = first.iter().find(|action| advertises(action))
    else {
        panic!("{first:?}")
    };
    rig.pass(s(600));
    rig.clock.jump_to(rig.clock.now().wall.saturating_add(s(1)));
    rig.engine.tick(rig.clock.now());
    let changed = loop {
        let due = rig.engine.next_deadline().unwrap();
        rig.clock.advance(due - rig.clock.now().monotonic);
        rig.engine.tick(rig.clock.now());
        if rig.actions().iter().any(advertises) {
            break rig.clock.now().wall;
        }
    };
    assert_eq!(rig.engine.health().counters.clock_jumps, 0);
    assert_eq!(changed, *until);
}

fn advertises(action: &Action) -> bool {
    matches!(action, Action::Advertise { .. })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// An identifier is never advertised outside the time that is its own: in Bluezone its slot, in
    /// GAEN its interval and at most twenty minutes from its begin; and never once its key is released.
    #[test]
    fn identifiers_never_outlive_their_slot(
        gaen in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let protocol = if gaen { Protocol::gaen() } else { Protocol::bluezone() };
        let (mut rig, first) = Rig::started(Config::new(protocol.clone()));
        let mut on_air = OnAir { protocol, now: None, released: Vec::new() };
        on_air.follow(&first, &rig)?;
        for step in steps {
            match step {
                Step::Pass(seconds) => {
                    let end = rig.clock.now().monotonic + s(seconds);
                    while rig.clock.now().monotonic < end {
                        let now = rig.clock.now().monotonic;
                        let due = rig.engine.next_deadline().unwrap_or(end).clamp(now, end);
                        // What is on the air ends by itself, too: nobody is late for that.
                        rig.clock.advance(due - now);
                        on_air.check(&rig)?;
                        rig.engine.tick(rig.clock.now());
                        let actions = rig.actions();
                        on_air.follow(&actions, &rig)?;
                    }
                }
                Step::Jump(by_s) => {
                    let wall = rig.clock.now().wall;
                    let ahead = s(by_s.unsigned_abs());
                    let wall = if by_s < 0 { wall.saturating_sub(ahead) } else { wall.saturating_add(ahead) };
                    rig.clock.jump_to(wall);
                    rig.engine.tick(rig.clock.now());
                }
                Step::Schedule(number) => rig.engine.set_schedule(rig.clock.now(), schedule(number)),
                Step::AdapterOff => {
                    on_air.now = None;
                    rig.engine.adapter(rig.clock.now(), AdapterState::Off);
                }
                Step::AdapterReady => rig.engine.adapter(rig.clock.now(), AdapterState::Ready),
                Step::Release => {
                    let today = rig.clock.now().wall.utc_day();
                    for key in rig.engine.release(rig.clock.now(), [today]) {
                        key.for_each_candidate(|candidate| on_air.released.push(candidate.id));
                    }
                }
            }
            let actions = rig.actions();
            on_air.follow(&actions, &rig)?;
        }
    }
}

/// What is advertised, if everything is done at once.
struct OnAir {
    protocol: Protocol,
    now: Option<(EphemeralId, Timestamp, Timestamp)>,
    released: Vec<EphemeralId>,
}

impl OnAir {
    fn follow(&mut self, actions: &[Action], rig: &Rig) -> Result<(), TestCaseError> {
        let wall = rig.clock.now().wall;
        for action in actions {
            match action {
                Action::Advertise { frame, until } => {
                    let id = identifier(&self.protocol, frame);
                    prop_assert!(!self.released.contains(&id), "released and advertised");
                    prop_assert!(*until > wall, "over before it begins");
                    let slot = self.protocol.kind().slot_at(wall);
                    let longest = match self.protocol {
                        Protocol::Gaen(_) => slot.end.saturating_add(s(1_200)),
                        _ => slot.end,
                    };
                    prop_assert!(*until <= longest, "longer than its slot");
                    self.now = Some((id, wall, *until));
                }
                Action::StopAdvertising => self.now = None,
                _ => {}
            }
        }
        Ok(())
    }

    fn check(&mut self, rig: &Rig) -> Result<(), TestCaseError> {
        let wall = rig.clock.now().wall;
        if let Some((_, _, until)) = self.now {
            // The clocks' grain is a millisecond.
            let late = wall.since(until);
            prop_assert!(
                late <= Duration::from_millis(1),
                "on the air {late:?} after its end"
            );
        }
        Ok(())
    }
}

#[test]
fn a_neighbour_does_not_leave_while_nobody_listens() {
    let config = Config::new(Protocol::bluezone()).schedule(Schedule::bluezone_background());
    let (mut rig, _) = Rig::started(config);
    let neighbour = bluezone_frame(9);
    let mut actions = Vec::new();
    for _ in 0..3 {
        for _ in 0..40 {
            rig.engine.heard(rig.clock.now(), &neighbour, None);
            actions.extend(rig.pass(s(1)));
        }
        actions.extend(rig.pass(s(260)));
    }
    let count = |wanted: fn(&Event) -> bool| {
        let told = |action: &&Action| matches!(action, Action::Tell(event) if wanted(event));
        actions.iter().filter(told).count()
    };
    assert_eq!(
        count(|event| matches!(event, Event::NeighbourAppeared { .. })),
        1
    );
    assert_eq!(
        count(|event| matches!(event, Event::NeighbourLeft { .. })),
        0
    );
    // Pauses that the schedule wants are no news.
    assert_eq!(count(|event| matches!(event, Event::Health(_))), 0);
}

#[test]
fn a_schedule_turns_the_radio_on_and_off() {
    let config = Config::new(Protocol::bluezone()).schedule(Schedule::bluezone_background());
    let (mut rig, _) = Rig::started(config);
    let actions = rig.pass(s(600));
    let count = |wanted: fn(&Action) -> bool| actions.iter().filter(|a| wanted(a)).count();
    assert_eq!(count(|action| matches!(action, Action::Scan(true))), 2);
    assert_eq!(count(|action| matches!(action, Action::Scan(false))), 2);
    assert_eq!(
        count(|action| matches!(action, Action::StopAdvertising)),
        20
    );
    // A frame every thirty seconds, but the identifier has not changed.
    assert_eq!(frames(&actions).len(), 20);
    assert_eq!(
        count(|action| matches!(action, Action::Tell(Event::Rotated { .. }))),
        0
    );
}
