//! `./dev bench`: what a heartbeat costs and how fast the Cluster Connector takes them.
//!
//! The load goes over real TLS sockets to the real program, which writes to a real PostgreSQL with full durability. Clients,
//! connector and PostgreSQL share one machine, so rates are lower bounds; the CPU time of the connector and of PostgreSQL,
//! which the kernel counts per process, is what a deployment is sized by.

mod connector;
mod cpu;
mod database;
mod fleet;
mod floor;
mod kept;
mod load;
mod measurements;
mod report;
mod sink;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use cluster_simulator::KeyKind;
use cluster_simulator::tls::KeyExchange;

use crate::connector::Connector;
use crate::database::Database;
use crate::fleet::{Fleet, Manager};
use crate::measurements::Bench;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures heartbeats against the real program; `./dev bench` prepares what it needs.
#[derive(Debug, Parser)]
#[command(name = "heartbeat-bench")]
struct Options {
    /// The server's program
    #[arg(long)]
    server: PathBuf,
    /// How to reach PostgreSQL as its administrator: the line that tools/postgres.sh prints
    #[arg(long)]
    postgres: String,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Clusters in the large measurements
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    clusters: u32,
    /// Heartbeats under way at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    at_a_time: u32,
    /// Only measurements whose names begin with one of these letters, such as "ab"
    #[arg(long, default_value = "abcdefghikl")]
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failed(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let database = Database::create(&options.postgres).await?;
    let measured = measure(options, &database, folder.path()).await;
    // What was made goes, whether the measurements succeeded or not.
    database.remove().await?;
    measured
}

async fn measure(
    options: &Options,
    database: &Database,
    folder: &std::path::Path,
) -> Result<(), Error> {
    let wanted = |letters: &str| letters.chars().any(|letter| options.only.contains(letter));
    let manager = Manager::new(&folder.join("p256"), KeyKind::P256)?;
    let rsa = Manager::new(&folder.join("rsa2048"), KeyKind::Rsa2048)?;
    report::machine();
    let tls = floor::measure(&manager, KeyExchange::Hybrid)?;
    report::floor("P-256", &tls);
    report::floor("RSA-2048", &floor::measure(&rsa, KeyExchange::Hybrid)?);

    Connector::migrate(&options.server, database)?;
    let fleet = Fleet::generate(options.clusters)?;
    let bench = Bench::new(options, database, manager, fleet)?;
    if wanted("c") {
        bench.number_of_clusters().await?;
    }
    database.enrol(bench.fleet.all()).await?;
    if wanted("ace") {
        bench.fresh_connections(&tls, &rsa, wanted("a"), wanted("e")).await?;
    }
    if wanted("l") {
        bench.own_pace().await?;
    }
    if wanted("d") {
        bench.size_of_bodies().await?;
    }
    if wanted("bf") {
        bench.kept_connections(wanted("f")).await?;
    }
    if wanted("g") {
        bench.herd().await?;
    }
    if wanted("h") {
        bench.receiver_in_trouble().await?;
    }
    if wanted("k") {
        bench.large_bodies().await?;
    }
    if wanted("i") {
        bench.tunnels().await?;
    }
    Ok(())
}
