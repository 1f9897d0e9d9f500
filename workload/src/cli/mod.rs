//! The command line. `SERVICE` in the environment selects what runs, for charms and existing deployments; people use the
//! subcommands of the same names.

mod clusters;
mod output;
mod status;
mod table;
mod takeover;
mod tokens;

use std::error::Error;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};
use workload_config::Config;

use self::clusters::ClustersCommand;
use self::output::{Ending, Format};
use self::takeover::TakeoverArguments;
use self::tokens::TokensCommand;
use crate::domain::join_tokens::{self, JoinTokenRequest, Purpose};
use crate::error_chain::Chain;
use crate::model::{Actor, JoinTokenText, Origin};
use crate::run::{self, StartError};
use crate::store::Pool;
use crate::traces::Traces;

/// `EX_CONFIG` of sysexits.h: a setting is wrong; starting again does not help.
pub const EXIT_CONFIG: u8 = 78;

/// MicroCloud Cluster Manager: see and run many MicroClouds from one place.
///
/// Settings come from the environment; docs/settings.md lists them all.
#[derive(Debug, Parser)]
#[command(name = "microcloud-cluster-manager", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit status:
  0   success
  1   failure, the database being away included; one line on standard error says why (`status` prints it as its result)
  2   wrong usage
  3   done, and what was printed says what needs attention (`status`, `takeover`)
  4   the earlier Cluster Manager's database cannot be taken over as it is; nothing was changed (`takeover`)
  78  wrong settings

SERVICE=management-api, cluster-connector or cli in the environment selects what runs when no subcommand is given.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve operators: login, REST API and web UI
    ManagementApi,
    /// Serve clusters: join, heartbeats and leave over mutual TLS
    ClusterConnector,
    /// Create a join token for a cluster and print it on standard output
    Enroll {
        /// Name of the cluster: 1 to 63 letters, digits, '-', '_' and '.'
        name: String,
        /// What to say about the cluster
        #[arg(short, long, default_value = "")]
        description: String,
        /// End of the token's life as RFC 3339 time, such as 2026-11-30T18:00:00Z; 24 hours from now by default
        #[arg(short, long, value_parser = parse_time)]
        expire: Option<OffsetDateTime>,
    },
    /// List, show or remove enrolled clusters
    Clusters {
        #[command(subcommand)]
        command: Option<ClustersCommand>,
        /// Form of the result
        #[arg(long, global = true, value_enum, default_value_t)]
        format: Format,
    },
    /// List or revoke join tokens that nobody used yet, or create one for another certificate of an enrolled cluster
    Tokens {
        #[command(subcommand)]
        command: Option<TokensCommand>,
        /// Form of the result
        #[arg(long, global = true, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the services, the database, its schema, and how many clusters are in which state
    Status {
        /// Form of the result
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Create or update the database schema
    Migrate,
    /// Print the description of the HTTP interfaces (OpenAPI 3.1)
    Openapi,
    /// Take over the clusters and join tokens of the earlier Cluster Manager's database
    Takeover {
        #[command(flatten)]
        arguments: TakeoverArguments,
        /// Form of the result
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

fn parse_time(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "expected an RFC 3339 time such as 2026-11-30T18:00:00Z")
}

/// The arguments with the service that `SERVICE` names, where none is given: `cli` leaves them as they are. `-version`, as
/// existing scripts write it, is `--version`.
///
/// # Errors
///
/// When `SERVICE` names no service.
pub fn arguments(
    service: Option<&str>,
    given: impl IntoIterator<Item = OsString>,
) -> Result<Vec<OsString>, UnknownService> {
    let mut arguments: Vec<OsString> = given
        .into_iter()
        .map(|arg| if arg == "-version" { "--version".into() } else { arg })
        .collect();
    match service {
        None | Some("cli") => {}
        Some(service @ ("management-api" | "cluster-connector")) => {
            if arguments.len() < 2 {
                arguments.push(service.into());
            }
        }
        Some(_) => return Err(UnknownService),
    }
    Ok(arguments)
}

/// `SERVICE` has another value than the known ones.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("SERVICE must be management-api, cluster-connector or cli")]
pub struct UnknownService;

/// Prints why nothing is done.
#[expect(clippy::print_stderr, reason = "this is the program's last word")]
pub fn refuse(error: &dyn Error, status: u8) -> ExitCode {
    eprintln!("Error: {error}");
    ExitCode::from(status)
}

/// Runs a command with the settings that `get` reads.
pub async fn run(cli: Cli, get: impl Fn(&str) -> Option<String>) -> ExitCode {
    let config = match Config::parse(get) {
        Ok(config) => config,
        Err(error) => return refuse(&error, EXIT_CONFIG),
    };
    let (service, default_level) = match cli.command {
        Command::ManagementApi => (Some("management-api"), "info"),
        Command::ClusterConnector => (Some("cluster-connector"), "info"),
        _ => (None, "warn"),
    };
    // Commands are over before anybody would look at their traces.
    let traces = service
        .map_or(Ok(None), |service| Traces::start(&config.tracing, service, &config.version));
    let traces = match traces {
        Ok(traces) => traces,
        Err(error) => return refuse(&error, EXIT_CONFIG),
    };
    let level = config.log_level.as_deref().unwrap_or(default_level);
    if let Err(error) = start_log(level, traces.as_ref()) {
        return refuse(&*error, EXIT_CONFIG);
    }
    let executed = Box::pin(execute(cli.command, config)).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    match executed {
        Ok(ending) => ending.into(),
        Err(Failure::Start(error @ StartError::Setting(_))) => refuse(&error, EXIT_CONFIG),
        Err(failure) => refuse(&failure, 1),
    }
}

async fn execute(command: Command, config: Config) -> Result<Ending, Failure> {
    match command {
        Command::ManagementApi => run::management_api(config).await?,
        Command::ClusterConnector => Box::pin(run::cluster_connector(config)).await?,
        Command::Enroll { name, description, expire } => {
            let request = JoinTokenRequest {
                cluster_name: name,
                description,
                expiry: expire,
                purpose: Purpose::Enrol,
            };
            let token = create_token(&config, request).await?;
            output::print(format_args!("{}\n", token.expose()))?;
        }
        Command::Clusters { command, format } => {
            let command = command.unwrap_or(ClustersCommand::List);
            return clusters::run(&config, command, format).await;
        }
        Command::Tokens { command, format } => {
            let command = command.unwrap_or(TokensCommand::List);
            return tokens::run(&config, command, format).await;
        }
        Command::Status { format } => return status::run(&config, format).await,
        Command::Migrate => migrate(&config).await?,
        Command::Openapi => output::print(format_args!("{:#}\n", run::openapi()))?,
        Command::Takeover { arguments, format } => {
            return takeover::run(&config, arguments, format).await;
        }
    }
    Ok(Ending::Well)
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", Chain(.0))]
    Start(#[from] StartError),
    #[error("{}", explained(.0))]
    Domain(#[from] crate::domain::Error),
    #[error("the result could not be written: {0}")]
    Output(std::io::Error),
}

/// The error with its causes; what only means that no service ever started here is said so.
fn explained(error: &crate::domain::Error) -> String {
    match error {
        crate::domain::Error::Store(error) if error.is_missing_schema() => {
            "the database has no schema yet, or an older one: start a service or run `migrate`"
                .into()
        }
        error => Chain(error).to_string(),
    }
}

fn pool(config: &Config) -> Result<Pool, Failure> {
    Ok(Pool::new(&config.database).map_err(StartError::from)?)
}

/// Who does what a command does: this unit, on behalf of whoever runs commands on it. The kernel knows the host's name, which is the
/// unit's on Kubernetes.
fn origin() -> Origin {
    let unit = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Origin::SYSTEM.by(Actor::Action { unit: unit.trim().to_owned() })
}

/// A time for people: UTC, to the second.
fn short_time(time: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    time.to_offset(time::UtcOffset::UTC).format(&form).unwrap_or_default()
}

async fn create_token(
    config: &Config,
    request: JoinTokenRequest,
) -> Result<JoinTokenText, Failure> {
    let policy = run::join_token_policy(config)?;
    Ok(join_tokens::create(&pool(config)?, &policy, request, &origin()).await?)
}

async fn migrate(config: &Config) -> Result<(), Failure> {
    let applied = run::migrate(config, &origin()).await?;
    output::print(match applied {
        0 => "The database is up to date.\n".to_owned(),
        1 => "Applied 1 migration.\n".to_owned(),
        applied => format!("Applied {applied} migrations.\n"),
    })
}

/// JSON lines on standard error; plain text where a person looks on. Traces have a filter of their own.
fn start_log(level: &str, traces: Option<&Traces>) -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_new(level)
        .map_err(|_| "LOG_LEVEL must be error, warn, info, debug, trace or a filter")?;
    // A line that cannot be written, as on a full disk, is lost: to say so on the same disk would be a panic.
    let lines = fmt::layer().log_internal_errors(false).with_writer(std::io::stderr);
    let json = fmt::layer().log_internal_errors(false).with_writer(std::io::stderr).json();
    let json = json.flatten_event(true).with_current_span(true).with_span_list(false);
    match (traces, std::io::stderr().is_terminal()) {
        (None, true) => registry().with(lines.compact()).with(filter).init(),
        (None, false) => registry().with(json).with(filter).init(),
        (Some(traces), true) => {
            registry().with(lines.compact().with_filter(filter)).with(traces.layer()).init();
        }
        (Some(traces), false) => {
            registry().with(json.with_filter(filter)).with(traces.layer()).init();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn given(arguments: &[&str]) -> Vec<OsString> {
        arguments.iter().map(Into::into).collect()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_page_about_the_command_line_names_every_command_and_exit_status() {
        let page = include_str!("../../../docs/cli.md");
        let mut command = Cli::command();
        command.build();
        for subcommand in command.get_subcommands().filter(|c| c.get_name() != "help") {
            let name = subcommand.get_name();
            assert!(page.contains(&format!("`{name}")), "{name} is missing");
            for inner in subcommand.get_subcommands().filter(|c| c.get_name() != "help") {
                let name = format!("`{name} {}", inner.get_name());
                assert!(page.contains(&name), "{name} is missing");
            }
            for option in subcommand.get_arguments().filter_map(clap::Arg::get_long) {
                let short = option.chars().next().unwrap_or_default();
                let named = page.contains(&format!("--{option}"))
                    || page.contains(&format!("[-{short}"))
                    || matches!(option, "help" | "version");
                assert!(named, "--{option} of {name} is missing");
            }
        }
        let statuses = AFTER_HELP.lines().filter_map(|line| {
            line.strip_prefix("  ")?.split(' ').next().filter(|word| !word.is_empty())
        });
        for status in statuses {
            assert!(page.contains(&format!("| {status} |")), "exit status {status} is missing");
        }
    }

    #[test]
    fn service_selects_what_runs_unless_a_subcommand_does() {
        let selected = |service, args: &[&str]| arguments(service, given(args)).unwrap();
        assert_eq!(selected(Some("management-api"), &["mcm"]), given(&["mcm", "management-api"]));
        assert_eq!(
            selected(Some("cluster-connector"), &["mcm", "migrate"]),
            given(&["mcm", "migrate"])
        );
        assert_eq!(selected(Some("cli"), &["mcm", "enroll", "a"]), given(&["mcm", "enroll", "a"]));
        assert_eq!(selected(None, &["mcm", "-version"]), given(&["mcm", "--version"]));
        assert_eq!(arguments(Some("other"), given(&["mcm"])), Err(UnknownService));
    }
}
