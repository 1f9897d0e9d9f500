//! What a listener presents to whom: one identity, and earlier ones to clients that ask for their names.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{ServerIdentity, TlsError};
use crate::model::Fingerprint;

/// File beside `tls.crt` and `tls.key` with the earlier identities.
pub(super) const EARLIER: &str = "earlier.pem";

/// The present identity, and earlier ones. A cluster pins the certificate that it found under the name of its join token; where the
/// connector has another name now, that cluster still finds the earlier certificate under the earlier name.
#[derive(Debug, Clone)]
pub struct Identities {
    present: ServerIdentity,
    /// Oldest first.
    earlier: Vec<ServerIdentity>,
}

impl From<ServerIdentity> for Identities {
    fn from(present: ServerIdentity) -> Self {
        Self { present, earlier: Vec::new() }
    }
}

impl Identities {
    /// Reads `tls.crt` and `tls.key` from a directory, and `earlier.pem` if it is there: each earlier certificate with its issuers,
    /// followed by its key, oldest first.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when a file cannot be used or a certificate and its key do not belong together.
    pub fn from_directory(directory: &Path) -> Result<Self, TlsError> {
        let present = ServerIdentity::from_directory(directory)?;
        let path = directory.join(EARLIER);
        let earlier = match std::fs::read(&path) {
            Ok(text) => read_earlier(&path, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(TlsError::File { path, reason: error.to_string() }),
        };
        Ok(Self { present, earlier })
    }

    /// The one that new join tokens name.
    #[must_use]
    pub fn present(&self) -> &ServerIdentity {
        &self.present
    }

    /// Those that are presented under earlier names only, oldest first.
    #[must_use]
    pub fn earlier(&self) -> &[ServerIdentity] {
        &self.earlier
    }

    /// The fingerprints of all of them, that of the present one first.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let all = std::iter::once(&self.present).chain(&self.earlier);
        all.map(ServerIdentity::fingerprint).collect()
    }

    /// When the first of them ends, in seconds since 1970.
    #[must_use]
    pub fn first_end(&self) -> i64 {
        let ends = self.earlier.iter().map(ServerIdentity::not_after);
        ends.fold(self.present.not_after(), i64::min)
    }

    /// The one for a client that asks for `name`, or for none because it connects to an IP address. The present one comes first,
    /// then the newest earlier one that fits; who fits nowhere gets the present one.
    pub(super) fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let fits = |identity: &&ServerIdentity| match name {
            Some(name) => identity.dns_names().iter().any(|own| own.eq_ignore_ascii_case(name)),
            None => identity.has_address(),
        };
        let newest_first = std::iter::once(&self.present).chain(self.earlier.iter().rev());
        let found = newest_first.into_iter().find(fits);
        found.unwrap_or(&self.present).certified_key()
    }
}

fn read_earlier(path: &Path, text: &[u8]) -> Result<Vec<ServerIdentity>, TlsError> {
    let refused = |reason: String| TlsError::File { path: path.to_owned(), reason };
    let blocks = pem::parse_many(text).map_err(|error| refused(error.to_string()))?;
    // The reader passes over what it does not understand.
    if String::from_utf8_lossy(text).matches("-----BEGIN ").count() != blocks.len() {
        return Err(refused("a part of it is damaged".into()));
    }
    let (mut identities, mut chain) = (Vec::new(), Vec::new());
    for block in blocks {
        if block.tag() == "CERTIFICATE" {
            chain.push(CertificateDer::from(block.into_contents()));
            continue;
        }
        let key = PrivateKeyDer::from_pem_slice(pem::encode(&block).as_bytes())
            .map_err(|error| refused(error.to_string()))?;
        identities.push(ServerIdentity::new(path, std::mem::take(&mut chain), key)?);
    }
    if chain.is_empty() {
        Ok(identities)
    } else {
        Err(refused("its last certificate has no key".into()))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn in_directory(present: &[&str], earlier: &[&[&str]]) -> Identities {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = pair(present);
        std::fs::write(directory.path().join("tls.crt"), certificate).unwrap();
        std::fs::write(directory.path().join("tls.key"), key).unwrap();
        let text: String = earlier.iter().map(|names| pair(names)).map(|(c, k)| c + &k).collect();
        std::fs::write(directory.path().join(EARLIER), text).unwrap();
        Identities::from_directory(directory.path()).unwrap()
    }

    /// Which one a client gets: 0 is the present one, 1 the oldest of the earlier ones.
    fn chosen(identities: &Identities, name: Option<&str>) -> usize {
        let key = identities.choose(name);
        let all = std::iter::once(identities.present()).chain(identities.earlier());
        all.map(ServerIdentity::certified_key).position(|own| Arc::ptr_eq(&own, &key)).unwrap()
    }

    #[test]
    fn a_client_gets_what_it_found_under_its_name_before() {
        let identities = in_directory(
            &["new.example.com", "mcm.prod.svc"],
            &[
                &["10.0.0.1", "mcm.prod.svc"],
                &["a.example.com", "mcm.prod.svc"],
                &["a.example.com"],
            ],
        );
        for (name, wanted) in [
            (Some("new.example.com"), 0),
            (Some("NEW.example.com"), 0),
            (Some("mcm.prod.svc"), 0),
            (Some("a.example.com"), 3),
            (None, 1),
            (Some("elsewhere.example.com"), 0),
        ] {
            assert_eq!(chosen(&identities, name), wanted, "{name:?}");
        }
        let with_address = in_directory(&["10.0.0.2"], &[&["a.example.com"]]);
        assert_eq!(chosen(&with_address, None), 0);
        assert_eq!(chosen(&in_directory(&["b"], &[&["a"]]), None), 0);
    }

    #[test]
    fn the_first_end_counts() {
        let identities = in_directory(&["new.example.com"], &[]);
        assert_eq!(identities.first_end(), identities.present().not_after());
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2026, 1, 1);
        let text = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        let earlier = read_earlier(Path::new("x"), text.as_bytes()).unwrap();
        let both = Identities { earlier, ..identities };
        assert_eq!(both.first_end(), rcgen::date_time_ymd(2026, 1, 1).unix_timestamp());
    }

    #[test]
    fn half_a_file_is_refused_by_name() {
        let ((certificate, key), (_, other)) = (pair(&["a"]), pair(&["b"]));
        for text in
            [certificate.clone(), format!("{certificate}{other}"), key, "-----BEGIN X-----".into()]
        {
            let error = read_earlier(Path::new("/connector/earlier.pem"), text.as_bytes()).err();
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            let named = error.contains("/connector/earlier.pem")
                || error.contains("cannot be used together");
            assert!(named, "{error}");
        }
        assert!(read_earlier(Path::new("x"), b"").unwrap().is_empty());
    }
}
