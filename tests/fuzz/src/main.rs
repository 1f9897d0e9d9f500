//! Long runs, for people: `./dev fuzz`. Crashing inputs go into the corpus, where the tests find them too.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the program's result")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use fuzz_targets::{Campaign, Corpus, Finding, Target, all};

/// Fuzz targets for the bytes that clusters send.
#[derive(Debug, Parser)]
#[command(name = "fuzz-targets")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Change inputs at random for some time; inputs that show something new are kept in the corpus
    Run {
        /// One target; all of them in turn when it is left out
        target: Option<String>,
        /// Minutes for each target
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// Makes the same changes again; another one each time when it is left out
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Run one input from a file, as it is
    Replay {
        /// The target
        target: String,
        /// The file
        file: PathBuf,
    },
    /// The names of the targets
    List,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found.
fn run(command: Command) -> Result<bool, Box<dyn Error>> {
    match command {
        Command::List => {
            for target in all() {
                println!("{}", target.name);
            }
            Ok(true)
        }
        Command::Replay { target, file } => {
            let mut target = named(&target)?;
            let input = std::fs::read(file)?;
            match Campaign::new(&mut target, vec![input], 0) {
                Ok(campaign) => {
                    println!("nothing is wrong: {:?}", campaign.behaviours());
                    Ok(true)
                }
                Err(finding) => {
                    println!("WRONG: {}", finding.reason);
                    Ok(false)
                }
            }
        }
        Command::Run { target, minutes, seed } => {
            let targets = match target {
                Some(name) => vec![named(&name)?],
                None => all(),
            };
            let length = Duration::try_from_secs_f64(minutes * 60.0)?;
            let seed = seed.map_or_else(random_seed, Ok)?;
            let mut clean = true;
            for mut target in targets {
                clean &= one(&mut target, length, seed)?;
            }
            Ok(clean)
        }
    }
}

/// A new number each time.
fn random_seed() -> Result<u64, Box<dyn Error>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_nanos() & u128::from(u64::MAX))?)
}

fn named(name: &str) -> Result<Target, Box<dyn Error>> {
    let mut all = all();
    let names: Vec<_> = all.iter().map(|target| target.name).collect();
    let place = names.iter().position(|known| *known == name);
    let place = place.ok_or_else(|| format!("there is no target {name}: {}", names.join(", ")))?;
    Ok(all.swap_remove(place))
}

/// Runs one target for `length` and says every ten seconds how far it is.
fn one(target: &mut Target, length: Duration, seed: u64) -> Result<bool, Box<dyn Error>> {
    let (name, corpus) = (target.name, Corpus::of(target.name));
    println!("{name}: seed {seed}");
    let begin = Instant::now();
    let mut shown = begin;
    let mut campaign = match Campaign::new(target, corpus.read()?, seed) {
        Ok(campaign) => campaign,
        Err(finding) => return report(name, &corpus, &finding),
    };
    let known = campaign.behaviours().len();
    while begin.elapsed() < length {
        if let Err(finding) = campaign.timed_step() {
            return report(name, &corpus, &finding);
        }
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            println!(
                "{name}: {} inputs in {} s, {} behaviours, {known} of them from the corpus",
                campaign.runs(),
                begin.elapsed().as_secs(),
                campaign.behaviours().len()
            );
        }
    }
    let (count, behaviours) = (campaign.runs(), campaign.behaviours().len());
    let found = campaign.found();
    for input in &found {
        corpus.keep("", input)?;
    }
    println!(
        "{name}: {count} inputs, nothing is wrong; {behaviours} behaviours, {} new inputs kept",
        found.len()
    );
    Ok(true)
}

fn report(name: &str, corpus: &Corpus, finding: &Finding) -> Result<bool, Box<dyn Error>> {
    let file = corpus.keep("crash-", &finding.input)?;
    println!("{name}: WRONG: {}", finding.reason);
    println!("{name}: the input is {}", file.display());
    println!("{name}: to see it again: ./dev fuzz --replay {name} {}", file.display());
    Ok(false)
}
