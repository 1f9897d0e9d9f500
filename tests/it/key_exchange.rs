//! How clients and services agree on keys.

use cluster_simulator::tls::{self, Dial, KeyExchange, Trust};
use end_to_end_tests::{Deployment, Service};
use rustls::NamedGroup;

#[tokio::test]
async fn clients_that_offer_a_key_exchange_for_the_age_of_quantum_computers_get_it() {
    let deployment = Deployment::new().await;
    let units = [
        deployment.start(Service::ClusterConnector).await,
        deployment.start(Service::ManagementApi).await,
    ];
    for unit in &units {
        for (key_exchange, agreed) in [
            (KeyExchange::Hybrid, NamedGroup::X25519MLKEM768),
            (KeyExchange::Classical, NamedGroup::X25519),
        ] {
            let dial = Dial { key_exchange, ..Dial::default() };
            let address = unit.api.to_string();
            let stream = tls::connect(&address, &Trust::Anything, None, dial).await.unwrap();
            let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
            assert_eq!(group.name(), agreed, "{:?}", unit.service);
        }
    }
}
