//! Hook tools over a [`State`].

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::State;
use super::args::Args;
use super::secrets::SecretWrite;
use super::state::RelationState;
use crate::tools::calls::Bag;
use crate::tools::{HookTools, Tool, ToolError};

/// Answers hook tools from a [`State`], with Juju's error texts.
#[derive(Debug)]
pub struct MemoryTools {
    /// What other parties see: writes that take effect at once are already in it.
    pub(super) seen: RefCell<State>,
    /// What is written at the end of the hook.
    pub(super) pending: RefCell<Pending>,
    calls: RefCell<Vec<Tool>>,
}

/// Writes that wait for the end of the hook.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Relation number, whether it is the application's databag, values.
    bags: Vec<(u32, bool, Bag)>,
    pub(super) secrets: Vec<SecretWrite>,
    opened: BTreeSet<u16>,
    closed: BTreeSet<u16>,
}

/// What a tool prints.
pub(super) enum Answer {
    Nothing,
    Text(String),
    Json(Value),
}

impl MemoryTools {
    /// Tools over `state`.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { seen: RefCell::new(state), pending: RefCell::default(), calls: RefCell::default() }
    }

    /// How many tools have been called: each is a process in production.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.borrow().len()
    }

    /// How often each tool has been called.
    #[must_use]
    pub fn calls_by_tool(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for tool in self.calls.borrow().iter() {
            *counts.entry(tool.name()).or_default() += 1;
        }
        counts
    }

    /// The state as other parties see it during the hook.
    pub fn seen(&self) -> Ref<'_, State> {
        self.seen.borrow()
    }

    /// The state after a hook that ended well.
    #[must_use]
    pub fn commit(self) -> State {
        let mut state = self.seen.into_inner();
        let pending = self.pending.into_inner();
        for (number, is_app, values) in pending.bags {
            for relation in state.relations.iter_mut().filter(|r| r.id.number() == number) {
                apply(relation.own_mut(is_app), &values);
            }
        }
        for write in pending.secrets {
            write.apply(&mut state.secrets);
        }
        state.ports.extend(pending.opened);
        state.ports.retain(|port| !pending.closed.contains(port));
        state
    }

    /// The state after a hook that failed: what waits for the end of the hook is dropped.
    #[must_use]
    pub fn discard(self) -> State {
        self.seen.into_inner()
    }

    /// Runs a tool as a process would: what it prints, or the text on its standard error.
    ///
    /// # Errors
    ///
    /// Juju's words.
    pub fn run(&self, tool: Tool, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, String> {
        self.calls.borrow_mut().push(tool);
        let answer = Args::read(args).and_then(|args| self.answer(tool, &args, input));
        match answer {
            Ok(Answer::Nothing) => Ok(Vec::new()),
            Ok(Answer::Text(text)) => Ok(format!("{text}\n").into_bytes()),
            Ok(Answer::Json(value)) => Ok(format!("{value}\n").into_bytes()),
            Err(text) => Err(format!("ERROR {text}\n")),
        }
    }
}

impl RelationState {
    fn own_mut(&mut self, is_app: bool) -> &mut Bag {
        if is_app { &mut self.local_app_data } else { &mut self.local_unit_data }
    }
}

fn apply(bag: &mut Bag, values: &Bag) {
    for (key, value) in values {
        if value.is_empty() {
            bag.remove(key);
        } else {
            bag.insert(key.clone(), value.clone());
        }
    }
}

impl HookTools for MemoryTools {
    fn call(&self, tool: Tool, args: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, ToolError> {
        self.run(tool, args, input).map_err(|text| ToolError::from_stderr(tool, &text))
    }
}

impl MemoryTools {
    fn answer(&self, tool: Tool, args: &Args, input: Option<&[u8]>) -> Result<Answer, String> {
        match tool {
            Tool::RelationGet => self.relation_get(args),
            Tool::RelationSet => self.relation_set(args, input),
            Tool::SecretAdd
            | Tool::SecretGet
            | Tool::SecretInfoGet
            | Tool::SecretRemove
            | Tool::SecretSet => self.secret(tool, args),
            Tool::ActionFail | Tool::ActionGet | Tool::ActionLog | Tool::ActionSet => {
                self.action(tool, args)
            }
            _ => self.simple(tool, args),
        }
    }

    fn simple(&self, tool: Tool, args: &Args) -> Result<Answer, String> {
        let mut state = self.seen.borrow_mut();
        let port = || {
            let text = args.first("no port or range specified")?;
            let port = text.strip_suffix("/tcp").unwrap_or(text).parse::<u16>();
            port.map_err(|_| format!("invalid port \"{text}\""))
        };
        Ok(match tool {
            Tool::ConfigGet => Answer::Json(Value::Object(state.config.clone())),
            Tool::IsLeader => Answer::Json(state.leader.into()),
            Tool::RelationIds => {
                let endpoint = args.first("no endpoint name specified")?;
                let here = state.relations.iter().filter(|r| r.id.endpoint().as_str() == endpoint);
                Answer::Json(here.map(|relation| relation.id.to_string()).collect())
            }
            Tool::RelationList => {
                let relation = state.relation(args)?;
                let units = || relation.remote_units.keys().map(ToString::to_string);
                Answer::Json(if args.app {
                    relation.remote_app.clone().into()
                } else {
                    units().collect()
                })
            }
            Tool::StatusGet => {
                let status = &state.unit_status;
                let (word, message) = (&status.status, &status.message);
                Answer::Json(json!({"status": word, "message": message, "status-data": {}}))
            }
            Tool::StatusSet => {
                let word = args.first("status is required")?;
                if !["maintenance", "blocked", "waiting", "active"].contains(&word) {
                    return Err(format!("invalid status \"{word}\", expected one of [...]"));
                }
                word.clone_into(&mut state.unit_status.status);
                state.unit_status.message = args.plain.get(1).cloned().unwrap_or_default();
                Answer::Nothing
            }
            Tool::OpenedPorts => {
                Answer::Json(state.ports.iter().map(|port| format!("{port}/tcp")).collect())
            }
            Tool::OpenPort => {
                let mut pending = self.pending.borrow_mut();
                let port = port()?;
                pending.closed.remove(&port);
                pending.opened.insert(port);
                Answer::Nothing
            }
            Tool::ClosePort => {
                let mut pending = self.pending.borrow_mut();
                let port = port()?;
                pending.opened.remove(&port);
                pending.closed.insert(port);
                Answer::Nothing
            }
            Tool::NetworkGet => {
                let endpoint = args.first("no arguments specified")?;
                let address = state
                    .address
                    .as_ref()
                    .ok_or_else(|| format!("no network config found for binding \"{endpoint}\""))?;
                Answer::Json(json!({"bind-addresses": [{"mac-address": "", "interface-name": "",
                    "addresses": [{"hostname": "", "value": address, "cidr": ""}]}],
                    "egress-subnets": ["10.152.183.20/32"],
                    "ingress-addresses": ["10.152.183.20"]}))
            }
            Tool::JujuLog => {
                let text = args.first("no message specified")?.to_owned();
                state.log.push((args.level.clone().unwrap_or_else(|| "INFO".to_owned()), text));
                Answer::Nothing
            }
            Tool::ApplicationVersionSet => {
                state.workload_version = Some(args.first("no version specified")?.to_owned());
                Answer::Nothing
            }
            _ => return Err("bad request: unknown command".to_owned()),
        })
    }

    fn relation_get(&self, args: &Args) -> Result<Answer, String> {
        let state = self.seen.borrow();
        let relation = state.relation(args)?;
        let target = args.plain.get(1).ok_or("no unit or application specified")?;
        let is_app = args.app;
        let app = target.split('/').next().unwrap_or_default();
        let own_app = state.unit.app().as_str();
        let peers = relation.remote_app == own_app;
        let own = if is_app { app == own_app } else { target == state.unit.as_str() };
        if is_app && own && !state.leader && !peers {
            return Err("permission denied".to_owned());
        }
        let bag = if own {
            Some(if is_app { &relation.local_app_data } else { &relation.local_unit_data })
        } else if is_app {
            (app == relation.remote_app).then_some(&relation.remote_app_data)
        } else if target.contains('/') {
            relation.remote_units.iter().find(|(unit, _)| unit.as_str() == target).map(|(_, b)| b)
        } else {
            return Err(format!("expected unit name, got application name \"{target}\""));
        };
        let mut bag = bag.ok_or("permission denied")?.clone();
        for (number, of_app, values) in &self.pending.borrow().bags {
            if own && *number == relation.id.number() && *of_app == is_app {
                apply(&mut bag, values);
            }
        }
        Ok(Answer::Json(json!(bag)))
    }

    fn relation_set(&self, args: &Args, input: Option<&[u8]>) -> Result<Answer, String> {
        let state = self.seen.borrow();
        let number = state.relation(args)?.id.number();
        if args.app && !state.leader {
            return Err("cannot write relation settings".to_owned());
        }
        let input = input.ok_or("hook tool requires stdin, none supplied")?;
        let values = serde_json::from_slice(input).map_err(|error| error.to_string())?;
        self.pending.borrow_mut().bags.push((number, args.app, values));
        Ok(Answer::Nothing)
    }

    fn action(&self, tool: Tool, args: &Args) -> Result<Answer, String> {
        let mut state = self.seen.borrow_mut();
        let results = state.action_results.as_mut().ok_or("not running an action")?;
        match tool {
            Tool::ActionSet => {
                for pair in &args.plain {
                    let (key, value) = pair.split_once('=').ok_or("expected key=value")?;
                    let good =
                        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
                    if key.is_empty() || !key.chars().all(good) {
                        return Err(format!(
                            "key \"{key}\" must start and end with lowercase alphanumeric"
                        ));
                    }
                    results.insert(key.to_owned(), value.to_owned());
                }
            }
            Tool::ActionGet => {
                return Ok(Answer::Json(Value::Object(state.action_parameters.clone())));
            }
            Tool::ActionLog => {
                state.action_log.push(args.first("no message specified")?.to_owned());
            }
            _ => state.action_failure = Some(args.plain.first().cloned().unwrap_or_default()),
        }
        Ok(Answer::Nothing)
    }
}

impl State {
    fn relation(&self, args: &Args) -> Result<&RelationState, String> {
        let id = args.relation.as_deref().ok_or("no relation id specified")?;
        let found = self.relations.iter().find(|relation| relation.id.to_string() == id);
        found.ok_or_else(|| format!("invalid value \"{id}\" for option -r: relation not found"))
    }
}
