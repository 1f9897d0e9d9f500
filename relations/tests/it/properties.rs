//! The promises of the crate, for every type, on arbitrary bags.

use proptest::prelude::*;
use relations::{Bag, BagError, Databag};

use super::sample;

/// Every databag of every sample.
fn sample_bags() -> impl Iterator<Item = Bag> {
    sample::all().flat_map(|sample| {
        let units =
            sample.local_unit_data.into_values().chain(sample.remote_unit_data.into_values());
        units.chain([sample.local_app_data, sample.remote_app_data]).collect::<Vec<_>>()
    })
}

/// Values that look right here and there: texts of the samples, whole and cut, and noise.
fn value() -> impl Strategy<Value = String> {
    let mut texts: Vec<String> = sample_bags().flat_map(Bag::into_values).collect();
    texts.sort();
    texts.dedup();
    let fragments = [
        "",
        "null",
        "[]",
        "{}",
        "[null]",
        "0",
        "-1",
        "65536",
        "true",
        "True",
        "\"\"",
        "[[[[[[",
        "a:b:c",
        ",",
        ":",
        "[::1]:5432",
        "[",
        "&a [*a]",
        "{\"url\": 1}",
        "secret:",
        "\u{0}",
        "é😀",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE REQUEST-----\n=\n-----END",
    ];
    prop_oneof![
        proptest::sample::select(texts.clone()),
        (proptest::sample::select(texts), any::<prop::sample::Index>(), ".{0,3}").prop_map(
            |(text, at, noise)| {
                let mut cut = at.index(text.len() + 1);
                while !text.is_char_boundary(cut) {
                    cut -= 1;
                }
                format!("{}{noise}{}", &text[..cut], &text[cut..])
            }
        ),
        proptest::sample::select(fragments.map(str::to_owned).to_vec()),
        ".{0,40}",
    ]
}

/// Bags with the keys of `T` and some others: samples with a few keys overwritten, and chance.
fn bag<T: Databag>() -> impl Strategy<Value = Bag> {
    let keys: Vec<String> =
        T::KEYS.iter().chain(&["private-address", "data"]).map(|key| (*key).to_owned()).collect();
    let fitting = sample_bags().filter(|bag| bag.keys().any(|key| T::KEYS.contains(&key.as_str())));
    let fitting: Vec<Bag> = fitting.chain([Bag::new()]).collect();
    let size = 0..keys.len() + 2;
    let chance = |size| {
        proptest::collection::btree_map(proptest::sample::select(keys.clone()), value(), size)
    };
    let overwritten = (proptest::sample::select(fitting), chance(0..3))
        .prop_map(|(bag, over)| bag.into_iter().chain(over).collect());
    prop_oneof![overwritten, chance(size)]
}

/// Reading does not panic; errors quote no value; what was read is written so that it reads the
/// same, and writing it over the old bag leaves nothing to do.
fn holds<T: Databag>(bag: &Bag) -> Result<(), TestCaseError> {
    match T::decode(bag) {
        Err(error) => {
            let text = format!("{error} {error:?}");
            for value in bag.values().filter(|value| value.len() > 20) {
                prop_assert!(!text.contains(value.as_str()), "{text}");
            }
        }
        Ok(None) => {}
        Ok(Some(read)) => {
            let mut written = bag.clone();
            for (key, value) in read.changes(bag) {
                prop_assert!(T::KEYS.contains(&key.as_str()));
                written.insert(key, value);
            }
            prop_assert!(read.changes(&written).is_empty());
            if let Some(again) = T::decode(&written).expect("what we write can be read") {
                prop_assert_eq!(again.encode(), read.encode());
            }
        }
    }
    Ok(())
}

macro_rules! decode_never_panics_and_writing_is_stable {
    ($($name:ident: $type:ty,)*) => {
        $(proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
            #[test]
            fn $name(bag in bag::<$type>()) {
                holds::<$type>(&bag)?;
            }
        })*
    };
}

decode_never_panics_and_writing_is_stable! {
    certificate_transfer_set: relations::certificate_transfer::TransferredSet,
    certificate_transfer_unit: relations::certificate_transfer::TransferredByUnit,
    certificate_transfer_version: relations::certificate_transfer::TransferVersion,
    grafana_dashboard: relations::grafana_dashboard::Dashboards,
    grafana_dashboard_event: relations::grafana_dashboard::DashboardEvent,
    grafana_metadata: relations::grafana_metadata::GrafanaMetadata,
    ingress_answer: relations::ingress::IngressAnswer,
    ingress_request: relations::ingress::IngressRequest,
    ingress_unit: relations::ingress::IngressUnit,
    loki_push_api_request: relations::loki_push_api::LokiRequest,
    loki_push_api_unit: relations::loki_push_api::LokiUnit,
    oauth_answer: relations::oauth::OauthAnswer,
    oauth_request: relations::oauth::OauthRequest,
    peers_app: relations::peers::PeerApp,
    peers_unit: relations::peers::PeerUnit,
    postgresql_client_answer: relations::postgresql_client::DatabaseAnswer,
    postgresql_client_request: relations::postgresql_client::DatabaseRequest,
    postgresql_client_unit: relations::postgresql_client::DatabaseUnit,
    prometheus_remote_write_event: relations::prometheus_remote_write::RemoteWriteEvent,
    prometheus_remote_write_rules: relations::prometheus_remote_write::RemoteWriteRules,
    prometheus_remote_write_unit: relations::prometheus_remote_write::RemoteWriteUnit,
    prometheus_scrape_app: relations::prometheus_scrape::ScrapeApp,
    prometheus_scrape_unit: relations::prometheus_scrape::ScrapeUnit,
    tls_certificates_answers: relations::tls_certificates::CertificateAnswers,
    tls_certificates_requests: relations::tls_certificates::CertificateRequests,
    tracing_answer: relations::tracing::TracingAnswer,
    tracing_request: relations::tracing::TracingRequest,
    traefik_route_answer: relations::traefik_route::RouteAnswer,
    traefik_route_request: relations::traefik_route::RouteRequest,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn reading_trusted_certificates_never_panics(
        app in bag::<relations::certificate_transfer::TransferredSet>(),
        unit in bag::<relations::certificate_transfer::TransferredByUnit>(),
    ) {
        if let Ok(trusted) = relations::certificate_transfer::certificates(&app, [&unit]) {
            prop_assert!(trusted.certificates.is_sorted());
        }
    }
}

#[test]
fn an_over_long_value_is_refused_by_name() {
    let bag =
        Bag::from([("endpoints".to_owned(), "x".repeat(relations::bag::MAX_VALUE_BYTES + 1))]);
    let error = relations::postgresql_client::DatabaseAnswer::decode(&bag).unwrap_err();
    assert_eq!(error, BagError::TooLong { interface: "postgresql_client", key: "endpoints" });
}

#[test]
fn changes_remove_keys_that_are_no_longer_wanted_and_touch_no_others() {
    let request = relations::postgresql_client::DatabaseRequest::new("db");
    let mut current = request.encode();
    current.insert("extra-user-roles".to_owned(), "admin".to_owned());
    current.insert("ingress-address".to_owned(), "10.0.0.1".to_owned());
    let wanted = Bag::from([("extra-user-roles".to_owned(), String::new())]);
    assert_eq!(request.changes(&current), wanted);
}

#[test]
fn no_sample_is_left_without_a_type() {
    let mut interfaces: Vec<String> = sample::all().map(|sample| sample.interface).collect();
    interfaces.sort();
    interfaces.dedup();
    assert_eq!(
        interfaces,
        [
            relations::certificate_transfer::TransferredSet::INTERFACE,
            relations::grafana_dashboard::Dashboards::INTERFACE,
            relations::grafana_metadata::GrafanaMetadata::INTERFACE,
            relations::ingress::IngressRequest::INTERFACE,
            relations::loki_push_api::LokiUnit::INTERFACE,
            relations::peers::PeerApp::INTERFACE,
            relations::oauth::OauthRequest::INTERFACE,
            relations::postgresql_client::DatabaseAnswer::INTERFACE,
            relations::prometheus_remote_write::RemoteWriteUnit::INTERFACE,
            relations::prometheus_scrape::ScrapeApp::INTERFACE,
            relations::tls_certificates::CertificateAnswers::INTERFACE,
            relations::tracing::TracingAnswer::INTERFACE,
            relations::traefik_route::RouteRequest::INTERFACE,
        ]
    );
}
