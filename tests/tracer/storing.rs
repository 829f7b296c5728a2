//! Logs that fail, and what is lost by it.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_dropped_tracer_stores_what_it_held() {
    let (dirs, tracer, other) = side_by_side().await;
    let mut events = tracer.events();
    tokio::time::sleep(Duration::from_secs(10)).await;
    drop(tracer);
    while events.next().await.is_some() {}
    assert_eq!(stored(dirs[0].path()).len(), 1);
    other.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_owner_enters_is_stored_beside_what_is_heard() {
    let (dirs, tracer, other) = side_by_side().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let entry = |bytes| LogEntry {
        at: START,
        kind: EntryKind::HealthDeclaration,
        bytes,
    };
    tracer.append_entry(entry(vec![1])).await.unwrap();
    let long = vec![0; LogEntry::BYTES_MAX + 1];
    let refused = tracer.append_entry(entry(long)).await;
    assert!(
        matches!(
            refused,
            Err(TracerError::Log(LogError::EntryTooLong { len: 16_385 }))
        ),
        "{refused:?}"
    );
    // On the disk by now, and not only once the tracer has ended.
    let reader = tracer.log_reader().unwrap();
    let entries: Vec<LogEntry> = reader.entries().unwrap().map(Result::unwrap).collect();
    assert_eq!(entries, [entry(vec![1])]);
    tracer.stop().await.unwrap();
    other.stop().await.unwrap();
    assert!(!stored(dirs[0].path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_is_told_and_loses_nothing_if_it_recovers() {
    let root = tempfile::tempdir().unwrap();
    let (home, away) = (root.path().join("log"), root.path().join("away"));
    let dir = tempfile::tempdir().unwrap();
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let other = start(dir.path(), &air, &devices[1], Protocol::gaen(), 2).await;
    let tracer = start(&home, &air, &devices[0], Protocol::gaen(), 1).await;
    let mut events = tracer.events();
    let working = |event: &Event| matches!(event, Event::Health(health) if health.log.state == State::Working);
    wait_for(&mut events, working).await;
    // The segment is not made before the first batch, so its directory can be taken away.
    std::fs::rename(&home, &away).unwrap();
    let failing = |event: &Event| matches!(event, Event::Health(health) if matches!(health.log.state, State::Failing(_)));
    wait_for(&mut events, failing).await;
    std::fs::rename(&away, &home).unwrap();
    wait_for(&mut events, working).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let sightings = tracer.health().counters.sightings;
    tracer.stop().await.unwrap();
    other.stop().await.unwrap();
    let found = stored(&home);
    assert!(found.len() as u64 >= sightings);
    let covered = found.last().unwrap().last.since(found[0].first);
    assert!(covered >= Duration::from_secs(300), "{covered:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_stays_broken_is_an_error_at_the_end() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("log");
    let dir = tempfile::tempdir().unwrap();
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let other = start(dir.path(), &air, &devices[1], Protocol::gaen(), 2).await;
    let tracer = start(&home, &air, &devices[0], Protocol::gaen(), 1).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    std::fs::remove_dir_all(&home).unwrap();
    let error = tracer.stop().await.unwrap_err();
    assert!(
        matches!(error, TracerError::NotStored { sightings: 1, .. }),
        "{error}"
    );
    other.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_are_not_given_out_if_the_log_cannot_record_it() {
    let root = tempfile::tempdir().unwrap();
    let (home, away) = (root.path().join("log"), root.path().join("away"));
    let air = air();
    let tracer = start(&home, &air, &air.place(0.0, 0.0), Protocol::gaen(), 1).await;
    let mut events = tracer.events();
    wait_for(&mut events, |event| matches!(event, Event::Rotated { .. })).await;
    std::fs::rename(&home, &away).unwrap();
    let today = START.utc_day();
    let error = tracer.release([today]).await.unwrap_err();
    assert!(matches!(error, TracerError::NotReleased), "{error}");
    std::fs::rename(&away, &home).unwrap();
    assert_eq!(release_today(&tracer).await.len(), 1);
    tracer.stop().await.unwrap();
    let keys = LogReader::open(&home, &key()).unwrap().own_keys().unwrap();
    assert!(keys[0].is_released());
}

#[tokio::test(start_paused = true)]
async fn a_day_that_cannot_be_stored_does_not_hold_the_others_up() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let start_time = Timestamp::from_unix_millis(START.utc_day().end().unix_millis() - 600_000);
    let air = Air::new(
        AirConfig::default(),
        Arc::new(SimulatedClock::new(start_time, 1)),
    );
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let other = start(dirs[1].path(), &air, &devices[1], Protocol::gaen(), 2).await;
    let tracer = start(dirs[0].path(), &air, &devices[0], Protocol::gaen(), 1).await;
    // Every number that a segment of the day can have.
    for number in 0..1_000 {
        let taken = format!("2020-08-08.{number:04}.segment");
        std::fs::write(dirs[0].path().join(taken), []).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    other.stop().await.unwrap();
    let error = tracer.stop().await.unwrap_err();
    assert!(matches!(error, TracerError::NotStored { .. }), "{error}");
    let days: HashSet<_> = stored(dirs[0].path())
        .iter()
        .map(|s| s.first.utc_day())
        .collect();
    assert_eq!(days, HashSet::from([start_time.utc_day().end().utc_day()]));
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_cannot_be_deleted_is_told_until_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let air = air();
    drop(EncounterLog::open(dir.path(), key()).unwrap());
    let expired = dir.path().join("2020-07-01.0000.segment");
    std::fs::create_dir(&expired).unwrap();
    let tracer = start(dir.path(), &air, &air.place(0.0, 0.0), Protocol::gaen(), 1).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let state = tracer.health().log.state;
    assert!(
        matches!(&state, State::Failing(why) if why.contains("2020-07-01")),
        "{state}"
    );
    // What is in its way goes away: a file can be deleted.
    std::fs::remove_dir(&expired).unwrap();
    std::fs::write(&expired, []).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(tracer.health().log.state, State::Working);
    assert!(!expired.exists());
    tracer.stop().await.unwrap();
}
