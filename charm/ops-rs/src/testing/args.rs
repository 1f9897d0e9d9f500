//! Arguments as Juju's tools read them: options anywhere, `--` ends them.

#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) relation: Option<String>,
    pub(super) app: bool,
    pub(super) file: Option<String>,
    pub(super) label: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) level: Option<String>,
    pub(super) plain: Vec<String>,
}

impl Args {
    /// # Errors
    ///
    /// Juju's text for an option that it does not know.
    pub(super) fn read(args: &[&str]) -> Result<Self, String> {
        let mut read = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().map(|value| (*value).to_owned());
            match *arg {
                "--" => {
                    read.plain.extend(args.by_ref().map(|arg| (*arg).to_owned()));
                }
                "-r" => read.relation = value(),
                "--file" => read.file = value(),
                "--label" => read.label = value(),
                "--owner" => read.owner = value(),
                "--log-level" => read.level = value(),
                "--app" => read.app = true,
                "--format=json" | "--include-data" | "--refresh" => {}
                option if option.len() > 1 && option.starts_with('-') => {
                    return Err(format!("option provided but not defined: {option}"));
                }
                plain => read.plain.push(plain.to_owned()),
            }
        }
        Ok(read)
    }

    pub(super) fn first(&self, missing: &str) -> Result<&str, String> {
        self.plain.first().map(String::as_str).ok_or_else(|| missing.to_owned())
    }
}
