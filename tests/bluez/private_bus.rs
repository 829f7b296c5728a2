//! A system bus of a test's own.
//!
//! libdbus finds the system bus by an environment variable, and a process that has threads must not
//! change its environment: so each test runs a second time in a child process that has it from birth.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// When a scenario is taken to hang. It waits for events and never for time to pass, so this is only how soon a failure
/// shows. Chosen: the storm of 50,000 addresses, the longest, takes two seconds optimised,
/// and has taken thirty unoptimised on two cores with eight programs to run.
const DEADLINE: Duration = Duration::from_secs(180);

/// Tells the child that it is one.
const CHILD: &str = "TRUYVET_TEST_BUS";

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:dir=DIRECTORY</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    POLICY
  </policy>
</busconfig>
"#;

/// The name of the test in which a scenario is written.
pub(crate) fn test_of<S>(_scenario: &S) -> &'static str {
    let path = std::any::type_name::<S>();
    let test = path.trim_end_matches("::{{closure}}");
    // The first step is the name of this program.
    test.split_once("::").unwrap().1
}

/// Runs `test` with a bus of its own, whose address `scenario` gets.
pub(crate) fn with_bus<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(String) -> F) {
    with_policy(test, "", scenario);
}

/// The same, and whoever is not named on the bus may not call BlueZ.
pub(crate) fn with_denying_bus<F: Future<Output = ()>>(
    test: &str,
    scenario: impl FnOnce(String) -> F,
) {
    with_policy(test, "<deny send_destination=\"org.bluez\"/>", scenario);
}

fn with_policy<F: Future<Output = ()>>(
    test: &str,
    policy: &str,
    scenario: impl FnOnce(String) -> F,
) {
    if is_child(scenario) {
        return;
    }
    match Daemon::start(policy) {
        Some(daemon) => run_child(test, &daemon.address),
        // Past the test harness, which shows of a test that passes nothing it prints.
        None => std::io::stderr()
            .write_all(format!("SKIPPED {test}: no dbus-daemon here\n").as_bytes())
            .unwrap(),
    }
}

/// Runs `test` as on a machine without a system bus.
pub(crate) fn without_bus<F: Future<Output = ()>>(test: &str, scenario: impl FnOnce(String) -> F) {
    if !is_child(scenario) {
        run_child(test, "unix:path=/nonexistent/system_bus_socket");
    }
}

fn is_child<F: Future<Output = ()>>(scenario: impl FnOnce(String) -> F) -> bool {
    let Ok(address) = std::env::var(CHILD) else {
        return false;
    };
    play(scenario(address));
    true
}

/// Plays a scenario on the system bus there is.
pub(crate) fn play(scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(DEADLINE, scenario).await })
        .expect("the scenario should end before its deadline");
}

fn run_child(test: &str, address: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, address)
        .env("DBUS_SYSTEM_BUS_ADDRESS", address)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    // No test by that name passes as well, and is no pass.
    let passed = output.status.success() && stdout.contains("1 passed");
    assert!(passed, "{test} failed in its child:\n{stdout}\n{stderr}");
    // Figures, for those who ask with `--nocapture`.
    print!("{stdout}");
    // bluez-async panics in a task of its own when signals cross the end of a stream (see the scanner).
    assert!(
        !stderr.contains("panicked at src/") && !stderr.contains("panicked at tests/"),
        "a task of ours panicked:\n{stderr}"
    );
}

struct Daemon {
    process: Child,
    address: String,
    _directory: TempDir,
}

impl Daemon {
    fn start(policy: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("bus.conf");
        let text = CONFIG.replace("DIRECTORY", directory.path().to_str().unwrap());
        let text = text.replace("POLICY", policy);
        std::fs::write(&config, text).unwrap();
        let mut process = Command::new("dbus-daemon")
            .arg("--nofork")
            .arg("--nopidfile")
            .arg("--print-address=1")
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            // It complains that it may not raise its limits.
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        assert!(!address.is_empty(), "dbus-daemon should print its address");
        Some(Self {
            process,
            address: address.trim().to_owned(),
            _directory: directory,
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
