//! The bundle and the Terraform module deploy this charm with what it needs, by endpoints that exist.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside test functions"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hcl::{Body, Expression};
use packager::read_yaml;
use serde_yaml::Value;

const APP: &str = "microcloud-cluster-manager-k8s";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn module() -> Vec<Body> {
    let files = std::fs::read_dir(root().join("charm/terraform")).unwrap();
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    files.map(|file| hcl::parse(&text(file.unwrap().path())).unwrap()).collect()
}

/// Blocks of a kind with their labels.
fn blocks<'a>(module: &'a [Body], kind: &str) -> Vec<(Vec<&'a str>, &'a Body)> {
    let all = module.iter().flat_map(Body::blocks).filter(|block| block.identifier() == kind);
    all.map(|block| (block.labels().iter().map(hcl::BlockLabel::as_str).collect(), block.body()))
        .collect()
}

fn attribute<'a>(body: &'a Body, name: &str) -> Option<&'a Expression> {
    body.attributes().find(|attribute| attribute.key() == name).map(hcl::Attribute::expr)
}

fn text(body: &Body, name: &str) -> String {
    match attribute(body, name).unwrap() {
        Expression::String(text) => text.clone(),
        other => hcl::format::to_string(other).unwrap(),
    }
}

/// Applications by their name in the module: the charm, and whether they are there only by the switch.
fn applications(module: &[Body]) -> BTreeMap<String, (String, bool)> {
    let all = blocks(module, "resource").into_iter();
    let all = all.filter(|(labels, _)| labels[0] == "juju_application");
    all.map(|(labels, body)| {
        let charm = body.blocks().find(|block| block.identifier() == "charm").unwrap().body();
        assert!(attribute(charm, "channel").is_some(), "{labels:?}");
        let switched = attribute(body, "count").is_some();
        (labels[1].to_owned(), (text(charm, "name"), switched))
    })
    .collect()
}

/// Both sides of each integration, by the applications' names in the module.
fn integrations(module: &[Body]) -> Vec<([(String, String); 2], bool)> {
    let all = blocks(module, "resource").into_iter();
    let all = all.filter(|(labels, _)| labels[0] == "juju_integration");
    all.map(|(labels, body)| {
        let sides = body.blocks().filter(|block| block.identifier() == "application");
        let side = |body: &Body| {
            let name = text(body, "name");
            let parts: Vec<&str> = name.split('.').collect();
            assert_eq!((parts[0], parts[2]), ("juju_application", "name"), "{name}");
            (parts[1].trim_end_matches("[0]").to_owned(), text(body, "endpoint"))
        };
        let sides: Vec<_> = sides.map(|block| side(block.body())).collect();
        assert_eq!(sides.len(), 2, "{labels:?} has two sides");
        let sides = sides.try_into().unwrap();
        (sides, attribute(body, "count").is_some())
    })
    .collect()
}

fn endpoints(charm: &Value) -> BTreeSet<String> {
    let sections = ["requires", "provides"].map(|section| charm[section].as_mapping().unwrap());
    let names = sections.into_iter().flat_map(|section| section.keys());
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

const NEEDED: [&str; 4] = ["certificates", "database", "send-ca-cert", "traefik-route"];
const OBSERVED: [&str; 5] =
    ["grafana-dashboard", "grafana-metadata", "logging", "metrics-endpoint", "send-remote-write"];

#[test]
fn the_module_integrates_what_is_needed_and_by_its_switch_what_observes() {
    let (module, charm) = (module(), read_yaml(&root().join("charmcraft.yaml")).unwrap());
    let applications = applications(&module);
    assert_eq!(applications["manager"].0, APP);
    let (mut always, mut switched) = (BTreeSet::new(), BTreeSet::new());
    for (sides, by_switch) in integrations(&module) {
        for (application, endpoint) in &sides {
            let (_, application_by_switch) = &applications[application];
            assert!(by_switch || !application_by_switch, "{application} may not be there");
            if application == "manager" {
                assert!(endpoints(&charm).contains(endpoint), "{endpoint}");
                if by_switch { &mut switched } else { &mut always }.insert(endpoint.clone());
            }
        }
        assert_ne!(sides[0], sides[1]);
    }
    assert_eq!(always, NEEDED.map(str::to_owned).into());
    assert_eq!(switched, OBSERVED.map(str::to_owned).into());
}

#[test]
fn the_modules_variables_are_described_typed_and_used_and_its_options_exist() {
    let (module, charm) = (module(), read_yaml(&root().join("charmcraft.yaml")).unwrap());
    let all: String = module.iter().map(|body| hcl::format::to_string(body).unwrap()).collect();
    let mut needed = BTreeSet::new();
    for (labels, body) in blocks(&module, "variable") {
        assert!(attribute(body, "type").is_some(), "{labels:?}");
        assert!(text(body, "description").ends_with('.'), "{labels:?}");
        assert!(all.contains(&format!("var.{}", labels[0])), "{labels:?} is not used");
        if attribute(body, "default").is_none() {
            needed.insert(labels[0].to_owned());
        }
    }
    let wanted = ["cluster_connector_domain", "management_api_domain", "model"];
    assert_eq!(needed, wanted.map(str::to_owned).into());
    for option in ["management-api-domain", "cluster-connector-domain"] {
        assert!(all.contains(&format!("\"{option}\"")), "{option}");
        assert!(charm["config"]["options"].get(option).is_some(), "{option}");
    }
    let providers = blocks(&module, "terraform");
    let provider = hcl::format::to_string(providers[0].1).unwrap();
    assert!(provider.contains("juju/juju") && provider.contains("\">= 0.20, < 1.0\""));
    // With 1.0 the provider gave up the name of the model, which is what the module asks for, for its identifier.
    assert!(all.contains("model = var.model") && !all.contains("model_uuid"));
    for (labels, body) in blocks(&module, "output") {
        assert!(attribute(body, "value").is_some(), "{labels:?}");
    }
}

#[test]
fn the_overlay_adds_the_same_to_the_bundle() {
    let bundle = read_yaml(&root().join("charm/bundle.yaml")).unwrap();
    let overlay = read_yaml(&root().join("charm/cos-overlay.yaml")).unwrap();
    let (module, charm) = (module(), read_yaml(&root().join("charmcraft.yaml")).unwrap());
    let of_module = integrations(&module);
    let names = applications(&module);
    for (file, by_switch, wanted) in [(&bundle, false, &NEEDED[..]), (&overlay, true, &OBSERVED)] {
        let mut ours = BTreeSet::new();
        let mut sides = BTreeSet::new();
        for relation in file["relations"].as_sequence().unwrap() {
            let mut pair = BTreeSet::new();
            for side in relation.as_sequence().unwrap() {
                let (app, endpoint) = side.as_str().unwrap().split_once(':').unwrap();
                let known = |file: &Value| file["applications"].get(app).is_some();
                assert!(known(&bundle) || (by_switch && known(&overlay)), "{app}");
                if app == APP {
                    assert!(endpoints(&charm).contains(endpoint), "{endpoint}");
                    ours.insert(endpoint);
                }
                pair.insert(format!("{app}:{endpoint}"));
            }
            sides.insert(pair);
        }
        assert_eq!(ours, wanted.iter().copied().collect());
        // The module has the same relations.
        let module: BTreeSet<BTreeSet<String>> = of_module
            .iter()
            .filter(|(_, switched)| *switched == by_switch)
            .map(|(sides, _)| sides.iter().map(|(n, e)| format!("{}:{e}", names[n].0)).collect())
            .collect();
        assert_eq!(sides, module);
    }
    for application in overlay["applications"].as_mapping().unwrap().values() {
        assert!(application["scale"].is_u64() && application["channel"].is_string());
    }
}

#[test]
fn charm_05_nobody_gives_the_charm_rights_in_kubernetes() {
    let module = module();
    let manager = blocks(&module, "resource").into_iter();
    let (_, manager) = manager
        .into_iter()
        .find(|(labels, _)| labels[..] == ["juju_application", "manager"])
        .unwrap();
    assert!(attribute(manager, "trust").is_none());
    for file in ["charm/bundle.yaml", "charm/cos-overlay.yaml"] {
        let file = read_yaml(&root().join(file)).unwrap();
        let ours = file["applications"].get(APP).and_then(Value::as_mapping);
        assert!(ours.is_none_or(|ours| !ours.contains_key("trust")), "{file:?}");
    }
    // What people are told to type gives trust to other charms, and to ours neither at first nor later.
    let mut pages = vec![root().join("tools/pack.sh"), root().join("README.md")];
    for folder in ["docs", "docs/how-to"] {
        let files =
            std::fs::read_dir(root().join(folder)).unwrap().map(|file| file.unwrap().path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    }
    assert!(pages.len() > 10, "{}", pages.len());
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for line in text.lines().filter(|line| line.contains("juju ")) {
            assert!(!line.contains("juju trust"), "{}: {line}", page.display());
            let ours = line.contains(APP) || line.contains("juju deploy ./%s");
            assert!(!(ours && line.contains("--trust")), "{}: {line}", page.display());
        }
    }
}
