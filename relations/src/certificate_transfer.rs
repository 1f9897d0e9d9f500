//! Interface `certificate_transfer`: CA certificates that the other side wants us to trust.
//!
//! Version 1 is a JSON list in the provider's application bag ([`TransferredSet`]); we ask for it
//! with [`TransferVersion`]. Version 0 lives in unit bags, in two spellings, and may stay there as
//! a leftover. [`certificates`] reads all of that.

use std::collections::BTreeSet;

use crate::bag::{Bag, BagError, Databag, Reader, bag};
use crate::{json, pem};

const INTERFACE: &str = "certificate_transfer";
const LABEL: &str = "CERTIFICATE";

/// Requirer, application bag: the version that we read. Providers compare the text with `1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferVersion(pub u32);

impl TransferVersion {
    /// The current version.
    pub const CURRENT: Self = Self(1);
}

impl Databag for TransferVersion {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["version"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        Ok(bag.parsed("version", "a whole number", |text| text.parse().ok())?.map(Self))
    }

    fn encode(&self) -> Bag {
        bag([("version", Some(self.0.to_string()))])
    }
}

/// Provider, application bag, version 1. An empty set means: trust nothing from here any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferredSet {
    /// PEM texts; the order has no meaning.
    pub certificates: Vec<String>,
}

impl Databag for TransferredSet {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["certificates", "version"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        let list = bag.json("certificates", "a JSON list of PEM certificates")?;
        Ok(list.map(|certificates| Self { certificates }))
    }

    fn encode(&self) -> Bag {
        let version = TransferVersion::CURRENT.0.to_string();
        bag([("certificates", Some(json::text(&self.certificates))), ("version", Some(version))])
    }
}

/// Provider, unit bag, version 0. Each text is PEM with one or more certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferredByUnit {
    /// A certificate; newer writers repeat the CA here.
    pub certificate: Option<String>,
    /// The CA.
    pub ca: Option<String>,
    /// The chain.
    pub chain: Vec<String>,
}

impl Databag for TransferredByUnit {
    const INTERFACE: &'static str = INTERFACE;
    const KEYS: &'static [&'static str] = &["certificate", "ca", "chain", "version"];

    fn decode(bag: &Bag) -> Result<Option<Self>, BagError> {
        let Some(bag) = Reader::open::<Self>(bag) else { return Ok(None) };
        // One spelling has PEM as it is, the other has JSON strings with the PEM inside.
        let string = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
        let list = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| vec![string(text)]);
        Ok(Some(Self {
            certificate: bag.text("certificate")?.map(string).filter(|text| !text.is_empty()),
            ca: bag.text("ca")?.map(string).filter(|text| !text.is_empty()),
            chain: bag.text("chain")?.map(list).unwrap_or_default(),
        }))
    }

    /// Writes the newer spelling, in which every value is JSON.
    fn encode(&self) -> Bag {
        bag([
            ("certificate", self.certificate.as_ref().map(json::text)),
            ("ca", self.ca.as_ref().map(json::text)),
            ("chain", (!self.chain.is_empty()).then(|| json::text(&self.chain))),
            ("version", Some("0".to_owned())),
        ])
    }
}

/// What one relation asks us to trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted {
    /// One PEM block each, without final newline, sorted and without repetition.
    pub certificates: Vec<String>,
    /// Blocks that were left out because they are not readable: worth a line in the log.
    pub skipped: usize,
}

/// Reads one relation: version 1 if its set is not empty, else version 0 of all remote units.
///
/// # Errors
///
/// [`BagError`] if the application bag does not follow version 1.
pub fn certificates<'a>(
    remote_app: &Bag,
    remote_units: impl IntoIterator<Item = &'a Bag>,
) -> Result<Trusted, BagError> {
    let mut texts = TransferredSet::decode(remote_app)?.unwrap_or_default().certificates;
    if texts.is_empty() {
        for unit in remote_units {
            let Some(unit) = TransferredByUnit::decode(unit)? else { continue };
            texts.extend(unit.chain.into_iter().chain(unit.ca).chain(unit.certificate));
        }
    }
    let (mut blocks, mut skipped) = (BTreeSet::new(), 0);
    for text in &texts {
        let (good, unreadable) = pem::split(text, LABEL);
        skipped += unreadable + usize::from(good.is_empty() && unreadable == 0);
        blocks.extend(good);
    }
    Ok(Trusted { certificates: blocks.into_iter().collect(), skipped })
}
