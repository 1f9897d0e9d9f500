//! Interface `prometheus_scrape`, which we provide: where Prometheus finds our metrics.

use serde::{Deserialize, Serialize};

use crate::alert_rules::AlertRules;
use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::json;
use crate::topology::Topology;

const INTERFACE: &str = "prometheus_scrape";

/// Provider, application bag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeApp {
    /// Who we are.
    pub metadata: Topology,
    /// What to scrape. An empty list means port 80 to the reader, so it is never empty.
    pub jobs: Vec<ScrapeJob>,
    /// Alert rules.
    pub alert_rules: AlertRules,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrapeJob {
    /// Name of the job.
    pub job_name: String,
    /// Path of the metrics.
    pub metrics_path: String,
    /// Targets.
    pub static_configs: Vec<StaticTargets>,
}

/// Targets of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticTargets {
    /// `*:<port>` becomes one target per unit, with topology labels.
    pub targets: Vec<String>,
}

impl Databag for ScrapeApp {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["scrape_metadata", "scrape_jobs", "alert_rules"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let metadata = bag.json("scrape_metadata", "a Juju topology in JSON")?;
        Ok(Some(Self {
            metadata: bag.need("scrape_metadata", metadata)?,
            jobs: bag.json("scrape_jobs", "a JSON list of scrape jobs")?.unwrap_or_default(),
            alert_rules: bag.json("alert_rules", "a rule file in JSON")?.unwrap_or_default(),
        }))
    }

    fn encode(&self) -> Bag {
        bag([
            ("scrape_metadata", Some(json::text(&self.metadata))),
            ("scrape_jobs", Some(json::text(&self.jobs))),
            ("alert_rules", Some(json::text(&self.alert_rules))),
        ])
    }
}

/// Provider, unit bag. The address changes with every new pod; a stale one is scraped for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeUnit {
    /// Address of the pod.
    pub address: String,
    /// Name of the unit.
    pub name: String,
    /// Path in front of the job's path; normally none.
    pub path: Option<String>,
    /// Fully qualified name of the pod.
    pub fqdn: Option<String>,
}

impl Databag for ScrapeUnit {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &[
        "prometheus_scrape_unit_address",
        "prometheus_scrape_unit_name",
        "prometheus_scrape_unit_path",
        "prometheus_scrape_unit_fqdn",
    ];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let text = |key| bag.need(key, bag.string(key)?);
        Ok(Some(Self {
            address: text("prometheus_scrape_unit_address")?,
            name: text("prometheus_scrape_unit_name")?,
            path: bag.string("prometheus_scrape_unit_path")?,
            fqdn: bag.string("prometheus_scrape_unit_fqdn")?,
        }))
    }

    fn encode(&self) -> Bag {
        bag([
            ("prometheus_scrape_unit_address", Some(self.address.clone())),
            ("prometheus_scrape_unit_name", Some(self.name.clone())),
            ("prometheus_scrape_unit_path", self.path.clone()),
            ("prometheus_scrape_unit_fqdn", self.fqdn.clone()),
        ])
    }
}
