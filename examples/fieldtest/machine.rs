//! What the system tells of the machine: Linux's files; elsewhere, nothing.

use std::fs;
use std::path::Path;

use truyvet::field::sightings::DeviceState;

/// Its maker and model.
pub(crate) fn model() -> String {
    let tell = |name: &str| line(Path::new("/sys/class/dmi/id").join(name).as_path());
    match (tell("sys_vendor"), tell("product_name")) {
        (Some(maker), Some(model)) => format!("{maker} {model}"),
        (_, model) => model.unwrap_or_else(|| "unknown".to_owned()),
    }
}

/// Its system's version.
pub(crate) fn system_version() -> String {
    line(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_else(|| "unknown".to_owned())
}

/// Its battery.
pub(crate) fn state() -> DeviceState {
    let mut state = DeviceState::default();
    let supplies = fs::read_dir("/sys/class/power_supply");
    for supply in supplies.into_iter().flatten().flatten() {
        let tell = |name: &str| line(&supply.path().join(name));
        // That of a mouse is a battery, too.
        if tell("type").as_deref() == Some("Battery")
            && tell("scope").as_deref() != Some("Device")
            && let Some(percent) = tell("capacity").and_then(|it| it.parse().ok())
        {
            state.battery_percent = Some(percent);
            state.external_power = Some(tell("status").as_deref() != Some("Discharging"));
            break;
        }
    }
    state
}

/// Ticks of a second in what the kernel tells programs: USER_HZ, which is 100 on every system that Rust's standard library
/// is built for.
const TICKS_PER_SECOND: u64 = 100;

/// The processor time of this process, milliseconds: fields 14 and 15 of its stat (proc_pid_stat(5)), those of threads that
/// have ended among it.
pub(crate) fn cpu_ms() -> Option<u64> {
    let text = line(Path::new("/proc/self/stat"))?;
    // The second field is a name, with whatever is in it.
    let (_, after) = text.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) * 1_000 / TICKS_PER_SECOND)
}

fn line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
