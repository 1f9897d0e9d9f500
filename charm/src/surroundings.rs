//! What the charm needs to know that Juju does not tell: the time, and where things are.

use std::path::PathBuf;

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
    /// Those of a real charm container. `get` reads a variable of the environment, `resolv_conf` is the
    /// content of `/etc/resolv.conf`.
    ///
    /// Juju makes the environment of hooks from nothing, so that the three variables are never there in
    /// production; the tests that start the real program set them.
    #[must_use]
    pub fn new(
        now: OffsetDateTime,
        get: impl Fn(&str) -> Option<String>,
        resolv_conf: &str,
    ) -> Self {
        let containers = get("CHARM_TEST_CONTAINERS");
        let containers = containers.unwrap_or_else(|| ops::pebble::CONTAINERS.to_owned());
        Self {
            now,
            cluster_domain: cluster_domain(resolv_conf),
            containers: containers.into(),
            root: get("CHARM_TEST_ROOT").unwrap_or_default(),
            listen: get("CHARM_TEST_LISTEN").unwrap_or_else(|| "0.0.0.0".to_owned()),
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
    fn without_variables_everything_is_where_juju_puts_it() {
        let real = Surroundings::new(OffsetDateTime::UNIX_EPOCH, |_| None, "");
        assert_eq!(real.containers.to_str(), Some("/charm/containers"));
        assert_eq!(real.file("db/password"), "/var/lib/microcloud-cluster-manager/db/password");
        assert_eq!((real.listen.as_str(), real.probe_host()), ("0.0.0.0", "127.0.0.1"));
    }
}
