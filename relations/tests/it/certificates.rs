//! `tls-certificates` and `certificate_transfer`.

use relations::Databag;
use relations::certificate_transfer::{
    TransferVersion, TransferredByUnit, TransferredSet, certificates,
};
use relations::tls_certificates::{
    CertificateAnswers, CertificateRequest, CertificateRequests, IssuedCertificate, RefusalKind,
    same_request,
};

use super::sample::{Sample, both_ways, is_empty};

fn request(sample: &Sample) -> String {
    let bag =
        if sample.local_app_data.is_empty() { sample.our_unit() } else { &sample.local_app_data };
    let requests: CertificateRequests = both_ways(bag, &[]);
    let [request] = requests.0.as_slice() else { panic!("one request") };
    assert_eq!(request, &CertificateRequest::leaf(&request.certificate_signing_request));
    request.certificate_signing_request.clone()
}

#[test]
fn an_issued_certificate_is_found_by_its_request() {
    for case in ["tls-certificates-issued", "tls-certificates-issued-unit"] {
        let sample = Sample::load(case);
        let answers: CertificateAnswers = both_ways(&sample.remote_app_data, &[]);
        let csr = request(&sample);
        let found: Vec<_> = answers.answers_to(&csr).collect();
        assert_eq!(found.len(), 1, "{case}");
        assert!(!found[0].is_revoked());
        assert!(found[0].certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(answers.refusal_of(&csr).is_none());
    }
}

#[test]
fn a_request_matches_however_its_pem_is_wrapped() {
    let sample = Sample::load("tls-certificates-issued");
    let csr = request(&sample);
    let rewrapped = format!("{}\n", csr.replace('\n', "\r\n"));
    let answers = CertificateAnswers::decode(&sample.remote_app_data).unwrap().unwrap();
    assert_eq!(answers.answers_to(&rewrapped).count(), 1);
    assert!(same_request(&csr, &rewrapped));
    assert!(!same_request("", ""), "no request is equal to nothing");
}

#[test]
fn a_foreign_answer_stands_beside_ours() {
    let sample = Sample::load("tls-certificates-foreign");
    let answers: CertificateAnswers = both_ways(&sample.remote_app_data, &[]);
    assert_eq!(answers.certificates.len(), 2);
    let matching = answers.answers_to(&request(&sample)).count();
    assert!((1..=2).contains(&matching), "the right one is among them; keys decide which");
}

#[test]
fn nothing_is_issued_for_a_fresh_request() {
    let sample = Sample::load("tls-certificates-requested");
    request(&sample);
    assert!(is_empty::<CertificateAnswers>(&sample.remote_app_data));
}

#[test]
fn after_renewal_the_new_request_has_an_answer_and_the_old_one_has_none() {
    let sample = Sample::load("tls-certificates-renewed");
    let answers: CertificateAnswers = both_ways(&sample.remote_app_data, &[]);
    let old: CertificateRequests = both_ways(sample.before.local_app_data.as_ref().unwrap(), &[]);
    assert_eq!(answers.answers_to(&request(&sample)).count(), 1);
    assert_eq!(answers.answers_to(&old.0[0].certificate_signing_request).count(), 0);
}

#[test]
fn a_revoked_certificate_says_so() {
    let sample = Sample::load("tls-certificates-revoked");
    let answers: CertificateAnswers = both_ways(&sample.remote_app_data, &[]);
    assert!(answers.answers_to(&request(&sample)).all(IssuedCertificate::is_revoked));
    assert_eq!(answers.answers_to(&request(&sample)).count(), 1);
}

#[test]
fn a_refusal_is_read_in_both_spellings() {
    let sample = Sample::load("tls-certificates-denied");
    let answers: CertificateAnswers = both_ways(&sample.remote_app_data, &[]);
    let csr = request(&sample);
    let refusal = answers.refusal_of(&csr).unwrap();
    assert_eq!(refusal.code, 102);
    assert_eq!(refusal.reason_kind(), RefusalKind::DomainNotAllowed);

    let mut other = sample.remote_app_data.clone();
    let text = other["request_errors"].replace("\"csr\"", "\"certificate_signing_request\"");
    other.insert("request_errors".to_owned(), text);
    assert_eq!(CertificateAnswers::decode(&other).unwrap().unwrap(), answers);
}

#[test]
fn unknown_keys_and_capabilities_are_no_trouble() {
    let mut bag = Sample::load("tls-certificates-issued").remote_app_data;
    let text = bag["certificates"].replacen(
        "\"ca\":",
        "\"recommended_expiry_notification_time\": 1, \"ca\":",
        1,
    );
    bag.insert("certificates".to_owned(), text);
    bag.insert("capabilities".to_owned(), r#"{"supports_ip_sans": false, "new": 1}"#.to_owned());
    let answers = CertificateAnswers::decode(&bag).unwrap().unwrap();
    let capabilities = answers.capabilities.unwrap();
    assert_eq!(capabilities.supports_ip_sans, Some(false));
    assert_eq!(capabilities.supports_wildcard_dns, None);
}

#[test]
fn trusted_certificates_are_read_from_every_version() {
    for case in ["v1", "v0", "v0-json", "removed"] {
        let sample = Sample::load(&format!("certificate_transfer-{case}"));
        let read = certificates(&sample.remote_app_data, sample.remote_unit_data.values()).unwrap();
        assert_eq!(read.certificates.len() as u64, sample.expect["certificates"], "{case}");
        assert_eq!(read.skipped, 0, "{case}");
    }
}

#[test]
fn version_1_and_its_announcement_are_written_as_the_samples_have_them() {
    for case in ["v1", "removed"] {
        let sample = Sample::load(&format!("certificate_transfer-{case}"));
        both_ways::<TransferredSet>(&sample.remote_app_data, &[]);
        let version: TransferVersion = both_ways(&sample.local_app_data, &[]);
        assert_eq!(version, TransferVersion::CURRENT);
    }
}

#[test]
fn version_0_in_json_is_written_as_the_sample_has_it() {
    let sample = Sample::load("certificate_transfer-v0-json");
    let bag = &sample.remote_unit_data["self-signed-certificates/0"];
    let unit: TransferredByUnit = both_ways(bag, &[]);
    assert_eq!(unit.certificate, unit.ca);
    let plain = Sample::load("certificate_transfer-v0");
    let plain = TransferredByUnit::decode(&plain.remote_unit_data["vault-k8s/0"]).unwrap().unwrap();
    assert_eq!(plain.chain.len(), 1);
}

#[test]
fn version_1_wins_over_a_leftover_of_version_0_and_rubbish_is_counted() {
    let mut new = Sample::load("certificate_transfer-v1").remote_app_data;
    let old = Sample::load("certificate_transfer-v0");
    let read = certificates(&new, old.remote_unit_data.values()).unwrap();
    assert_eq!(read.certificates.len(), 2);

    let text = new["certificates"].replacen('[', "[\"no certificate\", ", 1);
    new.insert("certificates".to_owned(), text);
    let read = certificates(&new, []).unwrap();
    assert_eq!((read.certificates.len(), read.skipped), (2, 1));
}
