//! The certificates that clusters pin, when the name changes under which clusters connect, and when an operator replaces one.
//!
//! A cluster connects to the name of its join token and accepts one certificate there. So a new name gets a certificate of its
//! own, with the same key, and the one of the old name goes on being served to clients that ask for the old name. That works as
//! long as the names tell clients apart: those that connect to an IP address ask for no name.

use std::net::IpAddr;

use secrecy::ExposeSecret;
use time::OffsetDateTime;

use crate::addresses::Addresses;
use crate::custody;
use crate::observe::Inputs;
use crate::pki::{self, Leaf, Mint, PkiError};
use crate::shared::{Connector, Pair};

/// Most certificates of earlier names. More would be a mistake that repeats itself.
const MOST_EARLIER: usize = 16;

/// A new certificate for the present name.
///
/// # Errors
///
/// [`PkiError`] if it cannot be made.
pub fn fresh(inputs: &Inputs, addresses: &Addresses, key: String) -> Result<Pair, PkiError> {
    let mut names: Vec<String> = addresses.connector.iter().map(ToString::to_string).collect();
    names.push(addresses.service.clone());
    let chain = pki::connector_certificate(&key, &names, inputs.surroundings.now)?;
    Ok(Pair { chain, key: key.into() })
}

/// The key of `pair`, or a fresh one if that is not of our making.
///
/// # Errors
///
/// [`PkiError`] if it cannot be made.
pub fn key_like(pair: &Pair, mint: &dyn Mint) -> Result<String, PkiError> {
    let present = pair.key.expose_secret();
    if pki::is_p256(present) { Ok(present.to_owned()) } else { mint.p256_key() }
}

/// What should be kept once the name is another one; `None` if all is as it should be, or if only an operator can decide: the
/// status says so then.
///
/// # Errors
///
/// [`PkiError`] if a certificate cannot be made.
pub fn follow_name(
    inputs: &Inputs,
    addresses: &Addresses,
    kept: &Connector,
    mint: &dyn Mint,
) -> Result<Option<Connector>, PkiError> {
    let Some(name) = addresses.connector.as_ref().map(ToString::to_string) else { return Ok(None) };
    let named = |kept: Connector| Some(Connector { domain: Some(name.clone()), ..kept });
    let Some(before) = &kept.domain else { return Ok(named(kept.clone())) };
    if *before == name {
        return Ok(None);
    }
    let Some(present) = Leaf::parse(&kept.pair.chain) else { return Ok(None) };
    if present.names.contains(&name) {
        return Ok(named(kept.clone()));
    }
    let (mut earlier, promoted) = take(&kept.earlier, &name);
    // The present one must be found under its name from now on, and nobody else may be found there.
    let shadowed = promoted.as_ref().is_some_and(|(_, leaf)| leaf.names.contains(before));
    let taken = is_address(&name)
        && (has_address(&present)
            || earlier.iter().filter_map(leaf).any(|leaf| has_address(&leaf)));
    if !present.names.contains(before) || shadowed || taken || earlier.len() >= MOST_EARLIER {
        return Ok(None);
    }
    earlier.push(kept.pair.clone());
    let pair = match promoted {
        Some((pair, _)) => pair,
        None => fresh(inputs, addresses, key_like(&kept.pair, mint)?)?,
    };
    Ok(Some(Connector { pair, domain: Some(name), next: None, earlier }))
}

/// What should be kept once `next` is served in place of the present certificate. With another key of our own making the present
/// key counts as known to others: whatever has it goes. Otherwise the present certificate stays for the names that `next` has not.
/// What has ended is of no use to anybody.
#[must_use]
pub fn replace(
    kept: &Connector,
    next: &Pair,
    addresses: &Addresses,
    now: OffsetDateTime,
) -> Connector {
    let old_key = kept.pair.key.expose_secret();
    let given_up = pki::is_p256(old_key) && next.key.expose_secret() != old_key;
    let mut earlier: Vec<Pair> = kept.earlier.clone();
    if given_up {
        earlier.retain(|pair| pair.key.expose_secret() != old_key);
    } else if still_found(kept, next) {
        earlier.push(kept.pair.clone());
    }
    // Who connects to an address asks for no name, so that one certificate is found there: the new one, if it has an address.
    let address_taken = leaf(next).is_some_and(|next| has_address(&next));
    earlier.retain(|pair| {
        let leaf = leaf(pair).filter(|leaf| !(address_taken && has_address(leaf)));
        leaf.is_some_and(|leaf| leaf.not_after > now)
    });
    let domain = addresses.connector.as_ref().map(ToString::to_string);
    Connector { pair: next.clone(), domain, next: None, earlier }
}

/// Whether clients that found the present certificate under its name are told from those of `new` by the name that they ask for.
fn still_found(kept: &Connector, new: &Pair) -> bool {
    let (Some(old), Some(new), Some(name)) = (leaf(&kept.pair), leaf(new), &kept.domain) else {
        return false;
    };
    old.names.contains(name)
        && !new.names.contains(name)
        && !(is_address(name) && has_address(&new))
}

/// Whether `kept` has certificates of earlier names, still good ones, that clusters would no longer find with `after`.
#[must_use]
pub fn loses_earlier(kept: &Connector, after: &Connector, now: OffsetDateTime) -> bool {
    let stays = |pair: &Pair| {
        let mut all = after.earlier.iter().chain([&after.pair]);
        all.any(|other| other.chain == pair.chain)
    };
    let good = |pair: &&Pair| leaf(pair).is_some_and(|leaf| leaf.not_after > now);
    kept.earlier.iter().filter(good).any(|pair| !stays(pair))
}

/// The name that clusters are told to connect to, if the certificate that they pin does not have it: none could join.
#[must_use]
pub fn unnamed(inputs: &Inputs) -> Option<String> {
    if custody::serves_relation(inputs) {
        return None;
    }
    let name = inputs.addresses()?.connector?.to_string();
    let leaf = leaf(&inputs.shared.connector.content()?.pair)?;
    (!leaf.names.contains(&name)).then_some(name)
}

/// Public names under which clusters may still connect although the options have another one.
#[must_use]
pub fn earlier_names(kept: &Connector) -> Vec<String> {
    kept.earlier.iter().filter_map(leaf).flat_map(|leaf| leaf.names).collect()
}

/// For the services: each earlier certificate with its issuers, followed by its key.
#[must_use]
pub fn earlier_file(kept: &Connector) -> String {
    let text = |pair: &Pair| {
        format!("{}\n{}\n", pair.chain.trim_end(), pair.key.expose_secret().trim_end())
    };
    kept.earlier.iter().map(text).collect()
}

/// The pairs without the one that names `name`, and that one.
fn take(earlier: &[Pair], name: &str) -> (Vec<Pair>, Option<(Pair, Leaf)>) {
    let mut rest = earlier.to_vec();
    let found =
        rest.iter().rposition(|pair| leaf(pair).is_some_and(|leaf| leaf.names.contains(name)));
    let pair = found.map(|position| rest.remove(position));
    let pair = pair.and_then(|pair| leaf(&pair).map(|leaf| (pair, leaf)));
    (rest, pair)
}

fn leaf(pair: &Pair) -> Option<Leaf> {
    Leaf::parse(&pair.chain)
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

fn has_address(leaf: &Leaf) -> bool {
    leaf.names.iter().any(|name| is_address(name))
}
