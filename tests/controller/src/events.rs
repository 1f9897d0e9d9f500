//! One event after the other, and what follows from each.

use ops::dispatch::{RelationEvent, SecretEvent};
use ops::{AppName, Endpoint, Event, RelationId, SecretId};

use crate::controller::{APP, Controller};
use crate::model::Changes;
use crate::remotes::RemoteData;
use crate::runner::Run;

/// Most events that one change of the model may cause before everything is at rest.
const MOST_EVENTS: usize = 300;

impl Controller {
    pub(crate) fn event(&mut self, number: u32, event: Event) {
        self.queue.push_back((number, event));
    }

    /// Brings events until nothing is left to bring: a charm that never comes to rest fails here.
    pub(crate) fn settle(&mut self) {
        let mut count = 0;
        while let Some((number, event)) = self.queue.pop_front() {
            if !self.model.units.contains_key(&number) {
                continue;
            }
            count += 1;
            assert!(count < MOST_EVENTS, "the charm does not come to rest");
            let broken = match &event {
                Event::Relation { id, kind: RelationEvent::Broken, .. } => Some(id.clone()),
                _ => None,
            };
            let state = self.model.view(APP, number, broken.as_ref());
            let Run { state, good, calls, stderr, cost } =
                self.runner.run(&self.place(number), &event, state);
            assert!(good, "{event:?} on unit {number} failed: {stderr}");
            self.calls.push((format!("{event:?}"), calls));
            self.costs.extend(cost);
            let changes = self.model.merge(number, state);
            self.follow(number, &changes);
        }
    }

    /// What Juju and the other charms do after a hook.
    pub(crate) fn follow(&mut self, number: u32, changes: &Changes) {
        let others: Vec<u32> = self.unit_numbers().into_iter().filter(|n| *n != number).collect();
        for id in &changes.relations {
            if *id.endpoint() == Endpoint::new("peers") {
                for other in &others {
                    let kind = RelationEvent::Changed(None);
                    self.event(*other, relation(id, APP, kind));
                }
            }
        }
        for id in &changes.secrets {
            for other in &others {
                let kind = SecretEvent::Changed;
                self.event(*other, Event::Secret { id: SecretId::new(id), label: None, kind });
            }
        }
        self.remotes();
    }

    /// Lets the other charms read and answer; what they change is told to all units.
    pub(crate) fn remotes(&mut self) {
        let mut told = Vec::new();
        for relation in &mut self.model.relations {
            let Some(remote) = &mut relation.remote else { continue };
            let RemoteData { app, unit, secrets } = (remote.react)(&relation.app, &relation.units);
            for secret in secrets {
                match self.model.secrets.iter_mut().find(|(_, s)| s.id == secret.id) {
                    Some((_, known)) if *known != secret => {
                        let id = SecretId::new(&secret.id);
                        *known = secret;
                        told.push(Event::Secret { id, label: None, kind: SecretEvent::Changed });
                    }
                    Some(_) => {}
                    None => self.model.secrets.push((None, secret)),
                }
            }
            let present = relation.remote_units.values_mut().next().unwrap();
            if relation.remote_app_data != app || *present != unit {
                relation.remote_app_data = app;
                *present = unit;
                let app = AppName::parse(&relation.remote_app).unwrap();
                let kind = RelationEvent::Changed(None);
                told.push(Event::Relation { id: relation.id.clone(), app, kind });
            }
        }
        for event in told {
            for number in self.unit_numbers() {
                self.event(number, event.clone());
            }
        }
    }
}

pub(crate) fn relation(id: &RelationId, app: &str, kind: RelationEvent) -> Event {
    Event::Relation { id: id.clone(), app: AppName::parse(app).unwrap(), kind }
}
