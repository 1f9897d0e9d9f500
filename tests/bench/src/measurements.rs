//! The measurements, each with a letter of its own on the command line.

use std::path::Path;
use std::time::{Duration, Instant};

use cluster_simulator::Member;
use cluster_simulator::tls::KeyExchange;
use tokio::task::JoinSet;

use crate::connector::Connector;
use crate::database::Database;
use crate::fleet::{self, Fleet, Manager};
use crate::floor::{self, Handshakes};
use crate::load::{Load, MINUTE, Pattern};
use crate::{Error, Options, report, sink};

/// A heartbeat of a MicroCloud with three members and of one with fifty, with the metrics of each member.
const THREE_MEMBERS: &str = include_str!("../../examples/heartbeat-3-members.json");
const FIFTY_MEMBERS: &str = include_str!("../../examples/heartbeat-50-members.json");
/// Bytes of a large heartbeat, at most.
const LARGE_BODY: usize = 200 << 10;
/// Clusters of a herd that are under way at a time, in its first measurement.
const SOME_OF_A_HERD: usize = 1000;
/// Clusters that send where it does not matter how many do.
const SENDERS: usize = 1000;
/// Tunnels that are being opened at a time.
const OPENING: usize = 64;

/// What the measurements share.
pub(crate) struct Bench<'a> {
    server: &'a Path,
    database: &'a Database,
    manager: Manager,
    pub(crate) fleet: Fleet,
    /// A heartbeat of three members without metrics.
    plain: Vec<u8>,
    load: Load<'a>,
    clusters: u32,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        options: &'a Options,
        database: &'a Database,
        manager: Manager,
        fleet: Fleet,
    ) -> Result<Self, Error> {
        let length = Duration::from_secs(options.seconds);
        Ok(Self {
            server: &options.server,
            database,
            manager,
            fleet,
            plain: fleet::without_metrics(THREE_MEMBERS)?,
            load: Load { at_a_time: options.at_a_time, length, database },
            clusters: options.clusters,
        })
    }

    async fn connector(&self, receiver: Option<&str>) -> Result<Connector, Error> {
        Connector::start(self.server, self.database, &self.manager, receiver).await
    }

    /// The first so many clusters, as members of today.
    fn members(&self, connector: &Connector, count: usize) -> Vec<Member> {
        self.fleet.members(&self.manager, connector, count, KeyExchange::Hybrid)
    }

    /// "10,000 clusters".
    fn everyone(&self) -> String {
        format!("{} clusters", report::grouped(self.clusters))
    }

    /// (c)
    pub(crate) async fn number_of_clusters(&self) -> Result<(), Error> {
        report::heading(
            "(c) the number of enrolled clusters: two fresh connections per heartbeat, as members do",
        );
        for enrolled in [10_usize, 1000] {
            if enrolled < self.fleet.all().len() {
                self.database.enrol(self.fleet.first(enrolled)).await?;
                let connector = self.connector(None).await?;
                let members = self.members(&connector, enrolled);
                let done = self.load.fresh(&connector, members, &self.plain).await?;
                report::line(&format!("{} clusters", report::grouped(enrolled)), &done);
            }
        }
        Ok(())
    }

    /// (a), and (e) after it.
    pub(crate) async fn fresh_connections(
        &self,
        tls: &Handshakes,
        rsa: &Manager,
        with_others: bool,
        with_memory: bool,
    ) -> Result<(), Error> {
        let all = self.everyone();
        report::heading(
            "(a) two fresh connections per heartbeat, as members do: P-384 client certificates",
        );
        let connector = self.connector(None).await?;
        let idle = connector.memory()?;
        let members = self.members(&connector, self.fleet.all().len());
        let round = self.load.each_once(members.clone(), &self.plain).await?;
        let memory = connector.memory()?;
        let done = self.load.run(&connector, members, Pattern::Fresh, &self.plain).await?;
        report::line(&format!("{all}, server key P-256"), &done);
        report::above_floor(tls, &done);
        if with_memory {
            report::memory(&all, &connector, idle, memory, round);
        }
        drop(connector);
        if with_others {
            let connector = self.connector(None).await?;
            let (everybody, earlier) = (self.fleet.all().len(), KeyExchange::Classical);
            let members = self.fleet.members(&self.manager, &connector, everybody, earlier);
            let done = self.load.fresh(&connector, members, &self.plain).await?;
            report::line(&format!("{all}, X25519 without ML-KEM"), &done);
            report::above_floor(&floor::measure(&self.manager, earlier)?, &done);
            drop(connector);
            let connector = Connector::start(self.server, self.database, rsa, None).await?;
            let everybody = self.fleet.all().len();
            let members = self.fleet.members(rsa, &connector, everybody, KeyExchange::Hybrid);
            let done = self.load.fresh(&connector, members, &self.plain).await?;
            report::line(&format!("{all}, server key RSA-2048"), &done);
        }
        Ok(())
    }

    /// (l)
    pub(crate) async fn own_pace(&self) -> Result<(), Error> {
        report::heading(
            "(l) every cluster once a minute: between heartbeats the processors do other things, which costs each one more",
        );
        let everybody = self.fleet.all().len();
        let counts: &[usize] =
            if everybody > SENDERS { &[SENDERS, everybody] } else { &[everybody] };
        for &count in counts {
            let connector = self.connector(None).await?;
            let members = self.members(&connector, count);
            let done = self.load.once_a_minute(&connector, members, &self.plain).await?;
            report::line(&format!("{} clusters", report::grouped(count)), &done);
            report::cores(&done);
            let pause = MINUTE.div_f64(f64::from(u32::try_from(count)?));
            report::above_floor(&floor::measure_with_pauses(&self.manager, pause)?, &done);
        }
        Ok(())
    }

    /// (d)
    pub(crate) async fn size_of_bodies(&self) -> Result<(), Error> {
        report::heading(
            "(d) the size of the body, metrics read, encoded and sent on to a receiver that says yes",
        );
        let sink = sink::start().await?;
        let mut without = None;
        for (title, body) in [
            ("50 members, without metrics", fleet::without_metrics(FIFTY_MEMBERS)?),
            ("50 members, with metrics", FIFTY_MEMBERS.as_bytes().to_vec()),
            ("3 members, without metrics", self.plain.clone()),
            ("3 members, with metrics", THREE_MEMBERS.as_bytes().to_vec()),
        ] {
            let connector = self.connector(Some(&sink)).await?;
            let members = self.members(&connector, SENDERS);
            let done = self.load.fresh(&connector, members, &body).await?;
            let title = format!("{title} ({} kB)", report::grouped(body.len().div_ceil(1000)));
            report::line(&title, &done);
            match without.take() {
                None => without = Some(done),
                Some(without) => report::samples(fleet::samples(&body)?, &without, &done),
            }
        }
        Ok(())
    }

    /// (b), and (f) beside it.
    pub(crate) async fn kept_connections(&self, with_upserts: bool) -> Result<(), Error> {
        report::heading(
            "(b) heartbeats on connections that stay open, beside (f) PostgreSQL's own single-row upserts",
        );
        let connector = self.connector(None).await?;
        let members = self.members(&connector, self.fleet.all().len());
        let kept = Load { at_a_time: self.load.at_a_time * 4, ..self.load };
        let done = kept.run(&connector, members, Pattern::Kept, &self.plain).await?;
        report::line(&format!("{} connections", kept.at_a_time), &done);
        drop(connector);
        if with_upserts {
            for clients in [1, 2, 16] {
                let upserts =
                    self.database.upserts(self.clusters, clients, self.load.length).await?;
                report::upserts(clients, &upserts, &done);
            }
        }
        Ok(())
    }

    /// (g)
    pub(crate) async fn herd(&self) -> Result<(), Error> {
        report::heading(
            "(g) after an outage: every cluster comes back, with the processors shared with all of them",
        );
        let everybody = self.fleet.all().len();
        for at_a_time in [SOME_OF_A_HERD, everybody] {
            let connector = self.connector(None).await?;
            let members = self.members(&connector, everybody);
            let done = self.load.herd(&connector, members, &self.plain, at_a_time).await?;
            let title = match at_a_time {
                SOME_OF_A_HERD => {
                    format!("{}, {} at a time", self.everyone(), report::grouped(at_a_time))
                }
                _ => format!("{}, all at once", self.everyone()),
            };
            report::line(&title, &done);
            report::herd(&done, &connector.memory()?);
        }
        Ok(())
    }

    /// (k)
    pub(crate) async fn large_bodies(&self) -> Result<(), Error> {
        report::title("(k) memory while every cluster sends a large heartbeat, forwarded");
        let receiver = sink::start().await?;
        let body = fleet::within(FIFTY_MEMBERS, LARGE_BODY)?;
        let connector = self.connector(Some(&receiver)).await?;
        let idle = connector.memory()?;
        let everybody = self.fleet.all().len();
        let members = self.members(&connector, everybody);
        let took = self.load.each_once(members, &body).await?;
        report::large_bodies(&self.everyone(), body.len(), idle, connector.memory()?, took);
        Ok(())
    }

    /// (h)
    pub(crate) async fn receiver_in_trouble(&self) -> Result<(), Error> {
        report::heading("(h) Prometheus in trouble: bodies of 3 members with metrics");
        let mut first = None;
        for (title, receiver) in [
            ("a receiver that says yes", sink::start().await?),
            ("a receiver that never answers", sink::start_hanging().await?),
            ("no receiver at its address", sink::nowhere().await?),
            ("again one that says yes", sink::start().await?),
        ] {
            let connector = self.connector(Some(&receiver)).await?;
            let members = self.members(&connector, SENDERS);
            let body = THREE_MEMBERS.as_bytes();
            let done = self.load.fresh(&connector, members, body).await?;
            report::line(title, &done);
            match &first {
                None => first = Some(done),
                Some(first) => report::compared(first, &done),
            }
        }
        Ok(())
    }

    /// (i)
    pub(crate) async fn tunnels(&self) -> Result<(), Error> {
        report::title(&format!("(i) reverse tunnels: {} hold one each", self.everyone()));
        let connector = self.connector(None).await?;
        let idle = connector.memory()?;
        let begin = Instant::now();
        let mut members = self.members(&connector, self.fleet.all().len()).into_iter();
        let (mut opening, mut open) = (JoinSet::new(), Vec::new());
        loop {
            while opening.len() < OPENING
                && let Some(member) = members.next()
            {
                opening.spawn(async move { member.open_tunnel().await });
            }
            let Some(tunnel) = opening.join_next().await else { break };
            open.push(tunnel??);
        }
        report::tunnels(open.len(), begin.elapsed(), idle, connector.memory()?);
        Ok(())
    }
}
