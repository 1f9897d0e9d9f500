//! In-place refresh from the Python charm of the same name: what clusters have pinned stays.

use charm::pki::{Leaf, Mint, RealMint, fingerprint, signing_request};
use controller::{Authority, Controller, Runner};
use ops::Event;
use ops::testing::SecretState;
use ops::tools::calls::Bag;
use proptest::prelude::*;
use relations::Databag;
use relations::tls_certificates::{CertificateRequest, CertificateRequests};
use serde_json::json;
use time::Duration;

use super::order::{Step, steps, take, tear_down};
use super::{file, options, postgresql};

const PREFIX: &str = "afd8c2bccf834997afce12c2706d2ede";

/// A model as the Python charm has left it: its key in a secret of the unit, its request in the unit's
/// databag. Returns the request.
fn left_by_python(juju: &mut Controller, life: Duration) -> String {
    let key = RealMint.rsa_key().unwrap();
    let request = signing_request(
        &key,
        &["manager.example.com".to_owned(), "clusters.example.com".to_owned()],
    )
    .unwrap();
    let label = format!("{PREFIX}-private-key-0-certificates");
    let secret =
        SecretState::of_unit("secret:d0a2aa5mp25c7f0f2b0g", &label, &[("private-key", &key)]);
    juju.add_unit_secret(0, secret);
    let label = format!("{PREFIX}-certificate-0-certificates-{}", fingerprint(request.as_bytes()));
    juju.add_unit_secret(
        0,
        SecretState::of_unit("secret:d0a2aa5mp25c7f0f2b1g", &label, &[("certificate", "x")]),
    );
    let authority = Authority::new(Duration::days(1), life);
    juju.integrate("certificates", authority.charm());
    let requests = CertificateRequests(vec![CertificateRequest::leaf(&request)]);
    let mut bag: Bag = requests.encode();
    bag.insert("private-address".to_owned(), "10.1.7.10".to_owned());
    juju.set_unit_data(0, "certificates", bag);
    request
}

/// What clusters have pinned there.
fn pinned_by_clusters(juju: &Controller) -> Leaf {
    let relation = juju.relation("certificates").unwrap();
    let answers =
        relations::tls_certificates::CertificateAnswers::decode(&relation.remote_app_data);
    Leaf::parse(&answers.unwrap().unwrap().certificates[0].certificate).unwrap()
}

fn refreshed(life: Duration) -> (Controller, String) {
    // The options come last, so that no hook before the refresh makes anything of its own.
    let mut juju = Controller::new(Runner::process(super::TOOL));
    juju.deploy(&[]);
    let request = left_by_python(&mut juju, life);
    juju.integrate("database", postgresql());
    for (name, value) in options() {
        juju.config(name, value);
    }
    juju.dispatch(0, Event::UpgradeCharm);
    (juju, request)
}

#[test]
fn the_certificate_that_clusters_pinned_goes_on_being_served() {
    let (mut juju, request) = refreshed(Duration::days(90));
    assert_eq!(juju.status(0), "active: ");
    let relation = juju.relation("certificates").unwrap();
    let pinned = pinned_by_clusters(&juju);
    let served = Leaf::parse(&file(&juju, 0, "connector/tls.crt").unwrap()).unwrap();
    assert_eq!(served.fingerprint, pinned.fingerprint);
    assert!(served.has_key(&file(&juju, 0, "connector/tls.key").unwrap()));
    // The request has moved word for word to the application's databag, and Juju's keys stay.
    assert!(
        relation.app["certificate_signing_requests"]
            .contains(&request.lines().nth(1).unwrap().to_owned())
    );
    assert_eq!(relation.units[&0], [("private-address".to_owned(), "10.1.7.10".to_owned())].into());
    assert!(juju.secrets().all(|s| !s.label.as_deref().unwrap_or_default().starts_with(PREFIX)));
    // More units serve the same.
    juju.add_unit();
    assert_eq!(file(&juju, 1, "connector/tls.crt"), file(&juju, 0, "connector/tls.crt"));
}

#[test]
fn its_end_is_announced_with_the_day_and_the_command() {
    let (mut juju, _) = refreshed(Duration::days(20));
    let status = juju.status(0);
    assert!(status.starts_with("active: the certificate that clusters pin ends on 20"), "{status}");
    assert!(status.ends_with(
        "run: juju run microcloud-cluster-manager-k8s/leader rotate-connector-certificate"
    ));
    juju.run_action(0, "rotate-connector-certificate", &[]);
    juju.run_action(0, "rotate-connector-certificate", &[("confirm", json!(true))]);
    assert_eq!(juju.status(0), "active: ");
    let served = Leaf::parse(&file(&juju, 0, "connector/tls.crt").unwrap()).unwrap();
    assert!(served.not_after - served.not_before > Duration::days(3650));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_follows_a_refresh_all_units_serve_what_clusters_pinned(steps in steps()) {
        let mut juju = Controller::new(Runner::InProcess);
        juju.deploy(&[]);
        left_by_python(&mut juju, Duration::days(90));
        let pinned = pinned_by_clusters(&juju).fingerprint;
        juju.dispatch(0, Event::UpgradeCharm);
        let mut units = vec![0];
        for step in steps.into_iter().filter(|step| *step != Step::Integrate("certificates")) {
            take(&mut juju, &mut units, step);
            for unit in &units {
                let served = file(&juju, *unit, "connector/tls.crt");
                let served = served.map(|text| Leaf::parse(&text).unwrap().fingerprint);
                prop_assert!(served.is_none_or(|served| served == pinned), "after {:?}", step);
            }
        }
        for unit in &units {
            prop_assert!(juju.status(*unit).starts_with("active: "), "{}", juju.status(*unit));
            prop_assert!(file(&juju, *unit, "connector/tls.crt").is_some());
        }
        tear_down(&mut juju, &units);
    }
}
