//! Connections that have not shown who they are (security property RATE-02 and the limits of both listeners).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cluster_simulator::{ClientOptions, Connection, Identity, Member, Request, STATUS_PATH};
use end_to_end_tests::{Deployment, Service, Unit};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};

const MOST: usize = 8;

/// A deployment whose clients connect directly, with room for [`MOST`] newcomers of an address.
async fn deployment() -> Deployment {
    let mut deployment = Deployment::new().await;
    deployment.extra.push(("PROXY_PROTOCOL_FROM", "192.0.2.1".into()));
    deployment.extra.push(("RATE_LIMIT_CONNECTIONS_PER_ADDRESS", MOST.to_string()));
    deployment
}

/// A connection of `address` that says nothing.
async fn silent(unit: &Unit, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.connect(unit.api).await.unwrap()
}

/// Waits until the other side has closed the connection.
async fn closed(stream: &mut TcpStream) {
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read_u8()).await;
    assert!(matches!(read, Ok(Err(_))), "it is closed");
}

fn at(member: &Member, address: &str) -> Member {
    let options =
        ClientOptions { source: Some(address.parse().unwrap()), ..ClientOptions::default() };
    Member::new(member.identity().clone(), member.pin().clone()).with_options(options)
}

/// How many connections were closed for want of room.
async fn refused(unit: &Unit) -> usize {
    let name = "cluster_manager_rate_limit_refused_total{limit=\"connections\",scope=\"address\"} ";
    let metrics = unit.scrape().await;
    metrics.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |n| n.parse().unwrap())
}

/// A heartbeat over a connection that stays.
async fn report(connection: &mut Connection) -> u16 {
    let request = Request::of_member("POST", STATUS_PATH, b"{}".to_vec());
    connection.send(&request.with_header("Connection", "keep-alive")).await.unwrap().status
}

#[tokio::test]
async fn rate_02_clusters_of_an_address_are_not_counted_and_strangers_are() {
    let deployment = deployment().await;
    let connector = deployment.start(Service::ClusterConnector).await;
    let member = at(&deployment.enrol("lyon").await, "127.0.0.31");
    let mut clusters = Vec::new();
    for _ in 0..3 * MOST {
        let mut connection = member.raw_connection(Some(member.identity())).await.unwrap();
        assert_eq!(report(&mut connection).await, 200);
        clusters.push(connection);
    }

    let mut strangers = Vec::new();
    for _ in 0..2 * MOST {
        strangers.push(silent(&connector, "127.0.0.31").await);
    }
    let mut beyond = strangers.split_off(MOST);
    for stream in &mut beyond {
        closed(stream).await;
    }
    assert_eq!(refused(&connector).await, MOST);
    assert!(connector.process.log().contains("have not shown who they are"));
    assert_eq!(report(&mut clusters[0]).await, 200, "known ones go on");
    let elsewhere = at(&member, "127.0.0.32");
    let reported = elsewhere.request("POST", STATUS_PATH, b"{}".to_vec()).await.unwrap();
    assert_eq!(reported.status, 200, "another address has room");

    drop(strangers);
    let room = async {
        while !member
            .request("POST", STATUS_PATH, b"{}".to_vec())
            .await
            .is_ok_and(|a| a.status == 200)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), room).await.expect("there is room again");
    let unknown = Identity::generate("unknown").unwrap();
    let before = refused(&connector).await;
    let mut refusals = Vec::new();
    while refused(&connector).await == before {
        let Ok(mut connection) = member.raw_connection(Some(&unknown)).await else { continue };
        assert_eq!(report(&mut connection).await, 403);
        refusals.push(connection);
        assert!(refusals.len() < 10 * MOST, "who was refused goes on to count");
    }
}

#[tokio::test]
async fn rate_02_operators_of_an_address_are_not_counted_and_others_are() {
    let mut deployment = deployment().await;
    let _provider = deployment.start_identity_provider().await;
    let management = deployment.start(Service::ManagementApi).await;
    let operator = deployment.logged_in("admin@example.com").await;
    let mut streams = Vec::new();
    for _ in 0..3 * MOST {
        streams.push(operator.events("/1.0/fleet/events", None).await);
    }
    let mut others = Vec::new();
    for _ in 0..=MOST {
        others.push(silent(&management, "127.0.0.31").await);
    }
    closed(&mut others[MOST]).await;
    assert_eq!(refused(&management).await, 1, "none of the operator's own");
}
