//! Attackers, what a device takes, and what was assumed.

use std::fmt::{self, Write};

use truyvet::sim::{AttackOutcome, Cost, Parameter, World};

use super::adoption;
use super::chart::grouped;
use crate::support::Escaped;
use crate::terminal::round;

pub(super) fn attacks(out: &mut String, attacks: &[AttackOutcome]) -> fmt::Result {
    if attacks.is_empty() {
        return Ok(());
    }
    write!(out, "<h2>Attackers</h2><div class=\"cards\">")?;
    for attack in attacks {
        let (class, verdict) = match attack.holds {
            true => ("good", "✓ The library holds"),
            false => ("bad", "✗ The library does not hold"),
        };
        write!(
            out,
            "<div class=\"card\"><h3>{}</h3><p>{}</p><p class=\"verdict {class}\">{verdict}</p>\
             <p>{}: <b>{}</b>, against {}</p></div>",
            Escaped(&attack.name),
            Escaped(&attack.what),
            Escaped(&attack.measure),
            round(attack.achieved),
            round(attack.baseline)
        )?;
    }
    write!(out, "</div>")
}

/// A figure of a device's day, in text.
type Told = fn(&Cost) -> String;

pub(super) fn cost(out: &mut String, worlds: &[World]) -> fmt::Result {
    let traced = || worlds.iter().filter(|world| world.tracing);
    if traced().next().is_none() {
        return Ok(());
    }
    write!(
        out,
        "<h2>What a device takes in a day</h2><div class=\"wide\"><table><thead><tr><th>who use the app</th>"
    )?;
    for world in traced() {
        write!(out, "<th>{}</th>", adoption(world))?;
    }
    write!(out, "</tr></thead>")?;
    let rows: [(&str, Told); 5] = [
        ("log", |cost| bytes(cost.log_bytes)),
        ("frames heard", |cost| grouped(cost.frames.round() as u64)),
        ("sightings stored", |cost| {
            grouped(cost.sightings.round() as u64)
        }),
        ("keys read", |cost| bytes(cost.download_bytes)),
        ("radio, mAh", |cost| format!("{:.1}", cost.radio_mah)),
    ];
    for (name, of) in rows {
        write!(out, "<tr><td>{name}</td>")?;
        for world in traced() {
            write!(out, "<td>{}</td>", of(&world.cost))?;
        }
        write!(out, "</tr>")?;
    }
    write!(
        out,
        "</table></div><p class=\"small\">The radio is one of one chip, without its processor: a phone takes far more.</p>"
    )
}

fn bytes(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1_000.0 => format!("{bytes:.0} B"),
        bytes if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        bytes => format!("{:.1} MB", bytes / 1e6),
    }
}

pub(super) fn parameters(out: &mut String, parameters: &[Parameter]) -> fmt::Result {
    write!(
        out,
        "<details><summary>What was assumed, and where it is from</summary><table class=\"words\"><thead><tr><th>parameter\
         </th><th>value</th><th>source</th></tr></thead>"
    )?;
    for parameter in parameters {
        write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(&parameter.name),
            Escaped(&parameter.value),
            Escaped(&parameter.source)
        )?;
    }
    write!(out, "</table></details>")
}
