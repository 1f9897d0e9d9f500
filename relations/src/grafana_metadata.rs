//! Interface `grafana_metadata`: where Grafana is, for links to dashboards. Values are plain text.

use crate::bag::{Bag, BagError, Databag, Reader, bag};

/// Provider, application bag. The requirer writes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrafanaMetadata {
    /// URL within the cluster; people's browsers usually cannot reach it.
    pub direct_url: String,
    /// Identifies this Grafana among others.
    pub grafana_uid: String,
    /// Public URL, if Grafana has an ingress.
    pub ingress_url: Option<String>,
}

impl GrafanaMetadata {
    /// Start of links for people, without final slash: the public URL if there is one.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.ingress_url.as_deref().unwrap_or(&self.direct_url).trim_end_matches('/')
    }
}

impl Databag for GrafanaMetadata {
    const INTERFACE: &'static str = "grafana_metadata";
    const KEYS: &'static [&'static str] = &["direct_url", "grafana_uid", "ingress_url"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(Some(Self {
            direct_url: bag.need("direct_url", bag.string("direct_url")?)?,
            grafana_uid: bag.need("grafana_uid", bag.string("grafana_uid")?)?,
            ingress_url: bag.string("ingress_url")?,
        }))
    }

    fn encode(&self) -> Bag {
        bag([
            ("direct_url", Some(self.direct_url.clone())),
            ("grafana_uid", Some(self.grafana_uid.clone())),
            ("ingress_url", self.ingress_url.clone()),
        ])
    }
}
