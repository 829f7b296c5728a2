//! Seeds of field tests: Herald's lines as its phones wrote them, and ours.

use super::{Failure, Seeds};

/// Behind the byte that says which: contacts 0, a detection 1, a battery 2, lines of ours 3.
pub fn files() -> Result<Seeds, Failure> {
    let mut seeds = Seeds::new();
    let mut add = |name: &str, what: u8, text: &str| {
        drop(seeds.insert(name.to_owned(), [&[what], text.as_bytes()].concat()));
    };
    let header = "time,sensor,id,detect,read,measure,share,visit,data\n";
    let lines = [
        ("detect", "2020-12-08 22:55:02,BLE,6B5BFE4E,1,,,,,"),
        ("read", "2020-12-08 22:55:02,BLE,6B5BFE4E,,2,,,,EVoqIA"),
        (
            "measure",
            "2020-12-08 22:55:00,BLE,78:68:06:DE:ED:7F,,,3,,,RSSI:-31.0",
        ),
        (
            "measure with power",
            "2020-12-08 22:55:00,BLE,78:57:AF:DB:E2:3A,,,3,,,RSSI:-78.0[BLETransmitPower:12.0]",
        ),
        ("share", "2020-12-08 22:55:02,BLE,D74D2A62,,,,4,,aq0oUQ"),
        (
            "quoted",
            "2020-12-08 22:55:02,BLE,\"D7,4D\",,,,4,,\"a\"\"q\"",
        ),
        (
            "milliseconds",
            "2020-12-08 22:55:02.125,BLE,D74D2A62,1,,,,,",
        ),
    ];
    for (name, line) in lines {
        add(name, 0, &format!("{header}{line}\n"));
    }
    let all: Vec<&str> = lines.iter().map(|(_, line)| *line).collect();
    add(
        "all",
        0,
        &format!("{header}{}\n2020-12-08 22:5", all.join("\r\n")),
    );
    let later = header.replace("visit,", "visit,detectHerald,delete,");
    add(
        "later",
        0,
        &format!("{later}2021-03-22 10:00:00,BLE,AA,,,3,,,,,RSSI:-60.0\n"),
    );
    add("detection", 1, "SM-A202F,Android,29,EVoqIA,AayC8A,I3bFYw\n");
    add(
        "battery",
        2,
        "time,source,level\n2020-12-08 22:55:17,battery,92.0\n2020-12-08 22:55:47,external,92.5\n",
    );
    add(
        "lines",
        3,
        "{\"kind\":\"frame\",\"at\":1234,\"identifier\":\"0123456789abcdef\",\"protocol\":\"Gaen\",\"source\":\"ServiceData\",\"rssi\":-60}\n\
         {\"kind\":\"state\",\"at\":1234,\"cpu_ms\":14,\"battery_percent\":90.5,\"scanning\":true,\"advertising\":true,\
         \"lost\":{\"dropped\":0,\"missed\":1,\"malformed\":2,\"unread\":3,\"unwritten\":4}}\n",
    );
    Ok(seeds)
}
