//! Proofs of a key that are none: what somebody sends who has a cluster's certificate, and of its key at most what went over the wire.

use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

/// What is wrong with the signature of a handshake (`CertificateVerify`, RFC 8446, section 4.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoiltProof {
    /// The bit with this number, modulo the length, is another one.
    Corrupted(usize),
    /// The last byte is missing.
    Truncated,
    /// A byte follows it.
    Lengthened,
    /// There is none.
    Empty,
    /// It is right, of another handshake.
    OfAnotherHandshake,
    /// It is right, but called one of this scheme.
    Called(SignatureScheme),
    /// It is right and called what it is, of a scheme that the server may not have offered.
    Under(SignatureScheme),
}

/// A key whose signatures are spoilt.
#[derive(Debug)]
pub(crate) struct SpoilingKey {
    pub(crate) key: Arc<dyn SigningKey>,
    pub(crate) spoilt: SpoiltProof,
}

impl SigningKey for SpoilingKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = match self.spoilt {
            SpoiltProof::Under(scheme) => self.key.choose_scheme(&[scheme]),
            _ => self.key.choose_scheme(offered),
        }?;
        Some(Box::new(SpoilingSigner { signer, spoilt: self.spoilt }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

#[derive(Debug)]
struct SpoilingSigner {
    signer: Box<dyn Signer>,
    spoilt: SpoiltProof,
}

impl Signer for SpoilingSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        if self.spoilt == SpoiltProof::OfAnotherHandshake {
            // The message ends with the digest of what was said before.
            return self.signer.sign(&message.iter().rev().copied().collect::<Vec<u8>>());
        }
        let mut signature = self.signer.sign(message)?;
        match self.spoilt {
            SpoiltProof::Corrupted(bit) => {
                let at = bit / 8 % signature.len().max(1);
                if let Some(byte) = signature.get_mut(at) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            SpoiltProof::Truncated => drop(signature.pop()),
            SpoiltProof::Lengthened => signature.push(0),
            SpoiltProof::Empty => signature.clear(),
            SpoiltProof::OfAnotherHandshake | SpoiltProof::Called(_) | SpoiltProof::Under(_) => {}
        }
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        match self.spoilt {
            SpoiltProof::Called(scheme) => scheme,
            _ => self.signer.scheme(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{CertificateSpec, Identity, KeyKind};

    use super::*;

    #[test]
    fn each_proof_is_spoilt_in_the_way_that_it_names() {
        let spec = CertificateSpec { key: KeyKind::Ed25519, ..CertificateSpec::lxd("a") };
        let identity = Identity::from_spec(&spec).unwrap();
        // Ed25519 signs the same message always the same.
        let sign = |identity: &Identity| {
            let key = Arc::clone(&identity.certified_key().key);
            let signer = key.choose_scheme(&[SignatureScheme::ED25519]).unwrap();
            (signer.sign(b"what was said").unwrap(), signer.scheme())
        };
        let (genuine, scheme) = sign(&identity);
        let spoilt = |how| sign(&identity.with_spoilt_proof(how));
        assert_eq!(spoilt(SpoiltProof::Truncated).0, genuine[..63]);
        assert_eq!(spoilt(SpoiltProof::Lengthened).0[..64], genuine);
        assert_eq!(spoilt(SpoiltProof::Empty).0, b"");
        assert_ne!(spoilt(SpoiltProof::OfAnotherHandshake).0, genuine);
        let other = SignatureScheme::ECDSA_NISTP256_SHA256;
        assert_eq!(spoilt(SpoiltProof::Called(other)), (genuine.clone(), other));
        assert_eq!(spoilt(SpoiltProof::Under(scheme)), (genuine.clone(), scheme));
        let (corrupted, _) = spoilt(SpoiltProof::Corrupted(13));
        let differing = |(a, b): (&u8, &u8)| (a ^ b).count_ones();
        assert_eq!(corrupted.iter().zip(&genuine).map(differing).sum::<u32>(), 1);
        assert_eq!(corrupted[1] ^ genuine[1], 1 << 5);
    }
}
