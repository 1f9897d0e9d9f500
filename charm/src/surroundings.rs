//! What the charm needs to know that Juju does not tell: the time, and where things are.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

/// Folder of everything that the charm writes in the workload container. The image has it, owned by
/// the workload's user.
pub const STATE: &str = "/var/lib/microcloud-cluster-manager";

/// The workload's program.
pub const PROGRAM: &str = "/usr/bin/microcloud-cluster-manager";

/// Where and when this dispatch runs. Tests make other ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Now.
    pub now: OffsetDateTime,
    /// Domain of the Kubernetes cluster, `cluster.local` if it cannot be found out.
    pub cluster_domain: String,
    /// Folder with the containers' sockets.
    pub containers: PathBuf,
    /// In front of every path in the workload container; empty but in tests.
    pub root: String,
    /// Address that the services listen on.
    pub listen: String,
}

impl Surroundings {
    /// Those of the charm container in which Juju has put the charm into `charm_dir`.
    #[must_use]
    pub fn here(now: OffsetDateTime, charm_dir: &Path) -> Self {
        let top = top_of(charm_dir);
        let resolv_conf = std::fs::read_to_string(top.join("etc/resolv.conf")).unwrap_or_default();
        let containers = ops::pebble::CONTAINERS.trim_start_matches('/');
        Self::new(now, top.join(containers), &resolv_conf)
    }

    /// Those of a charm container with the containers' sockets in `containers`. `resolv_conf` is the content of
    /// `/etc/resolv.conf`.
    #[must_use]
    pub fn new(now: OffsetDateTime, containers: PathBuf, resolv_conf: &str) -> Self {
        Self {
            now,
            cluster_domain: cluster_domain(resolv_conf),
            containers,
            root: String::new(),
            listen: "0.0.0.0".to_owned(),
        }
    }

    /// A path below [`STATE`].
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        format!("{}{STATE}/{name}", self.root)
    }

    /// The workload's program.
    #[must_use]
    pub fn program(&self) -> String {
        format!("{}{PROGRAM}", self.root)
    }

    /// Where a check inside the container connects to.
    #[must_use]
    pub fn probe_host(&self) -> &str {
        if self.listen == "0.0.0.0" { "127.0.0.1" } else { &self.listen }
    }
}

/// The folder below which the charm container has its files: the root of everything on Kubernetes, where the charm is in
/// `/var/lib/juju/agents/unit-<application>-<number>/charm`. A container that is a folder of a machine has the same below it.
fn top_of(charm_dir: &Path) -> &Path {
    let agents = charm_dir.ancestors().nth(2).filter(|_| charm_dir.ends_with("charm"));
    let top = agents.filter(|agents| agents.ends_with("var/lib/juju/agents"));
    top.and_then(|agents| agents.ancestors().nth(4)).unwrap_or(Path::new("/"))
}

/// Kubernetes lists `<namespace>.svc.<domain>`, `svc.<domain>` and `<domain>` to be searched.
fn cluster_domain(resolv_conf: &str) -> String {
    let search = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("search "));
    let domain = search.flat_map(str::split_whitespace).find_map(|d| d.strip_prefix("svc."));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let domain = domain.map(|domain| domain.trim_end_matches('.'));
    let usable = domain.filter(|d| !d.is_empty() && d.chars().all(plain));
    usable.unwrap_or("cluster.local").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_the_cluster_is_read_and_not_guessed() {
        for (text, wanted) in [
            ("nameserver 10.0.0.1\nsearch m.svc.k8s.lan svc.k8s.lan k8s.lan\n", "k8s.lan"),
            ("search cm.svc.cluster.local svc.cluster.local cluster.local", "cluster.local"),
            ("search example.com", "cluster.local"),
            ("search svc. svc.`id`", "cluster.local"),
            ("", "cluster.local"),
        ] {
            assert_eq!(cluster_domain(text), wanted, "{text}");
        }
    }

    #[test]
    fn everything_is_where_juju_puts_it() {
        let unit = "/var/lib/juju/agents/unit-mcm-0/charm";
        let real = Surroundings::here(OffsetDateTime::UNIX_EPOCH, Path::new(unit));
        assert_eq!(real.containers.to_str(), Some("/charm/containers"));
        assert_eq!(real.file("db/password"), "/var/lib/microcloud-cluster-manager/db/password");
        assert_eq!((real.listen.as_str(), real.probe_host()), ("0.0.0.0", "127.0.0.1"));
        for elsewhere in ["", "/", "charm", "/srv/charm", "/var/lib/juju/agents/unit-mcm-0"] {
            assert_eq!(top_of(Path::new(elsewhere)), Path::new("/"), "{elsewhere}");
        }
        assert_eq!(top_of(Path::new(&format!("/tmp/x{unit}"))), Path::new("/tmp/x"));
    }
}
