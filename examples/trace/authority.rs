//! A health authority's service, spoken to over HTTP as a device and as a health worker does.

use std::fs;
use std::io::Cursor as Bytes;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use truyvet::publication::signature::{KeyName, VerificationKey};
use truyvet::publication::store::{BatchSource, Contents, StoreError};
use truyvet::report::answer::Answer;
use truyvet::report::authorisation::VerificationCode;
use truyvet::report::evidence::EvidenceRequest;
use truyvet::report::sealed::AuthorityPublicKey;
use truyvet::time::UtcDay;
use ureq::Agent;

use crate::support::Error;

/// Longer than the service takes for anything. Chosen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service, and what it says of itself.
pub(crate) struct Authority {
    agent: Agent,
    url: String,
    token: String,
    /// What devices seal to.
    pub(crate) envelope_key: AuthorityPublicKey,
    /// Whose signatures are believed on published files.
    pub(crate) trusted: VerificationKey,
    /// The country it publishes for.
    pub(crate) region: String,
}

/// What was published when the health worker asked.
pub(crate) struct Publication {
    pub(crate) keys: u64,
    pub(crate) packages: Vec<String>,
}

impl Authority {
    /// Asks the service at `url` for its keys. `token_file` is what shows that a request is staff's.
    pub(crate) fn at(url: &str, token_file: &Path) -> Result<Self, Error> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        let agent = Agent::from(config);
        let url = url.trim_end_matches('/').to_owned();
        let token = fs::read_to_string(token_file).map_err(|e| {
            let what_to_do =
                "--staff-token names the file that the authority made at its first start";
            format!("{}: {e}; {what_to_do}", token_file.display())
        })?;
        let about = agent.get(format!("{url}/v1/authority")).call();
        let mut about = about.map_err(|e| {
            let start = "cargo run --release -p authority -- --demonstration";
            format!("no authority at {url}: {e}. Start one: {start}")
        })?;
        let about: Value = serde_json::from_slice(&about.body_mut().read_to_vec()?)?;
        Ok(Self {
            envelope_key: text(about.pointer("/envelope_keys/0")).parse()?,
            trusted: VerificationKey::from_pem(&text(about.get("publication_key")))?
                .named(KeyName::new("publication", "v1")),
            region: text(about.get("region")),
            agent,
            url,
            token: token.trim().to_owned(),
        })
    }

    /// A health worker's part: a code for a positive test of `test_date`.
    pub(crate) fn issue_code(
        &self,
        test_date: UtcDay,
        onset: UtcDay,
    ) -> Result<VerificationCode, Error> {
        let asked = json!({
            "report_type": "confirmed_test",
            "test_date": test_date.to_string(),
            "onset": onset.to_string(),
        });
        let issued = self.staff("/v1/codes", &asked)?;
        Ok(text(issued.get("code")).parse()?)
    }

    /// A health worker's part: asks one contact to prove what its device found.
    pub(crate) fn ask_for_evidence(&self) -> Result<(String, EvidenceRequest), Error> {
        let asked = self.staff("/v1/requests", &json!({}))?;
        let text = text(asked.get("request"));
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes())?;
        let bytes = bytes
            .try_into()
            .map_err(|_| "the authority's request is none")?;
        Ok((text, EvidenceRequest::from_bytes(bytes)))
    }

    /// A health worker's part: what came of a request for evidence.
    pub(crate) fn confirmation(&self, request: &str) -> Result<Value, Error> {
        let url = format!("{}/v1/requests/{request}", self.url);
        let call = self.agent.get(url).header("Authorization", self.bearer());
        let mut answer = call.call()?;
        Ok(serde_json::from_slice(&answer.body_mut().read_to_vec()?)?)
    }

    /// An operator's part: lets the demonstration's clock run ahead, and publishes what may be published then.
    pub(crate) fn publish_after(&self, hours: u32) -> Result<Publication, Error> {
        let published = self.staff("/v1/publish", &json!({ "advance_hours": hours }))?;
        let packages = published.get("packages").and_then(Value::as_array);
        let names = packages.into_iter().flatten().filter_map(Value::as_str);
        Ok(Publication {
            keys: published.get("keys").and_then(Value::as_u64).unwrap_or(0),
            packages: names.map(str::to_owned).collect(),
        })
    }

    /// A device's part: sends an envelope, whatever is in it.
    pub(crate) fn send(&self, envelope: &[u8]) -> Result<Answer, Error> {
        let call = self.agent.post(format!("{}/v1/messages", self.url));
        let call = call.header("Content-Type", "application/octet-stream");
        let mut answer = call.send(envelope)?;
        let (status, body) = (answer.status(), answer.body_mut().read_to_vec()?);
        match status.as_u16() {
            200 => Ok(Answer::from_bytes(&body)?),
            status => Err(refusal(status, &body)),
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn staff(&self, path: &str, asked: &Value) -> Result<Value, Error> {
        let call = self.agent.post(format!("{}{path}", self.url));
        let call = call.header("Authorization", self.bearer());
        let mut answer = call
            .header("Content-Type", "application/json")
            .send(asked.to_string().as_bytes())?;
        let (status, body) = (answer.status(), answer.body_mut().read_to_vec()?);
        match status.is_success() {
            true => Ok(serde_json::from_slice(&body)?),
            false => Err(refusal(status.as_u16(), &body)),
        }
    }
}

/// Published files over HTTP.
impl BatchSource for Authority {
    fn open(&self, name: &str, bytes_max: u64) -> Result<Option<Box<dyn Contents>>, StoreError> {
        let failed = |reason: String| StoreError::Failed {
            name: name.to_owned(),
            reason,
        };
        let call = self.agent.get(format!("{}/files/{name}", self.url)).call();
        let mut answer = call.map_err(|e| failed(e.to_string()))?;
        match answer.status().as_u16() {
            200 => {
                let body = answer.body_mut().with_config().limit(bytes_max);
                let body = body.read_to_vec().map_err(|e| failed(e.to_string()))?;
                Ok(Some(Box::new(Bytes::new(body))))
            }
            404 => Ok(None),
            status => Err(failed(format!("the authority answers {status}"))),
        }
    }
}

/// The text in `value`; none is a text that nothing can be made of.
fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn refusal(status: u16, body: &[u8]) -> Error {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let name = body.as_ref().and_then(|body| body.get("error")?.as_str());
    let what_to_do = match name {
        Some("no_demonstration") => ": start it with --demonstration",
        Some("token_unknown") => ": --staff-token names another authority's",
        _ => "",
    };
    let name = name.unwrap_or("no reason");
    format!("the authority refuses, with status {status}: {name}{what_to_do}").into()
}
