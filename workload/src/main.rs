//! The program: reads the command line and the settings, starts the log, runs.

use std::process::ExitCode;

use clap::Parser;
use cluster_manager::cli::{self, Cli};
use mimalloc::MiMalloc;

/// The system's allocator gives memory back to the kernel after every few handshakes and asks for it again, and keeps much more
/// of it than is in use.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let service = read("SERVICE").filter(|service| !service.is_empty());
    let arguments = match cli::arguments(service.as_deref(), std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return cli::refuse(&error, cli::EXIT_CONFIG),
    };
    let command = Cli::try_parse_from(arguments).unwrap_or_else(|error| error.exit());
    cli::run(command, read).await
}

/// The one place that reads the process environment.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn read(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
