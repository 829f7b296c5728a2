//! The health worker's page in a real browser. Skipped, loudly, where there is no chromedriver.

use truyvet::time::{Clock, SystemClock};

use crate::browser::Browser;
use crate::device::{keys, prepare};
use crate::process::Process;

#[test]
fn a_health_worker_issues_a_code_and_sees_it_used() {
    let Some(browser) = Browser::start(false) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let service = Process::start(folder.path(), 0, 20);
    browser.size(390, 844);
    browser.open(&format!("{}/?lang=en", service.http.base));

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
    browser.assert_narrow();

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
    // The one refusal is of the wrong token.
    browser.assert_quiet(&["401"]);
}

#[test]
fn the_page_is_there_in_both_languages_dark_and_wide() {
    let Some(browser) = Browser::start(true) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let service = Process::start(folder.path(), 0, 20);
    for (name, language, width) in [("vi-dark", "vi", 1280), ("en-dark", "en", 360)] {
        browser.size(width, 900);
        browser.open(&format!("{}/?lang={language}", service.http.base));
        assert_eq!(
            browser.run("return document.documentElement.lang"),
            language
        );
        browser.type_into("#token", &format!("{}\n", service.http.token));
        browser.until("document.querySelector('.card.unused .code')");
        println!("{}", browser.picture(name).display());
        browser.assert_narrow();
        // Each field has its label, and the keyboard reaches all.
        let unlabelled = "return [...document.querySelectorAll('input, select')].filter(e => !e.labels.length).length";
        assert_eq!(browser.run(unlabelled), 0);
    }
    browser.assert_quiet(&[]);
}
