//! The subcommands.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use cluster_simulator::{
    ClientOptions, ClusterModel, FailureShares, Fleet, FleetOptions, Identity, JoinError,
    JoinToken, Joined, Member, Pin, Site, StateDir, StoredCluster, TunnelManner,
};
use time::OffsetDateTime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Every failure ends the command with one line.
type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Simulated MicroClouds for a MicroCloud Cluster Manager.
///
/// They behave on the wire as members of a real MicroCloud do: a preflight without certificate, a
/// check of the pinned fingerprint, then the request over mutual TLS.
#[derive(Debug, Parser)]
#[command(
    name = "cluster-simulator",
    version,
    after_help = "Exit codes: 0 done, 1 failed (one line on stderr), 2 wrong usage."
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// What is logged on stderr.
    #[arg(
        long,
        global = true,
        default_value = "warn",
        value_name = "LEVEL",
        value_parser = ["error", "warn", "info", "debug", "trace"]
    )]
    pub(crate) log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Join many clusters and send their heartbeats until SIGTERM or SIGINT.
    Fleet(FleetArgs),
    /// Join one cluster and send its heartbeats until SIGTERM or SIGINT.
    Join(JoinArgs),
    /// Let one stored cluster leave its manager, and forget it.
    Leave(LeaveArgs),
    /// Print names and descriptions for a fleet, one per line, separated by a tab.
    Names {
        /// How many.
        count: usize,
    },
}

#[derive(Debug, Args)]
struct FleetArgs {
    /// File with one `name token` per line; `-` reads standard input. Clusters that are stored as
    /// joined in --state-dir need no line.
    #[arg(long, required_unless_present = "state_dir", value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Clusters that stop reporting: half of them never report, half after 1 to 3 heartbeats.
    #[arg(long, default_value_t = 0, value_name = "N")]
    silent: usize,
    /// Clusters with broken instances, an offline member and a Ceph member that is down.
    #[arg(long, default_value_t = 0, value_name = "N")]
    errors: usize,
    /// Clusters with a storage pool more than 80 % full.
    #[arg(long, default_value_t = 0, value_name = "N")]
    low_disk: usize,
    /// Clusters with more than 80 % of the memory in use.
    #[arg(long, default_value_t = 0, value_name = "N")]
    high_memory: usize,
    /// Clusters that open a reverse tunnel.
    #[arg(long, default_value_t = 0, value_name = "N")]
    tunnels: usize,
    /// How the clusters behave behind their tunnels: slow ones think for 5 s, dead ones never read, huge ones answer with 8 MiB.
    #[arg(long, value_enum, default_value = "plausible", value_name = "MANNER")]
    tunnel_manner: Manner,
    /// Joins at the same time.
    #[arg(long, default_value_t = 8, value_name = "N")]
    concurrency: usize,
    /// Connect every cluster from its own address in 127.64.0.0/10 (manager on this machine only).
    #[arg(long)]
    distinct_sources: bool,
    /// Keep identities and joins here, so that a later start goes on without tokens.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Manner {
    Plausible,
    Slow,
    Dead,
    Hostile,
    Huge,
}

impl From<Manner> for TunnelManner {
    fn from(manner: Manner) -> Self {
        match manner {
            Manner::Plausible => Self::Plausible,
            Manner::Slow => Self::Slow(Duration::from_secs(5)),
            Manner::Dead => Self::Dead,
            Manner::Hostile => Self::Hostile,
            Manner::Huge => Self::Huge(8 << 20),
        }
    }
}

#[derive(Debug, Args)]
struct JoinArgs {
    /// The join token; `-` reads it from standard input.
    token: String,
    /// Join, send one heartbeat, and exit.
    #[arg(long)]
    once: bool,
    /// Keep the identity and the join here, for `leave` and for `fleet --state-dir`.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct LeaveArgs {
    /// The directory that the cluster was stored in.
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// Forget the cluster without telling the manager.
    #[arg(long)]
    force: bool,
    /// Name of the cluster.
    name: String,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Seconds between two heartbeats of a cluster.
    #[arg(long, default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    interval: Duration,
    /// Seed of everything that looks random.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Send the first heartbeat right after the join; real members wait for their next turn.
    #[arg(long)]
    first_heartbeat_at_once: bool,
    /// Leave LXD's metrics out of the heartbeats.
    #[arg(long)]
    no_metrics: bool,
    /// Leave connections open until the manager closes them, as real members do.
    #[arg(long)]
    leave_connections_open: bool,
    /// Give up a request after this many seconds; real members wait for ever.
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    timeout: Option<Duration>,
}

/// A number of seconds greater than zero; fractions are allowed.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text} is not a number of seconds"))?;
    let duration = Duration::try_from_secs_f64(number).unwrap_or_default();
    if duration.is_zero() {
        return Err("the number of seconds must be greater than zero".into());
    }
    Ok(duration)
}

/// Logs of `level` and above go to stderr.
pub(crate) fn start_logging(level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// Runs the subcommand.
pub(crate) async fn run(command_line: CommandLine) -> Outcome {
    match command_line.command {
        Command::Fleet(args) => fleet(args).await,
        Command::Join(args) => join(args).await,
        Command::Leave(args) => leave(args).await,
        Command::Names { count } => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            for site in Site::first(count) {
                writeln!(out, "{}\t{}", site.name, site.description)?;
            }
            Ok(out.flush()?)
        }
    }
}

async fn fleet(args: FleetArgs) -> Outcome {
    let stop = stop_on_signal()?;
    let state = args.state_dir.as_deref().map(StateDir::open).transpose()?;
    let tokens = args.tokens.as_deref().map(read_tokens).transpose()?.unwrap_or_default();
    let mut stored = state.as_ref().map(StateDir::list).transpose()?.unwrap_or_default();
    stored.retain(|cluster| {
        cluster.pin.is_some() && !tokens.iter().any(|(name, _)| *name == cluster.name)
    });
    let names = tokens.iter().map(|(name, _)| name.as_str());
    let names: Vec<&str> = names.chain(stored.iter().map(|c| c.name.as_str())).collect();
    let total = names.len();
    if total == 0 {
        return Err("there is no cluster to run: give tokens with --tokens".into());
    }
    let shares = FailureShares {
        silent: args.silent,
        errors: args.errors,
        low_disk: args.low_disk,
        high_memory: args.high_memory,
    };
    if shares.total() > total {
        return Err(format!(
            "{} failures were asked for, but there are {total} clusters",
            shares.total()
        )
        .into());
    }
    // The same ones at each start, whatever is stored by then.
    let mut sorted = names.clone();
    sorted.sort_unstable();
    let tunnels = sorted.into_iter().take(args.tunnels).map(str::to_owned).collect();
    let options = FleetOptions {
        tunnels,
        tunnel_manner: args.tunnel_manner.into(),
        failures: shares.assign(args.common.seed, names),
        concurrency: args.concurrency,
        distinct_sources: args.distinct_sources,
        state,
        ..args.common.fleet_options()
    };
    let fleet = Fleet::new(options, stop.clone());
    for cluster in &stored {
        fleet.resume(cluster)?;
    }
    if !stored.is_empty() {
        say(&format!("{} clusters go on from the stored state", stored.len()));
    }
    fleet.enrol(tokens, |joined| report(&fleet, joined, total)).await;
    if fleet.counters().joined > 0 {
        fleet.finished().await;
    }
    finish(&fleet, total)
}

/// Progress on stdout, one line per cluster or per fiftieth of a large fleet; failures on stderr.
fn report(fleet: &Fleet, joined: &Joined, total: usize) {
    let counters = fleet.counters();
    if let Err(e) = &joined.result
        && !matches!(e, JoinError::Stopped)
    {
        tracing::warn!(cluster.name = joined.name, "{} cannot join: {e}", joined.name);
    }
    let done = usize::try_from(counters.joined).unwrap_or(usize::MAX);
    if joined.result.is_ok() && (done.is_multiple_of((total / 50).max(1)) || done == total) {
        say(&format!("joined {done} of {total}"));
    }
}

/// The summary; an error if a cluster could not join.
fn finish(fleet: &Fleet, total: usize) -> Outcome {
    let counters = fleet.counters();
    say(&format!(
        "{} of {total} clusters joined, {} heartbeats accepted, {} failed",
        counters.joined, counters.heartbeats_ok, counters.heartbeats_failed
    ));
    if counters.join_failures == 0 {
        return Ok(());
    }
    let last = counters.last_error.unwrap_or_default();
    Err(format!("{} of {total} clusters could not join; {last}", counters.join_failures).into())
}

impl CommonArgs {
    fn client_options(&self) -> ClientOptions {
        ClientOptions {
            timeout: self.timeout,
            leave_connections_open: self.leave_connections_open,
            ..ClientOptions::default()
        }
    }

    fn fleet_options(&self) -> FleetOptions {
        FleetOptions {
            interval: self.interval,
            seed: self.seed,
            first_heartbeat_at_once: self.first_heartbeat_at_once,
            metrics: !self.no_metrics,
            client: self.client_options(),
            ..FleetOptions::default()
        }
    }
}

async fn join(args: JoinArgs) -> Outcome {
    let stop = stop_on_signal()?;
    let text =
        if args.token == "-" { io::read_to_string(io::stdin())? } else { args.token.clone() };
    let token = JoinToken::decode(&text)?;
    let name = token.body().server_name.clone();
    let state = args.state_dir.as_deref().map(StateDir::open).transpose()?;
    let model = ClusterModel::new(args.common.seed, &name).with_metrics(!args.common.no_metrics);
    let known = state.as_ref().map(|state| state.load(&name)).transpose()?.flatten();
    if known.as_ref().is_some_and(|cluster| cluster.pin.is_some()) {
        return Err(format!("{name} has joined already; go on with fleet --state-dir").into());
    }
    let identity = match &known {
        Some(cluster) => cluster.identity()?,
        None => Identity::generate(&model.first_host())?,
    };
    let mut cluster = StoredCluster::new(&name, &identity);
    let store = |cluster: &StoredCluster| state.as_ref().map_or(Ok(()), |s| s.save(cluster));
    store(&cluster)?;
    let member = Member::new(identity, Pin::of(&token)).with_options(args.common.client_options());
    tokio::select! {
        () = stop.cancelled() => return Err(format!("stopped before {name} had joined").into()),
        result = member.join(&token) => { result?; }
    }
    cluster.pin = Some(member.pin().clone());
    store(&cluster)?;
    say(&format!("{name} joined"));
    if args.once {
        member.heartbeat(&model.status(OffsetDateTime::now_utc())).await?;
        say(&format!("{name} reported"));
        return Ok(());
    }
    let fleet = Fleet::new(args.common.fleet_options(), stop);
    fleet.resume(&cluster)?;
    fleet.finished().await;
    finish(&fleet, 1)
}

async fn leave(args: LeaveArgs) -> Outcome {
    let state = StateDir::open(&args.state_dir)?;
    let name = &args.name;
    let cluster = state.load(name)?;
    let cluster = cluster.ok_or_else(|| format!("{name} is not in the state directory"))?;
    if !args.force {
        let identity = cluster.identity()?;
        let pin = cluster.pin.ok_or_else(|| format!("{name} has not joined"))?;
        Member::new(identity, pin).leave().await?;
    }
    state.remove(name)?;
    say(&format!("{name} left"));
    Ok(())
}

fn read_tokens(path: &Path) -> Result<Vec<(String, String)>, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|e| format!("cannot read the tokens from {shown}: {e}"))?;
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [name, token] => tokens.push(((*name).to_owned(), (*token).to_owned())),
            _ => return Err(format!("line {number} of {shown} is not of the form: name token")),
        }
    }
    Ok(tokens)
}

/// Cancelled by SIGTERM or SIGINT.
fn stop_on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        signalled.cancel();
    });
    Ok(stop)
}

/// A line on stdout. A reader that has gone is no reason to end.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
