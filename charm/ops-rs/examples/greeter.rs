//! A whole charm: it runs a web server with a greeting, and tells what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use ops::pebble::{FileSpec, Layer, Pebble, Service};
use ops::{Charm, CharmError, ConfigError, Endpoint, Model, Status};
use serde::Deserialize;

#[derive(Deserialize)]
struct Config {
    greeting: Option<String>,
}

pub(crate) struct Greeter {
    pub(crate) container: Pebble,
}

impl Greeter {
    /// The greeting is in the environment too: Pebble restarts a service when its definition changes,
    /// not when its files do.
    fn serve(&self, greeting: &str) -> Result<Status, CharmError> {
        if self.container.connect().is_err() {
            return Ok(Status::waiting("waiting for the container"));
        }
        self.container.write_files(&[FileSpec::private("/srv/index.html", greeting)])?;
        let environment = BTreeMap::from([("GREETING".to_owned(), greeting.to_owned())]);
        let command = "/usr/bin/web /srv".to_owned();
        let web = Service { command, environment, ..Service::default() };
        let services = BTreeMap::from([("web".to_owned(), web)]);
        self.container.add_layer("greeter", &Layer { services, ..Layer::default() })?;
        self.container.replan(Duration::from_secs(30))?;
        Ok(Status::active(""))
    }
}

impl Charm for Greeter {
    fn reconcile(&self, model: &Model<'_>) -> Result<(), CharmError> {
        let config: Config = match model.config() {
            Ok(config) => config,
            Err(ConfigError::Option { option, reason }) => {
                let _ = model.set_unit_status(&Status::blocked(&format!("{option}: {reason}")))?;
                return Ok(());
            }
            Err(ConfigError::Tool(error)) => return Err(error.into()),
        };
        let related = !model.relations(&Endpoint::new("ingress"))?.is_empty();
        let _ = model.set_ports(&BTreeSet::from([80]))?;
        let status = match config.greeting {
            None => Status::blocked("option greeting is not set"),
            Some(_) if !related => Status::blocked("missing relation: ingress"),
            Some(greeting) => self.serve(&greeting)?,
        };
        let _ = model.set_unit_status(&status)?;
        Ok(())
    }
}

fn main() -> ExitCode {
    ops::run(&Greeter { container: Pebble::of("web") })
}
