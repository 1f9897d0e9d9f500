use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::TestDatabase;

/// PostgreSQL behind a line that can be cut between a commit and the news of it, or fall silent.
pub struct LossyDatabase {
    /// The setting that leads services through it.
    pub setting: (&'static str, String),
    marker: Marker,
    faults: watch::Sender<Faults>,
    task: JoinHandle<()>,
}

/// What is wrong with the line at the moment. Its connections are counted.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    silent: bool,
    holds_commits: bool,
    opened: u64,
    dead_below: u64,
}

/// What a connection must have sent lately, for its next commit to be kept from whoever waits for it.
type Marker = Arc<Mutex<Option<&'static str>>>;

impl LossyDatabase {
    /// Listens in the folder `directory`, which it makes.
    pub async fn before(database: &TestDatabase, directory: &Path) -> Self {
        let setting = |name: &str| {
            let mut settings = database.settings().into_iter();
            settings.find(|(key, _)| *key == name).unwrap().1
        };
        let socket = format!(".s.PGSQL.{}", setting("DB_PORT"));
        let target = PathBuf::from(setting("DB_HOST")).join(&socket);
        tokio::fs::create_dir(directory).await.unwrap();
        let listener = UnixListener::bind(directory.join(&socket)).unwrap();
        let marker = Marker::default();
        let armed = Arc::clone(&marker);
        let faults = watch::Sender::new(Faults::default());
        let now = faults.clone();
        let task = tokio::spawn(async move {
            loop {
                let client = listener.accept().await.unwrap().0;
                let number = now.borrow().opened;
                now.send_modify(|faults| faults.opened += 1);
                let line = Line { number, faults: now.subscribe(), armed: Arc::clone(&armed) };
                tokio::spawn(line.pass_on(client, target.clone()));
            }
        });
        Self { setting: ("DB_HOST", directory.display().to_string()), marker, faults, task }
    }

    /// Cuts the line of the first transaction that says `marker` when it has been committed, before anybody hears of it.
    pub fn lose_commit_of(&self, marker: &'static str) {
        *self.marker.lock().unwrap() = Some(marker);
    }

    /// From now on nothing arrives any more, as when a network drops everything, or all arrives again.
    pub fn be_silent(&self, silent: bool) {
        self.faults.send_modify(|faults| faults.silent = silent);
    }

    /// Nothing arrives any more on the connections of now, ever. New ones work.
    pub fn let_connections_die(&self) {
        self.faults.send_modify(|faults| faults.dead_below = faults.opened);
    }

    /// From now on transactions are committed and nobody hears of it, or all that was held back arrives.
    pub fn hold_commits(&self, hold: bool) {
        self.faults.send_modify(|faults| faults.holds_commits = hold);
    }

    /// Whether the line was cut since.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.marker.lock().unwrap().is_none()
    }
}

impl Drop for LossyDatabase {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Line {
    number: u64,
    faults: watch::Receiver<Faults>,
    armed: Marker,
}

impl Line {
    async fn pass_on(mut self, mut client: UnixStream, target: PathBuf) {
        let Ok(mut server) = UnixStream::connect(target).await else { return };
        let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let mut is_marked = false;
        loop {
            let number = self.number;
            let works = |faults: &Faults| !faults.silent && number >= faults.dead_below;
            if self.faults.wait_for(works).await.is_err() {
                return;
            }
            tokio::select! {
                _ = self.faults.changed() => {}
                read = client.read(&mut asked) => {
                    let Ok(length @ 1..) = read else { return };
                    let marker = *self.armed.lock().unwrap();
                    is_marked |= marker.is_some_and(|text| contains(&asked[..length], text.as_bytes()));
                    if server.write_all(&asked[..length]).await.is_err() {
                        return;
                    }
                }
                read = server.read(&mut answered) => {
                    let Ok(length @ 1..) = read else { return };
                    // What a completed COMMIT answers (PostgreSQL's protocol, message CommandComplete).
                    if contains(&answered[..length], b"COMMIT\0") {
                        if is_marked {
                            *self.armed.lock().unwrap() = None;
                            return;
                        }
                        if self.faults.wait_for(|faults| !faults.holds_commits).await.is_err() {
                            return;
                        }
                    }
                    if client.write_all(&answered[..length]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
