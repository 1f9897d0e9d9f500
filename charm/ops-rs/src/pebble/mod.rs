//! The workload container, through the API of its Pebble.
//!
//! Requests go over a Unix socket with HTTP/1.1, one connection each; nothing here is asynchronous.
//! Long waits are made of short ones, so that a lost container is noticed.

mod error;
mod exec;
mod files;
mod http;
mod layer;
mod types;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use error::PebbleError;
pub use exec::{Exec, ExecOutput};
pub use files::{FileSpec, FileWrite};
pub use layer::{Check, CheckProbe, Layer, Level, LogTarget, Override, Service, Startup};
pub use types::{Change, CheckInfo, CheckStatus, ServiceInfo, SystemInfo};

use crate::model::Changed;
use http::{Method, Request, Response};

/// Where Juju puts the socket of each container: `<this>/<container>/pebble.socket`.
pub const CONTAINERS: &str = "/charm/containers";

/// Time for one request.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// Longest single wait for a change: shorter than [`REQUEST_TIME`].
const WAIT_SLICE: Duration = Duration::from_secs(4);

/// A container. Being able to make one says nothing about whether its Pebble answers:
/// [`Pebble::connect`] does.
#[derive(Debug, Clone)]
pub struct Pebble {
    socket: PathBuf,
}

impl Pebble {
    /// The container `name` of this unit.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self::in_folder(Path::new(CONTAINERS), name)
    }

    /// The container `name` whose socket is below `folder`.
    #[must_use]
    pub fn in_folder(folder: &Path, name: &str) -> Self {
        Self { socket: folder.join(name).join("pebble.socket") }
    }

    /// Whether Pebble answers, and which version it is.
    ///
    /// # Errors
    ///
    /// [`PebbleError::NotReady`] if not: the container is not up yet, or down again.
    pub fn connect(&self) -> Result<SystemInfo, PebbleError> {
        self.get("/v1/system-info")
    }

    /// The services of the plan, sorted by name.
    ///
    /// # Errors
    ///
    /// [`PebbleError`].
    pub fn services(&self) -> Result<Vec<ServiceInfo>, PebbleError> {
        self.get("/v1/services")
    }

    /// The checks of the plan, sorted by name.
    ///
    /// # Errors
    ///
    /// [`PebbleError`].
    pub fn checks(&self) -> Result<Vec<CheckInfo>, PebbleError> {
        self.get("/v1/checks")
    }

    /// The plan: all layers together, in YAML. Reading it is left to the caller, so that this crate need
    /// not choose a YAML library.
    ///
    /// # Errors
    ///
    /// [`PebbleError`].
    pub fn plan(&self) -> Result<String, PebbleError> {
        self.get("/v1/plan?format=yaml")
    }

    /// Adds `layer` under `label`, over one that has this label already. Services are neither started
    /// nor stopped by it: see [`Pebble::replan`]. Checks and log targets take effect at once.
    ///
    /// # Errors
    ///
    /// [`PebbleError`].
    pub fn add_layer(&self, label: &str, layer: &Layer) -> Result<(), PebbleError> {
        // Pebble reads YAML, of which JSON is a part.
        let body = json!({"action": "add", "combine": true, "label": label, "format": "yaml",
            "layer": layer.to_json()});
        self.post::<Value>("/v1/layers", &body).map(drop)
    }

    /// Stops what has changed, and starts that and everything with `startup: enabled`. What has not
    /// changed is not touched. Waits at most `time`.
    ///
    /// # Errors
    ///
    /// [`PebbleError::Change`] if a service does not start.
    pub fn replan(&self, time: Duration) -> Result<(), PebbleError> {
        self.change(&json!({"action": "replan"}), time)
    }

    /// Stops `services`. Those that do not run are no error.
    ///
    /// # Errors
    ///
    /// [`PebbleError`], also if the plan has no such service.
    pub fn stop(&self, services: &[&str], time: Duration) -> Result<(), PebbleError> {
        self.change(&json!({"action": "stop", "services": services}), time)
    }

    /// Stops and starts `services`.
    ///
    /// # Errors
    ///
    /// [`PebbleError`], also if the plan has no such service.
    pub fn restart(&self, services: &[&str], time: Duration) -> Result<(), PebbleError> {
        self.change(&json!({"action": "restart", "services": services}), time)
    }

    /// Posts a notice, which makes Juju run the hook `<container>-pebble-custom-notice`.
    ///
    /// # Errors
    ///
    /// [`PebbleError`], also if `key` is not of the form `example.com/path`.
    pub fn notify(&self, key: &str) -> Result<(), PebbleError> {
        let body = json!({"action": "add", "type": "custom", "key": key});
        self.post::<Value>("/v1/notices", &body).map(drop)
    }

    fn change(&self, body: &Value, time: Duration) -> Result<(), PebbleError> {
        let answer = self.request(&Request::json(Method::Post, "/v1/services", body))?;
        self.wait(&answer.change()?, time).map(drop)
    }

    /// Waits until a change is done.
    fn wait(&self, id: &str, time: Duration) -> Result<Change, PebbleError> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(WAIT_SLICE);
            let path = format!("/v1/changes/{id}/wait?timeout={}ms", left.as_millis());
            match self.get::<Change>(&path) {
                Ok(change) if change.ready => {
                    return match &change.err {
                        Some(reason) => Err(PebbleError::Change { reason: reason.clone() }),
                        None => Ok(change),
                    };
                }
                Ok(_) | Err(PebbleError::Api { status: 504, .. }) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= end {
                return Err(PebbleError::Late { seconds: time.as_secs() });
            }
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, PebbleError> {
        self.request(&Request::new(Method::Get, path))?.result()
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, PebbleError> {
        self.request(&Request::json(Method::Post, path, body))?.result()
    }

    fn request(&self, request: &Request<'_>) -> Result<Response, PebbleError> {
        http::send(&self.socket, REQUEST_TIME, request)
    }
}

impl Pebble {
    /// Adds `layer` unless `current`, the entries that Pebble has now as the caller reads them from
    /// the plan, are the same already.
    ///
    /// # Errors
    ///
    /// [`PebbleError`].
    pub fn add_layer_if_changed(
        &self,
        label: &str,
        layer: &Layer,
        current: &Value,
    ) -> Result<Changed, PebbleError> {
        if layer.is_in(current) {
            return Ok(Changed::No);
        }
        self.add_layer(label, layer)?;
        Ok(Changed::Yes)
    }
}
