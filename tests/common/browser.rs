//! A browser to look at pages with: headless Chromium, driven by chromedriver over WebDriver.
//!
//! A test that cannot have it says so on stderr and passes; with `CUGRAD_REQUIRE_PEERS=1`, as in CI, it
//! fails.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use ureq::Agent;

/// A browser with one open page.
pub struct Browser {
    driver: Child,
    agent: Agent,
    /// The address of the session.
    session: String,
    _profile: TempDir,
}

/// A browser; None, and why is said, when there is none.
///
/// # Panics
/// When there is none and `CUGRAD_REQUIRE_PEERS` is 1.
pub fn browser() -> Option<Browser> {
    match Browser::start() {
        Ok(browser) => Some(browser),
        Err(why) => {
            let required = std::env::var_os("CUGRAD_REQUIRE_PEERS").is_some_and(|value| value == "1");
            assert!(!required, "CUGRAD_REQUIRE_PEERS is 1, but there is no browser: {why}");
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            writeln!(std::io::stderr(), "SKIPPED {test}: {why}").expect("stderr can be written");
            None
        }
    }
}

impl Browser {
    fn start() -> Result<Browser, String> {
        let help = "is not to be had; Debian has it as `apt-get install chromium chromium-driver`";
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("chromedriver {help} ({e})"))?;
        let said = BufReader::new(driver.stdout.take().expect("its output is a pipe"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let profile = TempDir::new().map_err(|e| e.to_string())?;
        let agent = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        // From here on the driver ends with the value, however this goes on.
        let mut browser = Browser { driver, agent, session: String::new(), _profile: profile };
        let port = port.ok_or("chromedriver does not say on which port it listens")?;
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        #[rustfmt::skip]
        let arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--no-proxy-server", &profile,
        ];
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let address = format!("http://127.0.0.1:{port}/session");
        let session = browser.post(&address, &asked).map_err(|why| format!("chromium {help} ({why})"))?;
        let id = session["sessionId"].as_str().ok_or("chromedriver gives no session")?;
        browser.session = format!("{address}/{id}");
        Ok(browser)
    }

    /// Opens a file.
    pub fn open(&self, page: &Path) {
        self.ask("url", &json!({ "url": format!("file://{}", page.display()) }));
    }

    /// Shows the page at this width, light or dark.
    pub fn show(&self, width: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let size = json!({ "width": width, "height": 812, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.control("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.control("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// The value of a script's `return`.
    pub fn evaluate(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the page has written to the console since this was last asked.
    pub fn console(&self) -> Vec<String> {
        let entries = self.ask("se/log", &json!({ "type": "browser" }));
        entries
            .as_array()
            .expect("a list of entries")
            .iter()
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// Writes a picture of the whole page.
    pub fn screenshot(&self, file: &Path) {
        let taken = self.control("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let bytes = BASE64_STANDARD.decode(taken["data"].as_str().expect("a picture")).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    fn control(&self, command: &str, parameters: Value) -> Value {
        self.ask("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn ask(&self, command: &str, body: &Value) -> Value {
        let address = format!("{}/{command}", self.session);
        self.post(&address, body).unwrap_or_else(|why| panic!("{command}: {why}"))
    }

    fn post(&self, address: &str, body: &Value) -> Result<Value, String> {
        let request = self.agent.post(address).header("content-type", "application/json");
        let mut response = request.send(body.to_string()).map_err(|e| e.to_string())?;
        let ok = response.status().is_success();
        let text =
            response.body_mut().with_config().limit(1 << 28).read_to_string().map_err(|e| e.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        if ok { Ok(answer["value"].clone()) } else { Err(answer["value"]["message"].to_string()) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Chromium ends with its session. If it does not answer, there is nothing more to do.
            let _ = self.agent.delete(&self.session).call();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
