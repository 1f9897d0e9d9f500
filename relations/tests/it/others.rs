//! `oauth` and the peer relation.

use relations::oauth::{OauthAnswer, OauthRequest, client_secret};
use relations::peers::{PeerApp, PeerUnit, SCHEMA};
use secrecy::ExposeSecret;

use super::sample::{Sample, both_ways};

#[test]
fn a_registered_client_has_id_and_secret() {
    for case in ["created", "redirect-changed", "pending"] {
        let sample = Sample::load(&format!("oauth-{case}"));
        let answer: OauthAnswer = both_ways(&sample.remote_app_data, &[]);
        assert_eq!(answer.client.is_some(), sample.expect["ready"], "{case}");
        assert_eq!(answer.groups.as_deref(), Some("groups"));
        assert!(answer.issuer_url.ends_with('/'), "the final slash belongs to the issuer");
    }
    let sample = Sample::load("oauth-created");
    let answer: OauthAnswer = both_ways(&sample.remote_app_data, &[]);
    let client = answer.client.unwrap();
    let content = sample.secret(client.secret.as_str());
    let secret = client_secret(content).unwrap();
    assert_eq!(secret.expose_secret(), sample.expect["client_secret"].as_str().unwrap());
    assert!(!format!("{content:?}").contains(secret.expose_secret()));
}

#[test]
fn our_oauth_request_is_written_as_the_samples_have_it() {
    for (case, domain) in
        [("created", "manager.example.com"), ("redirect-changed", "cm.example.net")]
    {
        let sample = Sample::load(&format!("oauth-{case}"));
        let request: OauthRequest = both_ways(&sample.local_app_data, &[]);
        let redirect = format!("https://{domain}/oidc/callback");
        let wanted = OauthRequest::code_flow(&redirect, "openid profile email", None);
        assert_eq!(request, wanted, "{case}");
    }
}

#[test]
fn peers_share_references_and_not_secrets() {
    let sample = Sample::load("peers-initialised");
    let app: PeerApp = both_ways(&sample.local_app_data, &[]);
    assert_eq!(app.schema, SCHEMA);
    assert!(app.connector_identity.is_none());
    let ours: PeerUnit = both_ways(sample.our_unit(), &[]);
    let theirs: PeerUnit =
        both_ways(&sample.remote_unit_data["microcloud-cluster-manager-k8s/1"], &[]);
    assert_eq!((ours.ready, theirs.ready), (true, false));
}
