//! The command line. `SERVICE` in the environment selects what runs, for charms and existing deployments; people use the
//! subcommands of the same names.

use std::error::Error;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing_subscriber::EnvFilter;
use workload_config::Config;

use crate::domain::join_tokens::{self, JoinTokenRequest};
use crate::error_chain::Chain;
use crate::model::{Actor, Origin};
use crate::run::{self, StartError};
use crate::store::Pool;

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
Exit status: 0 success, 1 failure (one line on standard error says why), 2 wrong usage, 78 wrong settings.
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
    /// Create or update the database schema
    Migrate,
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
    let default_level = match cli.command {
        Command::ManagementApi | Command::ClusterConnector => "info",
        Command::Enroll { .. } | Command::Migrate => "warn",
    };
    if let Err(error) = start_log(config.log_level.as_deref().unwrap_or(default_level)) {
        return refuse(&*error, EXIT_CONFIG);
    }
    let done = match cli.command {
        Command::ManagementApi => run::management_api(config).await.map_err(Failure::from),
        Command::ClusterConnector => run::cluster_connector(config).await.map_err(Failure::from),
        Command::Enroll { name, description, expire } => {
            enroll(&config, JoinTokenRequest { cluster_name: name, description, expiry: expire })
                .await
        }
        Command::Migrate => migrate(&config).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Start(error @ StartError::Setting(_))) => refuse(&error, EXIT_CONFIG),
        Err(Failure::Start(error)) => refuse(&Printed(Chain(&error).to_string()), 1),
        Err(Failure::Domain(error)) => refuse(&Printed(Chain(&error).to_string()), 1),
    }
}

enum Failure {
    Start(StartError),
    Domain(crate::domain::Error),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<crate::domain::Error> for Failure {
    fn from(error: crate::domain::Error) -> Self {
        Self::Domain(error)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Printed(String);

#[expect(clippy::print_stdout, reason = "the token is this command's result")]
async fn enroll(config: &Config, request: JoinTokenRequest) -> Result<(), Failure> {
    let policy = run::join_token_policy(config)?;
    let pool = Pool::new(&config.database).map_err(StartError::from)?;
    // The kernel knows the host's name, which is the unit's on Kubernetes.
    let unit = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let origin = Origin::SYSTEM.by(Actor::Action { unit: unit.trim().to_owned() });
    let token = join_tokens::create(&pool, &policy, request, &origin).await?;
    println!("{}", token.expose());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the command's result")]
async fn migrate(config: &Config) -> Result<(), Failure> {
    match run::migrate(config).await? {
        0 => println!("The database is up to date."),
        1 => println!("Applied 1 migration."),
        applied => println!("Applied {applied} migrations."),
    }
    Ok(())
}

/// JSON lines on standard error; plain text where a person looks on.
fn start_log(level: &str) -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_new(level)
        .map_err(|_| "LOG_LEVEL must be error, warn, info, debug, trace or a filter")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.compact().init();
    } else {
        log.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
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
