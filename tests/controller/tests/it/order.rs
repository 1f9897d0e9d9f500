//! Relations, options and units in any order come to the same end.

use controller::{Authority, Controller, Remote, Runner};
use ops::Event;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{file, options, postgresql};

/// One thing that an operator or the cluster does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Integrate(&'static str),
    Option(usize),
    AddUnit,
    RestartContainer,
    LoseLeader,
    Tick,
    Upgrade,
    Reconnect(&'static str),
}

pub(super) const ENDPOINTS: [&str; 13] = [
    "database",
    "certificates",
    "send-ca-cert",
    "traefik-route",
    "ingress",
    "send-remote-write",
    "grafana-dashboard",
    "grafana-metadata",
    "metrics-endpoint",
    "logging",
    "oauth",
    "charm-tracing",
    "workload-tracing",
];

/// A charm on the other side that works.
pub(super) fn remote(endpoint: &str) -> Remote {
    match endpoint {
        "database" => postgresql(),
        "certificates" => Authority::default().charm(),
        "send-ca-cert" => {
            let list = json!([include_str!("authority.pem")]).to_string();
            Remote::app_saying("ca", &[("certificates", &list), ("version", "1")])
        }
        "traefik-route" => Remote::traefik("10.64.140.43"),
        "ingress" => Remote::app_saying("in", &[("ingress", r#"{"url": "https://a.example/"}"#)]),
        "send-remote-write" => {
            Remote::unit_saying("prometheus", "remote_write", r#"{"url": "http://p/api/v1/write"}"#)
        }
        "grafana-metadata" => {
            Remote::app_saying("grafana", &[("direct_url", "http://g/"), ("grafana_uid", "x")])
        }
        "logging" => Remote::unit_saying("loki", "endpoint", r#"{"url": "http://l/push"}"#),
        "oauth" => Remote::hydra("https://hydra.example.com"),
        _ => Remote::app_saying("other", &[]),
    }
}

/// Every relation and option once, in any order, with disturbances in between.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let needed: Vec<Step> = ENDPOINTS
        .into_iter()
        .map(Step::Integrate)
        .chain((0..options().len()).map(Step::Option))
        .collect();
    let disturbances = prop_oneof![
        Just(Step::AddUnit),
        Just(Step::RestartContainer),
        Just(Step::LoseLeader),
        Just(Step::Tick),
        Just(Step::Upgrade),
        proptest::sample::select(&ENDPOINTS[..]).prop_map(Step::Reconnect),
    ];
    (Just(needed), proptest::collection::vec(disturbances, 0..5))
        .prop_map(|(needed, more)| needed.into_iter().chain(more).collect::<Vec<_>>())
        .prop_shuffle()
}

pub(super) fn take(juju: &mut Controller, units: &mut Vec<u32>, step: Step) {
    match step {
        Step::Integrate(endpoint) => drop(juju.integrate(endpoint, remote(endpoint))),
        Step::Option(number) => {
            let (name, value) = options().swap_remove(number);
            juju.config(name, value);
        }
        Step::AddUnit if units.len() < 3 => units.push(juju.add_unit()),
        Step::RestartContainer => juju.restart_container(units[0]),
        Step::LoseLeader if units.len() > 1 => juju.lose_unit(units.remove(0)),
        Step::AddUnit | Step::LoseLeader | Step::Tick => juju.everywhere(&Event::UpdateStatus),
        Step::Upgrade => juju.everywhere(&Event::UpgradeCharm),
        Step::Reconnect(endpoint) => {
            if juju.relation(endpoint).is_some() {
                juju.remove_relation(endpoint);
                juju.integrate(endpoint, remote(endpoint));
            }
        }
    }
}

/// What does not depend on when and for which unit it was made: the plan without hashes and addresses.
fn comparable(juju: &Controller, unit: u32) -> Value {
    let mut plan = juju.container(unit).plan();
    for service in ["management-api", "cluster-connector"] {
        plan["services"][service]["environment"]["FILES_HMAC"] = Value::Null;
    }
    plan["services"]["cluster-connector"]["environment"]["TUNNEL_ADDRESS"] = Value::Null;
    for target in plan["log-targets"].as_object_mut().unwrap().values_mut() {
        target["labels"]["juju_unit"] = Value::Null;
    }
    plan
}

fn ended(steps: &[Step]) -> (Value, String) {
    let mut juju = Controller::new(Runner::InProcess);
    juju.deploy(&[]);
    let mut units = vec![0];
    let mut pinned = None;
    for step in steps {
        take(&mut juju, &mut units, *step);
        // Once there is a certificate that clusters may have pinned, it never changes.
        let now = units.iter().find_map(|unit| file(&juju, *unit, "connector/tls.crt"));
        assert!(pinned.is_none() || now.is_none() || now == pinned, "after {step:?}");
        pinned = pinned.or(now);
    }
    for unit in &units {
        let status = juju.status(*unit);
        assert!(status.starts_with("active: "), "{status}");
        assert_eq!(file(&juju, *unit, "connector/tls.crt"), pinned);
        assert_eq!(juju.container(*unit).running().len(), 2);
    }
    let route = juju.relation("traefik-route").unwrap().app["config"].clone();
    let end = (comparable(&juju, units[0]), route);
    tear_down(&mut juju, &units);
    end
}

/// `juju remove-application`: all relations go, then all units; the controller fails the test if a hook fails.
pub(super) fn tear_down(juju: &mut Controller, units: &[u32]) {
    for endpoint in ENDPOINTS.into_iter().rev() {
        if juju.relation(endpoint).is_some() {
            juju.remove_relation(endpoint);
        }
    }
    for unit in units {
        let status = juju.status(*unit);
        assert!(status.starts_with("blocked: missing relation: database"), "{status}");
        assert!(juju.container(*unit).running().is_empty());
        assert!(juju.container(*unit).files().is_empty(), "nothing confidential stays");
    }
    for unit in units.iter().rev() {
        juju.remove_unit(*unit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..Default::default() })]

    #[test]
    fn every_order_comes_to_the_same_end(steps in steps()) {
        let straight: Vec<Step> = (0..options().len()).map(Step::Option)
            .chain(ENDPOINTS.into_iter().map(Step::Integrate)).collect();
        prop_assert_eq!(ended(&steps), ended(&straight));
    }

    #[test]
    fn a_repeated_event_changes_nothing(endpoints in proptest::sample::subsequence(&ENDPOINTS[..], 0..13)) {
        let mut juju = super::deployed(Runner::InProcess);
        for endpoint in endpoints.into_iter().filter(|e| !["database", "certificates"].contains(e)) {
            juju.integrate(endpoint, remote(endpoint));
        }
        juju.everywhere(&Event::UpdateStatus);
        let before = (juju.databags(), juju.container(0).starts(), juju.container(0).plan());
        for event in [Event::UpdateStatus, Event::ConfigChanged, Event::UpgradeCharm, Event::LeaderElected, Event::Start] {
            juju.calls.clear();
            juju.everywhere(&event);
            prop_assert_eq!(juju.calls.len(), 1, "{:?} is followed by nothing", event);
        }
        prop_assert_eq!(before, (juju.databags(), juju.container(0).starts(), juju.container(0).plan()));
    }
}
