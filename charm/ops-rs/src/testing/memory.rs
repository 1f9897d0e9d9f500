//! Hook tools over a [`State`].

use std::cell::{Cell, RefCell};

use serde_json::{Value, json};

use super::State;
use crate::tools::calls::Bag;
use crate::tools::{HookTools, Tool, ToolError};

/// Answers hook tools from a [`State`], with Juju's error texts.
#[derive(Debug)]
pub struct MemoryTools {
    /// What other parties see: writes that take effect at once are already in it.
    seen: RefCell<State>,
    /// What is written at the end of the hook: relation number and values.
    pending: RefCell<Vec<(u32, Bag)>>,
    calls: Cell<usize>,
}

impl MemoryTools {
    /// Tools over `state`.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { seen: RefCell::new(state), pending: RefCell::default(), calls: Cell::new(0) }
    }

    /// How many tools have been called: each is a process in production.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// The state after a hook that ended well.
    #[must_use]
    pub fn commit(self) -> State {
        let mut state = self.seen.into_inner();
        for (number, values) in self.pending.into_inner() {
            for relation in state.relations.iter_mut().filter(|r| r.id.number() == number) {
                apply(&mut relation.local_app_data, &values);
            }
        }
        state
    }

    /// The state after a hook that failed: what waits for the end of the hook is dropped.
    #[must_use]
    pub fn discard(self) -> State {
        self.seen.into_inner()
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
        self.calls.set(self.calls.get() + 1);
        let answer = self.answer(tool, &Args::read(args), input);
        match answer {
            Ok(Value::Null) => Ok(Vec::new()),
            Ok(value) => Ok(format!("{value}\n").into_bytes()),
            Err(text) => Err(ToolError::from_stderr(tool, &format!("ERROR {text}\n"))),
        }
    }
}

impl MemoryTools {
    /// `Value::Null` stands for a tool without output.
    fn answer(&self, tool: Tool, args: &Args, input: Option<&[u8]>) -> Result<Value, String> {
        let mut state = self.seen.borrow_mut();
        match tool {
            Tool::ConfigGet => Ok(Value::Object(state.config.clone())),
            Tool::IsLeader => Ok(state.leader.into()),
            Tool::RelationIds => {
                let endpoint = args.plain.first().ok_or("no endpoint name specified")?;
                let here = state.relations.iter().filter(|r| r.id.endpoint().as_str() == endpoint);
                Ok(here.map(|relation| relation.id.to_string()).collect())
            }
            Tool::RelationList => Ok(state.relation(args)?.remote_app.clone().into()),
            Tool::RelationGet => {
                let relation = state.relation(args)?;
                let app = args.plain.get(1).ok_or("no unit or application specified")?;
                let own = *app == state.app;
                let peers = relation.remote_app == state.app;
                let allowed = if own { state.leader || peers } else { *app == relation.remote_app };
                if !allowed {
                    return Err("permission denied".to_owned());
                }
                let mut bag =
                    if own { &relation.local_app_data } else { &relation.remote_app_data }.clone();
                for (number, values) in self.pending.borrow().iter() {
                    if own && *number == relation.id.number() {
                        apply(&mut bag, values);
                    }
                }
                Ok(json!(bag))
            }
            Tool::RelationSet => {
                let number = state.relation(args)?.id.number();
                if !state.leader {
                    return Err("cannot write relation settings".to_owned());
                }
                let input = input.ok_or("hook tool requires stdin, none supplied")?;
                let values = serde_json::from_slice(input).map_err(|e| e.to_string())?;
                self.pending.borrow_mut().push((number, values));
                Ok(Value::Null)
            }
            Tool::StatusGet => {
                let status = &state.unit_status;
                Ok(json!({"status": status.status, "message": status.message, "status-data": {}}))
            }
            Tool::StatusSet => {
                let word = args.plain.first().ok_or("status is required")?;
                if !["maintenance", "blocked", "waiting", "active"].contains(&word.as_str()) {
                    return Err(format!("invalid status \"{word}\", expected one of [...]"));
                }
                state.unit_status.status.clone_from(word);
                state.unit_status.message = args.plain.get(1).cloned().unwrap_or_default();
                Ok(Value::Null)
            }
            Tool::ActionSet => {
                let results = state.action_results.as_mut().ok_or("not running an action")?;
                for pair in &args.plain {
                    let (key, value) = pair.split_once('=').ok_or("expected key=value")?;
                    results.insert(key.to_owned(), value.to_owned());
                }
                Ok(Value::Null)
            }
            Tool::ActionFail => {
                state.action_results.as_ref().ok_or("not running an action")?;
                state.action_failure = Some(args.plain.first().cloned().unwrap_or_default());
                Ok(Value::Null)
            }
        }
    }
}

impl State {
    fn relation(&self, args: &Args) -> Result<&super::RelationState, String> {
        let id = args.relation.as_deref().ok_or("no relation id specified")?;
        let found = self.relations.iter().find(|relation| relation.id.to_string() == id);
        found.ok_or_else(|| format!("invalid value \"{id}\" for option -r: relation not found"))
    }
}

/// Arguments as Juju's tools read them: options anywhere, `--` ends them.
#[derive(Default)]
struct Args {
    relation: Option<String>,
    plain: Vec<String>,
}

impl Args {
    fn read(args: &[&str]) -> Self {
        let mut read = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match *arg {
                "--" => read.plain.extend(args.by_ref().map(|arg| (*arg).to_owned())),
                "-r" => read.relation = args.next().map(|id| (*id).to_owned()),
                "--file" => drop(args.next()),
                "-" => read.plain.push("-".to_owned()),
                option if option.starts_with('-') => {}
                plain => read.plain.push(plain.to_owned()),
            }
        }
        read
    }
}
