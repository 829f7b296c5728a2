//! A real browser, driven over WebDriver. What needs it is skipped, loudly, where there is no chromedriver.

#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use ureq::Agent;

/// Where WebDriver hides an element's name.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    agent: Agent,
    /// Where the session is.
    session: String,
}

impl Browser {
    /// Started, in a light or a dark scheme; `None`, and a word about it, without a chromedriver.
    pub(crate) fn start(dark: bool) -> Option<Self> {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut driver) = driver else {
            eprintln!(
                "SKIPPED: no chromedriver: the page was not seen in a browser (Debian: chromium-driver)"
            );
            return None;
        };
        let started = "started successfully on port ";
        let port = BufReader::new(driver.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(started)?.1.trim_end_matches('.').to_owned()))
            .unwrap();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        let mut browser = Self {
            driver,
            agent: config.into(),
            session: format!("http://127.0.0.1:{port}/session"),
        };
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--lang=vi",
        ];
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = browser.post("", &asked);
        let id = answer["sessionId"].as_str().expect("a session");
        browser.session = format!("{}/{id}", browser.session);
        let scheme = if dark { "dark" } else { "light" };
        browser.developer(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        Some(browser)
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let url = format!("{}{command}", self.session);
        let request = self.agent.post(&url).content_type("application/json");
        let mut answer = request.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_vec().unwrap();
        let mut value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(answer.status(), 200, "{command}: {value}");
        value["value"].take()
    }

    /// What only Chromium knows.
    fn developer(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", &body);
    }

    /// Goes to `url`, and waits until it is there.
    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// What `script` returns within the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits, within the page, until `condition` holds.
    pub(crate) fn until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0]; const look = () => ({condition}) ? done(true) : setTimeout(look, 50); look();"
        );
        self.post("/execute/async", &json!({ "script": script, "args": [] }));
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.post("/element", &wanted);
        let id = found[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{id}/value"), &json!({ "text": text }));
    }

    /// Keeps what is seen beneath the build's folder, to be looked at.
    pub(crate) fn picture(&self, name: &str) -> PathBuf {
        let mut answer = self
            .agent
            .get(format!("{}/screenshot", self.session))
            .call()
            .unwrap();
        let answer = answer.body_mut().read_to_vec().unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let png = answer["value"].as_str().unwrap();
        let file =
            option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let file = file.join(format!("page-{name}.png"));
        fs::write(&file, BASE64.decode(png.as_bytes()).unwrap()).unwrap();
        file
    }

    /// As if the screen were so large.
    pub(crate) fn size(&self, width: u32, height: u32) {
        self.developer(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// Nothing sticks out to the right.
    pub(crate) fn assert_narrow(&self) {
        let page = "document.documentElement";
        let script = format!("return {page}.scrollWidth - {page}.clientWidth");
        assert_eq!(self.run(&script), 0);
    }

    /// Each picture is there, its words are within it, large enough, and none lies on another.
    pub(crate) fn assert_drawn(&self, name: &str, at_least: u64) {
        self.assert_narrow();
        let pictures = self.run("return document.querySelectorAll('svg').length");
        assert!(
            pictures.as_u64().unwrap() >= at_least,
            "{name}: {pictures} pictures"
        );
        let wrong = self.run(
        "const wrong = [];
         for (const svg of document.querySelectorAll('svg')) {
           const label = svg.getAttribute('aria-label'), box = svg.getBoundingClientRect();
           if (!label || box.width < 200 || box.height < 50) wrong.push(`${label}: ${box.width} x ${box.height}`);
           const words = [...svg.querySelectorAll('text')];
           const boxes = words.map(word => word.getBoundingClientRect());
           boxes.forEach((one, i) => {
             const text = `${label}: ${words[i].textContent}`;
             if (one.left < box.left - 1 || one.right > box.right + 1 || one.right > innerWidth) wrong.push(`${text} sticks out`);
             if (one.height < 11) wrong.push(`${text} is ${one.height} px high`);
             boxes.slice(i + 1).forEach((other, j) => {
               const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
               const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
               if (wide > 1 && high > 4) wrong.push(`${text} lies on ${words[i + 1 + j].textContent}`);
             });
           });
         }
         const ink = getComputedStyle(document.body);
         if (ink.color === ink.backgroundColor) wrong.push('no ink');
         if (performance.getEntriesByType('resource').length) wrong.push('something is fetched');
         return wrong;",
    );
        assert_eq!(wrong, Value::Array(Vec::new()), "{name}");
    }

    /// Opens `url` as wide as a desk and as a phone, what is folded away unfolded, and looks at its pictures.
    pub(crate) fn assert_drawn_everywhere(&self, url: &str, name: &str, at_least: u64) {
        for (width, height, screen) in [(1_200, 2_400, "wide"), (390, 5_600, "phone")] {
            self.size(width, height);
            self.open(url);
            self.run(
                "for (const folded of document.querySelectorAll('details')) folded.open = true",
            );
            let name = format!("{name}-{screen}");
            self.assert_drawn(&name, at_least);
            println!("{}", self.picture(&name).display());
        }
        self.assert_quiet(&[]);
    }

    /// The browser had nothing to complain of, above all nothing that the policy forbids, but what has one of
    /// `expected` in it.
    pub(crate) fn assert_quiet(&self, expected: &[&str]) {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        let complaints = log.as_array().unwrap().iter();
        let unexpected: Vec<_> = complaints
            .filter_map(|entry| entry["message"].as_str())
            .filter(|message| !expected.iter().any(|it| message.contains(it)))
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session.
        self.agent.delete(&self.session).call().ok();
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
