//! What the leader keeps for all units: the master key, the certificate from the relation, and the
//! identity that clusters pin. Pure but for fresh keys, which come from a [`Mint`].

use relations::tls_certificates::{CertificateAnswers, IssuedCertificate, RefusalKind};
use secrecy::ExposeSecret;

use crate::addresses::Addresses;
use crate::observe::{Inputs, Moment};
use crate::pinned;
use crate::pki::{self, Leaf, Mint, PkiError};
use crate::shared::{Certificates, Connector, Kept, MasterKey, Pair};

/// What should be kept. `None`: as it is, or nothing yet.
#[derive(Debug, Clone, Default)]
pub struct Custody {
    /// The master key, where there is none yet.
    pub master_key: Option<MasterKey>,
    /// The state of the relation `certificates`.
    pub certificates: Option<Certificates>,
    /// The identity of the connector, where there is none yet, or where its name is another one.
    pub connector: Option<Connector>,
}

/// Decides what should be kept. Only a leader with a peer relation keeps anything.
///
/// # Errors
///
/// [`PkiError`] if fresh keys cannot be made.
pub fn next(inputs: &Inputs, mint: &dyn Mint) -> Result<Custody, PkiError> {
    let mut custody = Custody::default();
    if !inputs.leader || inputs.peers.is_none() || inputs.leaving {
        return Ok(custody);
    }
    if inputs.shared.master_key.is_absent() {
        custody.master_key = Some(MasterKey(mint.master_key()?.into()));
    }
    let Some(addresses) = inputs.addresses() else { return Ok(custody) };
    custody.connector = match &inputs.shared.connector {
        Kept::Absent => connector(inputs, &addresses, mint)?,
        Kept::Here(_, kept) if !serves_relation(inputs) => {
            pinned::follow_name(inputs, &addresses, kept, mint)?
        }
        Kept::Here(..) | Kept::Unreadable => None,
    };
    custody.certificates = certificates(inputs, &addresses, mint)?;
    Ok(custody)
}

fn answers(inputs: &Inputs) -> Option<&CertificateAnswers> {
    inputs.certificates.as_ref()?.good()
}

/// What clusters will pin. Where the Python charm served a certificate, clusters have pinned that one,
/// and it goes on being served.
fn connector(
    inputs: &Inputs,
    addresses: &Addresses,
    mint: &dyn Mint,
) -> Result<Option<Connector>, PkiError> {
    if let Some(legacy) = &inputs.legacy {
        let Some(answers) = answers(inputs) else {
            // The certificate may still come: a fresh one now would cut off every cluster.
            return Ok(None);
        };
        let key = pki::public_key_of(legacy.key.expose_secret());
        if let Some((_, chain)) = newest(answers.certificates.iter(), key.as_deref()) {
            let pair = Pair { chain, key: legacy.key.clone() };
            let domain = addresses.connector.as_ref().map(ToString::to_string);
            return Ok(Some(Connector::new(pair, domain)));
        }
    }
    // Names go into join tokens; without one there is nothing to be good for.
    let Some(name) = &addresses.connector else { return Ok(None) };
    let pair = pinned::fresh(inputs, addresses, mint.p256_key()?)?;
    Ok(Some(Connector::new(pair, Some(name.to_string()))))
}

fn certificates(
    inputs: &Inputs,
    addresses: &Addresses,
    mint: &dyn Mint,
) -> Result<Option<Certificates>, PkiError> {
    let mut kept = match &inputs.shared.certificates {
        Kept::Unreadable => return Ok(None),
        Kept::Here(_, kept) => kept.clone(),
        Kept::Absent if inputs.certificates.is_none() || addresses.management.is_none() => {
            return Ok(None);
        }
        Kept::Absent => match &inputs.legacy {
            // The request stays word for word, so that the answer to it stays valid.
            Some(legacy) => Certificates {
                key: legacy.key.clone(),
                request: legacy.request.clone(),
                served: None,
            },
            None => Certificates { key: mint.rsa_key()?.into(), request: None, served: None },
        },
    };
    if inputs.certificates.is_none() {
        // The key may serve again; certificates of a provider that is gone do not.
        kept.request = None;
        kept.served = None;
        return Ok(Some(kept));
    }
    let key = public_key(&kept);
    let issued = kept
        .request
        .as_deref()
        .and_then(|request| newest(answers(inputs)?.answers_to(request), key.as_deref()));
    let issued = issued.map(|(issued, chain)| {
        kept.served = Some(Pair { chain, key: kept.key.clone() });
        issued
    });
    if let Some(names) = names_to_request(inputs, addresses, &kept, issued) {
        kept.request = Some(pki::signing_request(kept.key.expose_secret(), &names)?);
    }
    Ok(Some(kept))
}

/// The names for a new request, where one is due.
fn names_to_request(
    inputs: &Inputs,
    addresses: &Addresses,
    kept: &Certificates,
    issued: Option<&IssuedCertificate>,
) -> Option<Vec<String>> {
    let for_connector = serves_relation(inputs);
    let needed = addresses.needed_names(for_connector);
    addresses.management.as_ref()?;
    let Some(request) = &kept.request else {
        return Some(possible_names(inputs, addresses));
    };
    let asked = pki::request_names(request).unwrap_or_default();
    let fits = needed.iter().all(|name| asked.contains(name));
    let answers = answers(inputs);
    let revoked = issued.is_none()
        && answers.is_some_and(|answers| {
            let mut all = answers.answers_to(request).peekable();
            all.peek().is_some() && all.all(IssuedCertificate::is_revoked)
        });
    let due = issued
        .and_then(|issued| Leaf::parse(&issued.certificate))
        .is_some_and(|leaf| leaf.renewal() <= inputs.surroundings.now);
    if !fits || revoked || due {
        return Some(possible_names(inputs, addresses));
    }
    let refusal = answers.and_then(|answers| answers.refusal_of(request))?;
    // A provider answers a request once. So one that could not serve is asked again from time to time, and everyone after somebody
    // has changed the options.
    let later = refusal.reason_kind() == RefusalKind::ServerNotAvailable;
    if inputs.moment == Moment::ConfigChanged || (later && inputs.moment == Moment::Tick) {
        return Some(possible_names(inputs, addresses));
    }
    // Fewer names may avoid a refusal.
    let fewer: Vec<String> = match refusal.reason_kind() {
        RefusalKind::IpNotAllowed | RefusalKind::DomainNotAllowed => needed,
        _ => return None,
    };
    let without_addresses = refusal.reason_kind() == RefusalKind::IpNotAllowed;
    let is_address = |name: &String| name.parse::<std::net::IpAddr>().is_ok();
    let fewer: Vec<String> =
        fewer.into_iter().filter(|name| !(without_addresses && is_address(name))).collect();
    let is_less = !fewer.is_empty() && asked.len() > fewer.len();
    // A needed name that had to go would be asked for again in the next hook.
    (is_less && addresses.needed_names(for_connector).iter().all(|n| fewer.contains(n)))
        .then_some(fewer)
}

/// All names that are worth having, as far as the provider says that it can.
fn possible_names(inputs: &Inputs, addresses: &Addresses) -> Vec<String> {
    let capabilities = answers(inputs).and_then(|answers| answers.capabilities.as_ref());
    let domains = capabilities.and_then(|c| c.allowed_domains.as_ref());
    let no_addresses = capabilities.and_then(|c| c.supports_ip_sans) == Some(false);
    let needed = addresses.needed_names(serves_relation(inputs));
    let allowed = |name: &String| {
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        needed.contains(name)
            || !(is_address && no_addresses)
                && domains.is_none_or(|domains| {
                    domains
                        .iter()
                        .any(|domain| name == domain || name.ends_with(&format!(".{domain}")))
                })
    };
    addresses.wanted_names().into_iter().filter(allowed).collect()
}

/// Whether the connector presents the certificate from the relation.
#[must_use]
pub fn serves_relation(inputs: &Inputs) -> bool {
    let choice = inputs.config.as_ref().map(|config| config.connector_certificate);
    choice == Ok(crate::config::ConnectorCertificate::Relation)
}

/// The public key of the present request. A certificate that is served for the same private key has it: reading that costs
/// much less than checking a private key, which is done once, before a certificate is served.
fn public_key(kept: &Certificates) -> Option<Vec<u8>> {
    let same_key = |pair: &&Pair| pair.key.expose_secret() == kept.key.expose_secret();
    let served = kept.served.as_ref().filter(same_key).and_then(|pair| Leaf::parse(&pair.chain));
    match served {
        Some(leaf) => Some(leaf.public_key),
        None => pki::public_key_of(kept.key.expose_secret()),
    }
}

/// The newest usable certificate for the public key `key`, with its chain. What providers write is checked, not believed.
fn newest<'a>(
    issued: impl Iterator<Item = &'a IssuedCertificate>,
    key: Option<&[u8]>,
) -> Option<(&'a IssuedCertificate, String)> {
    let key = key?;
    let usable = issued.filter(|issued| !issued.is_revoked()).filter_map(|issued| {
        let leaf = Leaf::parse(&issued.certificate)?;
        if leaf.public_key != key || leaf.is_ca {
            return None;
        }
        Some((leaf.not_before, issued, chain(issued)?))
    });
    let newest = usable.max_by_key(|(since, ..)| *since);
    newest.map(|(_, issued, chain)| (issued, chain))
}

fn chain(issued: &IssuedCertificate) -> Option<String> {
    let mut others = issued.chain.clone().unwrap_or_default();
    others.push(issued.ca.clone());
    pki::chain_of(&issued.certificate, &others)
}
