//! The health worker's page in a real browser, driven over WebDriver. Skipped, loudly, where there is no chromedriver.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use data_encoding::BASE64;
use serde_json::{Value, json};
use truyvet::time::{Clock, SystemClock};

use crate::device::{keys, prepare};
use crate::process::{Http, Process};

/// Where WebDriver hides an element's name.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
struct Browser {
    driver: Child,
    http: Http,
    session: String,
}

impl Browser {
    fn start(dark: bool) -> Option<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let lines = BufReader::new(driver.stdout.take()?).lines();
        let started = "started successfully on port ";
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(started)?.1.trim_end_matches('.').to_owned()))?;
        let http = Http::new(format!("http://127.0.0.1:{port}"), String::new());
        let mut args = vec![
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--lang=vi",
        ];
        if dark {
            args.push("--force-dark-mode");
        }
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let (_, answer) = http.post_json("/session", &asked).unwrap();
        let session = answer["value"]["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        Some(Self {
            driver,
            http,
            session,
        })
    }

    fn do_it(&self, command: &str, body: Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        let (status, mut answer) = self.http.post_json(&path, &body).unwrap();
        assert_eq!(status, 200, "{command}: {answer}");
        answer["value"].take()
    }

    fn run(&self, script: &str) -> Value {
        self.do_it("execute/sync", json!({ "script": script, "args": [] }))
    }

    /// Waits, within the page, until `condition` holds.
    fn until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0]; const look = () => ({condition}) ? done(true) : setTimeout(look, 50); look();"
        );
        self.do_it("execute/async", json!({ "script": script, "args": [] }));
    }

    fn type_into(&self, selector: &str, text: &str) {
        let found = self.do_it(
            "element",
            json!({ "using": "css selector", "value": selector }),
        );
        let id = found[ELEMENT].as_str().unwrap();
        self.do_it(&format!("element/{id}/value"), json!({ "text": text }));
    }

    /// Keeps what is seen beneath the build's folder, to be looked at.
    fn picture(&self, name: &str) -> PathBuf {
        let path = format!("/session/{}/screenshot", self.session);
        let (_, answer) = self.http.get(&path).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let png = BASE64
            .decode(answer["value"].as_str().unwrap().as_bytes())
            .unwrap();
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}.png"));
        fs::write(&file, png).unwrap();
        file
    }

    fn size(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height });
        self.do_it("goog/cdp/execute", json!({
            "cmd": "Emulation.setDeviceMetricsOverride",
            "params": { "width": size["width"], "height": size["height"], "deviceScaleFactor": 1, "mobile": false },
        }));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session.
        let path = format!("{}/session/{}", self.http.base, self.session);
        ureq::delete(path).call().ok();
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

/// A browser, or none and a word about it.
fn browser(dark: bool) -> Option<Browser> {
    let browser = Browser::start(dark);
    if browser.is_none() {
        eprintln!(
            "SKIPPED: no chromedriver: the page was not seen in a browser (Debian: chromium-driver)"
        );
    }
    browser
}

#[test]
fn a_health_worker_issues_a_code_and_sees_it_used() {
    let Some(browser) = browser(false) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let service = Process::start(folder.path(), 0, 20);
    browser.size(390, 844);
    browser.do_it(
        "url",
        json!({ "url": format!("{}/?lang=en", service.http.base) }),
    );

    // With the keyboard alone: the token, then on with Tab, and Enter.
    browser.type_into("#token", "wrong\n");
    browser.until("document.querySelector('#problem').textContent !== ''");
    let problem = browser.run("return document.querySelector('#problem').textContent");
    assert_eq!(problem, "The staff token is not right.");
    browser.run("document.querySelector('#token').value = ''");
    browser.type_into("#token", &format!("{}\n", service.http.token));
    browser.until("document.querySelector('.card.unused .code')");
    let code = browser.run("return document.querySelector('.code').textContent");
    let code = code.as_str().unwrap().to_owned();
    let left = browser.run("return document.querySelector('.left').textContent");
    assert!(
        left.as_str().unwrap().ends_with(":00 left") || left.as_str().unwrap().starts_with("23:59"),
        "{left}"
    );
    println!("{}", browser.picture("phone-light").display());
    assert_narrow(&browser);

    let now = SystemClock::default().now().wall;
    let prepared = prepare(keys(1, now.utc_day(), 3), now);
    let to = service.http.envelope_key().unwrap();
    let exchange = prepared.code_exchange(&code.parse().unwrap(), &to).unwrap();
    service.http.message(&exchange).unwrap();
    browser.until("document.querySelector('.card.used')");
    let card = browser.run("return document.querySelector('.card').innerText");
    assert_eq!(card, "Used", "the code is gone from the screen");
    println!("{}", browser.picture("phone-used").display());
    let stored =
        browser.run("return localStorage.length + sessionStorage.length + document.cookie.length");
    assert_eq!(stored, 0);
    assert_quiet(&browser);
}

#[test]
fn the_page_is_there_in_both_languages_dark_and_wide() {
    let Some(browser) = browser(true) else { return };
    let folder = tempfile::tempdir().unwrap();
    let service = Process::start(folder.path(), 0, 20);
    for (name, language, width) in [("vi-dark", "vi", 1280), ("en-dark", "en", 360)] {
        browser.size(width, 900);
        browser.do_it(
            "goog/cdp/execute",
            json!({
                "cmd": "Emulation.setEmulatedMedia",
                "params": { "features": [{ "name": "prefers-color-scheme", "value": "dark" }] },
            }),
        );
        browser.do_it(
            "url",
            json!({ "url": format!("{}/?lang={language}", service.http.base) }),
        );
        assert_eq!(
            browser.run("return document.documentElement.lang"),
            language
        );
        browser.type_into("#token", &format!("{}\n", service.http.token));
        browser.until("document.querySelector('.card.unused .code')");
        println!("{}", browser.picture(name).display());
        assert_narrow(&browser);
        // Each field has its label, and the keyboard reaches all.
        let unlabelled = "return [...document.querySelectorAll('input, select')].filter(e => !e.labels.length).length";
        assert_eq!(browser.run(unlabelled), 0);
    }
    assert_quiet(&browser);
}

/// Nothing sticks out to the right.
fn assert_narrow(browser: &Browser) {
    let script =
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.run(script), 0);
}

/// The browser had nothing to complain of: above all nothing that the policy forbids. The one refusal is ours.
fn assert_quiet(browser: &Browser) {
    let log = browser.do_it("se/log", json!({ "type": "browser" }));
    let complaints = log.as_array().unwrap().iter();
    let unexpected: Vec<_> = complaints
        .filter_map(|entry| entry["message"].as_str())
        .filter(|message| !message.contains("401"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}
