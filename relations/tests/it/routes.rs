//! `traefik_route` and `ingress`.

use relations::Databag;
use relations::ingress::{IngressAnswer, IngressRequest, IngressUnit, Scheme};
use relations::traefik_route::{ANY_SNI, EntryPoint, RouteAnswer, RouteRequest, sni_rule};

use super::sample::{Sample, both_ways, is_empty};

#[test]
fn our_routes_mean_what_the_samples_say() {
    for case in ["ready", "extra-entrypoint", "ip-addresses", "waiting"] {
        let sample = Sample::load(&format!("traefik_route-{case}"));
        let request: RouteRequest = both_ways(&sample.local_app_data, &["config", "static"]);
        assert!(request.raw, "{case}");
        for router in request.config.tcp.routers.values() {
            assert!(router.tls.passthrough);
            assert!(request.config.tcp.services.contains_key(&router.service));
        }
        let answer: RouteAnswer = both_ways(&sample.remote_app_data, &[]);
        if let Some(host) = sample.expect.get("external_host") {
            assert_eq!(answer.external_host.as_deref(), host.as_str(), "{case}");
        }
    }
}

#[test]
fn an_entry_point_has_a_port_and_nothing_more() {
    let sample = Sample::load("traefik_route-extra-entrypoint");
    let request = RouteRequest::decode(&sample.local_app_data).unwrap().unwrap();
    let entry_points = request.static_config.unwrap().entry_points;
    assert_eq!(entry_points["microcloud-cluster-manager-k8s-cc"], EntryPoint::on_port(9001));
}

#[test]
fn dropping_the_entry_point_takes_the_static_part_back() {
    let sample = Sample::load("traefik_route-extra-entrypoint");
    let mut request = RouteRequest::decode(&sample.local_app_data).unwrap().unwrap();
    request.static_config = None;
    let changes = request.changes(&sample.local_app_data);
    assert_eq!(changes.get("static").map(String::as_str), Some(""));
    assert!(!changes.contains_key("raw"));
}

#[test]
fn a_rule_takes_only_names() {
    assert_eq!(sni_rule("manager.example.com").unwrap(), "HostSNI(`manager.example.com`)");
    assert_eq!(sni_rule("a`) || HostSNI(`*"), None);
    assert_eq!(sni_rule(""), None);
    let sample = Sample::load("traefik_route-ip-addresses");
    let request = RouteRequest::decode(&sample.local_app_data).unwrap().unwrap();
    assert!(request.config.tcp.routers.values().all(|router| router.rule == ANY_SNI));
}

#[test]
fn ingress_is_written_as_the_sample_has_it() {
    let sample = Sample::load("ingress-ready");
    let request: IngressRequest = both_ways(&sample.local_app_data, &[]);
    assert_eq!((request.port, request.scheme), (9100, Scheme::Https));
    let unit: IngressUnit = both_ways(sample.our_unit(), &[]);
    assert_eq!(unit.ip.as_deref(), Some("10.1.20.10"));
    let answer: IngressAnswer = both_ways(&sample.remote_app_data, &[]);
    assert_eq!(answer.url, sample.expect["url"]);
}

#[test]
fn an_ingress_that_says_null_is_not_ready() {
    let bag = relations::Bag::from([("ingress".to_owned(), "null".to_owned())]);
    assert!(is_empty::<IngressAnswer>(&bag));
    let bag = relations::Bag::from([("ingress".to_owned(), r#"{"url": "file:///x"}"#.to_owned())]);
    assert!(IngressAnswer::decode(&bag).is_err());
}
