//! The clusters that make the load, and the manager as they know it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::thread;

use cluster_simulator::tls::KeyExchange;
use cluster_simulator::{
    CertificateSpec, ClientOptions, Identity, KeyKind, Member, Pin, fingerprint,
};

use crate::Error;
use crate::connector::Connector;

/// The connector's certificate in a folder of its own, as the program reads it.
pub(crate) struct Manager {
    pub(crate) folder: PathBuf,
    fingerprint: String,
}

impl Manager {
    /// Makes a certificate for 127.0.0.1 with a key of the given kind.
    pub(crate) fn new(folder: &Path, key: KeyKind) -> Result<Self, Error> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let spec =
            CertificateSpec { key, ip_addresses: vec![address], ..CertificateSpec::lxd("bench") };
        let identity = Identity::from_spec(&spec)?;
        fs::create_dir_all(folder)?;
        fs::write(folder.join("tls.crt"), identity.certificate_pem())?;
        fs::write(folder.join("tls.key"), identity.key_pem())?;
        Ok(Self { folder: folder.to_owned(), fingerprint: fingerprint(identity.der()) })
    }
}

/// Clusters with P-384 keys, as LXD makes them. Each one has a key of its own.
#[derive(Clone)]
pub(crate) struct Fleet(Vec<Identity>);

impl Fleet {
    pub(crate) fn generate(size: u32) -> Result<Self, Error> {
        let threads = u32::try_from(thread::available_parallelism()?.get())?;
        thread::scope(|scope| {
            let shares: Vec<_> = (0..threads)
                .map(|share| {
                    scope.spawn(move || {
                        let mine = (share..size).step_by(usize::try_from(threads)?);
                        mine.map(|n| Ok(Identity::generate(&format!("cluster-{n}"))?))
                            .collect::<Result<Vec<_>, Error>>()
                    })
                })
                .collect();
            let mut all = Vec::new();
            for share in shares {
                all.extend(share.join().map_err(|_| "a thread that makes keys failed")??);
            }
            Ok(Self(all))
        })
    }

    /// The first so many clusters.
    pub(crate) fn first(&self, count: usize) -> &[Identity] {
        self.0.get(..count).unwrap_or(&self.0)
    }

    /// Everyone.
    pub(crate) fn all(&self) -> &[Identity] {
        &self.0
    }

    /// The first so many as members of the running service, in an order that has nothing to do with that of their enrolment. They
    /// come from 250 addresses and, as members do, leave their connections to the server to close.
    pub(crate) fn members(
        &self,
        manager: &Manager,
        connector: &Connector,
        count: usize,
        key_exchange: KeyExchange,
    ) -> Vec<Member> {
        let pin = Pin {
            addresses: vec![connector.address.clone()],
            fingerprint: manager.fingerprint.clone(),
        };
        let mut clusters: Vec<_> = self.first(count).iter().collect();
        clusters.sort_by_cached_key(|cluster| cluster.fingerprint());
        let members = clusters.into_iter().zip((1..=250).cycle()).map(|(identity, host)| {
            let options = ClientOptions {
                leave_connections_open: true,
                source: Some(Ipv4Addr::new(127, 77, 0, host).into()),
                key_exchange,
                ..ClientOptions::default()
            };
            Member::new(identity.clone(), pin.clone()).with_options(options)
        });
        members.collect()
    }
}

/// A heartbeat without the text of the metrics.
pub(crate) fn without_metrics(heartbeat: &str) -> Result<Vec<u8>, Error> {
    let mut body: serde_json::Value = serde_json::from_str(heartbeat)?;
    if let Some(metrics) = body.get_mut("server_metrics") {
        *metrics = serde_json::Value::Array(Vec::new());
    }
    Ok(serde_json::to_vec(&body)?)
}

/// A heartbeat with the metrics of so many of its members that it has `bytes` at most.
pub(crate) fn within(heartbeat: &str, bytes: usize) -> Result<Vec<u8>, Error> {
    let mut body: serde_json::Value = serde_json::from_str(heartbeat)?;
    loop {
        let written = serde_json::to_vec(&body)?;
        let metrics = body.get_mut("server_metrics").and_then(|list| list.as_array_mut());
        if written.len() <= bytes || metrics.is_none_or(|list| list.pop().is_none()) {
            return Ok(written);
        }
    }
}

/// How many samples the metrics of a heartbeat have: lines of the text format that are no comments.
pub(crate) fn samples(heartbeat: &[u8]) -> Result<usize, Error> {
    let body: serde_json::Value = serde_json::from_slice(heartbeat)?;
    let entries = body.get("server_metrics").and_then(|list| list.as_array());
    let texts = entries.into_iter().flatten().filter_map(|entry| entry.get("metrics")?.as_str());
    let lines = texts.flat_map(str::lines).map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).count())
}
