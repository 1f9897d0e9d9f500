//! The operations of the Cluster Connector that the Management API does not have.

use serde_json::json;

use super::wire::{HeartbeatReply, SentJoin};
use crate::edge::EmptyObject;
use crate::model::Heartbeat;
use crate::openapi::{Needs, Operation};

/// All operations.
#[must_use]
pub fn operations() -> Vec<Operation> {
    const CLUSTER: &str = "/1.0/remote-cluster";
    let own = |method, path, id, needs, summary| {
        let operation = Operation::new(method, path, id, needs, summary).tags(&["connector"]);
        operation.refuses(&[403, 429, 500, 503])
    };
    let signature =
        json!({ "type": "string", "pattern": "^ClusterManager-1\\.0 [0-9A-Fa-f]{64}$" });
    vec![
        own("POST", CLUSTER, "joinCluster", Needs::Nothing,
            "Enrols a cluster with a join token; the certificate in the body must be the one of the TLS connection")
            .header("Authorization", &signature, "Signed form: an HMAC over the body with the token's secret")
            .takes::<SentJoin>()
            .gives::<EmptyObject>("It is enrolled")
            .refuses(&[404, 409]),
        own("DELETE", CLUSTER, "leaveCluster", Needs::Certificate, "A cluster removes itself")
            .gives::<EmptyObject>("It is removed")
            .refuses(&[404]),
        own("POST", "/1.0/remote-cluster/status", "postClusterStatus", Needs::Certificate, "A heartbeat")
            .takes::<Heartbeat>()
            .gives::<HeartbeatReply>("It is stored")
            .refuses(&[404]),
        own("GET", "/1.0/remote-cluster/ws", "openTunnel", Needs::Certificate,
            "The cluster's reverse tunnel: a web socket over HTTP/1.1, in which we send requests and the cluster answers")
            .answers(101, &json!({ "description": "It is open; a tunnel that the cluster had before is closed" }))
            .refuses(&[400, 404]),
    ]
}
