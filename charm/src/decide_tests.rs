//! Decisions, one sentence each.

use ops::StatusKind;
use relations::postgresql_client::{DatabaseAnswer, HostPort};
use relations::{BagError, SecretUri};

use super::*;
use crate::config::{HttpsUrl, Port, PublicHost};
use crate::endpoints;
use crate::observe::WrongOption;

fn own(endpoint: ops::Endpoint, bag: Option<Bag>) -> Own {
    Own { id: RelationId::new(endpoint, 4), bag }
}

fn answered() -> DatabaseAnswer {
    DatabaseAnswer {
        secret_user: SecretUri::parse("secret:d0a2aa5mp25c7f0f2b00"),
        database: Some(DATABASE_NAME.to_owned()),
        endpoints: HostPort::parse("db:5432").into_iter().collect(),
        ..DatabaseAnswer::default()
    }
}

/// A leader with everything that this revision looks at in order.
fn complete() -> Inputs {
    Inputs {
        app: "mcm".to_owned(),
        config: Ok(Config {
            oidc_issuer: HttpsUrl::try_from("https://iam.example.com".to_owned()).ok(),
            oidc_client_id: Some("mcm".to_owned()),
            ..Config::default()
        }),
        database: Some(Database {
            own: own(endpoints::DATABASE, Some(DatabaseRequest::new(DATABASE_NAME).encode())),
            answer: Ok(Some(answered())),
        }),
        certificates: true,
        oauth: false,
        traefik_route: false,
        send_ca_cert: Vec::new(),
    }
}

fn set(inputs: &mut Inputs, change: impl FnOnce(&mut Config)) {
    change(inputs.config.as_mut().unwrap());
}

fn status_text(inputs: &Inputs) -> String {
    decide(inputs).status.to_string()
}

#[test]
fn a_missing_relation_is_named_with_the_command_that_makes_it() {
    let mut inputs = complete();
    inputs.certificates = false;
    assert_eq!(
        status_text(&inputs),
        "blocked: missing relation: certificates; run: juju integrate mcm:certificates \
         self-signed-certificates"
    );
    inputs.database = None;
    assert_eq!(
        status_text(&inputs),
        "blocked: missing relation: database; run: juju integrate mcm:database \
         postgresql-k8s:database"
    );
}

#[test]
fn a_wrong_option_is_named_with_the_command_that_sets_it() {
    let mut inputs = complete();
    inputs.config = Err(WrongOption {
        option: "cluster-connector-port".to_owned(),
        reason: "it must be a port from 1 to 65535".to_owned(),
    });
    assert_eq!(
        status_text(&inputs),
        "blocked: option cluster-connector-port is wrong: it must be a port from 1 to 65535; run: \
         juju config mcm cluster-connector-port=<value>"
    );
}

#[test]
fn without_an_identity_provider_nobody_can_log_in() {
    let mut inputs = complete();
    set(&mut inputs, |config| config.oidc_client_id = None);
    assert!(status_text(&inputs).ends_with("juju config mcm oidc-client-id=<client id>"));
    set(&mut inputs, |config| config.oidc_issuer = None);
    assert_eq!(
        status_text(&inputs),
        "blocked: OIDC is not configured; run: juju integrate mcm:oauth hydra, or: juju config mcm \
         oidc-issuer=<URL> oidc-client-id=<client id>"
    );
    set(&mut inputs, |config| config.oidc_client_id = Some("mcm".to_owned()));
    assert!(status_text(&inputs).ends_with("juju config mcm oidc-issuer=<URL>"));
    inputs.oauth = true;
    assert!(!status_text(&inputs).contains("OIDC"), "the relation makes the options unnecessary");
}

#[test]
fn addresses_that_cannot_be_routed_matter_with_a_route_only() {
    let mut inputs = complete();
    set(&mut inputs, |config| {
        config.management_api_domain = PublicHost::try_from("a.example.com".to_owned()).ok();
        config.cluster_connector_domain = config.management_api_domain.clone();
    });
    assert!(!status_text(&inputs).contains("different names"));
    inputs.traefik_route = true;
    assert_eq!(
        status_text(&inputs),
        "blocked: management-api-domain and cluster-connector-domain need different names or \
         ports; run: juju config mcm cluster-connector-port=<another port>"
    );
    set(&mut inputs, |config| config.cluster_connector_port = Port(9001));
    assert!(!status_text(&inputs).contains("different names"));
}

#[test]
fn a_database_on_its_way_is_waited_for() {
    let mut inputs = complete();
    for answer in [None, Some(DatabaseAnswer { endpoints: Vec::new(), ..answered() })] {
        inputs.database.as_mut().unwrap().answer = Ok(answer);
        assert_eq!(decide(&inputs).status.kind(), StatusKind::Waiting);
    }
    inputs.certificates = false;
    assert_eq!(decide(&inputs).status.kind(), StatusKind::Blocked, "what needs hands comes first");
}

#[test]
fn unusable_data_is_a_status_that_names_the_relation() {
    let mut inputs = complete();
    inputs.database.as_mut().unwrap().answer = Err(BagError::Malformed {
        interface: "postgresql_client",
        key: "endpoints",
        expected: "a list of host:port",
    });
    let text = status_text(&inputs);
    assert!(text.starts_with("blocked: unusable data in relation database:4: "), "{text}");
    assert!(text.contains("key \"endpoints\" is not a list of host:port"), "{text}");
}

#[test]
fn with_everything_in_order_it_still_does_not_claim_to_serve() {
    assert_eq!(
        status_text(&complete()),
        "blocked: this revision of the charm checks relations and options but does not start the \
         services; run: juju refresh mcm"
    );
}

#[test]
fn the_leader_asks_for_the_database_in_one_write_and_only_once() {
    let mut inputs = complete();
    assert!(decide(&inputs).changes.is_empty(), "everything is written already");
    inputs.database.as_mut().unwrap().own.bag = Some(Bag::new());
    let changes = decide(&inputs).changes;
    assert_eq!(changes.len(), 1);
    let (id, bag) = &changes[0];
    assert_eq!(id.to_string(), "database:4");
    assert_eq!(bag["database"], "cluster_manager_db");
    assert!(bag["requested-secrets"].contains("password"));
}

#[test]
fn the_leader_announces_the_version_of_ca_certificates_to_every_provider() {
    let mut inputs = complete();
    inputs.send_ca_cert = vec![
        own(endpoints::SEND_CA_CERT, Some(Bag::new())),
        own(endpoints::SEND_CA_CERT, Some(TransferVersion::CURRENT.encode())),
    ];
    let wanted = Bag::from([("version".to_owned(), "1".to_owned())]);
    let changes: Vec<_> = decide(&inputs).changes.into_iter().map(|(_, bag)| bag).collect();
    assert_eq!(changes, [wanted]);
}

#[test]
fn a_follower_writes_nothing() {
    let mut inputs = complete();
    inputs.database.as_mut().unwrap().own.bag = None;
    inputs.send_ca_cert = vec![own(endpoints::SEND_CA_CERT, None)];
    assert!(decide(&inputs).changes.is_empty());
}
