//! The workload container as it stands.

use std::time::Duration;

use ops::pebble::{CheckInfo, CheckStatus, Pebble, PebbleError, ServiceInfo};
use serde_json::Value;

use crate::CONTAINER;
use crate::surroundings::Surroundings;

/// The workload container as it stands.
#[derive(Debug, Clone)]
pub struct ContainerState {
    /// All layers together.
    pub plan: Value,
    /// Services.
    pub services: Vec<ServiceInfo>,
    /// Checks.
    pub checks: Vec<CheckInfo>,
}

impl ContainerState {
    /// Asks Pebble; `None` if it does not answer, or not in a way that helps: it is not ready then.
    #[must_use]
    pub fn read(surroundings: &Surroundings) -> Option<Self> {
        let pebble = Pebble::in_folder(&surroundings.containers, CONTAINER);
        let read = || -> Result<Self, PebbleError> {
            let plan = serde_yaml::from_str(&pebble.plan()?).map_err(|_| PebbleError::Answer)?;
            Ok(Self { plan, services: pebble.services()?, checks: pebble.checks()? })
        };
        read().ok()
    }

    /// How long a service of the plan may take to stop, as the charm writes it: in seconds.
    #[must_use]
    pub fn kill_delay(&self, service: &str) -> Option<Duration> {
        let text = self.plan.get("services")?.get(service)?.get("kill-delay")?.as_str()?;
        text.strip_suffix('s')?.parse().map(Duration::from_secs).ok()
    }

    /// Names of checks that are down.
    #[must_use]
    pub fn down(&self) -> Vec<&str> {
        let down = self.checks.iter().filter(|check| check.status == CheckStatus::Down);
        down.map(|check| check.name.as_str()).collect()
    }

    /// Names of log targets of the plan, with their locations.
    #[must_use]
    pub fn log_targets<'a>(&'a self) -> Vec<(&'a str, &'a str)> {
        let targets = self.plan.get("log-targets").and_then(Value::as_object);
        let location = |target: &'a Value| target.get("location").and_then(Value::as_str);
        let all = targets.into_iter().flatten();
        all.map(|(name, target)| (name.as_str(), location(target).unwrap_or_default())).collect()
    }
}
