//! Events in the order in which Juju brings them.

use std::collections::{BTreeMap, VecDeque};

use ops::dispatch::{RelationEvent, WorkloadEvent};
use ops::status::ReportedStatus;
use ops::testing::{FakePebble, SecretOwner, SecretState};
use ops::tools::calls::Bag;
use ops::{Endpoint, Event, RelationId, UnitName};
use serde_json::Value;
use tempfile::TempDir;

use crate::cost::Cost;
use crate::events::relation;
use crate::model::{Model, Relation, Unit};
use crate::remotes::Remote;
use crate::runner::{Place, Runner};

/// Name of the application.
pub(crate) const APP: &str = "microcloud-cluster-manager-k8s";

/// Name of the workload container.
const CONTAINER: &str = "microcloud-cluster-manager";

/// What an action came to.
#[derive(Debug)]
pub struct ActionOutcome {
    /// Results.
    pub results: BTreeMap<String, String>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// Lines of progress.
    pub log: Vec<String>,
}

/// A model with one application.
pub struct Controller {
    pub(crate) runner: Runner,
    pub(crate) model: Model,
    containers: BTreeMap<u32, FakePebble>,
    /// Units whose container is somebody else's, with the root of its files and its address.
    foreign: BTreeMap<u32, (String, String)>,
    /// After the containers, whose sockets are in it.
    folder: TempDir,
    pub(crate) queue: VecDeque<(u32, Event)>,
    next_relation: u32,
    next_unit: u32,
    /// Hook tools of each event: name of the event and number of calls.
    pub calls: Vec<(String, usize)>,
    /// What each event cost that the real program dealt with.
    pub costs: Vec<Cost>,
}

impl Controller {
    /// An empty model with the charm's default options.
    #[must_use]
    pub fn new(runner: Runner) -> Self {
        let yaml = include_str!("../../../charmcraft.yaml");
        let charm: serde_yaml::Value = serde_yaml::from_str(yaml).unwrap();
        let mut model = Model::default();
        for (name, option) in charm["config"]["options"].as_mapping().unwrap() {
            if let Some(default) = option.get("default") {
                let default = serde_json::to_value(default).unwrap();
                model.config.insert(name.as_str().unwrap().to_owned(), default);
            }
        }
        Self {
            folder: TempDir::new().unwrap(),
            runner,
            model,
            containers: BTreeMap::new(),
            foreign: BTreeMap::new(),
            queue: VecDeque::new(),
            next_relation: 0,
            next_unit: 0,
            calls: Vec::new(),
            costs: Vec::new(),
        }
    }

    /// `juju deploy` with options; the first unit is the leader.
    pub fn deploy(&mut self, options: &[(&str, Value)]) {
        for (name, value) in options {
            self.model.config.insert((*name).to_owned(), value.clone());
        }
        self.add_peers();
        self.add_unit();
    }

    /// The same with a container of the caller's, see [`Controller::add_unit_with`].
    pub fn deploy_with(
        &mut self,
        options: &[(&str, Value)],
        start: impl FnOnce(&std::path::Path) -> (String, String),
    ) {
        for (name, value) in options {
            self.model.config.insert((*name).to_owned(), value.clone());
        }
        self.add_peers();
        self.add_unit_with(start);
    }

    /// Folder of the containers' sockets of a unit.
    #[must_use]
    pub fn containers(&self, number: u32) -> std::path::PathBuf {
        self.place(number).containers
    }

    fn add_peers(&mut self) {
        let id = RelationId::new(Endpoint::new("peers"), self.relation_number());
        self.model.relations.push(Relation {
            id,
            remote_app: APP.to_owned(),
            app: Bag::new(),
            units: BTreeMap::new(),
            remote_app_data: Bag::new(),
            remote_units: BTreeMap::new(),
            remote: None,
        });
    }

    fn relation_number(&mut self) -> u32 {
        self.next_relation += 1;
        self.next_relation
    }

    /// `juju add-unit`: returns its number.
    pub fn add_unit(&mut self) -> u32 {
        let number = self.next_unit;
        let containers = self.place(number).containers;
        std::fs::create_dir_all(&containers).unwrap();
        self.containers.insert(number, FakePebble::start(&containers, CONTAINER).unwrap());
        self.start_unit(number);
        number
    }

    /// `juju add-unit` with a container that `start` starts: it gets the folder for the socket's folder,
    /// and says where the container's files are and which address its services listen on.
    pub fn add_unit_with(
        &mut self,
        start: impl FnOnce(&std::path::Path) -> (String, String),
    ) -> u32 {
        let number = self.next_unit;
        let containers = self.place(number).containers;
        let folder = containers.join(CONTAINER);
        std::fs::create_dir_all(&folder).unwrap();
        let (root, listen) = start(&folder);
        self.foreign.insert(number, (root, listen));
        self.start_unit(number);
        number
    }

    fn start_unit(&mut self, number: u32) {
        self.next_unit = number + 1;
        let status =
            ReportedStatus { status: "waiting".to_owned(), message: "installing agent".to_owned() };
        let address = format!("10.1.7.{}", number + 10);
        let unit = Unit { status, ports: [].into(), address, log: Vec::new() };
        self.model.units.insert(number, unit);
        self.event(number, Event::Install);
        for (id, app) in self.relation_list() {
            self.event(number, relation(&id, &app, RelationEvent::Created));
        }
        if self.model.leader.is_none() {
            self.elect(number);
        }
        self.event(number, Event::ConfigChanged);
        self.event(number, Event::Start);
        let ready = WorkloadEvent::Ready;
        self.event(number, Event::Workload { container: CONTAINER.to_owned(), kind: ready });
        for (id, app) in self.relation_list() {
            self.join(number, &id, &app);
        }
        self.settle();
    }

    /// This unit is the leader from now on.
    pub fn elect(&mut self, number: u32) {
        self.model.leader = Some(number);
        self.event(number, Event::LeaderElected);
    }

    /// The unit's pod is gone for good; the one with the lowest number leads from now on.
    pub fn remove_unit(&mut self, number: u32) {
        self.event(number, Event::Stop);
        self.event(number, Event::Remove);
        self.settle();
        self.lose_unit(number);
    }

    /// The unit dies without a word; the one with the lowest number leads from now on.
    pub fn lose_unit(&mut self, number: u32) {
        self.model.units.remove(&number);
        self.containers.remove(&number);
        for relation in &mut self.model.relations {
            relation.units.remove(&number);
        }
        if self.model.leader == Some(number) {
            self.model.leader = None;
            if let Some(next) = self.model.units.keys().next().copied() {
                self.elect(next);
            }
        }
        self.settle();
    }

    /// `juju config`: an option is set, or reset with null.
    pub fn config(&mut self, name: &str, value: Value) {
        if value.is_null() {
            self.model.config.remove(name);
        } else {
            self.model.config.insert(name.to_owned(), value);
        }
        self.everywhere(&Event::ConfigChanged);
    }

    /// `juju integrate`.
    pub fn integrate(&mut self, endpoint: &'static str, remote: Remote) -> RelationId {
        let id = RelationId::new(Endpoint::new(endpoint), self.relation_number());
        let app = remote.app.clone();
        let unit = UnitName::parse(&format!("{app}/0")).unwrap();
        self.model.relations.push(Relation {
            id: id.clone(),
            remote_app: app.clone(),
            app: Bag::new(),
            units: BTreeMap::new(),
            remote_app_data: Bag::new(),
            remote_units: BTreeMap::from([(unit, Bag::new())]),
            remote: Some(remote),
        });
        for number in self.unit_numbers() {
            self.event(number, relation(&id, &app, RelationEvent::Created));
            self.join(number, &id, &app);
        }
        self.settle();
        id
    }

    fn join(&mut self, number: u32, id: &RelationId, app: &str) {
        let peers = *id.endpoint() == Endpoint::new("peers");
        let others = self.unit_numbers().into_iter().filter(|other| *other != number);
        let units: Vec<UnitName> = if peers {
            others.map(|other| Model::unit_name(APP, other)).collect()
        } else {
            vec![UnitName::parse(&format!("{app}/0")).unwrap()]
        };
        for unit in units {
            self.event(number, relation(id, app, RelationEvent::Joined(unit.clone())));
            self.event(number, relation(id, app, RelationEvent::Changed(Some(unit))));
        }
    }

    /// The charm on the other side becomes another one, with new data.
    pub fn replace_remote(&mut self, endpoint: &str, remote: Remote) {
        let found = self.model.relations.iter_mut();
        let relation = found.into_iter().find(|r| r.id.endpoint().as_str() == endpoint).unwrap();
        relation.remote = Some(remote);
        self.remotes();
        self.settle();
    }

    /// `juju remove-relation`.
    pub fn remove_relation(&mut self, endpoint: &str) {
        let found = self.model.relations.iter().find(|r| r.id.endpoint().as_str() == endpoint);
        let (id, app) = found.map(|r| (r.id.clone(), r.remote_app.clone())).unwrap();
        let remote = UnitName::parse(&format!("{app}/0")).unwrap();
        for number in self.unit_numbers() {
            let departed = RelationEvent::Departed { unit: remote.clone(), departing: None };
            self.event(number, relation(&id, &app, departed));
            self.event(number, relation(&id, &app, RelationEvent::Broken));
        }
        self.settle();
        self.model.relations.retain(|relation| relation.id != id);
        self.everywhere(&Event::UpdateStatus);
    }

    /// The container starts anew, with an empty plan and without files.
    pub fn restart_container(&mut self, number: u32) {
        if let Some(container) = self.containers.get(&number) {
            container.restart();
        }
        self.pebble_ready(number);
    }

    /// Pebble answers for the first time.
    pub fn pebble_ready(&mut self, number: u32) {
        let kind = WorkloadEvent::Ready;
        self.event(number, Event::Workload { container: CONTAINER.to_owned(), kind });
        self.settle();
    }

    /// Brings an event to every unit.
    pub fn everywhere(&mut self, event: &Event) {
        for number in self.unit_numbers() {
            self.event(number, event.clone());
        }
        self.settle();
    }

    /// Brings an event to a unit, with all that follows.
    pub fn dispatch(&mut self, number: u32, event: Event) {
        self.event(number, event);
        self.settle();
    }

    /// `juju run`.
    pub fn run_action(
        &mut self,
        number: u32,
        name: &str,
        params: &[(&str, Value)],
    ) -> ActionOutcome {
        let event = Event::Action { name: name.to_owned(), id: "12".to_owned() };
        let state = self.model.view(APP, number, None).in_action(params);
        let run = self.runner.run(&self.place(number), &event, state);
        assert!(run.good, "an action never fails as a program: {}", run.stderr);
        let outcome = ActionOutcome {
            results: run.state.action_results.clone().unwrap(),
            failure: run.state.action_failure.clone(),
            log: run.state.action_log.clone(),
        };
        let changes = self.model.merge(number, run.state);
        self.follow(number, &changes);
        self.settle();
        outcome
    }

    /// A secret of a unit, as an earlier charm has made it.
    pub fn add_unit_secret(&mut self, number: u32, secret: SecretState) {
        self.model.secrets.push((Some(number), secret));
    }

    /// The unit databag of a relation, as an earlier charm has written it.
    pub fn set_unit_data(&mut self, number: u32, endpoint: &str, bag: Bag) {
        let found = self.model.relations.iter_mut();
        let relation = found.into_iter().find(|r| r.id.endpoint().as_str() == endpoint).unwrap();
        relation.units.insert(number, bag);
        self.remotes();
        self.queue.clear();
    }

    /// The application's own secrets are gone, or Juju does not give them.
    pub fn hide_secrets(&mut self) {
        self.model.secrets.retain(|(_, secret)| secret.owner != SecretOwner::App);
        self.everywhere(&Event::UpdateStatus);
    }

    /// The model's units.
    #[must_use]
    pub fn unit(&self, number: u32) -> &Unit {
        &self.model.units[&number]
    }

    /// `<word>: <message>`.
    #[must_use]
    pub fn status(&self, number: u32) -> String {
        let status = &self.unit(number).status;
        format!("{}: {}", status.status, status.message)
    }

    /// The container of a unit.
    #[must_use]
    pub fn container(&self, number: u32) -> &FakePebble {
        &self.containers[&number]
    }

    /// The relation at an endpoint.
    #[must_use]
    pub fn relation(&self, endpoint: &str) -> Option<&Relation> {
        self.model.relations.iter().find(|r| r.id.endpoint().as_str() == endpoint)
    }

    /// All secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretState> {
        self.model.secrets.iter().map(|(_, secret)| secret)
    }

    /// All databags that we have written, as one text.
    #[must_use]
    pub fn databags(&self) -> String {
        let own = self.model.relations.iter().map(|r| format!("{:?}{:?}", r.app, r.units));
        own.collect()
    }

    pub(crate) fn unit_numbers(&self) -> Vec<u32> {
        self.model.units.keys().copied().collect()
    }

    fn relation_list(&self) -> Vec<(RelationId, String)> {
        self.model.relations.iter().map(|r| (r.id.clone(), r.remote_app.clone())).collect()
    }

    pub(crate) fn place(&self, number: u32) -> Place {
        let folder = self.folder.path().join(number.to_string());
        let unit = format!("{APP}/{number}");
        Place::new(folder, &unit, self.foreign.get(&number).cloned())
    }
}
