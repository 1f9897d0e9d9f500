use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::{Fingerprint, Identity};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person.
    Operator {
        /// The person's identifier at the identity provider.
        subject: String,
        /// Display name.
        name: String,
    },
    /// A cluster, by the certificate that it proved to hold.
    Cluster {
        /// Its certificate.
        fingerprint: Fingerprint,
        /// Its name, as far as it is known.
        name: String,
    },
    /// Somebody with a command line where the program runs.
    Action {
        /// The host on which the command ran.
        unit: String,
    },
    /// The program by itself.
    System,
    /// Somebody who did not say, or could not prove, who they are.
    Anonymous,
}

impl Actor {
    /// The person.
    #[must_use]
    pub fn person(identity: &Identity) -> Self {
        Self::Operator { subject: identity.subject.clone(), name: identity.name.clone() }
    }

    /// Kind, identifier and name, as they are stored.
    #[must_use]
    pub fn columns(&self) -> (&'static str, String, &str) {
        match self {
            Self::Operator { subject, name } => ("operator", subject.clone(), name),
            Self::Cluster { fingerprint, name } => {
                ("cluster", fingerprint.to_string().chars().take(16).collect(), name)
            }
            Self::Action { unit } => ("action", unit.clone(), ""),
            Self::System => ("system", String::new(), ""),
            Self::Anonymous => ("anonymous", String::new(), ""),
        }
    }
}

/// Who did something, and where that came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// Address of the connection's other end; empty for what does not come by network.
    pub source: String,
    /// The request's id, by which the log is searched; empty without a request.
    pub request_id: String,
}

impl Origin {
    /// The program by itself.
    pub const SYSTEM: Self =
        Self { actor: Actor::System, source: String::new(), request_id: String::new() };

    /// The same place, once it is known who it was.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self { actor, source: self.source.clone(), request_id: self.request_id.clone() }
    }
}

/// What happened. The names are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A person logged in, or tried to.
    Login,
    /// A person logged out.
    Logout,
    /// A session ended in another way.
    SessionEnded,
    /// A person asked for something that their role does not allow.
    PermissionDenied,
    /// A join token was created.
    TokenCreated,
    /// A pending join token was revoked.
    TokenRevoked,
    /// A token was created that gives an enrolled cluster another certificate.
    RotationTokenCreated,
    /// Such a token was revoked.
    RotationTokenRevoked,
    /// A cluster joined, or was refused.
    ClusterJoined,
    /// A cluster joined again, with another certificate.
    CertificateReplaced,
    /// A cluster left by itself.
    ClusterLeft,
    /// What operators say about a cluster was changed.
    ClusterChanged,
    /// A cluster was removed by an operator.
    ClusterRemoved,
    /// A cluster has been silent for so long that it counts as offline.
    ClusterWentOffline,
    /// A cluster that was offline sends heartbeats again.
    ClusterCameBack,
    /// A cluster's certificate ends within 30, 14 or 3 days.
    CertificateEnding,
    /// New series of a cluster's metrics are dropped: it brings too many.
    MetricsDropped,
    /// A person sent a request to a cluster through its tunnel.
    TunnelRequest,
    /// A cluster opened its tunnel.
    TunnelOpened,
    /// A cluster's tunnel ended.
    TunnelClosed,
    /// What the earlier product left was taken over.
    TakeoverApplied,
    /// A cluster of the earlier product was taken over, or could not be.
    ClusterTakenOver,
    /// A pending join token of the earlier product was taken over, or could not be.
    TokenTakenOver,
    /// The program started with other settings than before.
    ConfigurationChanged,
    /// The program started with another master key than before.
    MasterKeyChanged,
    /// The schema was brought up to date.
    SchemaMigrated,
}

impl Event {
    /// The name in the API and the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::SessionEnded => "session.ended",
            Self::PermissionDenied => "permission.denied",
            Self::TokenCreated => "join-token.created",
            Self::TokenRevoked => "join-token.revoked",
            Self::RotationTokenCreated => "rotation-token.created",
            Self::RotationTokenRevoked => "rotation-token.revoked",
            Self::ClusterJoined => "cluster.joined",
            Self::CertificateReplaced => "cluster.certificate-replaced",
            Self::ClusterLeft => "cluster.left",
            Self::ClusterChanged => "cluster.changed",
            Self::ClusterRemoved => "cluster.removed",
            Self::ClusterWentOffline => "cluster.went-offline",
            Self::ClusterCameBack => "cluster.came-back",
            Self::CertificateEnding => "cluster.certificate-ending",
            Self::MetricsDropped => "cluster.metrics-dropped",
            Self::TunnelRequest => "tunnel.request",
            Self::TunnelOpened => "tunnel.opened",
            Self::TunnelClosed => "tunnel.closed",
            Self::TakeoverApplied => "takeover.applied",
            Self::ClusterTakenOver => "cluster.taken-over",
            Self::TokenTakenOver => "join-token.taken-over",
            Self::ConfigurationChanged => "configuration.changed",
            Self::MasterKeyChanged => "master-key.changed",
            Self::SchemaMigrated => "schema.migrated",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was not allowed.
    Refused,
    /// It did not work.
    Failed,
}

impl Outcome {
    /// The name in the API and the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What is to be recorded. It never holds a secret: a join token goes by its id.
#[derive(Debug, Clone)]
pub struct AuditEntry<'a> {
    /// What happened.
    pub event: Event,
    /// To what: the name of a cluster, the subject of a person; may be empty.
    pub object: &'a str,
    /// What came of it.
    pub outcome: Outcome,
    /// More, as a JSON object.
    pub details: Value,
}

impl<'a> AuditEntry<'a> {
    /// Something that was done.
    #[must_use]
    pub fn done(event: Event, object: &'a str, details: Value) -> Self {
        Self { event, object, outcome: Outcome::Success, details }
    }

    /// Something that was not allowed.
    #[must_use]
    pub fn refused(event: Event, object: &'a str, details: Value) -> Self {
        Self { event, object, outcome: Outcome::Refused, details }
    }
}

/// A record of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Grows from record to record.
    pub id: i64,
    /// When it happened, by the database's clock.
    pub at: OffsetDateTime,
    /// `operator`, `cluster`, `action`, `system` or `anonymous`.
    pub actor_kind: String,
    /// The subject of a person, the beginning of a cluster's fingerprint, the unit of an action.
    pub actor: String,
    /// Display name; may be empty.
    pub actor_name: String,
    /// Address of the connection's other end; may be empty.
    pub source: String,
    /// What happened.
    pub event: String,
    /// To what; may be empty.
    pub object: String,
    /// `success`, `refused` or `failed`.
    pub outcome: String,
    /// Id of the request; may be empty.
    pub request_id: String,
    /// More, as a JSON object.
    pub details: Value,
}

/// Which records are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Exactly this event.
    pub event: Option<String>,
    /// Exactly this object.
    pub object: Option<String>,
    /// Exactly this actor.
    pub actor: Option<String>,
    /// Exactly this outcome.
    pub outcome: Option<String>,
    /// At this time or later.
    pub since: Option<OffsetDateTime>,
    /// Before this time.
    pub until: Option<OffsetDateTime>,
}
