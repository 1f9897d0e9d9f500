//! The program behind `./dev pack` and `./dev image`.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use packager::image::{self, Parts};
use packager::{charm, oci, read_yaml, sbom};

/// Packs the charm and the image of the services.
#[derive(Debug, Parser)]
struct Arguments {
    /// The project
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// For which processors, as Debian calls them
    #[arg(long, default_value = "amd64")]
    architecture: String,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The charm
    Charm {
        /// The program that Juju starts
        #[arg(long)]
        dispatch: PathBuf,
    },
    /// The program out of a charm that charmcraft has packed, if that charm is what this packer would have made of the project
    Program {
        /// The charm
        #[arg(long)]
        charm: PathBuf,
    },
    /// The bill of materials of a packed charm
    CharmSbom {
        /// The charm
        #[arg(long)]
        charm: PathBuf,
    },
    /// The image
    Image {
        /// The program of the services
        #[arg(long)]
        program: PathBuf,
        /// Pebble
        #[arg(long)]
        pebble: PathBuf,
        /// Folder with Debian's packages, unpacked
        #[arg(long)]
        debian: PathBuf,
    },
    /// The bill of materials of a packed image
    ImageSbom {
        /// The image
        #[arg(long)]
        archive: PathBuf,
        /// The npm packages that the web pages are made of, as their build writes it
        #[arg(long)]
        pages: PathBuf,
        /// What `go version -m` says of Pebble
        #[arg(long)]
        pebble: PathBuf,
        /// Name, version and hash of each of Debian's packages
        #[arg(long)]
        debian: PathBuf,
    },
}

#[expect(clippy::print_stderr, reason = "this is the program's last word")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("error: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { root, architecture, out, what } = arguments;
    let bytes = match what {
        What::Charm { dispatch } => charm::pack(root, dispatch, architecture)?,
        What::Program { charm } => charm::program(root, charm, architecture)?,
        What::CharmSbom { charm } => sbom::charm(root, charm, architecture)?,
        What::ImageSbom { archive, pages, pebble, debian } => {
            let image = sbom::Image {
                root: root.clone(),
                archive: archive.clone(),
                pages: pages.clone(),
                pebble: pebble.clone(),
                debian: debian.clone(),
            };
            sbom::image(&image, architecture)?
        }
        What::Image { program, pebble, debian } => {
            let rock = read_yaml(&root.join("rockcraft.yaml"))?;
            let text = |key: &str| -> Result<String, String> {
                let text = rock.get(key).and_then(|value| value.as_str());
                Ok(text.ok_or_else(|| format!("rockcraft.yaml has no {key}"))?.to_owned())
            };
            let parts = Parts {
                root: root.clone(),
                program: program.clone(),
                pebble: pebble.clone(),
                debian: debian.clone(),
            };
            let tree = image::tree(&parts)?;
            oci::archive(
                &tree,
                &text("name")?,
                &text("version")?,
                &text("run-user")?,
                architecture,
            )?
        }
    };
    std::fs::write(out, bytes)?;
    Ok(())
}
