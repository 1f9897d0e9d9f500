//! `postgresql_client`: the samples, and how bag and secrets become connection settings.

use relations::postgresql_client::{
    Connection, DatabaseAnswer, DatabaseRequest, DatabaseUnit, HostPort, NotReady, Tls, TlsSecret,
    UserSecret,
};
use relations::{Bag, Databag};
use secrecy::ExposeSecret;

use super::sample::{Sample, both_ways, is_empty};

const ANSWERED: [&str; 6] = [
    "postgresql_client-created",
    "postgresql_client-no-tls",
    "postgresql_client-pg16",
    "postgresql_client-legacy-plain",
    "postgresql_client-failover",
    "postgresql_client-rotated",
];

fn connect(sample: &Sample) -> Connection {
    let answer: DatabaseAnswer = both_ways(&sample.remote_app_data, &[]);
    assert!(answer.is_answered());
    let user = answer.secret_user.as_ref().map(|uri| sample.secret(uri.as_str()));
    let tls = answer.secret_tls.as_ref().map(|uri| sample.secret(uri.as_str()));
    let user = user.map(|content| UserSecret::from_content(content).unwrap());
    let tls = tls.map(|content| TlsSecret::from_content(content).unwrap());
    answer.connection(user.as_ref(), tls.as_ref(), "cluster_manager_db").unwrap()
}

#[test]
fn our_request_is_written_as_the_samples_have_it() {
    for case in ANSWERED.into_iter().chain(["postgresql_client-requested"]) {
        let sample = Sample::load(case);
        let request: DatabaseRequest = both_ways(&sample.local_app_data, &[]);
        assert_eq!(request, DatabaseRequest::new("cluster_manager_db"), "{case}");
    }
    assert!(is_empty::<DatabaseAnswer>(
        &Sample::load("postgresql_client-requested").remote_app_data
    ));
}

#[test]
fn every_answered_sample_gives_the_connection_that_it_expects() {
    for case in ANSWERED {
        let sample = Sample::load(case);
        let connection = connect(&sample);
        let expect = &sample.expect;
        assert_eq!(expect["ready"], true, "{case}");
        if let Some(host) = expect["host"].as_str() {
            assert_eq!(connection.hosts[0].host, host, "{case}");
            assert_eq!(u64::from(connection.hosts[0].port), expect["port"], "{case}");
        }
        if let Some(hosts) = expect["hosts"].as_array() {
            let found: Vec<_> = connection.hosts.iter().map(|h| h.host.as_str()).collect();
            assert_eq!(&found, hosts, "{case}");
        }
        if let Some(password) = expect["password"].as_str() {
            assert_eq!(connection.password.expose_secret(), password, "{case}");
        }
        if let Some(username) = expect["username"].as_str() {
            assert_eq!(connection.username, username, "{case}");
        }
        match expect["sslmode"].as_str() {
            Some("verify-full") => {
                assert!(matches!(&connection.tls, Tls::VerifyAgainst(ca) if ca.contains("BEGIN")));
            }
            Some("disable") => assert_eq!(connection.tls, Tls::Off, "{case}"),
            _ => {}
        }
        assert_eq!(connection.database, "cluster_manager_db", "{case}");
    }
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let sample = Sample::load("postgresql_client-legacy-plain");
    let password = sample.expect["password"].as_str().unwrap();
    let answer = DatabaseAnswer::decode(&sample.remote_app_data).unwrap().unwrap();
    for text in [format!("{answer:?}"), format!("{:?}", connect(&sample))] {
        assert!(text.contains("relation_id_4"), "the output is there at all: {text}");
        assert!(!text.contains(password), "{text}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let sample = Sample::load("postgresql_client-created");
    let mut bag = sample.remote_app_data.clone();
    let answer = DatabaseAnswer::decode(&bag).unwrap().unwrap();
    let missing = |answer: &DatabaseAnswer, tls: Option<&TlsSecret>| {
        answer.connection(None, tls, "db").unwrap_err()
    };
    assert_eq!(missing(&answer, None), NotReady("TLS secret"));
    let tls = TlsSecret { tls: false, ca: None };
    assert_eq!(missing(&answer, Some(&tls)), NotReady("user name"));
    bag.remove("endpoints");
    let answer = DatabaseAnswer::decode(&bag).unwrap().unwrap();
    assert!(!answer.is_answered());
    assert_eq!(missing(&answer, Some(&tls)), NotReady("endpoints"));
    assert_eq!(
        NotReady("endpoints").to_string(),
        "the database relation has not delivered its endpoints yet"
    );
}

#[test]
fn tls_without_a_bundle_is_never_unverified() {
    let sample = Sample::load("postgresql_client-created");
    let answer = DatabaseAnswer::decode(&sample.remote_app_data).unwrap().unwrap();
    let user = UserSecret { username: "u".to_owned(), password: "p".into() };
    let tls = TlsSecret { tls: true, ca: None };
    let connection = answer.connection(Some(&user), Some(&tls), "db").unwrap();
    assert_eq!(connection.tls, Tls::VerifyAgainstSystem);
}

#[test]
fn hosts_are_split_at_the_last_colon() {
    let parse = |text| HostPort::parse(text).map(|host| host.to_string());
    for (text, wanted) in [
        ("db:5433", Some("db:5433")),
        ("db", Some("db:5432")),
        (" 10.0.0.1:1 ", Some("10.0.0.1:1")),
        ("[fd00::1]:5433", Some("[fd00::1]:5433")),
        ("[fd00::1]", Some("[fd00::1]:5432")),
        ("fd00::1:5433", Some("[fd00::1]:5433")),
        ("db:", None),
        (":5432", None),
        ("db:0", None),
        ("db:65536", None),
        ("[fd00::1", None),
        ("a b:5432", None),
        ("db'; host=evil:1", None),
    ] {
        assert_eq!(parse(text).as_deref(), wanted, "{text}");
    }
}

#[test]
fn a_subordinate_provider_tells_when_it_is_ready() {
    let unit = |state: &str| {
        let bag = Bag::from([("state".to_owned(), state.to_owned())]);
        DatabaseUnit::decode(&bag).unwrap().map(|unit| unit.ready)
    };
    assert_eq!([unit("ready"), unit("starting"), unit("")], [Some(true), Some(false), None]);
}
