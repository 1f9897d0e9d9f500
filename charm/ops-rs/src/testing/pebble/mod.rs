//! A container in memory: Pebble's API on a real socket, so that the real client is what is tested.

mod container;
mod server;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;

use container::Container;

/// What a command in the container does: exit code, standard output, standard error.
pub type FakeExec = Box<dyn FnMut(&[String]) -> (i64, String, String) + Send>;

/// A container whose Pebble listens at `<folder>/<name>/pebble.socket`. It ends when dropped.
#[derive(Debug)]
pub struct FakePebble {
    container: Arc<Mutex<Container>>,
    socket: PathBuf,
    stopping: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl FakePebble {
    /// Starts the container `name` with its socket below `folder`.
    ///
    /// # Errors
    ///
    /// If the socket cannot be made, for example because its path is longer than 107 bytes.
    pub fn start(folder: &Path, name: &str) -> io::Result<Self> {
        let container = Arc::new(Mutex::new(Container::default()));
        let stopping = Arc::new(AtomicBool::new(false));
        let socket = folder.join(name).join("pebble.socket");
        std::fs::create_dir_all(folder.join(name))?;
        let server = server::serve(&socket, &container, &stopping)?;
        Ok(Self { container, socket, stopping, server: Some(server) })
    }

    /// The container stops answering, as while it restarts.
    pub fn set_down(&self, down: bool) {
        self.container().down = down;
    }

    /// The container starts anew: plan, services and files are gone.
    pub fn restart(&self) {
        self.container().restart();
    }

    /// What commands do.
    pub fn on_exec(&self, exec: FakeExec) {
        self.container().exec = Some(exec);
    }

    /// Sets how a check stands.
    pub fn set_check(&self, name: &str, up: bool) {
        let status = if up { "up" } else { "down" };
        self.container().checks.insert(name.to_owned(), status);
    }

    /// The plan, all layers together.
    #[must_use]
    pub fn plan(&self) -> Value {
        self.container().plan.clone()
    }

    /// How often each service has been started.
    #[must_use]
    pub fn starts(&self) -> BTreeMap<String, usize> {
        self.container().starts.clone()
    }

    /// The services that run.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.container().running.keys().cloned().collect()
    }

    /// The files by path: content and access rights, for example `600`.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, (Vec<u8>, String)> {
        self.container().files.clone()
    }

    /// The text of one file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<String> {
        let content = self.container().files.get(path)?.0.clone();
        String::from_utf8(content).ok()
    }

    /// The commands that were run.
    #[must_use]
    pub fn commands(&self) -> Vec<Vec<String>> {
        self.container().commands.clone()
    }

    fn container(&self) -> MutexGuard<'_, Container> {
        self.container.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FakePebble {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the server from its accept; where the socket's folder has gone already, nobody can reach
        // it any more, and it ends with the test.
        let woken = UnixStream::connect(&self.socket).is_ok();
        if let Some(server) = self.server.take().filter(|_| woken) {
            let _ = server.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}
