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
mod load;
mod report;
mod sink;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cluster_simulator::KeyKind;

use crate::connector::Connector;
use crate::database::Database;
use crate::fleet::{Fleet, Manager};
use crate::load::{Load, Pattern};

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
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    at_a_time: u32,
    /// Only measurements whose names begin with one of these letters, such as "ab"
    #[arg(long, default_value = "abcdef")]
    only: String,
}

/// A heartbeat of a MicroCloud with three members and of one with fifty, with the metrics of each member.
const THREE_MEMBERS: &str = include_str!("../../examples/heartbeat-3-members.json");
const FIFTY_MEMBERS: &str = include_str!("../../examples/heartbeat-50-members.json");

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
    let length = Duration::from_secs(options.seconds);
    let wanted = |letter: char| options.only.contains(letter);
    let manager = Manager::new(&folder.join("p256"), KeyKind::P256)?;
    let rsa = Manager::new(&folder.join("rsa2048"), KeyKind::Rsa2048)?;
    report::machine();
    let tls = floor::measure(&manager)?;
    report::floor("P-256", &tls);
    report::floor("RSA-2048", &floor::measure(&rsa)?);

    Connector::migrate(&options.server, database)?;
    let fleet = Fleet::generate(options.clusters)?;
    let everyone = fleet.all().len();
    let plain = fleet::without_metrics(THREE_MEMBERS)?;
    let load = Load { at_a_time: options.at_a_time, length, database };

    if wanted('c') {
        report::heading(
            "(c) the number of enrolled clusters: two fresh connections per heartbeat, as members do",
        );
        for enrolled in [10_usize, 1000] {
            if enrolled < everyone {
                database.enrol(fleet.first(enrolled)).await?;
                let connector = Connector::start(&options.server, database, &manager, None).await?;
                let title = format!("{} clusters", report::grouped(enrolled));
                let members = fleet.members(&manager, &connector, enrolled);
                let done = load.run(&connector, members, Pattern::Fresh, &plain).await?;
                report::line(&title, &done);
            }
        }
    }
    database.enrol(fleet.all()).await?;
    let all = format!("{} clusters", report::grouped(everyone));

    if wanted('a') || wanted('c') || wanted('e') {
        report::heading(
            "(a) two fresh connections per heartbeat, as members do: P-384 client certificates",
        );
        let connector = Connector::start(&options.server, database, &manager, None).await?;
        let idle = connector.memory()?;
        let members = fleet.members(&manager, &connector, everyone);
        let done = load.run(&connector, members, Pattern::Fresh, &plain).await?;
        report::line(&format!("{all}, server key P-256"), &done);
        report::above_floor(&tls, &done);
        if wanted('e') {
            let members = fleet.members(&manager, &connector, everyone);
            let rounds = load.each_once(members, &plain).await?;
            report::memory(&all, idle, connector.memory()?, rounds);
        }
        drop(connector);
        if wanted('a') {
            let connector = Connector::start(&options.server, database, &rsa, None).await?;
            let members = fleet.members(&rsa, &connector, everyone);
            let done = load.run(&connector, members, Pattern::Fresh, &plain).await?;
            report::line(&format!("{all}, server key RSA-2048"), &done);
        }
    }
    if wanted('d') {
        report::heading(
            "(d) the size of the body, metrics read, encoded and sent on to a receiver that says yes",
        );
        let sink = sink::start().await?;
        for (title, body) in [
            ("3 members, without metrics", plain.clone()),
            ("3 members, with metrics", THREE_MEMBERS.as_bytes().to_vec()),
            ("50 members, with metrics", FIFTY_MEMBERS.as_bytes().to_vec()),
        ] {
            let connector =
                Connector::start(&options.server, database, &manager, Some(&sink)).await?;
            let members = fleet.members(&manager, &connector, everyone);
            let done = load.run(&connector, members, Pattern::Fresh, &body).await?;
            let title = format!("{title} ({} kB)", report::grouped(body.len().div_ceil(1000)));
            report::line(&title, &done);
        }
    }
    if wanted('b') || wanted('f') {
        report::heading(
            "(b) heartbeats on connections that stay open, beside (f) PostgreSQL's own single-row upserts",
        );
        let connector = Connector::start(&options.server, database, &manager, None).await?;
        let members = fleet.members(&manager, &connector, everyone);
        let kept = Load { at_a_time: options.at_a_time * 4, ..load };
        let done = kept.run(&connector, members, Pattern::Kept, &plain).await?;
        report::line(&format!("{} connections", kept.at_a_time), &done);
        drop(connector);
        if wanted('f') {
            for clients in [1, 2, 16] {
                let upserts = database.upserts(options.clusters, clients, length).await?;
                report::upserts(clients, &upserts, &done);
            }
        }
    }
    Ok(())
}
