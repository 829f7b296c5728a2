//! The service as a process of its own, and HTTP to it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use truyvet::report::sealed::AuthorityPublicKey;
use ureq::Agent;

/// A running service.
pub(crate) struct Process {
    child: Child,
    pub(crate) http: Http,
}

impl Process {
    /// Starts it with everything beneath `data`, its clock ahead by so many hours.
    pub(crate) fn start(data: &Path, ahead_hours: u32, answer_grid_ms: u32) -> Self {
        Self::start_on(data, ahead_hours, answer_grid_ms, None)
    }

    /// [`Self::start`], kept to a processor.
    pub(crate) fn start_on(
        data: &Path,
        ahead_hours: u32,
        answer_grid_ms: u32,
        processor: Option<&str>,
    ) -> Self {
        let authority = env!("CARGO_BIN_EXE_authority");
        let mut command = match processor {
            None => Command::new(authority),
            Some(processor) => {
                let mut command = Command::new("taskset");
                command.args(["-c", processor, authority]);
                command
            }
        };
        let mut child = command
            .args([
                "--listen",
                "127.0.0.1:0",
                "--publish-minutes",
                "0",
                "--demonstration",
            ])
            .args(["--clock-ahead-hours", &ahead_hours.to_string()])
            .args(["--answer-grid-ms", &answer_grid_ms.to_string()])
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("it says where it listens").unwrap();
        let base = first.strip_prefix("listening on ").unwrap().to_owned();
        let token = fs::read_to_string(data.join("keys/staff-token")).unwrap();
        let http = Http::new(base, token.trim().to_owned());
        Self { child, http }
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// As the power company does it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As a service manager does it.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// HTTP to a service. Every call may find it killed.
#[derive(Clone)]
pub(crate) struct Http {
    agent: Agent,
    pub(crate) base: String,
    pub(crate) token: String,
}

pub(crate) type Answered = Result<(u16, Vec<u8>), ureq::Error>;

impl Http {
    pub(crate) fn new(base: String, token: String) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        Self {
            agent: config.into(),
            base,
            token,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answered {
        let request = self.agent.get(format!("{}{path}", self.base));
        let bearer = format!("Bearer {}", self.token);
        let mut response = request.header("Authorization", bearer).call()?;
        let body = response
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_vec()?;
        Ok((response.status().as_u16(), body))
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answered {
        let request = self.agent.post(format!("{}{path}", self.base));
        let bearer = format!("Bearer {}", self.token);
        let request = request.header("Authorization", bearer);
        let mut response = request.header("Content-Type", content_type).send(body)?;
        let body = response.body_mut().read_to_vec()?;
        Ok((response.status().as_u16(), body))
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Result<(u16, Value), ureq::Error> {
        let (status, body) = self.post(path, "application/json", body.to_string().as_bytes())?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Sends an envelope.
    pub(crate) fn message(&self, envelope: &[u8]) -> Answered {
        self.post("/v1/messages", "application/octet-stream", envelope)
    }

    /// The key to seal to, from the service itself.
    pub(crate) fn envelope_key(&self) -> Result<AuthorityPublicKey, ureq::Error> {
        let (_, body) = self.get("/v1/authority")?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        Ok(body["envelope_keys"][0].as_str().unwrap().parse().unwrap())
    }
}
