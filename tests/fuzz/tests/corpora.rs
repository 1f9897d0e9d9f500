//! Every target, for some seconds, with the same changes each time: what belongs to every test run.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use fuzz_targets::{Campaign, Corpus, all};

/// Another number makes other changes. It changes when a target does, not from run to run.
const SEED: u64 = 20_261_122;

fn run(name: &str) {
    let mut target = all().into_iter().find(|target| target.name == name).unwrap();
    let changes = target.changes;
    let inputs = Corpus::of(name).read().unwrap();
    assert!(inputs.len() >= 5, "the corpus of {name} is too small");
    let found = |finding: Box<fuzz_targets::Finding>| -> ! {
        panic!(
            "{}\n  input: {}\n  to see it again, put it into a file: ./dev fuzz --replay {name} FILE",
            finding.reason,
            finding.input.escape_ascii()
        )
    };
    let mut campaign = Campaign::new(&mut target, inputs, SEED).unwrap_or_else(|f| found(f));
    let known = campaign.behaviours().clone();
    for _ in 0..changes {
        campaign.step().unwrap_or_else(|finding| found(finding));
    }
    assert!(known.len() >= 5, "the corpus shows {known:?} and no more");
}

macro_rules! targets {
    ($($name:ident: $test:ident),+ $(,)?) => {
        $(#[test] fn $test() { run(stringify!($name)); })+

        #[test]
        fn every_target_has_a_test() {
            let mut names = vec![$(stringify!($name)),+];
            names.sort_unstable();
            let mut all: Vec<_> = all().iter().map(|target| target.name).collect();
            all.sort_unstable();
            assert_eq!(names, all);
        }
    };
}

targets! {
    join_token: join_03_tokens_of_any_bytes_are_hashed_and_read_as_they_should,
    join_body: lim_05_joins_of_any_bytes_agree_with_the_reference,
    join_signature: join_04_signatures_of_any_bytes_are_accepted_exactly_when_they_are_right,
    certificate: join_10_certificates_of_any_bytes_are_read_as_a_second_reader_does,
    heartbeat: lim_05_heartbeats_of_any_bytes_agree_with_the_reference,
    exposition: met_01_metrics_of_any_bytes_are_read_as_the_reference_does,
    remote_write: met_02_requests_from_any_bytes_follow_the_rules_of_remote_write,
    proxy_header: rate_02_proxy_headers_of_any_bytes_are_read_as_a_second_reader_does,
    http_front: lim_03_any_bytes_get_one_answer_per_request_or_a_closed_connection,
    tunnel_frame: tun_10_messages_of_any_bytes_are_understood_as_the_reference_does,
    tunnel_path: tun_02_accepted_paths_mean_the_same_to_a_library,
}
