//! How an event reaches the charm.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use charm::Manager;
use charm::pki::{Mint, PkiError, RealMint};
use charm::surroundings::Surroundings;
use ops::testing::{MemoryTools, State, event_environment};
use ops::{Dispatch, Event, Tool, run_with};
use time::OffsetDateTime;

use crate::cost::{self, Cost};
use crate::wire::{Call, exchange, serve};

/// What runs the charm.
#[derive(Debug, Clone)]
pub enum Runner {
    /// The real `dispatch` program, with this program for its hook tools.
    Process {
        /// The charm.
        dispatch: PathBuf,
        /// The charm for containers that are folders of this machine, see `dispatch-in-folder`.
        dispatch_in_folder: PathBuf,
        /// The multi-call hook tool.
        hook_tool: PathBuf,
    },
    /// The charm's code, with keys made once.
    InProcess,
}

/// What one event came to.
#[derive(Debug)]
pub struct Run {
    /// The state afterwards.
    pub state: State,
    /// It ended well.
    pub good: bool,
    /// Hook tools that were called.
    pub calls: usize,
    /// What it wrote to standard error.
    pub stderr: String,
    /// What it cost; only a process of its own has a cost of its own.
    pub cost: Option<Cost>,
}

/// Where one unit's things are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// What is `/` in the charm container.
    pub(crate) folder: PathBuf,
    /// Where Juju has put the charm.
    pub(crate) charm: PathBuf,
    /// Folder of the containers' sockets.
    pub(crate) containers: PathBuf,
    /// Of a workload container that is a folder of this machine: the folder, and what its services listen on.
    pub(crate) workload: Option<(String, String)>,
}

impl Place {
    /// The container of the unit `unit` with its files below `folder`.
    pub(crate) fn new(folder: PathBuf, unit: &str, workload: Option<(String, String)>) -> Self {
        let agent = format!("var/lib/juju/agents/unit-{}", unit.replace('/', "-"));
        let charm = folder.join(agent).join("charm");
        Self { charm, containers: folder.join("charm/containers"), folder, workload }
    }
}

impl Runner {
    /// The real program, which stands beside the hook tool `hook_tool` that cargo has built.
    #[must_use]
    pub fn process(hook_tool: &str) -> Self {
        let hook_tool = PathBuf::from(hook_tool);
        let dispatch = hook_tool.with_file_name("dispatch");
        assert!(
            dispatch.exists(),
            "{} is missing, run: cargo build -p microcloud-cluster-manager-charm",
            dispatch.display()
        );
        Self::with(dispatch, hook_tool)
    }

    /// The program `dispatch`, with the hook tool `hook_tool` that cargo has built.
    #[must_use]
    pub fn with(dispatch: PathBuf, hook_tool: PathBuf) -> Self {
        let dispatch_in_folder = hook_tool.with_file_name("dispatch-in-folder");
        Self::Process { dispatch, dispatch_in_folder, hook_tool }
    }

    pub(crate) fn run(&self, place: &Place, event: &Event, state: State) -> Run {
        match self {
            Self::Process { dispatch, dispatch_in_folder, hook_tool } => {
                let command = match &place.workload {
                    None => Command::new(dispatch),
                    Some((root, address)) => {
                        let mut command = Command::new(dispatch_in_folder);
                        command.args([root, address]);
                        command
                    }
                };
                process(place, command, hook_tool, event, state)
            }
            Self::InProcess => in_process(place, event, state),
        }
    }
}

fn in_process(place: &Place, event: &Event, state: State) -> Run {
    let surroundings = Surroundings::here(OffsetDateTime::now_utc(), &place.charm);
    let dispatch = Dispatch::from_vars(event_environment(event, &state.unit)).unwrap();
    let tools = MemoryTools::new(state);
    let charm = Manager::with_mint(surroundings, Box::new(KnownKeys));
    let error = run_with(&charm, &tools, &dispatch).err();
    let calls = tools.calls();
    let good = error.is_none();
    let state = if good { tools.commit() } else { tools.discard() };
    Run { state, good, calls, stderr: error.map(|e| e.to_string()).unwrap_or_default(), cost: None }
}

/// Starts the program with the environment that Juju makes from nothing.
fn process(
    place: &Place,
    mut dispatch: Command,
    hook_tool: &Path,
    event: &Event,
    state: State,
) -> Run {
    std::fs::create_dir_all(&place.charm).unwrap();
    let tools_folder = place.folder.join("tools");
    if !tools_folder.exists() {
        std::fs::create_dir_all(&tools_folder).unwrap();
        for tool in Tool::ALL {
            symlink(hook_tool, tools_folder.join(tool.name())).unwrap();
        }
    }
    let socket = place.folder.join("agent.socket");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let context = format!("{}-1", state.unit);
    let vars = event_environment(event, &state.unit);
    let tools = MemoryTools::new(state);
    let mut child = dispatch
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", tools_folder.display()))
        .env("LANG", "C.UTF-8")
        .env("JUJU_CONTEXT_ID", &context)
        .env("JUJU_AGENT_SOCKET_ADDRESS", &socket)
        .env("JUJU_AGENT_SOCKET_NETWORK", "unix")
        .env("JUJU_CHARM_DIR", &place.charm)
        .envs(vars)
        .current_dir(&place.charm)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let server = {
        let context = context.clone();
        std::thread::spawn(move || {
            let mut memory_kib = 0;
            let look = || memory_kib = cost::memory_kib(pid).unwrap_or_default().max(memory_kib);
            let tools = serve(&listener, &context, tools, look);
            (tools, memory_kib)
        })
    };
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let cpu = cost::cpu(&child);
    let status = child.wait().unwrap();
    let end = Call { context, tool: String::new(), args: Vec::new(), input: None };
    // The server goes without an answer.
    let _ = exchange(socket.to_str().unwrap(), &end);
    let (tools, memory_kib) = server.join().unwrap();
    let tools = tools.unwrap();
    let calls = tools.calls();
    let good = status.success();
    let state = if good { tools.commit() } else { tools.discard() };
    Run { state, good, calls, stderr, cost: cpu.map(|cpu| Cost { cpu, memory_kib }) }
}

/// Keys that are made once for all tests of a process: RSA keys take long. The connector's and the
/// master key are fresh each time, so that nobody relies on them.
#[derive(Debug, Clone, Copy)]
pub struct KnownKeys;

impl Mint for KnownKeys {
    fn rsa_key(&self) -> Result<String, PkiError> {
        static KEY: LazyLock<String> = LazyLock::new(|| RealMint.rsa_key().unwrap());
        Ok(KEY.clone())
    }

    fn p256_key(&self) -> Result<String, PkiError> {
        RealMint.p256_key()
    }

    fn master_key(&self) -> Result<String, PkiError> {
        RealMint.master_key()
    }
}
